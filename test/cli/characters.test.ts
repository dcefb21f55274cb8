/** What a locale without UTF-8 gets, and a terminal that can do nothing: of every command. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { writeEvidence } from '../../src/evidence/evidence-file.ts';
import { openTrail } from '../../src/trail/trail.ts';
import { stageEvidence } from '../recorded/captures.ts';
import { runCli } from './run.ts';

const ASCII = /^[\n\x20-\x7e]*$/;

describe('text where the locale has no UTF-8', () => {
  let directory: string;
  let evidence: string;
  before(async () => {
    directory = mkdtempSync(join(tmpdir(), 'salt-characters-'));
    const recorded = stageEvidence('stopped/restarted');
    evidence = join(directory, 'evidence');
    // Longer than a sample may be, so that it is cut, and with a stranger's own letters.
    const samples = [`OSError: Port 443 not free on “häst” ${'x'.repeat(600)}`];
    assert.ok(recorded.apiLog.seen);
    const apiLog = { ...recorded.apiLog, value: { ...recorded.apiLog.value, samples } };
    const host = { ...recorded.host, name: 'häst-01' };
    writeFileSync(evidence, writeEvidence({ ...recorded, host, apiLog }));
    const trail = await openTrail({ stateDirectory: directory, port: 443, host: 'häst-01' });
    await trail.journal({ phase: 'note', action: 'begin', result: 'hung' });
    await trail.close();
  });
  after(() => rmSync(directory, { recursive: true }));

  const commands = (): readonly (readonly string[])[] => [
    ['--help'],
    ...['diagnose', 'fix', 'probe', 'history', 'drill'].map((name) => [name, '--help']),
    ['diagnose', '-v', '--from', evidence],
    ['diagnose', '-q', '--from', evidence],
    ['diagnose', '--json', '--from', evidence],
    ['diagnose', '--from', join(directory, 'blå')],
    ['diagnose', '--hosts-file', join(directory, 'blå')],
    ['diagnose', '--host', 'häst', '--host', 'å', '--connect-timeout', '1s'],
    ['diagnose', '--blå'],
    ['blå'],
    ['fix', '--yes', '--port', 'blå'],
    ['history', '--state-dir', directory],
    ['history', 'latest', '--state-dir', directory],
    ['history', 'blå', '--state-dir', directory],
    ['drill', '--port', 'blå'],
  ];

  it('is ASCII, of every command', async () => {
    const env = { LC_ALL: 'C' };
    const ran = await Promise.all(commands().map((args) => runCli(args, { env })));
    for (const [at, { stdout, stderr }] of ran.entries()) {
      const name = commands()[at]?.join(' ');
      assert.match(stdout, ASCII, name);
      assert.match(stderr, ASCII, name);
      assert.notEqual(stdout + stderr, '', name);
    }
  });

  it('keeps its letters in UTF-8, and in JSON whatever the locale', async () => {
    const { stdout } = await runCli(['diagnose', '--from', evidence]);
    assert.match(stdout, /^salt-api triage on häst-01/);
    assert.match(stdout, /^✖ port holder/m);
    const args = ['diagnose', '--json', '--from', evidence];
    const json = await runCli(args, { env: { LC_ALL: 'C' } });
    assert.equal(JSON.parse(json.stdout).host, 'häst-01');
  });

  it('has words for marks with --ascii, and lines that begin with them', async () => {
    const { stdout } = await runCli(['diagnose', '--ascii', '-v', '--from', evidence]);
    assert.match(stdout, ASCII);
    assert.match(stdout, /^FAIL {2,}port holder {2,}443 is held/m);
    assert.ok(stdout.split('\n').every((line) => line.length <= 80 || line.startsWith('Next')));
  });
});
