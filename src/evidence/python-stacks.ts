/** What the threads of a Python process are in: parsers of what the tools print that can see it. Pure. */
import { stripControl } from '../untrusted.ts';
import { blind, type Look, seen } from './evidence.ts';

/** The tools that can see Python's frames from outside, the better one first. */
export const STACK_TOOLS = ['py-spy', 'gdb'] as const;

export type StackTool = (typeof STACK_TOOLS)[number];

/** A call that has not returned. Neither line, argument nor local is kept of it: those may be secrets. */
export interface StackFrame {
  readonly function: string;
  readonly file: string;
}

/** The calls of one thread, innermost first. */
export type Stack = readonly StackFrame[];

/** The threads of one process at one moment. */
export interface PythonStacks {
  readonly tool: StackTool;
  /** Of each thread that is in Python. */
  readonly stacks: readonly Stack[];
  /** Threads that were seen and are in no Python, such as those of ZeroMQ. */
  readonly withoutPython: number;
  /** Threads that time was up for before they were seen. */
  readonly unseen: number;
}

/** Bounds on what another process can make us keep. */
const MAX_THREADS = 5_000;
export const MAX_FRAMES = 100;
export const MAX_NAME = 200;
export const MAX_FILE = 400;

/** What begins a line of ours in gdb's output (gdb-frames.ts). */
export const GDB_MARK = '@@salt-triage ';

/**
 * Reads what `py-spy dump --json` prints: an array of threads, each with its `frames`, innermost first
 * (py-spy 0.4, src/stack_trace.rs).
 */
export function parsePySpyDump(text: string): Look<PythonStacks> {
  const threads = parsed(text);
  if (!Array.isArray(threads)) return blind('malformed', 'it printed no list of threads');
  const stacks = threads.slice(0, MAX_THREADS).map((thread: unknown) => {
    const frames = propertyOf(thread, 'frames');
    return stackOf(Array.isArray(frames) ? frames : [], (frame) => [
      propertyOf(frame, 'name'),
      propertyOf(frame, 'filename'),
    ]);
  });
  return judged('py-spy', stacks, threads.length - stacks.length);
}

/** How far gdb has come with a process, as its script tells. */
export interface GdbProgress {
  /** From here on it may have stopped the process. */
  readonly attached: boolean;
  /** It has let go of it. */
  readonly detached: boolean;
}

/** @param text what gdb has printed so far */
export function gdbProgress(text: string): GdbProgress {
  const told = gdbLines(text);
  const has = (name: string) => told.some((line) => propertyOf(line, name) !== undefined);
  return { attached: has('attaching'), detached: has('detached') };
}

/** Reads what the script of gdb-frames.ts prints between gdb's own words. */
export function parseGdbFrames(text: string): Look<PythonStacks> {
  const told = gdbLines(text);
  const said = (name: string) => told.map((line) => propertyOf(line, name));
  const refused = said('refused').find((why) => typeof why === 'string');
  if (refused !== undefined) return blind('unsupported', tidy(refused, MAX_NAME));
  const threads = said('threads').find((number) => typeof number === 'number');
  if (threads === undefined) return blind('malformed', 'it told of no thread');
  const stacks = said('frames')
    .filter((frames) => Array.isArray(frames))
    .slice(0, MAX_THREADS)
    .map((frames) => stackOf(frames, (frame) => (Array.isArray(frame) ? frame : [])));
  return judged('gdb', stacks, Math.max(0, threads - stacks.length));
}

/** A tool that sees threads and no frame in any has told nothing, and must not look as if it had. */
function judged(tool: StackTool, all: readonly Stack[], unseen: number): Look<PythonStacks> {
  const stacks = all.filter((stack) => stack.length > 0);
  if (stacks.length === 0) return blind('unsupported', 'it can see no Python frame in there');
  return seen({ tool, stacks, withoutPython: all.length - stacks.length, unseen });
}

function stackOf(frames: readonly unknown[], read: (frame: unknown) => readonly unknown[]): Stack {
  return frames.slice(0, MAX_FRAMES).flatMap((frame) => {
    const [name, file] = read(frame);
    if (typeof name !== 'string' || typeof file !== 'string') return [];
    // Of a path the end tells more.
    return [{ function: tidy(name, MAX_NAME), file: tidy(file.slice(-MAX_FILE), MAX_FILE) }];
  });
}

function tidy(text: string, most: number): string {
  return stripControl(text.slice(0, most));
}

function gdbLines(text: string): unknown[] {
  return text
    .split('\n')
    .filter((line) => line.startsWith(GDB_MARK))
    .map((line) => parsed(line.slice(GDB_MARK.length)));
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

function propertyOf(value: unknown, name: string): unknown {
  if (typeof value !== 'object' || value === null) return undefined;
  return Object.getOwnPropertyDescriptor(value, name)?.value;
}
