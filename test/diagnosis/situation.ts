import { NO_BACKGROUND } from '../../src/evidence/background.ts';
/** Builds evidence of a host in few words, for tables of situations. */
import {
  type Evidence,
  type Listener,
  type PidFileFacts,
  type ProcessFacts,
  type ServiceUser,
  type SystemdUnitFacts,
  seen,
} from '../../src/evidence/evidence.ts';

const NOW = Date.UTC(2024, 4, 2, 3, 0, 0);
/** The host has been up for a day. */
const BOOTED_AT = NOW - 86_400_000;
export const INODE = 7001;

/** Command lines as the kernel has them, by era (salt-facts §1.3, §1.4, §9). */
export const UNTITLED = ['/usr/bin/python3', '/usr/bin/salt-api', '-d'];
export const TITLED = ['/usr/bin/python3 /usr/bin/salt-api -d NetAPIProcessManager'];

export interface ProcessSketch extends Partial<ProcessFacts> {
  readonly pid: number;
  readonly ppid: number;
  /** Seconds ago that it started; an hour where it does not matter. */
  readonly age?: number;
}

/** A salt-api process: one thread, the session of a `-d` daemon, no socket. */
export function saltApi({ age = 3600, ...sketch }: ProcessSketch): ProcessFacts {
  return {
    startTicks: (86_400 - age) * 100,
    state: 'S',
    processGroup: 99,
    session: 99,
    threads: 1,
    cpuTicks: 10,
    uid: 0,
    argv: UNTITLED,
    comm: 'salt-api',
    cgroup: null,
    networkNamespace: 'ours',
    pidNamespace: 'ours',
    fds: 'read',
    listens: [],
    portConnections: 0,
    otherPorts: [],
    environment: { configDirectory: null },
    rootDirectory: 'ours',
    saltSigns: ['entry-point'],
    waitChannel: null,
    ...sketch,
  };
}

/** A netapi child that serves the port. */
export function server(sketch: ProcessSketch): ProcessFacts {
  return saltApi({ threads: 103, listens: [INODE], ...sketch });
}

export interface Situation {
  readonly processes: readonly ProcessFacts[];
  readonly pidFile?: number | null;
  /** Seconds ago that the pid file was written; long after every process by default. */
  readonly pidFileAge?: number;
  readonly unit?: Partial<SystemdUnitFacts>;
  readonly listeners?: readonly Partial<Listener>[];
  readonly deniedFds?: number;
  readonly deniedArgv?: number;
  readonly hidden?: boolean;
  /** `user` of the config. */
  readonly user?: ServiceUser;
  readonly evidence?: Partial<Evidence>;
}

/** Evidence of a host on which everything that the situation does not name is well. */
export function evidenceOf(situation: Situation): Evidence {
  const { processes, unit, pidFile = null, pidFileAge = 0 } = situation;
  const held = processes.some((facts) => facts.listens.length > 0);
  const listeners = situation.listeners ?? (held ? [{}] : []);
  const pidFiles: PidFileFacts[] =
    pidFile === null
      ? []
      : [{ path: '/run/salt-api.pid', pid: pidFile, modifiedAt: NOW - pidFileAge * 1000 }];
  return {
    schemaVersion: 1,

    background: NO_BACKGROUND,
    host: {
      name: 'master',
      now: NOW,
      utcOffsetMinutes: 0,
      bootId: 'boot',
      bootedAt: BOOTED_AT,
      ticksPerSecond: 100,
      uid: 0,
    },
    instance: { configDirectory: '/etc/salt', defaultConfigured: true, origin: 'default' },
    port: {
      number: 443,
      origin: { kind: 'config', file: '/etc/salt/master', key: 'rest_cherrypy.port' },
    },
    policy: { closeWaitWarn: 5, closeWaitFail: 20 },
    config: seen({
      directory: '/etc/salt',
      files: ['/etc/salt/master'],
      problems: [],
      netapi: {
        module: 'rest_cherrypy',
        port: 443,
        file: '/etc/salt/master',
        host: '0.0.0.0',
        tls: true,
        backlog: 30,
      },
      apiLogFile: null,
      logFile: null,
      pidFile: null,
      ...(situation.user === undefined ? {} : { user: situation.user }),
    }),
    sockets: seen({
      listeners: listeners.map((listener) => ({
        family: 'ipv4',
        address: '0.0.0.0',
        inode: INODE,
        uid: 0,
        acceptQueue: 0,
        ...listener,
      })),
      peers: [],
      overflow: [],
      ipv6: true,
    }),
    processes: seen({
      total: 120,
      processes,
      deniedFds: situation.deniedFds ?? 0,
      deniedArgv: situation.deniedArgv ?? 0,
      hidden: situation.hidden ?? false,
    }),
    service: seen({
      pidFiles,
      systemd: seen(
        unit === undefined
          ? null
          : {
              unit: 'salt-api.service',
              loadState: 'loaded',
              activeState: 'active',
              subState: 'running',
              mainPid: 0,
              controlGroup: '/system.slice/salt-api.service',
              killMode: 'control-group',
              restarts: 0,
              partOf: [],
              stopsAlso: [],
              result: 'success',
              exitStatus: 0,
              statusText: '',
              sockets: [],
              dropIns: [],
              startsSaltApi: true,
              ports: [],
              ...unit,
            },
      ),
      systemdRuns: unit !== undefined,
      otherUnits: [],
      relatedUnits: [],
      initScript: false,
      openRc: false,
    }),
    apiLog: seen({
      source: { kind: 'file', path: '/var/log/salt/api', origin: 'default' },
      files: [{ path: '/var/log/salt/api', bytesRead: 100 }],
      windowFrom: NOW - 86_400_000,
      events: 0,
      firstAt: null,
      lastAt: null,
      times: [],
      pids: [],
      wordings: {},
      ports: [],
      samples: [],
      childDeaths: 0,
      dated: true,
      notes: [],
    }),
    answer: seen(
      listeners.length === 0
        ? { kind: 'refused' }
        : { kind: 'answered', status: 200, afterMs: 4, tls: true },
    ),
    ...situation.evidence,
  };
}
