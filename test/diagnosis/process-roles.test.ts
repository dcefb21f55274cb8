import assert from 'node:assert/strict';
import { test } from 'node:test';
import { diagnoseHost } from '../../src/diagnosis/diagnose.ts';
import { diagnoseEvidence } from '../../src/diagnosis/diagnosis.ts';
import { classifyProcesses } from '../../src/diagnosis/process-roles.ts';
import type { VerdictCode } from '../../src/diagnosis/verdict.ts';
import { seen } from '../../src/evidence/evidence.ts';
import { RecordedHost } from '../../src/host/recorded-host.ts';
import { planFix } from '../../src/plan/plan.ts';
import { nextCommand } from '../../src/report/next-command.ts';
import { LOOK_REQUEST } from '../host/look-request.ts';
import { stageEvidence } from '../recorded/captures.ts';
import { repeated } from '../report/repeated.ts';
import {
  evidenceOf,
  INODE,
  type ProcessSketch,
  type Situation,
  saltApi,
  server,
  TITLED,
  UNTITLED,
} from './situation.ts';

interface Case extends Situation {
  readonly name: string;
  /** Every salt-api process: PID → role. */
  readonly roles: Readonly<Record<number, string>>;
  readonly daemon?: number | null;
  readonly verdict: VerdictCode;
}

/** A healthy pair: 100 the manager, 101 its child. */
const manager = (sketch: Partial<ProcessSketch> = {}) =>
  saltApi({ pid: 100, ppid: 1, argv: TITLED, ...sketch });
const child = (sketch: Partial<ProcessSketch> = {}) => server({ pid: 101, ppid: 100, ...sketch });

/** `wheel_async` daemonizes: ppid 1, a session of its own, one thread, the socket inherited. */
const job = (sketch: Partial<ProcessSketch> = {}) =>
  saltApi({ pid: 200, ppid: 1, session: 199, age: 5, listens: [INODE], ...sketch });

const nginx = {
  pid: 800,
  ppid: 1,
  argv: ['nginx: master process /usr/sbin/nginx'],
  comm: 'nginx',
  listens: [INODE],
};

const onedir3006 = '/opt/saltstack/salt/bin/python3.10 /usr/bin/salt-api';

