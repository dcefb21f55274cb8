// Runs the suite: `node test/run.mjs [FILTER…]`, each filter a part of a test file's path.
// The files are named one by one because `node --test` of Node 20 expands no patterns.
import { spawn } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const filters = process.argv.slice(2);
const files = readdirSync(`${root}test`, { recursive: true })
  .map((path) => `test/${path}`)
  .filter((path) => path.endsWith('.test.ts'))
  .filter((path) => filters.length === 0 || filters.some((filter) => path.includes(filter)))
  .sort();

if (files.length === 0) {
  console.error(`no test file matches ${filters.join(' ')}`);
  process.exitCode = 2;
} else {
  const tests = spawn(
    process.execPath,
    [
      ...['--import', 'tsx', '--test', '--test-reporter=spec'],
      // In CI one after the other: what a test waits for must not depend on its neighbour's load.
      ...[`--test-concurrency=${process.env.CI ? 1 : 2}`, '--test-timeout=180000'],
      ...files,
    ],
    { cwd: root, stdio: 'inherit' },
  );
  // Ctrl-C reaches the tests as well: wait for them to clean up.
  process.on('SIGINT', () => {});
  tests.once('exit', (code) => {
    process.exitCode = code ?? 1;
  });
}
