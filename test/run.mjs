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

/** What judges plain data, with wide bounds on time if any: two files at once in CI, too. */
const PURE = [
  ...['test/diagnosis/', 'test/evidence/', 'test/plan/', 'test/report/', 'test/untrusted'],
  ...['test/postmortem/anonymize', 'test/postmortem/escaping', 'test/postmortem/model'],
];
/** More than these are no accident of a busy machine. */
const MOST_UNSTEADY = 3;

const root = fileURLToPath(new URL('..', import.meta.url));
const filters = process.argv.slice(2);
const files = readdirSync(`${root}test`, { recursive: true })
  .map((path) => `test/${path}`)
  .filter((path) => path.endsWith('.test.ts'))
  .filter((path) => filters.length === 0 || filters.some((filter) => path.includes(filter)))
  .sort();

/**
 * @param some files of tests
 * @param atOnce how many of them
 * @returns whether all passed, how many tests ran, and the files in which one failed
 */
async function run(some, atOnce) {
  if (some.length === 0) return { passed: true, tests: 0, failed: [] };
  const directory = mkdtempSync(join(tmpdir(), 'salt-triage-suite-'));
  const list = join(directory, 'failed');
  const child = spawn(
    process.execPath,
    [
      ...['--import', 'tsx', '--test', '--test-timeout=180000', `--test-concurrency=${atOnce}`],
      ...['--test-reporter=spec', '--test-reporter-destination=stdout'],
      ...[`--test-reporter=${root}test/failed-files.mjs`, `--test-reporter-destination=${list}`],
      ...some,
    ],
    { cwd: root, stdio: 'inherit' },
  );
  const [code] = await once(child, 'exit');
  const [tests, ...failed] = readFileSync(list, 'utf8').split('\n').filter(Boolean);
  rmSync(directory, { recursive: true });
  return { passed: code === 0, tests: Number(tests), failed };
}

/** What a test waits for must not depend on its neighbour's load: but for the pure, one by one. */
async function runInCi() {
  const isPure = (path) => PURE.some((part) => path.startsWith(part));
  const runs = [
    await run(files.filter(isPure), 2),
    await run(
      files.filter((path) => !isPure(path)),
      1,
    ),
  ];
  const failed = runs.flatMap((one) => one.failed);
  const tests = runs.reduce((sum, one) => sum + one.tests, 0);
  let passed = runs.every((one) => one.passed);
  if (failed.length > 0 && failed.length <= MOST_UNSTEADY) {
    console.log(`\nfailed once, runs again alone: ${failed.join(', ')}\n`);
    passed = (await run(failed, 1)).passed;
  }
  console.log(`\nℹ tests ${tests} in all, ${passed ? 'passed' : 'FAILED'}`);
  if (failed.length > 0) console.log(`ℹ failed once: ${failed.join(', ')}`);
  return passed;
}

// Ctrl-C reaches the tests as well: wait for them to clean up.
process.on('SIGINT', () => {});
if (files.length === 0) {
  console.error(`no test file matches ${filters.join(' ')}`);
  process.exitCode = 2;
} else {
  const passed = process.env.CI ? await runInCi() : (await run(files, 2)).passed;
  process.exitCode = passed ? 0 : 1;
}