const CASES: readonly Case[] = [
  {
    name: 'a daemon, its child, and a pid file that names it',
    processes: [manager(), child()],
    pidFile: 100,
    roles: { 100: 'manager', 101: 'child' },
    daemon: 100,
    verdict: 'healthy',
  },
  {
    name: 'no pid file and no systemd: the manager is known by its child',
    processes: [manager(), child()],
    roles: { 100: 'manager', 101: 'child' },
    daemon: 100,
    verdict: 'healthy',
  },
  {
    name: 'a stale pid file beside a sound daemon',
    processes: [manager(), child()],
    pidFile: 55,
    roles: { 100: 'manager', 101: 'child' },
    daemon: 100,
    verdict: 'healthy',
  },
  {
    name: 'a wheel_async job beside the live server that forked it is no orphan',
    processes: [manager(), child(), job()],
    pidFile: 100,
    roles: { 100: 'manager', 101: 'child', 200: 'job' },
    verdict: 'healthy',
  },
  {
    name: 'ssh-client forks share the socket and belong to their server',
    processes: [
      manager(),
      child(),
      saltApi({ pid: 201, ppid: 101, age: 3, listens: [INODE] }),
      saltApi({ pid: 202, ppid: 101, age: 3, listens: [INODE] }),
    ],
    pidFile: 100,
    roles: { 100: 'manager', 101: 'child', 201: 'fork', 202: 'fork' },
    verdict: 'healthy',
  },
  {
    name: 'tornado workers under the child',
    processes: [
      manager(),
      child({ threads: 1 }),
      saltApi({ pid: 102, ppid: 101, listens: [INODE] }),
      saltApi({ pid: 103, ppid: 101, listens: [INODE] }),
    ],
    roles: { 100: 'manager', 101: 'child', 102: 'fork', 103: 'fork' },
    verdict: 'healthy',
  },
  {
    name: 'the incident: the old child on the port, a new daemon between two children',
    processes: [
      server({ pid: 37, ppid: 1, session: 12, age: 90_00 }),
      manager({ age: 60 }),
      saltApi({ pid: 102, ppid: 100, state: 'Z', argv: [], age: 3 }),
    ],
    pidFile: 100,
    roles: { 37: 'orphan', 100: 'manager' },
    daemon: 100,
    verdict: 'orphan-holds-port',
  },
  {
    name: 'the same with a manager that no pid file names and only a zombie vouches for',
    processes: [
      server({ pid: 37, ppid: 1, session: 12, age: 9000 }),
      manager({ age: 60 }),
      saltApi({ pid: 102, ppid: 100, state: 'Z', argv: [], age: 3 }),
    ],
    roles: { 37: 'orphan', 100: 'manager' },
    daemon: 100,
    verdict: 'orphan-holds-port',
  },
  {
    name: 'an orphan alone, adopted by a sub-reaper and not by pid 1',
    processes: [
      server({ pid: 37, ppid: 700 }),
      saltApi({
        pid: 700,
        ppid: 1,
        session: 700,
        argv: ['/lib/systemd/systemd', '--user'],
        comm: 'systemd',
      }),
    ],
    roles: { 37: 'orphan' },
    daemon: null,
    verdict: 'orphan-holds-port',
  },
  {
    name: 'an orphan with ssh forks of its own is no manager',
    processes: [server({ pid: 37, ppid: 1 }), saltApi({ pid: 201, ppid: 37, listens: [INODE] })],
    roles: { 37: 'orphan', 201: 'fork' },
    daemon: null,
    verdict: 'orphan-holds-port',
  },
  {
    name: 'nor is one with few threads: it holds the port, which a manager does not',
    processes: [
      server({ pid: 37, ppid: 1, threads: 4 }),
      saltApi({ pid: 201, ppid: 37, listens: [INODE] }),
    ],
    roles: { 37: 'orphan', 201: 'fork' },
    daemon: null,
    verdict: 'orphan-holds-port',
  },
  {
    name: 'two orphaned servers on one socket are both orphans: a pool is no job fork',
    processes: [server({ pid: 37, ppid: 1, age: 9000 }), server({ pid: 38, ppid: 1, age: 8000 })],
    roles: { 37: 'orphan', 38: 'orphan' },
    daemon: null,
    verdict: 'orphan-holds-port',
  },
  {
    name: 'nor is one that closed its listener at SIGTERM and keeps a zombie',
    processes: [
      saltApi({ pid: 37, ppid: 1, threads: 103 }),
      saltApi({ pid: 201, ppid: 37, state: 'Z', argv: [] }),
    ],
    roles: { 37: 'orphan' },
    daemon: null,
    verdict: 'orphan-stray',
  },
  {
    name: 'an orphan with no listener any more, beside the new daemon that serves',
    processes: [
      saltApi({ pid: 37, ppid: 1, session: 12, threads: 103, portConnections: 120, age: 9000 }),
      manager({ age: 60 }),
      child({ age: 59 }),
    ],
    pidFile: 100,
    roles: { 37: 'orphan', 100: 'manager', 101: 'child' },
    verdict: 'orphan-stray',
  },
  {
    name: 'job forks left after their server died: the eldest is the orphan, the rest its forks',
    processes: [
      manager({ age: 60 }),
      job({ pid: 300, session: 299, age: 900 }),
      job({ pid: 301, session: 298, age: 800 }),
    ],
    pidFile: 100,
    roles: { 100: 'manager', 300: 'orphan', 301: 'fork' },
    verdict: 'orphan-holds-port',
  },
  {
    name: 'a job that outlived its server keeps the port from the next child of the same daemon',
    processes: [
      manager(),
      saltApi({ pid: 105, ppid: 100, age: 4 }),
      job({ pid: 300, session: 299, age: 900 }),
    ],
    pidFile: 100,
    roles: { 100: 'manager', 105: 'child', 300: 'orphan' },
    verdict: 'orphan-holds-port',
  },
  {
    name: 'a job of an orphaned server belongs to the orphan',
    processes: [server({ pid: 37, ppid: 1, age: 9000 }), job({ age: 5 })],
    roles: { 37: 'orphan', 200: 'fork' },
    verdict: 'orphan-holds-port',
  },
  {
    name: 'two daemons: a second `salt-api -d` took the pid file, the first one serves',
    processes: [
      manager(),
      child(),
      manager({ pid: 500, session: 498, age: 60 }),
      saltApi({ pid: 501, ppid: 500, session: 498, age: 3 }),
    ],
    pidFile: 500,
    roles: { 100: 'manager', 101: 'child', 500: 'manager', 501: 'child' },
    daemon: 500,
    verdict: 'restart-loop',
  },
  {
    name: 'a reused pid in a stale pid file: the younger process is not the one it named',
    processes: [
      server({ pid: 37, ppid: 1, age: 9000 }),
      manager({ pid: 100, age: 60 }),
      saltApi({ pid: 101, ppid: 100, age: 3 }),
      saltApi({ pid: 400, ppid: 1, session: 399, age: 30, listens: [INODE] }),
    ],
    pidFile: 400,
    pidFileAge: 5000,
    roles: { 37: 'orphan', 100: 'manager', 101: 'child', 400: 'fork' },
    daemon: 100,
    verdict: 'orphan-holds-port',
  },
  {
    name: 'a stale pid file that names a stranger, and a leftover without any socket',
    processes: [saltApi({ pid: 37, ppid: 1, argv: TITLED })],
    pidFile: 55,
    roles: { 37: 'orphan' },
    daemon: null,
    verdict: 'orphan-stray',
  },
  {
    name: 'the same two seconds old is a daemon on its way up: nothing to mend yet',
    processes: [saltApi({ pid: 37, ppid: 1, age: 2 })],
    pidFile: 55,
    pidFileAge: 600,
    roles: { 37: 'unclear' },
    daemon: null,
    verdict: 'unknown',
  },
  {
    name: 'a daemon and its first child, seconds old and not listening yet',
    processes: [manager({ age: 3 }), child({ age: 2, listens: [], threads: 1 })],
    roles: { 100: 'manager', 101: 'child' },
    verdict: 'unknown',
  },
  {
    name: 'a daemon seconds old whose first child has died already',
    processes: [
      manager({ age: 3 }),
      saltApi({ pid: 102, ppid: 100, state: 'Z', argv: [], age: 2 }),
    ],
    roles: { 100: 'manager' },
    verdict: 'restart-loop',
  },
  {
    name: 'a child seconds old under a daemon of an hour, nobody listening: one more start, no loop',
    processes: [manager(), child({ age: 2, listens: [], threads: 1 })],
    roles: { 100: 'manager', 101: 'child' },
    verdict: 'unknown',
  },
  {
    name: 'a healthy salt-api on another port than the one that was asked for',
    processes: [manager(), child({ listens: [], otherPorts: [8000] })],
    pidFile: 100,
    roles: { 100: 'manager', 101: 'child' },
    verdict: 'unknown',
  },
  {
    name: 'an orphan of another port is not ours to end',
    processes: [
      manager(),
      child(),
      server({ pid: 37, ppid: 1, session: 12, age: 9000, listens: [], otherPorts: [8000] }),
    ],
    pidFile: 100,
    roles: { 37: 'unclear', 100: 'manager', 101: 'child' },
    verdict: 'degraded',
  },
  {
    name: 'two netapi modules: a daemon whose other child has another port',
    processes: [
      server({ pid: 37, ppid: 1, session: 12, age: 9000 }),
      manager({ age: 60 }),
      saltApi({ pid: 102, ppid: 100, age: 59, otherPorts: [8000] }),
    ],
    pidFile: 100,
    roles: { 37: 'orphan', 100: 'manager', 102: 'child' },
    verdict: 'orphan-holds-port',
  },
  {
    name: 'the port is a guess, and a salt-api runs that listens nowhere',
    processes: [manager()],
    pidFile: 100,
    evidence: { port: { number: 443, origin: { kind: 'default', why: 'no config' } } },
    roles: { 100: 'manager' },
    verdict: 'unknown',
  },
  {
    name: 'a holder whose parent is a living shell is no orphan: the shell may have started it',
    processes: [
      saltApi({ pid: 700, ppid: 1, argv: ['-bash'], comm: 'bash' }),
      server({ pid: 37, ppid: 700 }),
    ],
    roles: { 37: 'unclear' },
    verdict: 'unknown',
  },
  {
    name: "a monitoring agent's check of that name is no orphan, and the host is well",
    processes: [
      manager({ age: 60 }),
      child({ age: 59 }),
      saltApi({
        pid: 31,
        ppid: 1,
        session: 31,
        argv: ['/usr/bin/python3', '/opt/agent'],
        age: 9000,
      }),
      saltApi({
        pid: 37,
        ppid: 31,
        session: 37,
        processGroup: 37,
        argv: ['/usr/bin/python3', '/opt/checks/salt-api'],
        saltSigns: [],
        age: 9000,
      }),
    ],
    pidFile: 100,
    roles: { 37: 'unclear', 100: 'manager', 101: 'child' },
    verdict: 'healthy',
  },
  {
    name: 'nor is one that pid 1 has started as a service of its own, named as a child is',
    processes: [
      manager({ age: 60 }),
      child({ age: 59 }),
      saltApi({
        pid: 37,
        ppid: 1,
        session: 37,
        argv: ['/usr/bin/python3 /opt/checks/salt-api RunNetapi'],
        saltSigns: ['child-title'],
        cgroup: '/system.slice/run-u5.service',
        age: 9000,
      }),
    ],
    pidFile: 100,
    unit: { mainPid: 100 },
    roles: { 37: 'unclear', 100: 'manager', 101: 'child' },
    verdict: 'degraded',
  },
  {
    name: 'with a parent that is dead, but nothing that says Salt, it is unclear whatever it holds',
    processes: [server({ pid: 37, ppid: 1, saltSigns: [] })],
    roles: { 37: 'unclear' },
    verdict: 'unknown',
  },
  {
    name: 'a manager and a child that nothing says Salt of are nobody to stop or to kill',
    processes: [manager({ saltSigns: [] }), child({ saltSigns: [] })],
    roles: { 100: 'unclear', 101: 'unclear' },
    daemon: null,
    verdict: 'unknown',
  },
  {
    name: 'what a pid file names is Salt, and so is its line where one of it keeps the log open',
    processes: [
      manager({ saltSigns: [] }),
      child({ saltSigns: [] }),
      manager({ pid: 500, session: 498, age: 9000, saltSigns: [] }),
      saltApi({ pid: 501, ppid: 500, session: 498, age: 8999, saltSigns: ['log'] }),
    ],
    pidFile: 100,
    roles: { 100: 'manager', 101: 'child', 500: 'manager', 501: 'child' },
    daemon: 100,
    verdict: 'healthy',
  },
  {
    name: 'a child of a program that takes orphans, which leads a group, was started by that',
    processes: [
      saltApi({
        pid: 700,
        ppid: 1,
        session: 700,
        argv: ['/usr/bin/tini', '-s', '--', 'x'],
        comm: 'tini',
      }),
      server({ pid: 37, ppid: 700, processGroup: 37 }),
    ],
    roles: { 37: 'unclear' },
    verdict: 'unknown',
  },
  {
    name: 'dumb-init takes orphans as pid 1 alone: beside it, what it has is what it started',
    processes: [
      saltApi({
        pid: 700,
        ppid: 1,
        session: 700,
        argv: ['/usr/bin/dumb-init', '-c', '/usr/bin/salt-api'],
        comm: 'dumb-init',
      }),
      server({ pid: 37, ppid: 700 }),
    ],
    roles: { 37: 'unclear' },
    verdict: 'unknown',
  },
  {
    name: "a stranger's tini is not known to take orphans",
    processes: [
      saltApi({ pid: 700, ppid: 1, session: 700, argv: ['/home/eve/tini'], comm: 'tini' }),
      server({ pid: 37, ppid: 700 }),
    ],
    roles: { 37: 'unclear' },
    verdict: 'unknown',
  },
  {
    name: 'what an ordinary user runs makes no orphan of the daemon beside it',
    processes: [
      saltApi({ pid: 100, ppid: 1, session: 98, argv: TITLED }),
      manager({ pid: 500, session: 498, uid: 1001, age: 3599 }),
      child({ pid: 501, ppid: 500, session: 498, uid: 1001, age: 3598, listens: [] }),
    ],
    roles: { 100: 'unclear', 500: 'elsewhere', 501: 'elsewhere' },
    daemon: null,
    verdict: 'down',
  },
  {
    name: 'a port that an ordinary user holds under the name of salt-api is held by a stranger',
    processes: [manager(), server({ pid: 700, ppid: 1, uid: 1001 })],
    pidFile: 100,
    roles: { 100: 'manager', 700: 'elsewhere' },
    verdict: 'foreign-holder',
  },
  {
    name: 'a salt-api that runs as an ordinary user is ours where the pid file names it',
    processes: [manager({ uid: 1001 }), child({ uid: 1001 })],
    pidFile: 100,
    roles: { 100: 'manager', 101: 'child' },
    verdict: 'healthy',
  },
  {
    name: 'so is an orphan of his where the config says `user:`, though nothing else names him',
    processes: [server({ pid: 37, ppid: 1, uid: 1001 })],
    user: { name: 'saltapi', uid: 1001 },
    roles: { 37: 'orphan' },
    verdict: 'orphan-holds-port',
  },
  {
    name: 'a `user:` that the host does not know is nobody',
    processes: [server({ pid: 37, ppid: 1, uid: 1001 })],
    user: { name: 'gone', uid: null },
    roles: { 37: 'elsewhere' },
    verdict: 'foreign-holder',
  },
  {
    name: 'a chroot onto a bind of our root has the same files: whose it is can not be told',
    processes: [
      manager(),
      child(),
      server({ pid: 37, ppid: 1, age: 9000, rootDirectory: 'unseen' }),
    ],
    pidFile: 100,
    roles: { 37: 'unclear', 100: 'manager', 101: 'child' },
    verdict: 'degraded',
  },
  {
    name: 'without a title beside a named daemon that has one: a first child whose manager is gone',
    processes: [
      manager({ argv: TITLED }),
      child(),
      saltApi({ pid: 200, ppid: 1, session: 198, age: 600 }),
    ],
    pidFile: 100,
    roles: { 100: 'manager', 101: 'child', 200: 'orphan' },
    verdict: 'orphan-stray',
  },
  {
    name: 'the same seconds old may be a second daemon before it has its title',
    processes: [
      manager({ argv: TITLED }),
      child(),
      saltApi({ pid: 200, ppid: 1, session: 198, age: 4 }),
    ],
    pidFile: 100,
    roles: { 100: 'manager', 101: 'child', 200: 'unclear' },
    verdict: 'degraded',
  },
  {
    name: 'a manager younger than the child that names it as its parent has a reused pid',
    processes: [manager({ age: 60 }), server({ pid: 37, ppid: 100, age: 9000 })],
    pidFile: 100,
    roles: { 37: 'unclear', 100: 'manager' },
    verdict: 'unknown',
  },
  {
    name: 'in the cgroup of the unit, whose main process is gone: a child by that',
    processes: [
      saltApi({
        pid: 37,
        ppid: 1,
        session: 12,
        cgroup: '/system.slice/salt-api.service',
        age: 600,
      }),
      saltApi({ pid: 38, ppid: 1, session: 13, cgroup: '/user.slice/session-3.scope', age: 600 }),
    ],
    unit: { mainPid: 0 },
    roles: { 37: 'orphan', 38: 'unclear' },
    verdict: 'orphan-stray',
  },
  {
    name: 'one without a socket whose parent is a shell that is alive may be a daemon by hand',
    processes: [
      manager(),
      child(),
      saltApi({ pid: 700, ppid: 1, session: 700, argv: ['-bash'], comm: 'bash' }),
      saltApi({ pid: 37, ppid: 700, session: 700, threads: 103 }),
    ],
    roles: { 37: 'unclear', 100: 'manager', 101: 'child' },
    verdict: 'degraded',
  },
  {
    name: 'a parent whose argv could not be read may be the manager',
    processes: [
      saltApi({ pid: 100, ppid: 1, session: 50, argv: [], comm: 'salt-api' }),
      server({ pid: 37, ppid: 100 }),
    ],
    deniedArgv: 1,
    roles: { 37: 'unclear' },
    verdict: 'unknown',
  },
  {
    name: 'two daemons that only SALT_CONFIG_DIR tells apart',
    processes: [
      manager(),
      child(),
      manager({ pid: 500, session: 498, environment: { configDirectory: '/etc/salt2' } }),
      child({
        pid: 501,
        ppid: 500,
        session: 498,
        listens: [],
        otherPorts: [8000],
        environment: { configDirectory: '/etc/salt2' },
      }),
    ],
    roles: { 100: 'manager', 101: 'child', 500: 'elsewhere', 501: 'elsewhere' },
    daemon: 100,
    verdict: 'healthy',
  },
  {
    name: 'of a named instance, the default one is none, whether or not ours runs',
    processes: [manager(), child({ listens: [], otherPorts: [443] })],
    evidence: {
      instance: { configDirectory: '/srv/salt2', defaultConfigured: true, origin: 'option' },
    },
    roles: { 100: 'elsewhere', 101: 'elsewhere' },
    daemon: null,
    verdict: 'down',
  },
  {
    name: 'a container that shares our pids and network has a root directory of its own',
    processes: [
      manager(),
      child(),
      manager({ pid: 500, session: 498, rootDirectory: 'other' }),
      child({ pid: 501, ppid: 500, session: 498, listens: [], rootDirectory: 'other' }),
    ],
    roles: { 100: 'manager', 101: 'child', 500: 'elsewhere', 501: 'elsewhere' },
    daemon: 100,
    verdict: 'healthy',
  },
  {
    name: 'a relative -c is of a directory that can no longer be told',
    processes: [
      manager(),
      child(),
      server({
        pid: 37,
        ppid: 1,
        session: 12,
        age: 9000,
        listens: [],
        argv: [...UNTITLED, '-c', 'other'],
      }),
    ],
    roles: { 37: 'elsewhere', 100: 'manager', 101: 'child' },
    verdict: 'healthy',
  },
  {
    name: 'a zombie salt-api holds nothing and is nobody',
    processes: [manager(), child(), saltApi({ pid: 37, ppid: 1, state: 'Z', age: 9000 })],
    pidFile: 100,
    roles: { 100: 'manager', 101: 'child' },
    verdict: 'healthy',
  },
  {
    name: 'an orphan in D state',
    processes: [
      server({ pid: 37, ppid: 1, age: 9000, state: 'D', waitChannel: 'rpc_wait_bit_killable' }),
    ],
    roles: { 37: 'orphan' },
    verdict: 'orphan-holds-port',
  },
  {
    name: 'a server that is in D state for the moment of a disk write, and answers',
    processes: [manager(), child({ state: 'D' })],
    pidFile: 100,
    roles: { 100: 'manager', 101: 'child' },
    verdict: 'healthy',
  },
  {
    name: 'a stopped child that was not asked for an answer',
    processes: [manager(), child({ state: 'T' })],
    pidFile: 100,
    evidence: { answer: { seen: false, cause: 'not-asked', why: 'not asked' } },
    roles: { 100: 'manager', 101: 'child' },
    verdict: 'hung',
  },
  {
    name: 'a child in D state that was not asked, with an empty accept queue',
    processes: [manager(), child({ state: 'D' })],
    pidFile: 100,
    evidence: { answer: { seen: false, cause: 'not-asked', why: 'not asked' } },
    roles: { 100: 'manager', 101: 'child' },
    verdict: 'healthy',
  },
  {
    name: 'the same with clients waiting to be accepted',
    processes: [manager(), child({ state: 'D' })],
    listeners: [{ acceptQueue: 12 }],
    pidFile: 100,
    evidence: { answer: { seen: false, cause: 'not-asked', why: 'not asked' } },
    roles: { 100: 'manager', 101: 'child' },
    verdict: 'hung',
  },
  {
    name: 'a title that says netapi child beats a pid file that names it',
    processes: [server({ pid: 37, ppid: 1, argv: [`${onedir3006} RunNetapi`] })],
    pidFile: 37,
    roles: { 37: 'orphan' },
    daemon: null,
    verdict: 'orphan-holds-port',
  },
  {
    name: 'a container: the manager is pid 1',
    processes: [
      saltApi({ pid: 1, ppid: 0, session: 1, argv: ['/usr/bin/python3', '/usr/bin/salt-api'] }),
      server({ pid: 9, ppid: 1, session: 1 }),
    ],
    roles: { 1: 'manager', 9: 'child' },
    daemon: 1,
    verdict: 'healthy',
  },
  {
    name: 'salt-api of a container, seen from its host, is not ours',
    processes: [
      manager(),
      child(),
      manager({ pid: 900, ppid: 890, pidNamespace: 'other', networkNamespace: 'other', age: 9000 }),
      saltApi({ pid: 901, ppid: 900, pidNamespace: 'other', networkNamespace: 'other' }),
    ],
    pidFile: 100,
    roles: { 100: 'manager', 101: 'child', 900: 'elsewhere', 901: 'elsewhere' },
    verdict: 'healthy',
  },
  {
    name: 'a container with the host network on the port',
    processes: [server({ pid: 901, ppid: 890, pidNamespace: 'other' })],
    roles: { 901: 'elsewhere' },
    verdict: 'foreign-holder',
  },
  {
    name: 'another instance, by its -c, is left out even where it is older and has jobs',
    processes: [
      manager(),
      child(),
      saltApi({ pid: 600, ppid: 1, age: 9000, argv: [...UNTITLED, '-c', '/srv/salt2'] }),
      saltApi({ pid: 601, ppid: 1, age: 8000, argv: [...UNTITLED, '--config-dir=/srv/salt2'] }),
    ],
    pidFile: 100,
    roles: { 100: 'manager', 101: 'child', 600: 'elsewhere', 601: 'elsewhere' },
    verdict: 'healthy',
  },
  {
    name: 'asked for another instance, the default one is left out',
    processes: [
      manager({ pid: 600, argv: ['/usr/bin/python3 /usr/bin/salt-api -c /srv/salt2/ -d'] }),
      server({ pid: 601, ppid: 600, argv: [...UNTITLED, '-c', '/srv/salt2/'] }),
      manager({ age: 60 }),
      saltApi({ pid: 101, ppid: 100 }),
    ],
    unit: { mainPid: 100 },
    evidence: {
      instance: { configDirectory: '/srv/salt2', defaultConfigured: true, origin: 'option' },
    },
    roles: { 100: 'elsewhere', 101: 'elsewhere', 600: 'manager', 601: 'child' },
    daemon: 600,
    verdict: 'healthy',
  },
  {
    name: 'an instance that SALT_CONFIG_DIR chose says nothing in its argv',
    processes: [
      manager({ environment: { configDirectory: '/srv/salt2' } }),
      child({ environment: { configDirectory: '/srv/salt2' } }),
    ],
    pidFile: 100,
    evidence: {
      instance: { configDirectory: '/srv/salt2', defaultConfigured: true, origin: 'environment' },
    },
    roles: { 100: 'manager', 101: 'child' },
    verdict: 'healthy',
  },
  {
    name: 'a drill on the host is no part of the real thing',
    processes: [
      manager(),
      child(),
      saltApi({
        pid: 700,
        ppid: 1,
        age: 9000,
        argv: [...UNTITLED, '-c', '/tmp/salt-triage-drill-x1/etc'],
      }),
    ],
    pidFile: 100,
    roles: { 100: 'manager', 101: 'child', 700: 'elsewhere' },
    verdict: 'healthy',
  },
  {
    name: 'the real thing is no part of a drill, not even as its orphan',
    processes: [server({ pid: 37, ppid: 1, age: 9000 })],
    evidence: {
      instance: {
        configDirectory: '/tmp/salt-triage-drill-x1/etc',
        defaultConfigured: true,
        origin: 'option',
      },
    },
    roles: { 37: 'elsewhere' },
    verdict: 'foreign-holder',
  },
  {
    name: 'not root: the holder is not to be seen',
    processes: [manager({ fds: 'denied' }), child({ fds: 'denied', listens: [] })],
    listeners: [{ uid: 0 }],
    deniedFds: 90,
    pidFile: 100,
    roles: { 100: 'manager', 101: 'child' },
    verdict: 'unknown',
  },
  {
    name: 'not root: an orphan with forks is still no manager',
    processes: [
      saltApi({ pid: 37, ppid: 1, threads: 103, fds: 'denied' }),
      saltApi({ pid: 201, ppid: 37, fds: 'denied' }),
    ],
    listeners: [{}],
    deniedFds: 90,
    roles: { 37: 'orphan', 201: 'fork' },
    daemon: null,
    verdict: 'unknown',
  },
  {
    name: 'hidepid: nobody to be seen, and somebody listens',
    processes: [],
    listeners: [{}],
    hidden: true,
    roles: {},
    verdict: 'unknown',
  },
  {
    name: 'hidepid: nobody to be seen and nobody listens is no proof that no daemon runs',
    processes: [],
    hidden: true,
    roles: {},
    verdict: 'unknown',
  },
  {
    name: 'nginx on the port, the daemon in its restart loop',
    processes: [manager(), saltApi({ pid: 102, ppid: 100, age: 3 }), saltApi(nginx)],
    pidFile: 100,
    roles: { 100: 'manager', 102: 'child' },
    verdict: 'foreign-holder',
  },
  {
    name: 'systemd holds the socket together with the child (socket activation)',
    processes: [
      manager(),
      child(),
      saltApi({ pid: 1, ppid: 0, argv: ['/sbin/init'], listens: [INODE] }),
    ],
    pidFile: 100,
    roles: { 100: 'manager', 101: 'child' },
    verdict: 'healthy',
  },
  {
    name: 'an orphan on 0.0.0.0 and nginx on another address of the port',
    processes: [server({ pid: 37, ppid: 1, age: 9000 }), saltApi({ ...nginx, listens: [7002] })],
    listeners: [{}, { address: '10.0.0.1', inode: 7002 }],
    roles: { 37: 'orphan' },
    verdict: 'orphan-holds-port',
  },
  {
    name: 'an orphan and the daemon, each with a socket of its own on the port',
    processes: [
      server({ pid: 37, ppid: 1, age: 9000 }),
      manager({ age: 60 }),
      child({ age: 59, listens: [7002] }),
    ],
    listeners: [{ address: '127.0.0.1' }, { address: '10.0.0.1', inode: 7002 }],
    pidFile: 100,
    roles: { 37: 'orphan', 100: 'manager', 101: 'child' },
    verdict: 'orphan-holds-port',
  },
  {
    name: 'a listener on IPv6 alone',
    processes: [manager(), child()],
    listeners: [{ family: 'ipv6', address: '::' }],
    pidFile: 100,
    roles: { 100: 'manager', 101: 'child' },
    verdict: 'healthy',
  },
  {
    name: 'systemd: MainPID names a manager without a child',
    processes: [server({ pid: 37, ppid: 1, age: 9000 }), manager({ age: 60 })],
    unit: { mainPid: 100 },
    roles: { 37: 'orphan', 100: 'manager' },
    daemon: 100,
    verdict: 'orphan-holds-port',
  },
  {
    name: 'systemd: a leftover in the cgroup of a unit whose main process is gone',
    processes: [
      saltApi({ pid: 37, ppid: 1, cgroup: '/system.slice/salt-api.service', argv: TITLED }),
    ],
    unit: { mainPid: 0, activeState: 'failed' },
    roles: { 37: 'orphan' },
    daemon: null,
    verdict: 'orphan-stray',
  },
  {
    name: 'started by hand before the unit and still on the port: a daemon, not an orphan',
    processes: [
      manager({ cgroup: '/user.slice/session-3.scope', age: 9000 }),
      child({ cgroup: '/user.slice/session-3.scope', age: 8999 }),
      manager({
        pid: 500,
        session: 500,
        age: 60,
        cgroup: '/system.slice/salt-api.service',
      }),
    ],
    unit: { mainPid: 500 },
    roles: { 100: 'manager', 101: 'child', 500: 'manager' },
    daemon: 500,
    verdict: 'restart-loop',
  },
];

