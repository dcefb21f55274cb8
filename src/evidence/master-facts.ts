/** The Salt master that salt-api hands its calls to, as far as this host shows it. */
import { posix } from 'node:path';
import type { Look, SaltConfigFacts } from './evidence.ts';
import { isDeadState, parseProcessStat } from './proc-text.ts';
import { DEFAULT_CONFIG_DIRECTORY, namesDirectory, readSaltMasterArgv } from './salt-api-argv.ts';
import type { TcpEnd, TcpRow } from './tcp-rows.ts';
import { isLoopback } from './tcp-table.ts';

/** Where a salt-api calls its master, by the config of both (salt/client, `pub`). */
export interface MasterAddress {
  /** `interface`; `0.0.0.0`, Salt's default, stands for this host. */
  readonly address: string;
  /** Where calls and returns go, 4506. */
  readonly retPort: number;
  /** Where the minions are told of jobs, 4505. */
  readonly publishPort: number;
  /** Where the master's processes have their sockets; rest_cherrypy looks there before a call. */
  readonly socketDirectory: string;
}

export interface MasterProcess {
  readonly pid: number;
  readonly ppid: number;
  readonly startTicks: number;
  /** One letter of `/proc/PID/stat` field 3. */
  readonly state: string;
  readonly threads: number;
  /** What it calls itself (`ReqServer MWorker-0`), empty without setproctitle. */
  readonly title: string;
}

/** One socket that listens on a port of the master's. */
interface MasterListener extends TcpEnd {
  /** Connections that nobody has accepted. */
  readonly acceptQueue: number;
}

/** What the connections to the port of the calls were like at one moment. */
interface MasterBacklog {
  readonly acceptQueue: number;
  /** Connections with bytes that the master has not read, and the bytes. */
  readonly unread: { readonly connections: number; readonly bytes: number };
  /** Connections of this host with bytes that it could not send. */
  readonly unsent: { readonly connections: number; readonly bytes: number };
}

export interface MasterFacts {
  readonly asked: MasterAddress;
  /** Whether the address is one of this host; null where that can't be told, or nobody had to know. */
  readonly isHere: boolean | null;
  /** Something that Salt's packages install for a master is there. */
  readonly installed: boolean;
  readonly processes: readonly MasterProcess[];
  /** Pids of those that hold the port of the calls; null where nobody had to know. */
  readonly holders: readonly number[] | null;
  readonly listeners: readonly MasterListener[];
  readonly backlog: MasterBacklog;
  /** Connections that lay unread, or not accepted, at a first look and at one so much later still. */
  readonly stuck: { readonly connections: number; readonly afterMs: number } | null;
  /** Sockets in the directory by their names, and those of them that are listened on; null where there is no such directory. */
  readonly ipc: { readonly files: readonly string[]; readonly listening: readonly string[] } | null;
}

/** salt/config `DEFAULT_MASTER_OPTS`. */
const DEFAULTS: MasterAddress = {
  address: '0.0.0.0',
  retPort: 4506,
  publishPort: 4505,
  socketDirectory: '/var/run/salt/master',
};

/** What a package of the master puts on a host: its program, its unit (salt-facts §1.4, §2). */
export const MASTER_PACKAGE = [
  '/usr/bin/salt-master',
  '/opt/saltstack/salt/salt-master',
  '/usr/lib/systemd/system/salt-master.service',
  '/lib/systemd/system/salt-master.service',
  '/etc/systemd/system/salt-master.service',
  '/etc/init.d/salt-master',
] as const;

/** Sockets of which one must be there for rest_cherrypy to take a call, by transport (salt/netapi, `_is_master_running`). */
export const IPC_FILES = ['workers.ipc', 'publish_pull.ipc'] as const;

/** Where a config says that the master is; what is no such value is passed over, as is what is unset. */
export function masterAddress(config: Look<SaltConfigFacts>): MasterAddress {
  const options = (config.seen ? config.value.options : undefined) ?? {};
  const text = (value: unknown) => (typeof value === 'string' && value !== '' ? value : null);
  const port = (value: unknown, unset: number) => {
    return typeof value === 'number' && isPort(value) ? value : unset;
  };
  const root = posix.join(text(options.root_dir) ?? '/', '/');
  const directory = text(options.sock_dir) ?? DEFAULTS.socketDirectory;
  return {
    address: text(options.interface) ?? DEFAULTS.address,
    retPort: port(options.ret_port, DEFAULTS.retPort),
    publishPort: port(options.publish_port, DEFAULTS.publishPort),
    // salt/config, `prepend_root_dir`.
    socketDirectory: directory.startsWith(root)
      ? posix.normalize(directory)
      : posix.join(root, directory),
  };
}

