import assert from 'node:assert/strict';
import { test } from 'node:test';
import { diagnoseEvidence } from '../../src/diagnosis/diagnosis.ts';
import { blind, type Evidence } from '../../src/evidence/evidence.ts';
import { nextCommand, optionsOfEvidence, refusalAdvice } from '../../src/report/next-command.ts';
import { evidenceOf, INODE, type ProcessSketch, saltApi, server } from '../diagnosis/situation.ts';

const DAEMON = saltApi({ pid: 100, ppid: 1 });
const CHILD = server({ pid: 101, ppid: 100 });
const FLAGS = ['--port', '443'];

function nextOf(evidence: Evidence, flags: readonly string[] = FLAGS) {
  const diagnosis = diagnoseEvidence(evidence);
  return { code: diagnosis.verdict.code, ...nextCommand(diagnosis, flags) };
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
      /^start the service, asking first$/,
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
  const { next } = nextCommand({ ...diagnosis, verdict }, ['-c', '/x', '--port', '443']);
  assert.equal(next, 'salt-triage diagnose --port 8443 -c /x');
});

test('a refusal gives its own advice, else what to look at next', () => {
  const diagnosis = diagnoseEvidence(foreign);
  const refused = {
    kind: 'refused',
    verdict: 'foreign-holder',
    why: 'x',
    advice: 'Do y.',
  } as const;
  assert.equal(refusalAdvice(refused, diagnosis, FLAGS), 'Do y.');
  const silent = { ...refused, advice: null };
  assert.match(refusalAdvice(silent, diagnosis, FLAGS), /^Find out with `ps -fp 200`, then stop/);
  const unknown = diagnoseEvidence(
    asUser(evidenceOf({ processes: [], deniedFds: 1, listeners: [{}] })),
  );
  assert.match(
    refusalAdvice(silent, unknown, FLAGS),
    /^Look again with `sudo salt-triage diagnose/,
  );
});

test('what was recorded elsewhere is mended there: host, port and directory of the evidence', () => {
  const down = evidenceOf({ processes: [] });
  const of = (evidence: Evidence) => nextOf(evidence, optionsOfEvidence(evidence)).next;
  const there = 'salt-triage fix --host root@master --port 443 -c /etc/salt';
  assert.equal(of(down), there);
  const named = evidenceOf({ processes: [], unit: { unit: 'my api' } });
  assert.equal(of(named), `${there} --unit 'my api'`);
  const hostile = (name: string) => of({ ...down, host: { ...down.host, name } });
  assert.equal(hostile('-oProxyCommand=x'), there.replace('master', '-oProxyCommand=x'));
  assert.equal(hostile('a;b\u001b[2J\u202e'), there.replace('master', "'a;b'"));
  assert.equal(hostile('\u200b'), there.replace('master', 'HOST'));
  const recorded = optionsOfEvidence(foreign);
  assert.equal(nextOf(foreign, recorded).next, 'ssh root@master ps -fp 200');
  const blindUser = asUser({ ...down, sockets: blind('permission', 'EACCES') });
  assert.equal(of(blindUser), there.replace('fix', 'diagnose'));
});