/** Manager, first child and restarted child of every era and packaging (salt-facts §1.3, §1.4, §9). */
const ERAS: readonly {
  readonly era: string;
  readonly manager: readonly string[];
  readonly child: readonly string[];
  readonly restarted: readonly string[];
}[] = [
  {
    era: '2014.7, no setproctitle',
    manager: ['/usr/bin/python2.6', '/usr/bin/salt-api', '-d'],
    child: ['/usr/bin/python2.6', '/usr/bin/salt-api', '-d'],
    restarted: ['/usr/bin/python2.6', '/usr/bin/salt-api', '-d'],
  },
  {
    era: '2014.7 to 2015.8',
    manager: ['/usr/bin/python2.6 /usr/bin/salt-api -d --log-level=debug ProcessManager'],
    child: ['/usr/bin/python2.6', '/usr/bin/salt-api', '-d', '--log-level=debug'],
    restarted: ['/usr/bin/python2.6 /usr/bin/salt-api -d --log-level=debug ProcessManager'],
  },
  {
    era: '2016.3 to 3004',
    manager: ['/usr/bin/python3 /usr/bin/salt-api -d NetAPIProcessManager'],
    child: ['/usr/bin/python3', '/usr/bin/salt-api', '-d'],
    restarted: ['/usr/bin/python3 /usr/bin/salt-api -d NetAPIProcessManager'],
  },
  {
    era: '3005 onedir (tiamat)',
    manager: ['/opt/saltstack/salt/run/run api MainProcess'],
    child: ['/opt/saltstack/salt/run/run api RunNetapi(salt.loaded.int.netapi.rest_cherrypy)'],
    restarted: ['/opt/saltstack/salt/run/run api RunNetapi'],
  },
  {
    era: '3006 and 3007 onedir (relenv)',
    manager: [`${onedir3006} MainProcess`],
    child: [`${onedir3006} RunNetapi(salt.loaded.int.netapi.rest_cherrypy)`],
    restarted: [`${onedir3006} RunNetapi`],
  },
  {
    era: 'SUSE',
    manager: ['/usr/bin/python3', '-s', '/usr/bin/salt-api'],
    child: ['/usr/bin/python3', '-s', '/usr/bin/salt-api'],
    restarted: ['/usr/bin/python3', '-s', '/usr/bin/salt-api'],
  },
];

