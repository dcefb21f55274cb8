import assert from 'node:assert/strict';
import { test } from 'node:test';
import { diagnoseEvidence } from '../../src/diagnosis/diagnosis.ts';
import { blind, type Evidence } from '../../src/evidence/evidence.ts';
import {
  nextAfterRefusal,
  nextCommand,
  nextIsFix,
  type Repeated,
  refusalAdvice,
  repeatedForEvidence,
} from '../../src/report/next-command.ts';
import { evidenceOf, INODE, type ProcessSketch, saltApi, server } from '../diagnosis/situation.ts';
import { repeated } from './repeated.ts';

const DAEMON = saltApi({ pid: 100, ppid: 1 });
const CHILD = server({ pid: 101, ppid: 100 });
const FLAGS = ['--port', '443'];

function nextOf(
  evidence: Evidence,
  flags: readonly string[] = FLAGS,
  more: Partial<Repeated> = {},
) {
  const diagnosis = diagnoseEvidence(evidence);
  return { code: diagnosis.verdict.code, ...nextCommand(diagnosis, repeated(flags, more)) };
}

function heldBy(sketch: Partial<ProcessSketch>): Evidence {
  return evidenceOf({
    processes: [saltApi({ pid: 200, ppid: 1, listens: [INODE], threads: 103, ...sketch })],
  });
}

const foreign = heldBy({ argv: ['/usr/sbin/nginx'], comm: 'nginx' });
const asUser = (evidence: Evidence): Evidence => ({
  ...evidence,
  host: { ...evidence.host, uid: 1000 },
});

test('each verdict has its command, with the options that it must repeat', () => {
  const unseen = blind('permission', 'EACCES');
  const healthy = evidenceOf({ processes: [DAEMON, CHILD] });
  const rows: readonly (readonly [Evidence, code: string, next: string, note: RegExp])[] = [
    [healthy, 'healthy', '', /^$/],
    [
      evidenceOf({ processes: [] }),
      'down',
      'salt-triage fix --port 443',
      /^start; asks before each step$/,
    ],
    [
      { ...healthy, processes: unseen },
      'unknown',
      'salt-triage diagnose --port 443 -v',
      /could not be read/,
    ],
    [
      asUser({ ...healthy, processes: unseen }),
      'unknown',
      'sudo salt-triage diagnose --port 443',
      /root sees/,
    ],
    [foreign, 'foreign-holder', 'ps -fp 200', /fix never kills it$/],
  ];
  for (const [evidence, code, command, note] of rows) {
    const { next, nextNote, code: was } = nextOf(evidence);
    assert.deepEqual([was, next], [code, command]);
    assert.match(nextNote, note);
  }
});

test('over ssh root is asked for there, and a program of that host is looked at there', () => {
  const evidence = asUser(
    evidenceOf({ processes: [], evidence: { sockets: blind('permission', '') } }),
  );
  const { next } = nextOf(evidence, ['--host', 'salt']);
  assert.equal(next, 'salt-triage diagnose --host salt --sudo');
  assert.equal(nextOf(foreign, ['--host', 'salt']).next, 'ssh salt ps -fp 200');
});

test('the configuration of another instance is quoted, and only a path is one', () => {
  const held = (directory: string) =>
    heldBy({ argv: ['/usr/bin/python3', '/usr/bin/salt-api', '-c', directory] });
  const { next, nextNote, code } = nextOf(held("/x y;rm '-rf' /"), ['-c', '/etc/salt', ...FLAGS]);
  assert.equal(code, 'foreign-holder');
  assert.equal(next, "salt-triage diagnose -c '/x y;rm '\\''-rf'\\'' /' --port 443");
  assert.match(nextNote, /the salt-api that has the port/);
  assert.equal(nextOf(held('relative;rm')).next, 'ps -fp 200');
});

test('a port that salt-api listens on instead replaces the one that was asked for', () => {
  const diagnosis = diagnoseEvidence(evidenceOf({ processes: [] }));
  const verdict = { ...diagnosis.verdict, code: 'unknown', portInstead: 8443 } as const;
  const { next } = nextCommand({ ...diagnosis, verdict }, repeated(['-c', '/x', '--port', '443']));
  assert.equal(next, 'salt-triage diagnose --port 8443 -c /x');
});

const ORPHAN = server({ pid: 37, ppid: 1, session: 12, age: 9_000 });
const RESTARTED = evidenceOf({
  processes: [ORPHAN, saltApi({ pid: 100, ppid: 1, age: 60 })],
  pidFile: 100,
});
const NO_MANAGER = {
  service: { ...repeated().service, stopCommand: undefined, startCommand: undefined },
};

test('what a fix would do is told whole, in the order of its steps', () => {
  const note = (evidence: Evidence, more: Partial<Repeated> = {}) =>
    nextOf(evidence, [], more).nextNote;
  const all = 'kill -9 37, stop, kill -9 what stays, start; asks before each step';
  assert.equal(note(RESTARTED), all);
  assert.equal(
    note(RESTARTED, { yes: true }),
    all.replace('asks before each step', 'asks nothing'),
  );
  const waits = note(RESTARTED, { restart: 'if-needed' });
  assert.match(waits, /^kill -9 37, wait for the daemon, and only if it stays down, stop, /);
  const stray = { ...ORPHAN, listens: [], portConnections: 4 };
  const beside = evidenceOf({ processes: [stray, DAEMON, CHILD], pidFile: 100 });
  assert.equal(note(beside), 'kill -9 37; asks before each step');
});

