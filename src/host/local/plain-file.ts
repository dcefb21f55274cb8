/** Files that a person names: read only where they are plain ones, written only as new ones. */
import { constants, type Stats } from 'node:fs';
import { access, type FileHandle, lstat, open, rename, stat, unlink } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { errorCode, inTime } from './proc-files.ts';

/** What a path leads to is no plain file. */
export class NotPlain extends Error {
  /** With its article: `a FIFO`. */
  readonly kind: string;

  constructor(status: Kind) {
    const kind = kindOf(status);
    super(`it is ${kind}, not a file`);
    this.kind = kind;
  }
}

/**
 * Opens a plain file for reading; anything else is not even opened, which may block or act.
 * @throws NotPlain, or the error of stat(2) or open(2)
 */
export async function openPlain(path: string): Promise<{ file: FileHandle; status: Stats }> {
  const there = await stat(path);
  if (!there.isFile()) throw new NotPlain(there);
  // A FIFO that came here since must not hold us (open(2)).
  const file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOCTTY);
  try {
    const status = await file.stat();
    if (!status.isFile()) throw new NotPlain(status);
    return { file, status };
  } catch (error) {
    await file.close();
    throw error;
  }
}

/** The first bytes of a plain file. @throws as {@link openPlain} */
async function readHead(path: string, most: number): Promise<Buffer> {
  const { file } = await openPlain(path);
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(most), 0, most, 0);
    return buffer.subarray(0, bytesRead);
  } finally {
    await file.close();
  }
}

/**
 * The first bytes of a plain file that may lie anywhere, such as a script on a dead mount, as
 * Latin-1; null where they can't be read in time.
 */
export function tryReadHead(path: string, most: number): Promise<string | null> {
  return inTime(
    readHead(path, most).then(
      (head) => head.toString('latin1'),
      () => null,
    ),
  );
}

/**
 * Reads a plain file.
 * @param most bytes that it may have
 * @throws Error that completes "can't read FILE: …"
 */
export async function readPlainFile(path: string, most: number): Promise<Buffer> {
  const { file, status } = await openPlain(path);
  try {
    // One byte more than there may be: it may grow while it is read, and /proc says 0 of all.
    const buffer = Buffer.alloc(Math.min(most, Math.max(status.size, 65_536)) + 1);
    let length = 0;
    while (length < buffer.length) {
      const { bytesRead } = await file.read(buffer, length, buffer.length - length, null);
      if (bytesRead === 0) return buffer.subarray(0, length);
      length += bytesRead;
    }
    throw new Error(length > most ? tooLarge(most) : 'it grew while it was read');
  } finally {
    await file.close();
  }
}

/** What {@link readPlainFile} says of a file that is larger. */
export function tooLarge(most: number): string {
  return `it is larger than ${Math.floor(most / 1024 / 1024)} MiB`;
}

/**
 * Writes a file, whole or not at all. It is always a new one, put in its place by
 * rename(2): nothing that others have put there, a link or a file that they hold open, is written
 * to. What is there and is no plain file stays.
 * @param mode whatever the umask
 * @throws Error that completes "can't write FILE: …"
 */
export async function writePlainFile(path: string, text: string, mode = 0o600): Promise<void> {
  await requirePlainTarget(path);
  const { randomBytes } = await import('node:crypto');
  const draft = join(
    dirname(path),
    `.${basename(path).slice(0, 200)}.${randomBytes(8).toString('hex')}`,
  );
  const { O_WRONLY, O_CREAT, O_EXCL, O_NOFOLLOW } = constants;
  const file = await open(draft, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0o600);
  try {
    await file.writeFile(text);
    await file.chmod(mode);
    await file.sync();
    await rename(draft, path);
  } catch (error) {
    await unlink(draft).catch(() => undefined);
    throw error;
  } finally {
    await file.close();
  }
}

/**
 * Whether {@link writePlainFile} could write there, as things stand.
 * @throws Error that completes "can't write FILE: …"
 */
export async function requirePlainTarget(path: string): Promise<void> {
  const there = await lstat(path).catch((error: unknown) => {
    if (errorCode(error) === 'ENOENT') return null;
    throw error;
  });
  if (there !== null && !there.isFile()) {
    throw new Error(`${kindOf(there)} is there, which is not replaced`);
  }
  await access(dirname(path), constants.W_OK);
}

interface Kind {
  isDirectory(): boolean;
  isFIFO(): boolean;
  isSocket(): boolean;
  isSymbolicLink(): boolean;
}

function kindOf(status: Kind): string {
  if (status.isDirectory()) return 'a directory';
  if (status.isFIFO()) return 'a FIFO';
  if (status.isSocket()) return 'a socket';
  return status.isSymbolicLink() ? 'a symbolic link' : 'a device';
}