for (const { era, manager: managerArgv, child: childArgv, restarted } of ERAS) {
  for (const [which, argv] of [
    ['first', childArgv],
    ['restarted', restarted],
  ] as const) {
    test(`${era}: the daemon with its ${which} child is healthy, the child left alone an orphan`, () => {
      const parent = saltApi({ pid: 100, ppid: 1, argv: managerArgv });
      const serving = server({ pid: 101, ppid: 100, argv });
      const whole = evidenceOf({ processes: [parent, serving] });
      assert.equal(diagnoseEvidence(whole).verdict.code, 'healthy');
      const left = evidenceOf({ processes: [server({ pid: 101, ppid: 1, argv })] });
      const { verdict, findings } = diagnoseEvidence(left);
      assert.equal(verdict.code, 'orphan-holds-port');
      assert.deepEqual(
        findings.orphans.evidence.processes.map(({ pid }) => pid),
        [101],
      );
    });
  }
}

for (const { name, roles: expected, daemon, verdict, ...situation } of CASES) {
  test(name, () => {
    const evidence = evidenceOf(situation);
    const roles = classifyProcesses(evidence);
    const found = Object.fromEntries(roles.all.map(({ facts, role }) => [facts.pid, role]));
    assert.deepEqual(found, expected);
    if (daemon !== undefined) assert.equal(roles.daemon?.facts.pid ?? null, daemon);
    const { code, summary } = diagnoseEvidence(evidence).verdict;
    assert.equal(code, verdict, summary);
  });
}

