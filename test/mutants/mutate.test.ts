import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { apply } from './edit.ts';
import { mutate } from './mutate.ts';
import { WATCHED_BY } from './watched-by.ts';

/** Each faulty version of a source. */
function faultsOf(source: string): string[] {
  return mutate('x.ts', source).map((edit) => apply(source, edit));
}

test('a guard is tried without each half, always and never', () => {
  assert.deepEqual(faultsOf('if (a && b) act();').sort(), [
    'if (a && b) ;',
    'if (a) act();',
    'if (b) act();',
    'if (false) act();',
    'if (true) act();',
  ]);
});

test('a limit is tried from both sides, one more, and turned round', () => {
  assert.deepEqual(faultsOf('const late = age >= 3;').sort(), [
    'const late = age < 3;',
    'const late = age > 3;',
    'const late = age >= 4;',
  ]);
});

test('a sanitizer, a filter and an element are left out', () => {
  assert.deepEqual(faultsOf('use(stripControl(text));'), [';', 'use(text);']);
  assert.ok(faultsOf('const a = b.filter(c);').includes('const a = b;'));
  assert.deepEqual(faultsOf('const a = [b, c];').sort(), ['const a = [b];', 'const a = [c];']);
});

test('a word that decides is another one; words for people and types have no faults', () => {
  assert.deepEqual(faultsOf("const role = 'orphan';"), ["const role = 'orphan~';"]);
  assert.deepEqual(faultsOf("const line = 'for people, with blanks';"), []);
  assert.deepEqual(faultsOf("import type { A } from 'a';\ntype B = A | 1 | 'orphan';"), []);
});

test('a regular expression loses each part, in a literal and in a string', () => {
  assert.deepEqual(
    faultsOf(String.raw`const p = /^a|[^\]b]+$/;`)
      .map((fault) => fault.slice('const p = '.length, -1))
      .sort(),
    [
      String.raw`/[^\]b]+$/`,
      '/^a/',
      String.raw`/^a|[\]b]+$/`,
      String.raw`/^a|[^\]]+$/`,
      String.raw`/^a|[^\]b]$/`,
      String.raw`/^a|[^\]b]+/`,
      '/^a|[^b]+$/',
      String.raw`/a|[^\]b]+$/`,
    ].sort(),
  );
  const inString = faultsOf(`const W = 'a+';\nconst p = new RegExp(\`\${W}[\\\\s\\\\]]\`);`);
  assert.ok(inString.includes(`const W = 'a';\nconst p = new RegExp(\`\${W}[\\\\s\\\\]]\`);`));
  assert.ok(inString.includes(`const W = 'a+';\nconst p = new RegExp(\`\${W}[\\\\s]\`);`));
});

test('a script in a template has the faults of a shell, its comments have none', () => {
  const script = `const s = \`
# never [ 1 = 2 ] && this
[ "$a" = \${b} ] || return
kill -9 "$p"\`;`;
  const faults = faultsOf(script);
  for (const [was, is] of [
    [`"$a" = \${b}`, '1 = 1'],
    [`"$a" = \${b}`, '1 = 0'],
    ['||', '&&'],
    ['return', ':'],
    ['-9', '-15'],
  ] as const) {
    assert.ok(faults.includes(script.replace(was, is)), `${was} → ${is}`);
  }
  assert.ok(faults.every((fault) => fault.includes('# never [ 1 = 2 ] && this')));
});

test('a source that is none is an error, not a source without faults', () => {
  assert.throws(() => mutate('x.ts', 'if ('), /x\.ts: /);
});

test('every source and every test of the table is there', () => {
  const root = fileURLToPath(new URL('../..', import.meta.url));
  const tests = Object.values(WATCHED_BY).flat();
  for (const path of [...Object.keys(WATCHED_BY), ...tests.map((name) => `test/${name}`)]) {
    assert.ok(existsSync(`${root}${path}`), path);
  }
});
