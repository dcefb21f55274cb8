/** Where incidents are kept, and whether that place can be trusted. */
import { constants, type Stats } from 'node:fs';
import { type FileHandle, lstat, mkdir, open, rm } from 'node:fs/promises';
import { homedir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { errorCode, tryReadLink } from '../host/local/proc-files.ts';

/** Directory of an incident: `20181124T093310Z-443-3f9a1c`, UTC, port, six random hex digits. */
export const INCIDENT_ID = /^\d{8}T\d{6}Z-\d{1,5}-[0-9a-f]{6}$/;
/** What was found before the first action, and after the last. */
export const EVIDENCE_BEFORE = 'evidence-before.json';
export const EVIDENCE_AFTER = 'evidence-after.json';
/** The file that every incident has. */
export const JOURNAL = 'journal.jsonl';
/** Bound on what is read of it, bytes. */
export const MAX_JOURNAL = 4 * 1024 * 1024;
/** Where root keeps incidents unless told otherwise. */
export const ROOTS_STATE_DIRECTORY = '/var/log/salt-triage';

/**
 * The state directories in order of preference: the one that was asked for and no other, else
 * root's, else the user's own (XDG Base Directory Specification).
 */
export function stateDirectories(asked: string | undefined): string[] {
  if (asked !== undefined) return [asked];
  const state = process.env['XDG_STATE_HOME'] || join(homedir(), '.local/state');
  const own = join(state, 'salt-triage');
  return process.geteuid?.() === 0 ? [ROOTS_STATE_DIRECTORY, own] : [own];
}

/**
 * A directory that is held open. Whoever may write to a directory above it can rename it and put
 * something else in its place; paths through the descriptor (proc_pid_fd(5)) lead on to what was
 * opened and checked.
 */
export class HeldDirectory {
  readonly #handle: FileHandle;
  readonly #asked: string;
  /** Where it was when it was opened. */
  readonly #found: string | null;

  private constructor(handle: FileHandle, asked: string) {
    this.#handle = handle;
    this.#asked = asked;
    this.#found = tryReadLink(this.path);
  }

  /**
   * Opens a directory, of which the last part may be no link.
   * @param shown what it is called to the user
   * @throws Error with the reason why it can't be used
   */
  static async open(path: string, shown = path): Promise<HeldDirectory> {
    const { O_RDONLY, O_DIRECTORY, O_NOFOLLOW } = constants;
    try {
      return new HeldDirectory(await open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW), shown);
    } catch (error) {
      // Linux says ENOTDIR or ELOOP for a link (open(2)).
      if (!['ELOOP', 'ENOTDIR'].includes(errorCode(error))) throw error;
      const link = (await lstat(path)).isSymbolicLink();
      throw new Error(link ? 'it is a symbolic link' : 'it is not a directory', { cause: error });
    }
  }

  /** A path to it that no rename leads astray. */
  get path(): string {
    return `/proc/self/fd/${this.#handle.fd}`;
  }

  /** What it is called now: as asked for, unless somebody has renamed it since. */
  get name(): string {
    const now = tryReadLink(this.path);
    return now === null || now === this.#found ? this.#asked : now;
  }

  /** Makes a directory in it, 0700, where that is missing. */
  async make(name: string): Promise<HeldDirectory> {
    const path = join(this.path, name);
    await makePrivateDirectory(path, false);
    return HeldDirectory.open(path, join(this.#asked, name));
  }

  /** Makes a new file in it, 0600, in place of one that has the name. */
  async create(name: string): Promise<FileHandle> {
    const { O_WRONLY, O_APPEND, O_CREAT, O_EXCL, O_NOFOLLOW } = constants;
    const path = join(this.path, name);
    await rm(path, { force: true });
    return open(path, O_WRONLY | O_APPEND | O_CREAT | O_EXCL | O_NOFOLLOW, 0o600);
  }

  status(): Promise<Stats> {
    return this.#handle.stat();
  }

  close(): Promise<void> {
    return this.#handle.close();
  }
}

/**
 * Makes a directory of our own, 0700, or checks the one that is there: as root we write into it and
 * remove from it, so nobody else may have a hand in it.
 * @param parents whether those above it are made as well
 * @throws Error with the reason why it can't be used
 */
export async function openPrivateDirectory(path: string, parents = true): Promise<HeldDirectory> {
  await makePrivateDirectory(resolve(path), parents);
  const held = await HeldDirectory.open(path);
  const fault = whyNotOurs(await held.status());
  if (fault === null) return held;
  await held.close();
  throw new Error(fault);
}

/** Why others than root and we have a hand in a file or directory; null where they have none. */
export function whyNotOurs(status: Stats): string | null {
  if (status.uid !== 0 && status.uid !== process.geteuid?.()) {
    return `it belongs to uid ${status.uid}`;
  }
  const ours = status.gid === 0 || status.gid === process.getegid?.();
  return (status.mode & (ours ? 0o002 : 0o022)) !== 0 ? 'others may write to it' : null;
}

/**
 * Makes a directory, 0700, and those above it, where they are missing. By hand, since `recursive`
 * of Node's mkdir tries for ever where the kernel keeps saying ENOENT, as under /proc.
 * @throws the error of mkdir(2)
 */
async function makePrivateDirectory(path: string, parents = true): Promise<void> {
  try {
    await mkdir(path, { mode: 0o700 });
  } catch (error) {
    if (errorCode(error) === 'EEXIST') return;
    if (errorCode(error) !== 'ENOENT' || !parents || dirname(path) === path) throw error;
    await makePrivateDirectory(dirname(path));
    await makePrivateDirectory(path, false);
  }
}