test('every sign that spoke for an orphan is told', () => {
  const { findings } = diagnoseEvidence(
    evidenceOf({
      processes: [
        server({
          pid: 37,
          ppid: 1,
          session: 12,
          age: 9000,
          cgroup: '/user.slice',
          portConnections: 7,
        }),
        manager({ age: 60, cgroup: '/system.slice/salt-api.service' }),
      ],
      unit: { mainPid: 100 },
    }),
  );
  const [orphan] = findings.orphans.evidence.processes;
  const told = orphan?.reasons.join('\n') ?? '';
  for (const sign of [
    /reparented to pid 1/,
    /holds the listening socket/,
    /owns 7 accepted connections/,
    /2 h 29 min before the daemon 100/,
    /session 12, the daemon's is 99/,
    /outside the cgroup of salt-api\.service/,
    /103 threads/,
  ]) {
    assert.match(told, sign);
  }
});

test('KillMode=process is named as what makes orphans', () => {
  const details = (killMode: string) =>
    diagnoseEvidence(
      evidenceOf({ processes: [manager(), child()], unit: { mainPid: 100, killMode } }),
    ).findings.orphans.details.join('\n');
  assert.match(details('process'), /KillMode=process leaves children behind/);
  assert.match(details('none'), /KillMode=none leaves children behind/);
  assert.doesNotMatch(details('control-group'), /leaves children behind/);
});

