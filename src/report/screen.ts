/** What the place that text goes to can show, and the way out for all text. */
import { Chalk, type ChalkInstance } from 'chalk';
import { printable, stripControl } from '../untrusted.ts';

export interface Screen {
  readonly columns: number;
  readonly chalk: ChalkInstance;
  /** A person is looking: lines may be rewritten in place. */
  readonly interactive: boolean;
  readonly symbols: Readonly<Record<'pass' | 'warn' | 'fail' | 'unknown' | 'skip', string>>;
  /** Lines of text: no control character gets out but line breaks and chalk's own colours. */
  write(text: string): void;
  /** Takes back what stands on the line of the cursor. */
  clearLine(): void;
}

const UNICODE = { pass: '✔', warn: '!', fail: '✖', unknown: '?', skip: '-' };
const ASCII = { pass: '+', warn: '!', fail: 'x', unknown: '?', skip: '-' };
const DEFAULT_COLUMNS = 80;

/**
 * A screen on a stream. Colour on a terminal, none when piped; `NO_COLOR` (no-color.org) and
 * `--no-color` switch it off, `FORCE_COLOR` on.
 */
export function screenOn(stream: NodeJS.WriteStream, color: boolean): Screen {
  const interactive = stream.isTTY === true && process.env['TERM'] !== 'dumb';
  const off = !color || Boolean(process.env['NO_COLOR']);
  const forced = Boolean(process.env['FORCE_COLOR']) && process.env['FORCE_COLOR'] !== '0';
  const level = off || !(interactive || forced) ? 0 : 1;
  const columns = stream.isTTY === true ? stream.columns || DEFAULT_COLUMNS : DEFAULT_COLUMNS;
  return {
    columns: Math.min(120, Math.max(40, columns)),
    chalk: new Chalk({ level }),
    interactive,
    symbols: speaksUtf8() ? UNICODE : ASCII,
    write: (text) => stream.write(printable(text, level > 0)),
    clearLine: () => stream.write('\r\u001b[K'),
  };
}

function speaksUtf8(): boolean {
  const { LC_ALL: all, LC_CTYPE: type, LANG: lang } = process.env;
  return /utf-?8/i.test(all || type || lang || '');
}

/**
 * Breaks a stranger's text at blanks so that it fits, with later lines indented.
 * A word longer than a line is cut across lines, so nothing ever runs past the edge.
 *
 * @param indent columns in front of every line but the first
 */
export function wrap(text: string, columns: number, indent: number): string {
  const room = Math.max(10, columns - indent);
  const lines: string[] = [];
  let line = '';
  for (const word of stripControl(text)
    .split(' ')
    .flatMap((long) => slices(long, room))) {
    if (line === '') line = word;
    else if (line.length + 1 + word.length <= room) line += ` ${word}`;
    else {
      lines.push(line);
      line = word;
    }
  }
  lines.push(line);
  return lines.join(`\n${' '.repeat(indent)}`);
}

function slices(word: string, room: number): string[] {
  const parts: string[] = [];
  for (let at = 0; at === 0 || at < word.length; at += room) parts.push(word.slice(at, at + room));
  return parts;
}
