import { closeSync, openSync, readSync } from 'node:fs';
import { blind, type Look, type SocketFacts } from '../../evidence/evidence.ts';
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
        return { facts: blind('malformed', `${path} is not a socket table`), ...none };
      }
    } catch (error) {
      if (family === 'ipv6' && errorCode(error) === 'ENOENT') continue;
      const cause = isDenied(error) ? 'permission' : 'missing';
      return { facts: blind(cause, `${path}: ${errorCode(error)}`), ...none };
    }
  }
  const facts = reader.look();
  if (!facts.seen) return { facts, ...none };
  const listening = new Set(facts.value.listeners.map((listener) => listener.inode));
  const connected = new Set([...reader.inodes].filter((inode) => !listening.has(inode)));
  return { facts, listening, connected, otherListeners: reader.otherListeners };
}

/** Hands on whole lines; false where the header is not there. */
async function readTable(path: string, take: (text: string) => void): Promise<boolean> {
  const descriptor = openSync(path, 'r');
  const breather = new Breather();
  const buffer = Buffer.allocUnsafe(CHUNK_BYTES);
  let carried = 0;
  try {
    for (let first = true; ; first = false) {
      const { length, ended } = fill(descriptor, buffer, carried);
      const end = ended ? length : buffer.lastIndexOf(10, length - 1) + 1;
      if (end === 0 && !ended) return false;
      const text = buffer.toString('latin1', 0, end);
      if (first && !text.slice(0, 200).includes(HEADER)) return false;
      take(text);
      if (ended) return true;
      buffer.copyWithin(0, end, length);
      carried = length - end;
      if (breather.due) await breather.breathe();
    }
  } finally {
    closeSync(descriptor);
  }
}

/** The kernel returns a page at a time; the pieces are gathered before they are searched. */
function fill(descriptor: number, buffer: Buffer, carried: number) {
  let length = carried;
  while (length < CHUNK_BYTES - 8192) {
    const read = readSync(descriptor, buffer, length, buffer.length - length, null);
    if (read === 0) return { length, ended: true };
    length += read;
  }
  return { length, ended: false };
}
