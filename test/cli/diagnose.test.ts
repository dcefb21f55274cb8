import assert from 'node:assert/strict';
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { type StagedIncident, stageIncident } from '../../src/drill/stage.ts';
import { runCli } from './run.ts';

const STEP_IDS = ['port-holder', 'orphans', 'close-wait', 'api-log', 'api-answers'];
const NOBODY = 65_534;
const ESCAPE = String.fromCharCode(27);

describe('diagnose on the staged incident', () => {
  let incident: StagedIncident;
  let target: string[];
  before(async () => {
    incident = await stageIncident();
    target = ['--port', String(incident.port), '-c', incident.configDirectory];
  });
  after(() => incident.cleanup());

  it('prints one JSON document, the steps in their order, and exits 1', async () => {
    const ran = await runCli(['diagnose', '--json', '--probe-timeout', '1s', ...target]);
    assert.equal(ran.code, 1);
    assert.equal(ran.stderr, '');
    const document = JSON.parse(ran.stdout);
    assert.equal(document.schemaVersion, 1);
    assert.equal(document.exitCode, 1);
    assert.equal(document.port, incident.port);
    assert.ok(Number.isFinite(Date.parse(document.takenAt)));
    assert.deepEqual(
      document.steps.map((step: { id: string }) => step.id),
      STEP_IDS,
    );
    assert.equal(document.verdict.code, 'orphan-holds-port');
    // Nothing on this host could start the staged one again.
    assert.equal(document.verdict.next, `salt-triage fix ${target.join(' ')} --only kill`);
    const [holder, orphans, closeWait, log, answer] = document.steps;
    assert.deepEqual(holder.evidence.holders.map(pidOf), [incident.orphanPid]);
    assert.equal(holder.evidence.holders[0].role, 'orphan');
    assert.deepEqual(orphans.evidence.processes.map(pidOf), [incident.orphanPid]);
    assert.ok(orphans.evidence.processes[0].reasons.length >= 2);
    assert.ok(closeWait.evidence.count > closeWait.evidence.unaccepted);
    assert.ok(closeWait.evidence.unaccepted > 0);
    assert.equal(log.evidence.path, incident.logFile);
    assert.ok(log.evidence.events >= 1);
    assert.equal(answer.evidence.answer.kind, 'no-reply');
  });

  it('tells the verdict before the probe is over, and leaves what can not change it', async () => {
    const began = performance.now();
    const ran = await runCli(['diagnose', '--probe-timeout', '100s', ...target]);
    assert.ok(performance.now() - began < 50_000);
    assert.match(ran.stdout, /^- API answers {3}no reply within \d+ ms; the verdict is the same/m);
    assert.match(ran.stdout, /\nVerdict {2}orphan-holds-port: .*\nNext {5}salt-triage fix/s);
    assert.doesNotMatch(ran.stderr, /API answers/);
    assert.equal(ran.code, 1);
  });

  it('completes the probe after the verdict where -v shows it or --save keeps it', async (t) => {
    const directory = mkdtempSync(join(tmpdir(), 'salt-triage-test-'));
    t.after(() => rmSync(directory, { recursive: true }));
    const file = join(directory, 'evidence.json');
    const args = ['diagnose', '-v', '--save', file, '--probe-timeout', '2s'];
    const ran = await runCli([...args, ...target]);
    const completed = '✖ API answers   connected, no reply within 2 s';
    assert.match(ran.stdout, new RegExp(`^Verdict [^]*^Next [^]*\n\n${completed}\n$`, 'm'));
    assert.match(
      ran.stderr,
      /^salt-triage: waiting: API answers, up to 2 s\nsalt-triage: saved to /m,
    );
    const saved = JSON.parse((await runCli(['diagnose', '--json', '--from', file])).stdout);
    assert.equal(saved.steps[4].evidence.answer.kind, 'no-reply');
  });

  it('fits 80 columns without colour or control characters when piped', async () => {
    const ran = await runCli(['diagnose', '-v', '--probe-timeout', '1s', ...target]);
    assert.equal(ran.code, 1);
    assert.ok(!ran.stdout.includes(ESCAPE));
    // Only the next command may be longer: it is there to be copied whole.
    const long = ran.stdout.split('\n').filter((line) => line.length > 80);
    assert.ok(
      long.every((line) => line.startsWith('Next')),
      long.join('\n'),
    );
  });

  it('colours where FORCE_COLOR asks for it, and NO_COLOR and --no-color win over that', async () => {
    const args = ['diagnose', '--no-probe', ...target];
    const forced = await runCli(args, { env: { FORCE_COLOR: '1' } });
    assert.ok(forced.stdout.includes(`${ESCAPE}[31m`));
    const without = await runCli(args, { env: { FORCE_COLOR: '1', NO_COLOR: '1' } });
    assert.ok(!without.stdout.includes(ESCAPE));
    const option = await runCli([...args, '--no-color'], { env: { FORCE_COLOR: '1' } });
    assert.ok(!option.stdout.includes(ESCAPE));
  });

  it('says the verdict in one line with -q', async () => {
    const ran = await runCli(['diagnose', '-q', '--no-probe', ...target]);
    assert.match(ran.stdout, /^orphan-holds-port: [^\n]+\n$/);
  });

  it('gives the same verdict from what --save wrote, with no look at the host', async (t) => {
    const directory = mkdtempSync(join(tmpdir(), 'salt-triage-test-'));
    t.after(() => rmSync(directory, { recursive: true }));
    const file = join(directory, 'evidence.json');
    const args = ['diagnose', '--json'];
    // One that others may read is there already.
    writeFileSync(file, '', { mode: 0o644 });
    const live = JSON.parse(
      (await runCli([...args, '--no-probe', '--save', file, ...target])).stdout,
    );
    assert.equal(statSync(file).mode & 0o777, 0o600);
    const saved = JSON.parse((await runCli([...args, '--from', file])).stdout);
    assert.deepEqual(saved.steps, live.steps);
    assert.equal(saved.verdict.summary, live.verdict.summary);
    assert.equal(saved.takenAt, live.takenAt);
    const input = readFileSync(file, 'utf8');
    const piped = JSON.parse((await runCli([...args, '--from', '-'], { input })).stdout);
    assert.deepEqual(piped.steps, live.steps);
  });

  it('leaves the probe out on request, without calling that healthy or unknown', async () => {
    const ran = await runCli(['diagnose', '--json', '--no-probe', ...target]);
    assert.equal(JSON.parse(ran.stdout).steps[4].status, 'skip');
  });

  it('runs from standard input with nothing beside it', async () => {
    const bundle = readFileSync(new URL('../../bin/salt-triage.cjs', import.meta.url), 'utf8');
    const ran = await runCli(['-', 'diagnose', '--json', '--no-probe', ...target], {
      command: [process.execPath],
      input: bundle,
      cwd: '/',
    });
    assert.equal(ran.stderr, '');
    assert.equal(JSON.parse(ran.stdout).verdict.code, 'orphan-holds-port');
    assert.equal(ran.code, 1);
  });

  it('calls what it may not see unknown, not healthy', {
    skip: process.getuid?.() !== 0,
  }, async (t) => {
    const open = mkdtempSync(join(tmpdir(), 'salt-triage-test-'));
    t.after(() => rmSync(open, { recursive: true }));
    const copy = join(open, 'salt-triage.cjs');
    writeFileSync(copy, readFileSync(new URL('../../bin/salt-triage.cjs', import.meta.url)));
    chmodSync(open, 0o755);
    // The drill's directory is closed to others, so the port is named and the config is not read.
    const ran = await runCli(['diagnose', '--json', ...target], {
      command: [process.execPath, copy],
      uid: NOBODY,
      cwd: '/',
    });
    const { verdict, steps } = JSON.parse(ran.stdout);
    assert.equal(ran.code, 3);
    assert.equal(verdict.code, 'unknown');
    assert.match(verdict.next, /^sudo salt-triage diagnose/);
    assert.equal(steps[0].status, 'unknown');
    assert.equal(steps[0].evidence.state, 'unseen');
    assert.match(steps[0].summary, /run with sudo/);
    assert.equal(steps[3].status, 'unknown');
  });
});

