import assert from 'node:assert/strict';
import { PassThrough } from 'node:stream';
import { afterEach, test } from 'node:test';
import fc from 'fast-check';
import { type ScreenOptions, type Standing, screenOn, wrap } from '../../src/report/screen.ts';

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

function screen(
  stream: Stream,
  named: Readonly<Record<string, string>> = {},
  options: Partial<ScreenOptions> = {},
) {
  environment(named);
  const through = new PassThrough();
  const made = screenOn(Object.assign(through, stream) as unknown as NodeJS.WriteStream, {
    color: true,
    ...options,
  });
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

test('a number stays with its unit, and what counts things with their number', () => {
  assert.equal(wrap('uses about 99 %', 12, 0), 'uses about\n99 %');
  assert.equal(wrap('seen 12 times, last 7 s ago', 21, 0), 'seen 12 times, last\n7 s ago');
  assert.equal(wrap('began some 2 d 4 h ago', 14, 0), 'began some\n2 d 4 h ago');
  assert.equal(wrap('is held on port 443', 15, 0), 'is held on\nport 443');
  assert.equal(wrap('then kill -9 17502, start', 14, 0), 'then\nkill -9 17502,\nstart');
  assert.equal(wrap('the port 443 is held', 12, 0), 'the port 443\nis held', 'no unit');
  assert.equal(wrap('port 1234567', 10, 0), 'port\n1234567', 'a break before a cut');
});

test('no line ends between a number and its unit', () => {
  const number = fc.constantFrom('7', '1,284', '99', '2.5', '443', '17502', '(3');
  const measure = fc
    .tuple(number, fc.constantFrom('%', 'ms', 's', 'min', 'h', 'd', 'MiB', 's,', '%)'))
    .map((pair) => pair.join(' '));
  const named = fc
    .tuple(fc.constantFrom('port', 'pid', 'uid', 'signal'), number)
    .map((pair) => pair.join(' '));
  const text = fc.oneof(measure, named, fc.constantFrom('held', 'by', 'an', 'orphan', '17502'));
  fc.assert(
    fc.property(fc.array(text), fc.integer({ min: 20, max: 60 }), (words, columns) => {
      const wrapped = wrap(words.join(' '), columns, 4);
      assert.doesNotMatch(wrapped, /\d\n +(?:%|ms|s|min|h|d|MiB)(?!\w)/);
      assert.doesNotMatch(wrapped, /\b(?:port|pid|uid|signal)\n +\d/);
    }),
  );
});

test('an ellipsis leaves room for its three dots', () => {
  assert.equal(wrap('abcde fghi…', 12, 0), 'abcde\nfghi…');
  assert.equal(wrap('abcde fghi…', 13, 0), 'abcde fghi…');
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
  assert.equal(level(terminal, {}, { color: false }), 0);
  assert.equal(level({}, { FORCE_COLOR: '1' }), 1);
  assert.equal(level({}, { FORCE_COLOR: '0' }), 0);
  assert.equal(level({}, { FORCE_COLOR: '1', NO_COLOR: '1' }), 0);
  assert.equal(level({}, { FORCE_COLOR: '1' }, { color: false }), 0);
});

test('lines are rewritten in place for a person alone', () => {
  assert.equal(screen({ isTTY: true, columns: 80 }).interactive, true);
  assert.equal(screen({ isTTY: true, columns: 80 }, { TERM: 'dumb' }).interactive, false);
  assert.equal(screen({}, { FORCE_COLOR: '1' }).interactive, false);
});

const STANDINGS = ['pass', 'warn', 'fail', 'unknown', 'skip'] as const satisfies Standing[];

test('marks beyond ASCII only where the locale speaks UTF-8; LC_ALL before LC_CTYPE before LANG', () => {
  const fail = (named: Readonly<Record<string, string>>) => screen({}, named).mark('fail');
  assert.equal(fail({ LANG: 'de_DE.UTF-8' }), '✖');
  assert.equal(fail({ LC_CTYPE: 'C.utf8', LANG: 'C' }), '✖');
  assert.equal(fail({ LC_ALL: 'C', LC_CTYPE: 'C.UTF-8', LANG: 'C.UTF-8' }), 'x');
  assert.equal(fail({ LC_CTYPE: 'POSIX', LANG: 'C.UTF-8' }), 'x');
  assert.equal(fail({ LC_ALL: 'de_DE.ISO-8859-1' }), 'x');
  assert.equal(fail({}), 'x');
  const marks = (named: Readonly<Record<string, string>>) =>
    STANDINGS.map((standing) => screen({}, named).mark(standing));
  assert.deepEqual(marks({ LANG: 'C' }), ['+', '!', 'x', '?', '-']);
  assert.deepEqual(marks({ LANG: 'C.UTF-8' }), ['✔', '!', '✖', '?', '-']);
});

test('--ascii has words for marks, all as wide, and nothing beyond ASCII', () => {
  const made = screen({}, { LANG: 'C.UTF-8' }, { ascii: true });
  const marks = STANDINGS.map((standing) => made.mark(standing));
  assert.deepEqual(
    marks.map((mark) => mark.trim()),
    ['OK', 'WARN', 'FAIL', 'UNKNOWN', 'SKIP'],
  );
  assert.ok(marks.every(({ length }) => length === made.markWidth));
  made.write('5 × … → “é😀”\n');
  assert.equal(made.written(), '5 x ... -> "??"\n');
});

test('without UTF-8 all that is written is ASCII; with it, it is as it was', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (text) => {
      const plain = screen({}, { LC_ALL: 'C' });
      plain.write(text);
      assert.match(plain.written(), /^[\n\x20-\x7e]*$/);
    }),
    { numRuns: 40 },
  );
  const utf8 = screen({}, { LANG: 'C.UTF-8' });
  utf8.write('5 × … “é😀”\n');
  assert.equal(utf8.written(), '5 × … “é😀”\n');
});

test('colours are those that can be read on black and on white, and nothing is dim', () => {
  const made = screen({ isTTY: true, columns: 80 }, { LANG: 'C.UTF-8' });
  const codes = STANDINGS.flatMap((standing) => [...made.mark(standing).matchAll(/\x1b\[(\d+)m/g)]);
  const set = new Set(codes.map(([, code]) => Number(code)));
  assert.deepEqual(
    [...set].toSorted((a, b) => a - b),
    [1, 22, 31, 32, 35, 39],
  );
  assert.equal(made.mark('skip'), '-', 'what was left out is nothing to look at');
});

test('what is written reaches the stream', () => {
  const made = screen({});
  made.write('a line\n');
  assert.equal(made.written(), 'a line\n');
  const coloured = '\u001b[1mbold\u001b[22m\n';
  made.write(coloured);
  assert.equal(made.written(), 'bold\n', 'no colour where there is none');
  const terminal = screen({ isTTY: true, columns: 80 });
  terminal.write(coloured);
  assert.equal(terminal.written(), coloured);
});
