/** The npm tarball: what is in it, and that it runs from there with nothing else fetched. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const run = promisify(execFile);
const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const directory = mkdtempSync(join(tmpdir(), 'salt-triage-npm-'));
/** npm with no settings but these, and no network. */
const environment = {
  PATH: process.env['PATH'],
  HOME: directory,
  npm_config_cache: join(directory, 'cache'),
  npm_config_offline: 'true',
  npm_config_update_notifier: 'false',
};

describe('the npm tarball', () => {
  let packed: { filename: string; files: { path: string; mode: number }[] };
  before(async () => {
    // The build is there already, as of every test of the one file.
    const words = ['pack', '--ignore-scripts', '--json', '--pack-destination', directory];
    const { stdout } = await run('npm', words, { cwd: ROOT, env: environment });
    [packed] = JSON.parse(stdout);
  });
  after(() => rmSync(directory, { recursive: true }));

  it('has the one file and what npm always adds', () => {
    assert.deepEqual(packed.files.map(({ path }) => path).sort(), [
      'LICENSE',
      'README.md',
      'bin/salt-triage.cjs',
      'package.json',
    ]);
  });

  it('runs by npx, offline: it needs no other package, and npm has nothing to warn of', async () => {
    const elsewhere = join(directory, 'elsewhere');
    mkdirSync(elsewhere);
    const tarball = join(directory, packed.filename);
    const words = ['--yes', `--package=${tarball}`, '--', 'salt-triage', 'check', '--help'];
    const npx = run('npx', words, { cwd: elsewhere, env: environment });
    // To a monitor the help is no result: that code is the program's own.
    const { code, stdout, stderr } = await npx.catch((error) => error);
    assert.deepEqual([code, stderr], [3, '']);
    assert.match(stdout, /^Usage: salt-triage check /);
  });

  it('has no script that npm runs where it is installed', async () => {
    const { stdout } = await run('tar', ['-xOf', packed.filename, 'package/package.json'], {
      cwd: directory,
    });
    const { scripts, dependencies } = JSON.parse(stdout);
    const ofAnInstall = ['preinstall', 'install', 'postinstall'];
    assert.deepEqual(
      [ofAnInstall.filter((name) => name in scripts), dependencies],
      [[], undefined],
    );
  });
});
