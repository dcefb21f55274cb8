/** The Python stacks of a process that is about to be killed: kept in the trail, told in few words. */
import { foldedText, stackLines } from '../diagnosis/stacks/fold-stacks.ts';
import { blind, type Look } from '../evidence/evidence.ts';
import type { PythonStacks } from '../evidence/python-stacks.ts';
import type { KillStep } from '../plan/plan.ts';
import { stacksFile, stacksFileName } from '../trail/stacks-file.ts';
import { stripControl } from '../untrusted.ts';
import { type FixRun, RECENT_LOOK_MS } from './fix-run.ts';

/** With less left no tool would come to anything, ms. */
const LEAST_MS = 3_000;

/** What was seen before the kill. */
export interface SavedStacks {
  /** For whoever runs the fix, at most three. */
  readonly lines: readonly string[];
  /** So much time has gone by that the host has to be looked at again. */
  readonly tookTime: boolean;
}

/**
 * Has the host's own tools look into a kill target, as long as the time for that lasts. Nothing that
 * goes wrong with it stops a kill.
 */
export async function saveStacks(run: FixRun, { target }: KillStep): Promise<SavedStacks> {
  const { stacksMs, actions, trail, observer } = run.context;
  if (stacksMs === 0) return { lines: [], tookTime: false };
  const { identity } = target;
  const { pid } = identity;
  const action = `Python stacks of ${pid}`;
  const began = performance.now();
  const look = await lookWithin(run.stacksLeftMs, async (boundMs) => {
    observer.waiting?.(action, boundMs);
    return actions.readStacks(target, boundMs);
  });
  const tookMs = performance.now() - began;
  run.stacksLeftMs -= tookMs;
  const name = stacksFileName(identity);
  const file = stacksFile(identity, look, tookMs);
  await trail.saveFile(name, `${JSON.stringify(file, null, 1)}\n`);
  if (look.seen) await trail.saveFile(name.replace(/json$/, 'txt'), foldedText(look.value));
  const words = look.seen
    ? stackLines(look.value, tookMs, name.replace(/json$/, 'txt'))
    : [`none: ${stripControl(look.why)}`];
  const result = words.join('; ');
  await trail.journal({ phase: 'note', action, identity, result, durationMs: Math.round(tookMs) });
  const [first = '', ...others] = words;
  return {
    lines: run.tellOnce([`Python stacks: ${first}`, ...others]),
    tookTime: tookMs > RECENT_LOOK_MS,
  };
}

async function lookWithin(
  leftMs: number,
  look: (boundMs: number) => Promise<Look<PythonStacks>>,
): Promise<Look<PythonStacks>> {
  if (leftMs < LEAST_MS) return blind('timeout', 'other processes have taken the time for them');
  // A host without memory for one more process must still be mended.
  return look(leftMs).catch((error: unknown) =>
    blind('unsupported', error instanceof Error ? error.message : String(error)),
  );
}
