// Runs the suite: `node test/run.mjs [FILTER…]`, each filter a part of a test file's path.
// The files are named one by one because `node --test` of Node 20 expands no patterns.
//
// In CI a file with a failed test runs once more, alone, and is named: a real machine under load makes
// one of five thousand tests late now and then. What fails twice has failed.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** More than these are no accident of a busy machine. */
const MOST_UNSTEADY = 3;

const root = fileURLToPath(new URL('..', import.meta.url));
const filters = process.argv.slice(2);
const files = readdirSync(`${root}test`, { recursive: true })
  .map((path) => `test/${path}`)
  .filter((path) => path.endsWith('.test.ts'))
  .filter((path) => filters.length === 0 || filters.some((filter) => path.includes(filter)))
  .sort();

/** @returns the exit code, how many tests ran, and the files in which one failed */
async function run(some) {
  const directory = mkdtempSync(join(tmpdir(), 'salt-triage-suite-'));
  const list = join(directory, 'failed');
  const tests = spawn(
    process.execPath,
    [
      ...['--import', 'tsx', '--test'],
      ...['--test-reporter=spec', '--test-reporter-destination=stdout'],
      ...[`--test-reporter=${root}test/failed-files.mjs`, `--test-reporter-destination=${list}`],
      // In CI one after the other: what a test waits for must not depend on its neighbour's load.
      ...[`--test-concurrency=${process.env.CI ? 1 : 2}`, '--test-timeout=180000'],
      ...some,
    ],
    { cwd: root, stdio: 'inherit' },
  );
  const [code] = await once(tests, 'exit');
  const [count, ...failed] = readFileSync(list, 'utf8').split('\n').filter(Boolean);
  rmSync(directory, { recursive: true });
  return { code: code ?? 1, count, failed };
}

// Ctrl-C reaches the tests as well: wait for them to clean up.
process.on('SIGINT', () => {});
if (files.length === 0) {
  console.error(`no test file matches ${filters.join(' ')}`);
  process.exitCode = 2;
} else {
  const { code, count, failed } = await run(files);
  process.exitCode = code;
  if (process.env.CI && failed.length > 0 && failed.length <= MOST_UNSTEADY) {
    console.log(`\nfailed once, runs again alone: ${failed.join(', ')}\n`);
    process.exitCode = (await run(failed)).code;
    console.log(`\nℹ tests ${count}, those of ${failed.length} files twice`);
  }
}
