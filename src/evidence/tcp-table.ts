import {
  blind,
  type Listener,
  type Look,
  type PeerSockets,
  type SocketFacts,
  seen,
  TCP_STATES,
  type TcpState,
} from './evidence.ts';

/** The `st` column of a socket that listens. */
const LISTENS = ' 0A ';
/** Both addresses, state, queues, uid and inode of a row. */
const COLUMNS = /^ *\S+ +(\S+) +(\S+) +(\S+) +(\S+) +\S+ +\S+ +(\S+) +\S+ +(\S+)/;
/** Peer addresses kept one by one; the rest is summed by state. */
const MAX_PEERS = 2_000;

/**
 * Gathers one port's sockets out of `/proc/net/tcp` and `/proc/net/tcp6`, fed in pieces of any
 * size so that a table of tens of thousands of rows is never held as a whole.
 *
 * A row is taken by its local port, not by its owner: a socket that was never accepted has
 * inode 0 and no owner (salt-facts §7). Columns are found by splitting at blanks, because the
 * first one (`sl`) widens past 9,999 rows (net/ipv4/tcp_ipv4.c, `%4d:`).
 */
export class TcpTableReader {
  readonly #portHex: string;
  readonly #listeners: Listener[] = [];
  readonly #peers = new Map<string, { -readonly [K in keyof PeerSockets]: PeerSockets[K] }>();
  readonly #overflow = new Map<string, { -readonly [K in keyof PeerSockets]: PeerSockets[K] }>();
  readonly #inodes = new Set<number>();
  /** Both addresses of those sockets that have no inode to be known by. */
  readonly #unowned = new Set<string>();
  readonly #addresses = new Map<string, string>();
  readonly #otherListeners = new Map<number, number>();
  #ipv6 = false;
  #malformed = 0;

  constructor(port: number) {
    this.#portHex = port.toString(16).toUpperCase().padStart(4, '0');
  }

  /** Inodes of every socket on the port: the fds to look for in `/proc/PID/fd`. */
  get inodes(): ReadonlySet<number> {
    return this.#inodes;
  }

  /** Inode → port of every socket that listens on another port: what a salt-api serves instead. */
  get otherListeners(): ReadonlyMap<number, number> {
    return this.#otherListeners;
  }

  /** What has been gathered; malformed where a row was none: such a table must not be trusted. */
  look(): Look<SocketFacts> {
    if (this.#malformed === 0) return seen(this.facts());
    return blind('malformed', `${this.#malformed} rows of /proc/net/tcp can't be read`);
  }

  /**
   * Takes whole lines of one table.
   * @param text lines, the header allowed anywhere
   * @param family which table they are from
   */
  take(text: string, family: 'ipv4' | 'ipv6'): void {
    if (family === 'ipv6') this.#ipv6 = true;
    const needle = `:${this.#portHex} `;
    // The local port's first occurrence decides; looking for it first spares splitting the rest.
    for (let at = text.indexOf(needle); at !== -1; at = text.indexOf(needle, at)) {
      const start = text.lastIndexOf('\n', at) + 1;
      let end = text.indexOf('\n', at);
      if (end === -1) end = text.length;
      this.#row(text.slice(start, end), family);
      at = end;
    }
    for (let at = text.indexOf(LISTENS); at !== -1; at = text.indexOf(LISTENS, at + 1)) {
      const start = text.lastIndexOf('\n', at) + 1;
      const end = text.indexOf('\n', at);
      this.#otherListener(text.slice(start, end === -1 ? text.length : end));
    }
  }

  /** One that can't be read says nothing of our port, so it is passed over. */
  #otherListener(line: string): void {
    const [, local = '', , state, , , , , , inode = ''] = line.trim().split(/ +/);
    const port = Number.parseInt(local.slice(local.indexOf(':') + 1), 16);
    if (state !== '0A' || local.endsWith(`:${this.#portHex}`) || !(port > 0)) return;
    if (/^[1-9]\d*$/.test(inode)) this.#otherListeners.set(Number(inode), port);
  }

  /**
   * Takes the sockets of one state and peer that were counted where the table is.
   * @param row state and peer address as the table has them, in hex
   */
  takeCounted(
    row: { readonly family: 'ipv4' | 'ipv6'; readonly state: string; readonly peer: string },
    counts: Pick<PeerSockets, 'accepted' | 'unaccepted' | 'unreadBytes'>,
  ): void {
    const state = TCP_STATES[Number.parseInt(row.state, 16) - 1];
    const address = parseAddress(row.peer, row.family);
    const sound = Object.values(counts).every((count) => Number.isSafeInteger(count) && count >= 0);
    if (state === undefined || address === null || !sound) this.#malformed += 1;
    else this.#count(address, state, counts);
  }

