import assert from 'node:assert/strict';
import { PassThrough } from 'node:stream';
import { afterEach, test } from 'node:test';
import fc from 'fast-check';
import { screenOn, wrap } from '../../src/report/screen.ts';

const ENVIRONMENT = ['TERM', 'NO_COLOR', 'FORCE_COLOR', 'LC_ALL', 'LC_CTYPE', 'LANG'];
const before = ENVIRONMENT.map((name) => [name, process.env[name]] as const);

function environment(named: Readonly<Record<string, string>>): void {
  for (const name of ENVIRONMENT) delete process.env[name];
  Object.assign(process.env, named);
}

afterEach(() => {
  environment({});
  for (const [name, value] of before) if (value !== undefined) process.env[name] = value;
});

interface Stream {
  readonly isTTY?: boolean;
  readonly columns?: number;
}

function screen(stream: Stream, named: Readonly<Record<string, string>> = {}, color = true) {
  environment(named);
  const through = new PassThrough();
  const made = screenOn(Object.assign(through, stream) as unknown as NodeJS.WriteStream, color);
  return { ...made, written: () => String(through.read() ?? '') };
}

test('no word is lost, whatever its length, and no line runs past the edge', () => {
  const word = fc.string({ minLength: 1 }).map((text) => text.replace(/\s/g, 'x'));
  fc.assert(
    fc.property(
      fc.array(word, { minLength: 1 }),
      fc.integer({ min: 20, max: 120 }),
      fc.integer({ min: 0, max: 10 }),
      (words, columns, indent) => {
        const lines = wrap(words.join(' '), columns, indent).split('\n');
        const [first = '', ...later] = lines;
        assert.ok(lines.every((line) => line.length <= columns));
        assert.ok(first.length <= columns - indent, 'the first line leaves room for its indent');
        assert.ok(later.every((line) => line.startsWith(' '.repeat(indent))));
        const text = [first, ...later.map((line) => line.slice(indent))].join('');
        assert.equal(text.replaceAll(' ', ''), words.join(''));
      },
    ),
  );
});

test('lines break at blanks, and only where they must', () => {
  assert.equal(wrap('one two three', 20, 0), 'one two three');
  assert.equal(wrap('one two three', 13, 0), 'one two three');
  assert.equal(wrap('one two three', 12, 0), 'one two\nthree');
  assert.equal(wrap('one two three', 14, 2), 'one two\n  three');
  assert.equal(wrap('0123456789abc de', 10, 0), '0123456789\nabc de');
  assert.equal(wrap('0123456789', 10, 0), '0123456789');
  assert.equal(wrap('a  b', 20, 0), 'a  b', 'blanks that align are kept');
  assert.equal(wrap('', 80, 4), '');
});

test('a screen that is narrower than its indent still shows ten columns', () => {
  assert.equal(wrap('0123456789 abc', 5, 4), '0123456789\n    abc');
});

test('a terminal is as wide as it says, between 40 and 120; a pipe is 80', () => {
  const columns = (stream: Stream) => screen(stream).columns;
  assert.equal(columns({ isTTY: true, columns: 100 }), 100);
  assert.equal(columns({ isTTY: true, columns: 10 }), 40);
  assert.equal(columns({ isTTY: true, columns: 300 }), 120);
  // A terminal that was never told its size says 0.
  assert.equal(columns({ isTTY: true, columns: 0 }), 80);
  assert.equal(columns({ columns: 100 }), 80);
});

test('colour on a terminal alone; NO_COLOR and --no-color switch it off, FORCE_COLOR on', () => {
  const level = (...given: Parameters<typeof screen>) => screen(...given).chalk.level;
  const terminal = { isTTY: true, columns: 80 };
  assert.equal(level(terminal), 1);
  assert.equal(level({}), 0);
  assert.equal(level(terminal, { TERM: 'dumb' }), 0);
  assert.equal(level(terminal, { NO_COLOR: '1' }), 0);
  assert.equal(level(terminal, { NO_COLOR: '' }), 1, 'empty is not set (no-color.org)');
  assert.equal(level(terminal, {}, false), 0);
  assert.equal(level({}, { FORCE_COLOR: '1' }), 1);
  assert.equal(level({}, { FORCE_COLOR: '0' }), 0);
  assert.equal(level({}, { FORCE_COLOR: '1', NO_COLOR: '1' }), 0);
  assert.equal(level({}, { FORCE_COLOR: '1' }, false), 0);
});

test('lines are rewritten in place for a person alone', () => {
  assert.equal(screen({ isTTY: true, columns: 80 }).interactive, true);
  assert.equal(screen({ isTTY: true, columns: 80 }, { TERM: 'dumb' }).interactive, false);
  assert.equal(screen({}, { FORCE_COLOR: '1' }).interactive, false);
});

test('symbols beyond ASCII only where the locale speaks UTF-8; LC_ALL before LC_CTYPE before LANG', () => {
  const fail = (named: Readonly<Record<string, string>>) => screen({}, named).symbols.fail;
  assert.equal(fail({ LANG: 'de_DE.UTF-8' }), '✖');
  assert.equal(fail({ LC_CTYPE: 'C.utf8', LANG: 'C' }), '✖');
  assert.equal(fail({ LC_ALL: 'C', LC_CTYPE: 'C.UTF-8', LANG: 'C.UTF-8' }), 'x');
  assert.equal(fail({ LC_CTYPE: 'POSIX', LANG: 'C.UTF-8' }), 'x');
  assert.equal(fail({ LANG: 'C' }), 'x');
  assert.equal(fail({}), 'x');
  assert.deepEqual(Object.values(screen({}, { LANG: 'C' }).symbols), ['+', '!', 'x', '?', '-']);
  const symbols = Object.values(screen({}, { LANG: 'C.UTF-8' }).symbols);
  assert.deepEqual(symbols, ['✔', '!', '✖', '?', '-']);
});

test('what is written reaches the stream', () => {
  const made = screen({});
  made.write('a line\n');
  assert.equal(made.written(), 'a line\n');
});