describe('diagnose with input that is no good', () => {
  const scratch = mkdtempSync(join(tmpdir(), 'salt-triage-test-'));
  after(() => rmSync(scratch, { recursive: true }));
  const file = (name: string, text: string) => {
    const path = join(scratch, name);
    writeFileSync(path, text);
    return path;
  };
  mkdirSync(join(scratch, 'broken'));
  file('broken/master', 'rest_cherrypy:\n  port: [443\n');

  const usage: readonly (readonly [what: string, args: readonly string[], says: RegExp])[] = [
    ['a port out of range', ['--port', '65536'], /--port "65536"/],
    ['a port that is none', ['--port', 'https'], /--port "https"/],
    ['a span that is none', ['--since', 'yesterday'], /--since/],
    ['an unknown option', ['--frobnicate'], /unknown option/],
    ['-q beside -v', ['-q', '-v'], /cannot be used with/],
    ['a threshold above the other', ['--close-wait-warn', '9', '--close-wait-fail', '3'], /below/],
    ['evidence that is not there', ['--from', '/nonexistent'], /can't read the evidence/],
    ['evidence that is none', ['--from', '/etc/passwd'], /./],
    ['settings that are not there', ['--config', '/nonexistent'], /nonexistent/],
  ];
  for (const [what, args, says] of usage) {
    it(`calls ${what} a usage error: exit 2, a line that says what to do, no stack`, async () => {
      const ran = await runCli(['diagnose', ...args]);
      assert.equal(ran.code, 2, ran.stderr);
      assert.match(ran.stderr, says);
      assert.doesNotMatch(ran.stderr, /\n\s+at /);
      assert.equal(ran.stdout, '');
    });
  }

  const unreadable: readonly (readonly [what: string, log: string])[] = [
    ['missing', join(scratch, 'nothing')],
    ['a directory', scratch],
    ['a device', '/dev/zero'],
  ];
  for (const [what, log] of unreadable) {
    it(`calls a log that is ${what} unknown`, async () => {
      const ran = await runCli(['diagnose', '--json', '--no-probe', '--port', '1', '--log', log]);
      const { steps } = JSON.parse(ran.stdout);
      assert.equal(steps[3].status, 'unknown');
      assert.equal(steps[3].evidence.events, null);
    });
  }

  it('does not pass a guess for the port off as knowledge', async () => {
    const ran = await runCli(['diagnose', '--json', '--no-probe', '-c', join(scratch, 'broken')]);
    const { verdict, port, steps } = JSON.parse(ran.stdout);
    assert.equal(port, 443);
    assert.match(steps[0].evidence.portOrigin, /default: .*master/);
    assert.ok(['unknown', 'foreign-holder'].includes(verdict.code));
  });

  it('says down, with exit 1, where nothing listens and nothing runs', async () => {
    const log = file('quiet', '');
    const ran = await runCli(['diagnose', '--json', '--port', '1', '--log', log]);
    assert.equal(JSON.parse(ran.stdout).verdict.code, 'down');
    assert.equal(ran.code, 1);
  });
});

function pidOf(entry: { readonly pid: number }): number {
  return entry.pid;
}
