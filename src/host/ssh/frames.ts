/** The framing of what the collector printed: which lines are its own, and whether all came. Pure. */
import { ExitCode, TriageError } from '../../errors.ts';
import { blind, type Look } from '../../evidence/evidence.ts';
import { stripControl } from '../../untrusted.ts';

/** Bytes of evidence that are taken from one host. */
export const MAX_EVIDENCE_BYTES = 32 * 1024 * 1024;

/** Of what the lines of the parts mean; the script prints it. */
export const VERSION = '2';

const PARTS = ['host', 'used', 'config', 'sockets', 'processes', 'service', 'unit', 'log'] as const;
type PartName = (typeof PARTS)[number];

/** The script's output, taken apart: every part is there, and none was cut. */
export type Frames = Readonly<Record<PartName, Part>>;

/** One part of the output. */
export interface Part {
  readonly lines: readonly string[];
  /** It was ended for taking too long. */
  readonly late: boolean;
}

/** The first word of a line, and what follows the blank behind it. */
export function firstWord(line: string): [word: string, rest: string] {
  const blank = line.indexOf(' ');
  return blank === -1 ? [line, ''] : [line.slice(0, blank), line.slice(blank + 1)];
}

/** A part that was ended for taking too long. */
export function timedOut(what: string): Look<never> {
  return blind('timeout', `${what} could not be read in time on that host`);
}

/** First words and what follows them; the first of each counts. */
export function fields(lines: readonly string[]): Map<string, string> {
  const found = new Map<string, string>();
  for (const line of lines) {
    const [word, rest] = firstWord(line);
    if (!found.has(word)) found.set(word, rest);
  }
  return found;
}

/** True for text that the collector may have printed: its first frame is in it. */
export function isCollectorOutput(output: Buffer): boolean {
  return beginning(output.toString('latin1'), null) !== null;
}

/** The line of the first frame; its number is the version of what follows. */
function beginning(text: string, nonce: string | null): RegExpExecArray | null {
  const mark = nonce ?? '[0-9a-zA-Z]{1,64}';
  return new RegExp(`(?:^|\\n)@@(${mark}) begin salt-triage-probe (\\d+)\\r?(?:\\n|$)`).exec(text);
}

/**
 * Takes the output apart. Whatever is not in a frame (a banner, a profile's noise) is passed over.
 *
 * @param nonce what the frames must be marked with; null to take the first frame's
 * @throws TriageError `unknown` for output that is cut off, too long or no evidence at all
 */
export function parseFrames(output: Buffer, nonce: string | null): Frames {
  if (output.length > MAX_EVIDENCE_BYTES) throw malformed('it is larger than 32 MiB');
  const text = output.toString('latin1');
  const begin = beginning(text, nonce);
  if (begin === null) throw malformed('the beginning is missing');
  if (begin[2] !== VERSION) {
    throw malformed(
      'it is of another version of salt-triage',
      'Run the script that this `salt-triage probe` prints.',
    );
  }
  const mark = `@@${begin[1] ?? ''} `;
  if (text.includes(`\n${mark}noproc`, begin.index)) throw noProc();
  const parts = readParts(text.slice(begin.index).split('\n'), mark);
  const entries = PARTS.map((name) => {
    const part = parts.get(name);
    if (part === undefined) throw malformed(`part ${name} is missing`);
    return [name, part] as const;
  });
  return Object.fromEntries(entries) as Record<PartName, Part>;
}

function readParts(lines: readonly string[], mark: string): ReadonlyMap<string, Part> {
  const parts = new Map<string, Part>();
  let open: string[] = [];
  let opened = '';
  for (const raw of lines) {
    if (raw.startsWith('|')) open.push(raw.slice(1));
    if (!raw.startsWith(mark)) continue;
    const [word, name = '', count] = raw.replace(/\r$/, '').slice(mark.length).split(' ');
    if (word === 'done') return parts;
    if (word === 'end') {
      if (name !== opened) throw malformed(`part ${shown(name)} is out of place`);
      parts.set(name, closePart(name, open, Number(count)));
    }
    [open, opened] = [[], word === 'part' ? name : ''];
  }
  throw malformed('its end is missing');
}

/** The last line says how the part ended; 137 is our own `kill -9`. */
function closePart(name: string, lines: readonly string[], count: number): Part {
  if (count !== lines.length) throw malformed(`part ${shown(name)} is not whole`);
  const status = /^= (\d+)$/.exec(lines.at(-1) ?? '')?.[1];
  if (status === undefined) return { lines, late: true };
  return { lines: lines.slice(0, -1), late: status === '137' };
}

const LOOK_AGAIN =
  'Look again; if it happens twice, run `salt-triage probe` by hand and read what it prints.';

/** Evidence that is none. */
export function malformed(why: string, advice = LOOK_AGAIN): TriageError {
  return new TriageError(`the evidence can't be used: ${why}`, advice, ExitCode.unknown);
}

function noProc(): TriageError {
  return new TriageError(
    'that host has no /proc that can be read',
    'Mount /proc there, or log in where it is mounted (not into a chroot).',
    ExitCode.unknown,
  );
}

/** A word of the frames that is wrong, to be printed. */
export function shown(name: string): string {
  return stripControl(name).slice(0, 40);
}
