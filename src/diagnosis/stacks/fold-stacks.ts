/** Equal stacks told once, with what their threads wait for: in a hang that is most of them. Pure. */
import type { PythonStacks, Stack, StackFrame } from '../../evidence/python-stacks.ts';
import { count } from '../../words.ts';
import { type CallPattern, STACK_WAITS, type StackWait } from './stack-waits.ts';

/** One stack, and how many threads are in it. */
export interface FoldedStack {
  readonly count: number;
  /** Id of a {@link StackWait}; null where the calls fit none. */
  readonly waitsFor: string | null;
  /** Innermost first. */
  readonly frames: Stack;
}

/** So many waits are named on the screen, one a line. */
const NAMED = 2;

/** Folds; the most frequent stack comes first. */
export function foldStacks({ stacks }: Pick<PythonStacks, 'stacks'>): FoldedStack[] {
  const folded = new Map<string, { count: number; readonly frames: Stack }>();
  for (const frames of stacks) {
    const key = JSON.stringify(frames.map((frame) => [frame.function, frame.file]));
    const one = folded.get(key) ?? { count: 0, frames };
    one.count += 1;
    folded.set(key, one);
  }
  return [...folded.values()]
    .map(({ count: threads, frames }) => ({
      count: threads,
      waitsFor: waitOf(frames)?.id ?? null,
      frames,
    }))
    .toSorted((a, b) => b.count - a.count);
}

/** What a thread waits for; null where its calls fit nothing that is known. */
export function waitOf(stack: Stack): StackWait | null {
  return STACK_WAITS.find(({ calls }) => stack.some((_, at) => fits(stack, at, calls))) ?? null;
}

function fits(stack: Stack, at: number, calls: readonly CallPattern[]): boolean {
  return calls.every(([name, ...files], step) => {
    const frame = stack[at + step];
    if (frame === undefined || (name !== '*' && name !== frame.function)) return false;
    return files.some((file) => endsWith(frame.file, file));
  });
}

/** Whole names count: `threading.py` is not the end of `my_threading.py`. */
function endsWith(file: string, tail: string): boolean {
  return file === tail || file.endsWith(`/${tail}`);
}

/**
 * What the threads do, for the screen: at most three lines.
 * @param where the file that has all of it
 */
export function stackLines(taken: PythonStacks, tookMs: number, where: string): string[] {
  const all = groups(taken);
  const named = all.slice(0, NAMED);
  const others = all.slice(NAMED).reduce((sum, group) => sum + group.count, 0);
  const rest = others === 0 ? '' : `${count(others, 'other')}; `;
  const seen = threadsSeen(taken);
  const seconds = `${(tookMs / 1000).toFixed(1)} s`;
  return [
    ...named.map((group) => `${group.count} × ${group.words}`),
    `${rest}${seen} seen by ${taken.tool} in ${seconds}: ${where}`,
  ];
}

/** All of it as text, a stack a paragraph. */
export function foldedText(taken: PythonStacks): string {
  const head = [
    `${threadsSeen(taken)} seen by ${taken.tool}`,
    ...(taken.withoutPython === 0 ? [] : [`${taken.withoutPython} threads are in no Python`]),
  ];
  const paragraphs = foldStacks(taken).map(({ count: threads, frames }) => [
    '',
    `${threads} × ${describe(frames)}`,
    ...frames.map((frame) => `    ${frame.function} (${frame.file})`),
  ]);
  return `${[head, ...paragraphs].flat().join('\n')}\n`;
}

/** `7 threads`, or `3 of 7 threads` where time was up. */
function threadsSeen({ stacks, withoutPython, unseen }: PythonStacks): string {
  const seen = stacks.length + withoutPython;
  return unseen === 0 ? count(seen, 'thread') : `${seen} of ${count(seen + unseen, 'thread')}`;
}

interface Group {
  readonly words: string;
  readonly quiet: boolean;
  count: number;
}

/** Stacks in the same words are one line, the telling ones first. */
function groups({ stacks }: PythonStacks): Group[] {
  const found = new Map<string, Group>();
  for (const frames of stacks) {
    const words = describe(frames);
    const group = found.get(words) ?? { words, quiet: waitOf(frames)?.quiet === true, count: 0 };
    group.count += 1;
    found.set(words, group);
  }
  const rank = ({ quiet }: Group) => (quiet ? 1 : 0);
  return [...found.values()].toSorted((a, b) => rank(a) - rank(b) || b.count - a.count);
}

function describe(frames: Stack): string {
  const wait = waitOf(frames);
  const place = placeOf(frames);
  const at = place === null ? '' : nameOf(place);
  if (wait !== null) return wait.quiet || at === '' ? wait.words : `${wait.words}, in ${at}`;
  const [innermost] = frames;
  const here = innermost === undefined ? 'nowhere' : nameOf(innermost);
  return at === '' || at === here ? `in ${here}` : `in ${here}, called from ${at}`;
}

/** What carries a call to the master, in Salt: it tells nothing of which call it was. */
const PLUMBING =
  /\/salt\/(?:utils|transport|channel|ext|log|_logging)\/|\/salt\/(?:payload|crypt)\.py$/;
/** Within its package; of a onedir all of Python lies below /opt/saltstack/salt. */
const SALT = /\/salt\/(?!.*\/salt\/)(?!(?:lib|lib64|bin)\/)(.*)\.py$/;
/** Python's own and what is installed beside it (sysconfig of CPython; Debian has dist-packages). */
const LIBRARY = /\/(?:site|dist)-packages\/|\/lib(?:64)?\/python[\d.]*\/|^<frozen /;

/**
 * Of a stack the call that an operator knows: of Salt the one by which the innermost part was
 * entered, such as `auth.mk_token`; where there is none of Salt the innermost that is no library.
 */
function placeOf(frames: Stack): StackFrame | null {
  const isSalts = ({ file }: StackFrame) => SALT.test(file) && !PLUMBING.test(file);
  const first = frames.findIndex(isSalts);
  if (first === -1)
    return frames.find(({ file }) => !LIBRARY.test(file) && !SALT.test(file)) ?? null;
  const file = frames[first]?.file;
  const left = frames.slice(first).findIndex((frame) => frame.file !== file);
  return frames[left === -1 ? frames.length - 1 : first + left - 1] ?? null;
}

/** `auth.mk_token`: the module within Salt, or the name of another file. */
function nameOf({ function: name, file }: StackFrame): string {
  const within = SALT.exec(file)?.[1] ?? file.split('/').at(-1) ?? '';
  const module = within
    .replace(/\/__init__$/, '')
    .replace(/\.py$/, '')
    .replaceAll('/', '.');
  return module === '' ? name : `${module}.${name}`;
}
