import { setTimeout as delay } from 'node:timers/promises';
import { blind, LEFT_OUT, seen } from '../../evidence/evidence.ts';
import {
  IPC_FILES,
  isAnyHost,
  listeningPaths,
  localAddresses,
  MASTER_PACKAGE,
  type MasterAddress,
  type MasterFacts,
  type MasterProcess,
  masterAddress,
  masterProcess,
  masterSockets,
  retInodes,
} from '../../evidence/master-facts.ts';
import { parseSocketLink } from '../../evidence/proc-text.ts';
import { isDrillDirectory } from '../../evidence/salt-api-argv.ts';
import { parseTcpRows, portHex, type TcpRow } from '../../evidence/tcp-rows.ts';
import type { RawHost } from '../raw-host.ts';
import type { BackgroundReader } from './background-reader.ts';

/**
 * How much later what lies in the queues is looked for once more, ms. A master that is well takes it
 * within a few: its ZeroMQ thread does nothing else.
 */
const STUCK_MS = 500;
const TABLES = ['/proc/net/tcp', '/proc/net/tcp6'];
/** A row of a listener, behind its port: anybody's address and port, and the state. */
const LISTENS = [' 00000000:0000 0A ', ` ${'0'.repeat(32)}:0000 0A `];

/** Reads the facts of `master`: in one pass, and in a second only where something lies there. */
export const readMaster: BackgroundReader<'master'> = async ({ raw, evidence }) => {
  const { instance, config } = evidence;
  if (isDrillDirectory(instance.configDirectory)) return LEFT_OUT;
  if (!config.seen) return blind(config.cause, `where it is, is not known: ${config.why}`);
  const asked = masterAddress(config);
  const [found, rows, files] = await Promise.all([
    raw.findMasters(),
    readRows(raw, asked),
    readFiles(raw, asked),
  ]);
  if (rows === null) return blind('missing', 'the socket tables can not be read');
  const named = [...found.values()].flatMap(({ argv, stat }) => {
    return masterProcess(argv, stat, instance.configDirectory) ?? [];
  });
  const { listeners, backlog, lying } = masterSockets(rows, asked);
  const listens = listeners.some(({ port }) => port === asked.retPort);
  const suspect = !listens || named.some(({ state }) => state === 'T');
  const { processes, holders } = suspect
    ? await readHolders(raw, named, retInodes(rows, asked))
    : { processes: named, holders: null };
  const facts: MasterFacts = {
    asked,
    isHere: listens ? true : await isOfThisHost(raw, asked),
    processes: processes.toSorted((a, b) => a.startTicks - b.startTicks || a.pid - b.pid),
    holders,
    listeners,
    backlog,
    stuck: lying.size === 0 ? null : await readStuck(raw, asked, lying),
    ...files,
  };
  return seen(facts);
};

/** Who listens on both ports, and all connections of that of the calls; null where nothing can be read. */
async function readRows(raw: RawHost, asked: MasterAddress): Promise<TcpRow[] | null> {
  const words = [
    `:${portHex(asked.retPort)} `,
    ...LISTENS.map((behind) => `:${portHex(asked.publishPort)}${behind}`),
  ];
  const tables = await raw.readRows(TABLES, ['local_address', ...words]);
  if (tables.size === 0) return null;
  return [...tables].flatMap(([path, text]) => {
    return parseTcpRows(text, path.endsWith('6') ? 'ipv6' : 'ipv4');
  });
}

async function readFiles(
  raw: RawHost,
  { socketDirectory }: MasterAddress,
): Promise<Pick<MasterFacts, 'installed' | 'ipc'>> {
  const names = [...IPC_FILES, 'master_event_pub.ipc', 'master_event_pull.ipc'];
  const [files, tables] = await Promise.all([
    raw.stat([
      ...MASTER_PACKAGE,
      socketDirectory,
      ...names.map((name) => `${socketDirectory}/${name}`),
    ]),
    raw.readRows(['/proc/net/unix'], [`${socketDirectory}/`]),
  ]);
  const installed = MASTER_PACKAGE.some((path) => files.has(path));
  if (files.get(socketDirectory)?.kind !== 'directory') return { installed, ipc: null };
  const paths = new Set(listeningPaths([...tables.values()].join('\n')));
  const ipc = {
    files: names.filter((name) => files.has(`${socketDirectory}/${name}`)),
    listening: names.filter((name) => paths.has(`${socketDirectory}/${name}`)),
  };
  return { installed, ipc };
}

/** Those of our network, and of these who holds the port. */
async function readHolders(
  raw: RawHost,
  found: readonly MasterProcess[],
  inodes: ReadonlySet<number>,
): Promise<Pick<MasterFacts, 'processes' | 'holders'>> {
  if (found.length === 0) return { processes: found, holders: null };
  const links = await raw.readLinks([
    '/proc/self/ns/net',
    ...found.flatMap(({ pid }) => [`/proc/${pid}/ns/net`, `/proc/${pid}/fd/*`]),
  ]);
  const ours = links.get('/proc/self/ns/net');
  const processes = found.filter(({ pid }) => {
    const theirs = links.get(`/proc/${pid}/ns/net`);
    return ours === undefined || theirs === undefined || theirs === ours;
  });
  const holding = new Set<string>();
  for (const [path, target] of links) {
    if (inodes.has(parseSocketLink(target) ?? -1)) holding.add(path.split('/')[2] ?? '');
  }
  const holders = processes.map(({ pid }) => pid).filter((pid) => holding.has(String(pid)));
  return { processes, holders };
}

async function isOfThisHost(raw: RawHost, { address }: MasterAddress): Promise<boolean | null> {
  if (isAnyHost(address)) return true;
  if (!/^[\d.]+$/.test(address)) return null;
  const trie = (await raw.readTexts(['/proc/net/fib_trie'])).get('/proc/net/fib_trie');
  return trie === undefined ? null : localAddresses(trie).has(address);
}

async function readStuck(
  raw: RawHost,
  asked: MasterAddress,
  before: ReadonlySet<string>,
): Promise<MasterFacts['stuck']> {
  const began = performance.now();
  await delay(STUCK_MS);
  const rows = await readRows(raw, asked);
  if (rows === null) return null;
  const { lying } = masterSockets(rows, asked);
  const connections = [...lying].filter((one) => before.has(one)).length;
  return { connections, afterMs: Math.round(performance.now() - began) };
}
