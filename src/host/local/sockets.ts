import { closeSync, openSync, readSync } from 'node:fs';
import { blind, type Look, type SocketFacts, seen } from '../../evidence/evidence.ts';
import { TcpTableReader } from '../../evidence/tcp-table.ts';
import { Breather, errorCode, isDenied } from './proc-files.ts';

/** What the tables say of the port, and the inodes to look for in fd tables. */
export interface PortSockets {
  readonly facts: Look<SocketFacts>;
  readonly listening: ReadonlySet<number>;
  readonly connected: ReadonlySet<number>;
  /** Inode → port of the sockets that listen on other ports. */
  readonly otherListeners: ReadonlyMap<number, number>;
}

const CHUNK_BYTES = 256 * 1024;
const HEADER = 'local_address';

/**
 * Reads `/proc/net/tcp` and `/proc/net/tcp6` once, in pieces.
 * A missing tcp6 means that IPv6 is switched off; a missing tcp means that nothing is known.
 *
 * @param port the local port whose sockets count
 * @param proc `/proc`, or a tree of its shape
 */
export async function readPortSockets(port: number, proc = '/proc'): Promise<PortSockets> {
  const reader = new TcpTableReader(port);
  const none = {
    listening: new Set<number>(),
    connected: new Set<number>(),
    otherListeners: new Map<number, number>(),
  };
  for (const [file, family] of [
    ['tcp', 'ipv4'],
    ['tcp6', 'ipv6'],
  ] as const) {
    const path = `${proc}/net/${file}`;
    try {
      const sound = await readTable(path, (text) => reader.take(text, family));
      if (!sound) {
        return { facts: blind('malformed', `${path} is no socket table`), ...none };
      }
    } catch (error) {
      if (family === 'ipv6' && errorCode(error) === 'ENOENT') continue;
      const cause = isDenied(error) ? 'permission' : 'missing';
      return { facts: blind(cause, `${path}: ${errorCode(error)}`), ...none };
    }
  }
  if (reader.malformedRows > 0) {
    const why = `${reader.malformedRows} rows of ${proc}/net/tcp can't be read`;
    return { facts: blind('malformed', why), ...none };
  }
  const facts = reader.facts();
  const listening = new Set(facts.listeners.map((listener) => listener.inode));
  const connected = new Set([...reader.inodes].filter((inode) => !listening.has(inode)));
  return { facts: seen(facts), listening, connected, otherListeners: reader.otherListeners };
}

/** Hands on whole lines; false where the header is not there. */
async function readTable(path: string, take: (text: string) => void): Promise<boolean> {
  const descriptor = openSync(path, 'r');
  const breather = new Breather();
  const buffer = Buffer.allocUnsafe(CHUNK_BYTES);
  let carried = 0;
  let checked = false;
  try {
    for (;;) {
      const read = readSync(descriptor, buffer, carried, buffer.length - carried, null);
      const length = carried + read;
      const end = read === 0 ? length : buffer.lastIndexOf(10, length - 1) + 1;
      // The kernel returns a page at a time; the pieces are gathered before they are searched.
      if (read > 0 && length < CHUNK_BYTES - 8192) {
        carried = length;
        continue;
      }
      if (end === 0 && read > 0) return false;
      const text = buffer.toString('latin1', 0, end);
      if (!checked && !text.slice(0, 200).includes(HEADER)) return false;
      checked = true;
      take(text);
      if (read === 0) return true;
      buffer.copyWithin(0, end, length);
      carried = length - end;
      if (breather.due) await breather.breathe();
    }
  } finally {
    closeSync(descriptor);
  }
}
