/** Drills that were left standing: found again by what they are, and ended. */
import {
  lstatSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  type Stats,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, dirname, join, resolve } from 'node:path';
import { whyNotOurs } from '../trail/directory.ts';
import { endStaged, ourScripts, stagedProcesses } from './staged-processes.ts';

/** What the directory of every drill is called, with six more characters of mkdtemp(3). */
export const DRILL_PREFIX = 'salt-triage-drill-';
/** In the directory of a drill that outlives the command that staged it. */
const MARK = 'kept.json';

export interface KeptDrill {
  readonly directory: string;
  readonly port: number;
}

/** Marks a drill as one that nobody waits for any more, so that it can be found and ended. */
export function markKept({ directory, port }: KeptDrill): void {
  writeFileSync(join(directory, MARK), `${JSON.stringify({ port })}\n`, { mode: 0o600 });
}

/**
 * The kept drills of this user: in the directory for temporary files, and wherever else one runs.
 * A name proves nothing: the directory has to be our own, closed to others, and marked, and nobody
 * else may be able to put another in its place. Any user can have a program of root's run with a path
 * of theirs for a word: `passwd /home/x/…/salt-api`.
 */
export function keptDrills(): KeptDrill[] {
  const temporary = resolve(tmpdir());
  const there = readdirSync(temporary).map((name) => join(temporary, name));
  const directories = new Set([...there, ...ourScripts().map((script) => dirname(script))]);
  return [...directories].map(keptDrill).filter((drill) => drill !== null);
}

/** @returns null for what is no kept drill of this user */
function keptDrill(directory: string): KeptDrill | null {
  if (!basename(directory).startsWith(DRILL_PREFIX)) return null;
  try {
    const status = lstatSync(directory);
    const ours = status.uid === process.geteuid?.() && (status.mode & 0o077) === 0;
    if (!status.isDirectory() || !ours || !staysInPlace(directory)) return null;
    const { port } = JSON.parse(readFileSync(join(directory, MARK), 'utf8')) as { port?: unknown };
    return typeof port === 'number' ? { directory, port } : null;
  } catch {
    // Gone meanwhile, or of a drill that somebody still waits for.
    return null;
  }
}

/** Whether a path leads to the same place for good: only root and we can change what is above it. */
function staysInPlace(path: string): boolean {
  return [path, realpathSync(path)].every((way) => {
    return ancestorsOf(way).every((ancestor) => isKeptFromOthers(lstatSync(ancestor)));
  });
}

function ancestorsOf(path: string): string[] {
  const above = dirname(path);
  return above === path ? [] : [above, ...ancestorsOf(above)];
}

/** A link has no mode of its own; in a sticky directory nobody moves what belongs to others. */
function isKeptFromOthers(status: Stats): boolean {
  const ours = status.uid === 0 || status.uid === process.geteuid?.();
  const fixed = status.isSymbolicLink() || (status.mode & 0o1000) !== 0;
  return (ours && fixed) || whyNotOurs(status) === null;
}

/**
 * Ends every process of a kept drill and removes its directory.
 * @returns how many processes it had
 * @throws Error where one survives SIGKILL
 */
export function endKept({ directory }: KeptDrill): number {
  const script = join(directory, 'salt-api');
  const { length } = stagedProcesses(script);
  endStaged(script);
  rmSync(directory, { recursive: true, force: true });
  return length;
}
