/** Single rows of `/proc/net/tcp` and `tcp6`, for what is not about the examined port alone. */
import { TCP_STATES, type TcpState } from './evidence.ts';
import { parseAddress } from './tcp-table.ts';

export interface TcpEnd {
  /** Presentation form; IPv4-mapped addresses are shown as IPv4. */
  readonly address: string;
  readonly port: number;
}

export interface TcpRow {
  readonly local: TcpEnd;
  readonly peer: TcpEnd;
  readonly state: TcpState;
  /** Bytes sent that the other side has not acknowledged: `tx_queue`. */
  readonly unsent: number;
  /** Bytes that came and were not read; of a listener its accept queue: `rx_queue`. */
  readonly unread: number;
  /** 0 where no process has it (salt-facts §7). */
  readonly inode: number;
}

const ROW =
  /^ *\d+: ([0-9A-F]+):([0-9A-F]{4}) ([0-9A-F]+):([0-9A-F]{4}) ([0-9A-F]{2}) ([0-9A-F]{8}):([0-9A-F]{8}) \S+ \S+ +\d+ +\d+ (\d+)/;

/** Reads the rows of one table; what is none is passed over. @param text lines of it, in any order */
export function parseTcpRows(text: string, family: 'ipv4' | 'ipv6'): TcpRow[] {
  return text.split('\n').flatMap((line) => parseRow(line, family) ?? []);
}

function parseRow(line: string, family: 'ipv4' | 'ipv6'): TcpRow | null {
  const columns = ROW.exec(line);
  if (columns === null) return null;
  const [, here = '', herePort = '', there = '', therePort = '', stateHex = ''] = columns;
  const [, , , , , , unsent = '', unread = '', inode = ''] = columns;
  const local = parseAddress(here, family);
  const peer = parseAddress(there, family);
  const state = TCP_STATES[hex(stateHex) - 1];
  if (local === null || peer === null || state === undefined) return null;
  return {
    local: { address: local, port: hex(herePort) },
    peer: { address: peer, port: hex(therePort) },
    state,
    unsent: hex(unsent),
    unread: hex(unread),
    inode: Number(inode),
  };
}

/** `127.0.0.1:4506`, `[::1]:4506`. */
export function endInWords({ address, port }: TcpEnd): string {
  return address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`;
}

/** A port as the tables write it. */
export function portHex(port: number): string {
  return port.toString(16).toUpperCase().padStart(4, '0');
}

function hex(text: string): number {
  return Number.parseInt(text, 16);
}