test('a foreign holder is named and never on the list of orphans', () => {
  const diagnosis = diagnoseEvidence(evidenceOf({ processes: [saltApi(nginx)] }));
  const { findings } = diagnosis;
  assert.deepEqual(findings.orphans.evidence.processes, []);
  assert.match(findings['port-holder'].summary, /800 \(nginx:?\)/);
  assert.match(nextCommand(diagnosis, repeated()).next, /ps -fp 800/);
});

test('roles take linear time, whoever starts look-alikes', () => {
  const time = (number: number): number => {
    const pids = Array.from({ length: number }, (_, index) => 1000 + index);
    const evidence = evidenceOf({
      processes: [
        manager(),
        child(),
        ...pids.map((pid) => server({ pid, ppid: 1, session: pid - 1 })),
      ],
    });
    const began = performance.now();
    assert.equal(classifyProcesses(evidence).all.length, number + 2);
    return performance.now() - began;
  };
  time(2_000);
  const [few, many] = [time(2_000), time(16_000)];
  // Eight times as many: quadratic would be 64 times as long.
  assert.ok(many < Math.max(few, 2) * 32, `${few} ms, then ${many} ms`);
});

test('a listener of a stranger on the same address is named, and no sign of health', () => {
  const { findings, verdict } = diagnoseEvidence(
    evidenceOf({
      processes: [manager(), child(), saltApi({ ...nginx, listens: [INODE + 1] })],
      listeners: [{}, { inode: INODE + 1 }],
      pidFile: 100,
    }),
  );
  assert.match(findings['port-holder'].summary, /shared with 800/);
  assert.equal(verdict.code, 'degraded');
});

