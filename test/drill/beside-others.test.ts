/** README's first command, as any user on any machine: beside a salt-api that is not his to see. */
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { chownSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { PROGRAM, runCli } from '../cli/run.ts';
import { lineOf } from '../host/fake-salt-api.ts';

const NOBODY = 65_534;
const asRoot = process.geteuid?.() === 0;
const mayMount = asRoot && spawnSync('unshare', ['-m', 'true']).status === 0;

/** A salt-api of root's, whose fds an ordinary user can't read. */
async function rootsSaltApi(t: TestContext): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), 'salt-beside-'));
  t.after(() => rmSync(directory, { recursive: true, force: true }));
  const script = join(directory, 'salt-api');
  writeFileSync(script, 'echo begun; read -r line\n');
  const child = spawn('bash', [script, '-d'], { argv0: '/usr/bin/python3', stdio: 'pipe' });
  t.after(() => child.kill('SIGKILL'));
  assert.equal(await lineOf(child), 'begun');
}

describe('a drill of an ordinary user', { skip: asRoot ? false : 'needs root' }, () => {
  it("recovers beside a salt-api of root's, and leaves its report", async (t) => {
    await rootsSaltApi(t);
    const directory = mkdtempSync(join(tmpdir(), 'salt-triage-drilled-'));
    t.after(() => rmSync(directory, { recursive: true }));
    chownSync(directory, NOBODY, NOBODY);
    const file = join(directory, 'report.html');
    const { code, stdout } = await runCli(['drill', '--report', file], { uid: NOBODY, cwd: '/' });
    assert.match(stdout, /Recovered: the API serves again/);
    assert.equal(code, 0, stdout);
    assert.match(readFileSync(file, 'utf8'), /<strong>orphan<\/strong>, killed/);
  });

  it('recovers where /proc hides what is not his', {
    skip: mayMount ? false : 'needs mount namespaces',
  }, async (t) => {
    await rootsSaltApi(t);
    const { code, stdout } = await runCli(['drill'], {
      cwd: '/',
      command: [
        'unshare',
        '-m',
        'sh',
        '-c',
        'mount -t proc -o hidepid=2 proc /proc && exec setpriv --reuid 65534 --regid 65534 --clear-groups "$@"',
        'sh',
        ...PROGRAM,
      ],
    });
    assert.match(stdout, /Recovered: the API serves again/);
    assert.equal(code, 0, stdout);
  });
});
