/** What the place that text goes to can show, and the way out for all text. */
import { Chalk, type ChalkInstance } from 'chalk';
import { inAscii, speaksUtf8 } from '../characters.ts';
import { printable, stripControl } from '../untrusted.ts';

/** How a thing stands, as its mark shows it. */
export type Standing = 'pass' | 'warn' | 'fail' | 'unknown' | 'skip';

/** What the options say of the screen, `--no-color` and `--ascii`. */
export interface ScreenOptions {
  readonly color: boolean;
  /** Words in place of marks, and no character beyond ASCII. */
  readonly ascii?: boolean;
}

export interface Screen {
  readonly columns: number;
  /** Bold alone: a colour is that of a standing, which `paint` knows. */
  readonly chalk: Pick<ChalkInstance, 'bold' | 'level'>;
  /** A person is looking: lines may be rewritten in place. */
  readonly interactive: boolean;
  /** Columns that every mark takes. */
  readonly markWidth: number;
  /** The mark of a line, in its colour. */
  mark(standing: Standing): string;
  /** Text in the colour of that mark, for a word that has to be seen at once. */
  paint(standing: Standing, text: string): string;
  /** Lines of text: no control character gets out but line breaks and chalk's own colours. */
  write(text: string): void;
  /** Takes back what stands on the line of the cursor. */
  clearLine(): void;
  /** Takes back so many whole lines above that of the cursor. */
  clearLines(count: number): void;
}

const GLYPHS = { pass: '✔', warn: '!', fail: '✖', unknown: '?', skip: '-' };
const ASCII_GLYPHS = { pass: '+', warn: '!', fail: 'x', unknown: '?', skip: '-' };
const WORDS = { pass: 'OK', warn: 'WARN', fail: 'FAIL', unknown: 'UNKNOWN', skip: 'SKIP' };
const DEFAULT_COLUMNS = 80;

/**
 * A screen on a stream. Colour on a terminal, none when piped; `NO_COLOR` (no-color.org) and
 * `--no-color` switch it off, `FORCE_COLOR` on. Where the locale is not of UTF-8, all text is ASCII.
 */
export function screenOn(stream: NodeJS.WriteStream, { color, ascii }: ScreenOptions): Screen {
  const interactive = stream.isTTY === true && process.env['TERM'] !== 'dumb';
  const off = !color || Boolean(process.env['NO_COLOR']);
  const forced = Boolean(process.env['FORCE_COLOR']) && process.env['FORCE_COLOR'] !== '0';
  const level = off || !(interactive || forced) ? 0 : 1;
  const columns = stream.isTTY === true ? stream.columns || DEFAULT_COLUMNS : DEFAULT_COLUMNS;
  const chalk = new Chalk({ level });
  const encode = ascii || !speaksUtf8() ? inAscii : (text: string) => text;
  const marks = ascii ? WORDS : speaksUtf8() ? GLYPHS : ASCII_GLYPHS;
  const markWidth = Math.max(...Object.values(marks).map(({ length }) => length));
  const paint = (standing: Standing, text: string) => painterOf(chalk, standing)(text);
  return {
    columns: Math.min(120, Math.max(40, columns)),
    chalk,
    interactive,
    markWidth,
    mark: (standing) => paint(standing, marks[standing].padEnd(markWidth)),
    paint,
    write: (text) => stream.write(encode(printable(text, level > 0))),
    clearLine: () => stream.write('\r\u001b[K'),
    // One by one: some terminals keep a screen that is erased as a whole among what has scrolled by.
    clearLines: (count) => stream.write(`${'\u001b[A\u001b[2K'.repeat(count)}\r`),
  };
}

/**
 * Colours that can be read on black and on white alike, and bold, since a terminal may show them
 * pale: yellow and cyan vanish on white, blue on black, and dim text on many of either.
 */
function painterOf(chalk: ChalkInstance, standing: Standing): (text: string) => string {
  if (standing === 'skip') return String;
  if (standing === 'pass') return chalk.bold.green;
  return standing === 'fail' ? chalk.bold.red : chalk.bold.magenta;
}

/** A unit as it stands behind its number. */
const UNIT = String.raw`(?:%|ms|s|min|h|d|[KMG]?i?B|bytes?)(?![\w%])`;
const NUMBER = String.raw`(?<![^\s(="'])[+-]?\d[\d.,:]*`;
/** Blanks that a line does not end at: in `99 %`, `2 d 4 h`, `port 443`, `kill -9 17502`. */
const KEPT_BLANK = new RegExp(
  [
    `(?<=${NUMBER}) (?=${UNIT})`,
    String.raw`(?<=\d d) (?=\d+ h)|(?<=\d h) (?=\d+ min)|(?<=\d min) (?=\d+ s)`,
    String.raw`(?<=\b(?:ports?|pids?|uid|gid|signal|tick|code|exit|HTTP|daemon)) (?=\d)`,
    String.raw`(?<=\bkill) (?=-\w+ \d)|(?<=\bkill -\w+) (?=\d)`,
  ].join('|'),
  'g',
);
/** In place of such a blank while lines are made; no text has it any more by then. */
const KEPT = '\u0001';
/** Two of it behind an ellipsis, which is three characters in ASCII. */
const WIDENING = '\u0002';

/**
 * Breaks a stranger's text at blanks so that it fits, with later lines indented. A number and its
 * unit stay on one line. A word longer than a line is cut across lines, so nothing ever runs past
 * the edge.
 *
 * @param indent columns in front of every line but the first
 */
export function wrap(text: string, columns: number, indent: number): string {
  const room = Math.max(10, columns - indent);
  const lines: string[] = [];
  let line = '';
  const whole = stripControl(text)
    .replace(KEPT_BLANK, KEPT)
    .replaceAll('…', `…${WIDENING}${WIDENING}`);
  for (const word of whole.split(' ').flatMap((long) => pieces(long, room))) {
    if (line === '') line = word;
    else if (line.length + 1 + word.length <= room) line += ` ${word}`;
    else {
      lines.push(line);
      line = word;
    }
  }
  lines.push(line);
  return lines
    .join(`\n${' '.repeat(indent)}`)
    .replaceAll(KEPT, ' ')
    .replaceAll(WIDENING, '');
}

function pieces(word: string, room: number): string[] {
  if (word.length <= room) return [word];
  return word.split(KEPT).flatMap((part) => slices(part, room));
}

function slices(word: string, room: number): string[] {
  const parts: string[] = [];
  for (let at = 0; at === 0 || at < word.length; at += room) parts.push(word.slice(at, at + room));
  return parts;
}