test('a port is free where the only listener has another address than the service binds', () => {
  const { config } = evidenceOf({ processes: [] });
  assert.ok(config.seen && config.value.netapi !== null);
  const netapi = { ...config.value.netapi, host: '127.0.0.1' };
  const states = ['10.0.0.5', '0.0.0.0', '127.0.0.1'].map((address) => {
    const evidence = evidenceOf({
      processes: [saltApi(nginx)],
      listeners: [{ address }],
      evidence: { config: { seen: true, value: { ...config.value, netapi } } },
    });
    return diagnoseEvidence(evidence).findings['port-holder'].evidence.state;
  });
  assert.deepEqual(states, ['free', 'foreign', 'foreign']);
});

test('roles are told once, from the look to the plan', async () => {
  let asked = 0;
  const counted = <T extends object>(facts: T, signs: readonly string[]): T =>
    Object.defineProperty({ ...facts }, 'saltSigns', {
      get: () => {
        asked += 1;
        return signs;
      },
    });
  const staged = stageEvidence('jammed/restarted');
  assert.ok(staged.processes.seen);
  const processes = staged.processes.value.processes.map((facts) => {
    return counted(facts, facts.saltSigns ?? []);
  });
  const evidence = {
    ...staged,
    processes: seen({ ...staged.processes.value, processes }),
  };
  classifyProcesses(evidence);
  const once = asked;
  assert.ok(once > 0);
  asked = 0;
  const host = new RecordedHost(evidence);
  const request = { ...LOOK_REQUEST, probeTimeoutMs: 100, lookTimeoutMs: 1_000 };
  const diagnosis = await diagnoseHost(host, request, evidence.policy);
  const plan = planFix(diagnosis, null, { only: undefined, restart: 'always' });
  assert.equal(asked, once, `${diagnosis.verdict.code}, ${plan.kind}`);
});
