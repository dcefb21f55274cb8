/** Which tool shows the Python stacks of a process, tried alike on this host and behind ssh. */
import { blind, type Look, type ProcessIdentity } from '../evidence/evidence.ts';
import {
  type PythonStacks,
  parseGdbFrames,
  parsePySpyDump,
  STACK_TOOLS,
  type StackTool,
} from '../evidence/python-stacks.ts';
import { redactSecrets, stripControl } from '../untrusted.ts';
import { gdbArguments } from './gdb-frames.ts';

/** Bound on what is read of a tool's output, bytes. */
export const MAX_STACKS = 6 * 1024 * 1024;
/** For less time no tool is started. */
const LEAST_MS = 1_000;
/** Of the time that gdb has, what it needs to let go of the process again. */
const LET_GO_SECONDS = 2;

/** What came of one tool. */
export type ToolRun =
  | { readonly kind: 'absent' }
  /** Others than root could have put something else in its place. */
  | { readonly kind: 'not-of-root'; readonly path: string }
  | {
      readonly kind: 'ran';
      readonly output: string;
      /** The last that it wrote to standard error. */
      readonly errors: string;
      /** True where its time was up. */
      readonly late: boolean;
    };

/**
 * The arguments that have a tool show every thread of a process. Never `--locals`; `--nonblocking`
 * leaves the process running, at the price that a stack may be torn.
 * @param seconds how long it may take
 */
export function toolArguments(
  tool: StackTool,
  { pid, startTicks }: ProcessIdentity,
  seconds: number,
): string[] {
  if (tool === 'py-spy') return ['dump', '--json', '--nonblocking', '--pid', `${pid}`];
  const walkSeconds = Math.max(1, Math.floor(seconds) - LET_GO_SECONDS);
  return gdbArguments({ pid, startTicks, walkSeconds, boundSeconds: Math.ceil(seconds) });
}

/**
 * Tries one tool after the other until one shows something.
 * @param boundMs for all of them together
 * @param run runs one; it ends it after `withinMs`
 */
export async function stacksByAnyTool(
  boundMs: number,
  run: (tool: StackTool, withinMs: number) => Promise<ToolRun>,
): Promise<Look<PythonStacks>> {
  const began = performance.now();
  const reasons: string[] = [];
  for (const tool of STACK_TOOLS) {
    const leftMs = boundMs - (performance.now() - began);
    if (leftMs < LEAST_MS) {
      reasons.push(`${tool}: no time is left for it`);
      continue;
    }
    const ran = await run(tool, leftMs);
    if (ran.kind === 'absent') continue;
    const look = ran.kind === 'ran' ? shown(tool, ran) : blind('permission', notOfRoot(ran));
    if (look.seen) return look;
    reasons.push(`${tool}: ${look.why}`);
  }
  const why = reasons.join('; ');
  return blind('unsupported', why === '' ? 'neither py-spy nor gdb is there' : why);
}

function shown(tool: StackTool, ran: ToolRun & { readonly kind: 'ran' }): Look<PythonStacks> {
  const parse = tool === 'py-spy' ? parsePySpyDump : parseGdbFrames;
  const look = parse(ran.output);
  if (look.seen) return look;
  if (ran.late) return blind('timeout', 'it was too slow, and was ended');
  // What it said itself tells more than that nothing could be read of it.
  const said = stripControl(redactSecrets(ran.errors.trim().split('\n').at(-1) ?? ''));
  return look.cause === 'malformed' && said !== '' ? blind(look.cause, said.slice(0, 200)) : look;
}

function notOfRoot({ path }: { readonly path: string }): string {
  return `${stripControl(path)} could have been changed by others than root, and is not run`;
}