  /** What has been gathered so far. */
  facts(): SocketFacts {
    const peers = [...this.#peers.values()].sort(byWeight);
    return {
      listeners: [...this.#listeners].sort((a, b) => a.inode - b.inode),
      peers,
      overflow: [...this.#overflow.values()].sort(byWeight),
      ipv6: this.#ipv6,
    };
  }

  #row(line: string, family: 'ipv4' | 'ipv6'): void {
    const columns = COLUMNS.exec(line) ?? line.trim().split(/ +/, 2);
    const [, local = '', remote = '', stateHex = '', queues = '', uidText = '', inodeText = ''] =
      columns;
    if (!local.endsWith(`:${this.#portHex}`)) return;
    const state = TCP_STATES[Number.parseInt(stateHex, 16) - 1];
    const receive = Number.parseInt(queues.slice(queues.indexOf(':') + 1), 16);
    const inode = Number(inodeText);
    const uid = Number(uidText);
    const localAddress = this.#address(local.slice(0, -5), family);
    const peerAddress = this.#address(remote.slice(0, remote.indexOf(':')), family);
    if (
      state === undefined ||
      !Number.isInteger(receive) ||
      !/^\d+$/.test(inodeText) ||
      !Number.isInteger(uid) ||
      localAddress === null ||
      peerAddress === null
    ) {
      this.#malformed += 1;
      return;
    }
    // The kernel finds its place again by counting rows, so rows that go away meanwhile make it
    // show others twice (net/ipv4/tcp_ipv4.c, tcp_seek_last_pos).
    const shown =
      inode === 0 ? isKnown(this.#unowned, local + remote) : isKnown(this.#inodes, inode);
    if (shown) return;
    if (state === 'LISTEN') {
      this.#listeners.push({ family, address: localAddress, inode, uid, acceptQueue: receive });
      return;
    }
    this.#count(peerAddress, state, {
      accepted: inode === 0 ? 0 : 1,
      unaccepted: inode === 0 ? 1 : 0,
      unreadBytes: receive,
    });
  }

  /** The same few addresses stand in thousands of rows. */
  #address(hex: string, family: 'ipv4' | 'ipv6'): string | null {
    const known = this.#addresses.get(hex);
    if (known !== undefined) return known;
    const address = parseAddress(hex, family);
    if (address !== null && this.#addresses.size < MAX_PEERS) this.#addresses.set(hex, address);
    return address;
  }

  #count(
    address: string,
    state: TcpState,
    counts: Pick<PeerSockets, 'accepted' | 'unaccepted' | 'unreadBytes'>,
  ): void {
    const key = `${state} ${address}`;
    const full = this.#peers.size >= MAX_PEERS && !this.#peers.has(key);
    const map = full ? this.#overflow : this.#peers;
    const mapKey = full ? state : key;
    const row = map.get(mapKey) ?? {
      address: full ? '' : address,
      state,
      accepted: 0,
      unaccepted: 0,
      unreadBytes: 0,
    };
    row.accepted += counts.accepted;
    row.unaccepted += counts.unaccepted;
    row.unreadBytes += counts.unreadBytes;
    map.set(mapKey, row);
  }
}

/** Rows that `/proc/net/tcp` and `tcp6` have, about, as `/proc/net/sockstat` and `sockstat6` count them. */
export function countOfSockets(sockstat: string): number {
  const counts = [...sockstat.matchAll(/^TCP6?: inuse (\d+)(?:.* tw (\d+))?/gm)];
  return counts.reduce((sum, [, inUse, waiting]) => sum + Number(inUse) + Number(waiting ?? 0), 0);
}

/** Whether a set has it already; from now on it has. */
function isKnown<T>(set: Set<T>, member: T): boolean {
  if (set.has(member)) return true;
  set.add(member);
  return false;
}

function byWeight(a: PeerSockets, b: PeerSockets): number {
  const weight = b.accepted + b.unaccepted - a.accepted - a.unaccepted;
  if (weight !== 0) return weight;
  return `${a.state} ${a.address}` < `${b.state} ${b.address}` ? -1 : 1;
}

/**
 * An address of the tables in presentation form. The kernel prints each 32-bit word in host
 * byte order, so on every little-endian machine the four bytes of a word stand reversed.
 *
 * @param hex 8 or 32 hex digits
 * @returns null for anything else
 */
export function parseAddress(hex: string, family: 'ipv4' | 'ipv6'): string | null {
  const digits = family === 'ipv4' ? 8 : 32;
  if (hex.length !== digits || !/^[0-9A-Fa-f]+$/.test(hex)) return null;
  const bytes: number[] = [];
  for (let word = 0; word < digits; word += 8) {
    for (let byte = 6; byte >= 0; byte -= 2) {
      bytes.push(Number.parseInt(hex.slice(word + byte, word + byte + 2), 16));
    }
  }
  if (family === 'ipv4') return bytes.join('.');
  const mapped = bytes.slice(0, 10).every((byte) => byte === 0) && bytes[10] === 255;
  if (mapped && bytes[11] === 255) return bytes.slice(12).join('.');
  return compressIpv6(bytes);
}

/** RFC 5952: lower case, the longest run of two or more zero groups as `::`. */
function compressIpv6(bytes: readonly number[]): string {
  const groups: string[] = [];
  for (let index = 0; index < 16; index += 2) {
    groups.push((((bytes[index] ?? 0) << 8) | (bytes[index + 1] ?? 0)).toString(16));
  }
  let best = { start: -1, length: 1 };
  for (let start = 0; start < 8; start += 1) {
    let length = 0;
    while (groups[start + length] === '0') length += 1;
    if (length > best.length) best = { start, length };
  }
  if (best.start === -1) return groups.join(':');
  const head = groups.slice(0, best.start).join(':');
  const tail = groups.slice(best.start + best.length).join(':');
  return `${head}::${tail}`;
}

/** True for 127.0.0.0/8 and ::1: a failed start of salt-api itself makes such peers. */
export function isLoopback(address: string): boolean {
  return address.startsWith('127.') || address === '::1';
}
