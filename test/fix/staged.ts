/** The staged incident with what `fix` needs to mend it, and its processes as they are now. */
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { type StagedIncident, type StageOptions, stageIncident } from '../../src/drill/stage.ts';

export interface Staged extends StagedIncident {
  /** `--port … -c … --state-dir … --wait … --probe-timeout …` */
  readonly target: readonly string[];
  /** `--start-cmd … --stop-cmd …` of the staged service. */
  readonly service: readonly string[];
  readonly trail: string;
}

/**
 * Stages the incident up to a point.
 * @param restartAfterMs a minute unless the test is about it: a daemon that takes the freed port
 *   by itself is mended as well, but which steps that leaves would be a matter of luck
 */
export async function stage(
  t: TestContext,
  upTo: NonNullable<StageOptions['stage']>,
  restartAfterMs = 60_000,
): Promise<Staged> {
  const staged = await stageIncident({ stage: upTo, restartAfterMs });
  t.after(() => staged.cleanup());
  const trail = join(staged.directory, 'trail');
  const bounds = ['--wait', '20s', '--probe-timeout', '1s'];
  return {
    ...staged,
    trail,
    target: [
      '--port',
      `${staged.port}`,
      '-c',
      staged.configDirectory,
      '--state-dir',
      trail,
      ...bounds,
    ],
    service: [
      ...['--start-cmd', staged.startCommand.join(' ')],
      ...['--stop-cmd', staged.stopCommand.join(' ')],
    ],
  };
}

/** True for a process that runs; a zombie does not. */
export function isAlive(pid: number): boolean {
  try {
    return !/\) [ZX] /.test(readFileSync(`/proc/${pid}/stat`, 'utf8'));
  } catch {
    return false;
  }
}

/** Waits for a condition, up to 20 s. @throws with the name of what did not come */
export async function until<T>(what: string, look: () => T | null | undefined | false): Promise<T> {
  const deadline = Date.now() + 20_000;
  for (;;) {
    const found = look();
    if (found !== null && found !== undefined && found !== false) return found;
    if (Date.now() > deadline) throw new Error(`did not come: ${what}`);
    await delay(25);
  }
}

/** The journal of the one incident under a state directory, parsed. */
export function journal(trail: string): { action: string; phase: string; result?: string }[] {
  if (!existsSync(trail)) return [];
  const [id] = readdirSync(trail);
  if (id === undefined || !existsSync(join(trail, id, 'journal.jsonl'))) return [];
  const lines = readFileSync(join(trail, id, 'journal.jsonl'), 'utf8')
    .split('\n')
    .filter(Boolean);
  return lines.map((line) => JSON.parse(line));
}

/** Executables of the test's own, in front on PATH. @returns the environment to run with */
export function programs(
  directory: string,
  scripts: Readonly<Record<string, string>>,
): { PATH: string } {
  const bin = join(directory, 'programs');
  mkdirSync(bin, { recursive: true });
  for (const [name, text] of Object.entries(scripts)) {
    writeFileSync(join(bin, name), `#!/bin/sh\n${text}\n`);
    chmodSync(join(bin, name), 0o755);
  }
  return { PATH: `${bin}:${process.env['PATH']}` };
}