test('every option of a fix is repeated by the next', () => {
  const fixFlags = ['--start-cmd', "'a b'", '--wait', '5s'];
  assert.equal(
    nextOf(RESTARTED, FLAGS, { fixFlags }).next,
    "salt-triage fix --start-cmd 'a b' --wait 5s",
  );
});

test('without the rights that a plan takes it is run with sudo, there or here', () => {
  const next = (flags: readonly string[], more: Partial<Repeated> = {}) =>
    nextOf(asUser(RESTARTED), flags, more).next;
  assert.equal(next([]), 'sudo salt-triage fix');
  assert.equal(next(['--host', 'salt']), 'salt-triage fix --host salt --sudo');
  assert.equal(nextIsFix(diagnoseEvidence(asUser(RESTARTED)), repeated()), false);
  assert.equal(nextIsFix(diagnoseEvidence(RESTARTED), repeated()), true);
  // What is one's own takes none, where no service manager is told anything.
  const own = { ...ORPHAN, uid: 1000 };
  const alone = asUser(evidenceOf({ processes: [own] }));
  assert.equal(nextOf(alone, [], { service: repeated().service }).next, 'salt-triage fix');
});

test('no fix is promised that would be refused: what the refusal advises is', () => {
  assert.deepEqual(
    [nextOf(RESTARTED, [], NO_MANAGER).next, nextOf(RESTARTED, [], NO_MANAGER).nextNote],
    [
      'salt-triage fix --only kill',
      'kill -9 37; asks before each step; kills the orphans, starts nothing; --stop-cmd and --start-cmd, or --service, do',
    ],
  );
  const down = evidenceOf({ processes: [] });
  assert.equal(nextOf(down, [], NO_MANAGER).next, 'salt-triage fix --start-cmd COMMAND');
  assert.equal(nextIsFix(diagnoseEvidence(down), repeated([], NO_MANAGER)), false);
  const masked = evidenceOf({ processes: [], unit: { loadState: 'masked' } });
  const next = (flags: readonly string[], evidence = masked) =>
    nextOf(evidence, flags, NO_MANAGER).next;
  assert.equal(next([]), 'systemctl unmask salt-api.service');
  assert.equal(next([], asUser(masked)), 'sudo systemctl unmask salt-api.service');
  assert.equal(next(['--host', 'salt']), 'ssh salt systemctl unmask salt-api.service');
  // A unit that was not looked at may be no better: it is tried out first.
  const inUnit = { ...DAEMON, cgroup: '/system.slice/my-api.service' };
  const found = evidenceOf({
    processes: [inUnit],
    unit: { unit: 'x.service', loadState: 'not-found' },
  });
  assert.equal(next([], found), 'salt-triage fix --dry-run --unit my-api');
});

test('a refusal gives its own advice, else what to look at next', () => {
  const diagnosis = diagnoseEvidence(foreign);
  const refused = {
    kind: 'refused',
    verdict: 'foreign-holder',
    why: 'x',
    remedy: { kind: 'command', command: ['do', 'y z'], note: 'does y' },
  } as const;
  const again = repeated(FLAGS);
  assert.deepEqual(nextAfterRefusal(refused, diagnosis, again), {
    next: "do 'y z'",
    nextNote: 'does y',
  });
  assert.equal(refusalAdvice(refused, diagnosis, again), "Type `do 'y z'`: does y.");
  const silent = { ...refused, remedy: null };
  assert.match(refusalAdvice(silent, diagnosis, again), /^Type `ps -fp 200`: then stop/);
  const unknown = diagnoseEvidence(
    asUser(evidenceOf({ processes: [], deniedFds: 1, listeners: [{}] })),
  );
  assert.match(refusalAdvice(silent, unknown, again), /^Type `sudo salt-triage diagnose/);
});

test('what was recorded elsewhere is mended there: host, port and directory of the evidence', () => {
  const down = evidenceOf({ processes: [] });
  const of = (evidence: Evidence) =>
    nextCommand(diagnoseEvidence(evidence), repeatedForEvidence(evidence, repeated())).next;
  const there = 'salt-triage fix --host root@master --port 443 -c /etc/salt';
  assert.equal(of(down), there);
  const named = evidenceOf({ processes: [], unit: { unit: 'my api' } });
  assert.equal(of(named), `${there} --unit 'my api'`);
  const hostile = (name: string) => of({ ...down, host: { ...down.host, name } });
  assert.equal(hostile('-oProxyCommand=x'), there.replace('master', '-oProxyCommand=x'));
  assert.equal(hostile('a;b\u001b[2J\u202e'), there.replace('master', "'a;b'"));
  assert.equal(hostile('\u200b'), there.replace('master', 'HOST'));
  assert.equal(of(foreign), 'ssh root@master ps -fp 200');
  const blindUser = asUser({ ...down, sockets: blind('permission', 'EACCES') });
  assert.equal(of(blindUser), there.replace('fix', 'diagnose'));
});