function isPort(value: number): boolean {
  return Number.isInteger(value) && value >= 1 && value <= 65_535;
}

/** True for an address that is every host's own. */
export function isAnyHost(address: string): boolean {
  return ['0.0.0.0', '::', 'localhost'].includes(address) || isLoopback(address);
}

/**
 * A process of the master, or null where it is another's, or has gone.
 * @param configDirectory of the salt-api, which is its master's, too
 */
export function masterProcess(
  argv: readonly string[],
  statLine: string,
  configDirectory: string,
): MasterProcess | null {
  const read = readSaltMasterArgv(argv);
  const stat = parseProcessStat(statLine);
  if (read === null || stat === null || isDeadState(stat.state)) return null;
  if (!namesDirectory(read.configDirectory ?? DEFAULT_CONFIG_DIRECTORY, configDirectory))
    return null;
  const { pid, ppid, startTicks, state, threads } = stat;
  return { pid, ppid, startTicks, state, threads, title: read.title };
}

/** What of the rows is the master's: who listens, and how the connections to it stand. */
export function masterSockets(
  rows: readonly TcpRow[],
  { address, retPort, publishPort }: MasterAddress,
) {
  const listeners = rows
    .filter(({ state, local }) => state === 'LISTEN' && [retPort, publishPort].includes(local.port))
    .filter(({ local }) => isAnyHost(address) || serves(local.address, address))
    .map(({ local, unread }) => ({ ...local, acceptQueue: unread }));
  const calls = rows.filter(({ state }) => state === 'ESTABLISHED' || state === 'CLOSE_WAIT');
  // A minion that calls from this host has both ends here, too.
  const unread = calls.filter((row) => row.local.port === retPort && row.unread > 0);
  const unsent = calls.filter((row) => row.peer.port === retPort && row.unsent > 0);
  const waiting = calls.filter(({ local, inode }) => local.port === retPort && inode === 0);
  return {
    listeners,
    backlog: {
      acceptQueue: sum(
        listeners.filter(({ port }) => port === retPort),
        ({ acceptQueue }) => acceptQueue,
      ),
      unread: { connections: unread.length, bytes: sum(unread, (row) => row.unread) },
      unsent: { connections: unsent.length, bytes: sum(unsent, (row) => row.unsent) },
    },
    /** Each connection that lies unread or not accepted, to be known again. */
    lying: new Set([...unread, ...waiting].map(lyingKey)),
  };
}

/** Inodes of the sockets that listen on the port of the calls. */
export function retInodes(
  rows: readonly TcpRow[],
  { retPort }: MasterAddress,
): ReadonlySet<number> {
  const listening = rows.filter(({ state, local }) => state === 'LISTEN' && local.port === retPort);
  return new Set(listening.map(({ inode }) => inode));
}

function serves(bound: string, address: string): boolean {
  return bound === address || bound === '0.0.0.0' || bound === '::';
}

/** With what lies there: where that changes, somebody reads. */
function lyingKey({ local, peer, unread }: TcpRow): string {
  return `${local.address} ${local.port} ${peer.address} ${peer.port} ${unread}`;
}

function sum<T>(all: readonly T[], numberOf: (one: T) => number): number {
  return all.reduce((total, one) => total + numberOf(one), 0);
}

/** Paths of unix sockets that somebody listens on. @param table lines of `/proc/net/unix` */
export function listeningPaths(table: string): string[] {
  return table.split('\n').flatMap((line) => {
    // Num: RefCount Protocol Flags Type St Inode Path; __SO_ACCEPTCON is 0x10000.
    const [, flags = '', path] =
      /^\S+ \S+ \S+ ([0-9A-Fa-f]{8}) \S+ \S+ +\d+ (\/.*)$/.exec(line) ?? [];
    return path !== undefined && (Number.parseInt(flags, 16) & 0x1_0000) !== 0 ? [path] : [];
  });
}

/** IPv4 addresses of this host. @param fibTrie `/proc/net/fib_trie` */
export function localAddresses(fibTrie: string): ReadonlySet<string> {
  const addresses = new Set<string>();
  let last = '';
  for (const line of fibTrie.split('\n')) {
    last = /\|-- (\d+\.\d+\.\d+\.\d+)/.exec(line)?.[1] ?? last;
    if (line.includes('/32 host LOCAL')) addresses.add(last);
  }
  return addresses;
}
