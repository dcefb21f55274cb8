/** Makes evidence of what the collector printed, by the rules that this host is read by. Pure. */
import { posix } from 'node:path';
import type { Background } from '../../evidence/background.ts';
import {
  blind,
  type Evidence,
  type HostFacts,
  type InstanceRequest,
  LEFT_OUT,
  type Look,
  type LookRequest,
  type Policy,
  type SaltConfigFacts,
  type Sections,
  type SocketFacts,
} from '../../evidence/evidence.ts';
import { withOtherPorts } from '../../evidence/instance-ports.ts';
import { parseBootTime, TICKS_PER_SECOND, utf8OfLatin1 } from '../../evidence/proc-text.ts';
import { chooseInstance, choosePlaces, runningSaltApis } from '../../evidence/resolve.ts';
import {
  choosePort,
  type SaltConfigFile,
  saltConfigFromFiles,
  withUserId,
} from '../../evidence/salt-config.ts';
import { TcpTableReader } from '../../evidence/tcp-table.ts';
import { stripControl } from '../../untrusted.ts';
import {
  type Frames,
  fields,
  firstWord,
  malformed,
  type Part,
  parseFrames,
  shown,
  timedOut,
} from './frames.ts';
import { apiLogFacts } from './log-frames.ts';
import { processTable } from './process-frames.ts';
import { serviceFacts } from './service-frames.ts';

/** What the script went by, which the caller compares with what the evidence says. */
export interface CollectorChoices {
  readonly port: number;
  readonly configDirectory: string;
  readonly log: string;
  readonly pidFiles: readonly string[];
}

/** All sections of an evidence but the answer. */
export interface Collected extends Omit<Sections, 'answer'> {
  /** Null where the script guessed right; else what it should be told. */
  readonly lookAgain: CollectorChoices | null;
}

/**
 * Makes evidence of the parts.
 * @param request what was asked for; the port, the log and the directory it leaves open are chosen
 *   here, by the same rules as on the host itself
 */
export async function readCollected(
  frames: Frames,
  request: InstanceRequest & Pick<LookRequest, 'leaveOut'>,
): Promise<Collected> {
  const facts = fields(frames.host.lines);
  const used = usedChoices(frames.used.lines);
  const host = hostFacts(facts);
  const processes = processTable(frames.processes, facts.get('self') ?? '', used);
  const table = processes.seen ? processes.value.processes : [];
  const running = runningSaltApis(table, host.uid);
  const argvs = (all: typeof running) => all.map(({ argv }) => argv);
  const holders =
    used.port === request.port ? table.filter(({ listens }) => listens.length > 0) : [];
  const instance = chooseInstance(request, {
    argvs: argvs(running),
    holding: argvs(runningSaltApis(holders, host.uid)),
    environment: utf8OfLatin1(facts.get('environment') ?? '') || undefined,
    defaultConfigured: facts.has('default-config'),
  });
  const { configDirectory } = instance;
  const config = await configFacts(frames, configDirectory, used.configDirectory);
  const port = choosePort(request.port, config);
  const places = choosePlaces(request, { instance, config, running });
  const { log, pidFiles } = places;
  const guessedRight =
    used.configDirectory === configDirectory &&
    used.port === port.number &&
    used.log === log.path &&
    pidFiles.every((path) => used.pidFiles.has(path));
  return {
    host,
    instance,
    config,
    port,
    sockets: withOtherPorts(socketFacts(frames.sockets, used.port), {
      config,
      examined: port.number,
      listening: otherListeners(frames.sockets),
    }),
    processes,
    service: await serviceFacts(frames, places, { unit: used.unit, uid: host.uid }),
    apiLog: request.leaveOut?.includes('apiLog')
      ? LEFT_OUT
      : apiLogFacts(frames.log, {
          source: { kind: 'file', ...log },
          unit: used.unit,
          windowFrom: used.since === null ? null : host.now - used.since * 1000,
          host,
        }),
    lookAgain: guessedRight
      ? null
      : { port: port.number, configDirectory, log: log.path, pidFiles },
  };
}

/**
 * The evidence in the output of `salt-triage probe`, run by hand.
 * @param output all of it, banners included
 * @throws TriageError as {@link parseFrames}
 */
export async function evidenceOfCollector(
  output: Buffer,
  request: InstanceRequest,
  policy: Policy,
): Promise<Evidence> {
  const frames = parseFrames(output, null);
  // What the script was told counts as told here, where nothing else is.
  const told = fields(frames.used.lines);
  const askedPort = Number(told.get('asked-port') ?? '');
  const { lookAgain, ...sections } = await readCollected(frames, {
    ...request,
    port: request.port ?? (askedPort > 0 && askedPort < 65_536 ? askedPort : undefined),
    configDirectory:
      request.configDirectory ?? (utf8OfLatin1(told.get('asked-config') ?? '') || undefined),
    log: request.log ?? (utf8OfLatin1(told.get('asked-log') ?? '') || undefined),
  });
  const answer = blind('not-asked', 'not asked: the probe script sends nothing to the port');
  const background = OF_PROBE;
  const evidence = { schemaVersion: 1, policy, answer, ...sections, background } as const;
  if (lookAgain === null) return evidence;
  // Nobody is there to ask again, and what was seen of another port is no evidence.
  const used = usedChoices(frames.used.lines);
  const again = (option: string, was: string, is: string) =>
    blind(
      'unsupported',
      stripControl(`seen of ${was}, but the config says ${is}: probe ${option}`),
    );
  const { port, log, configDirectory } = lookAgain;
  const ofPort = again(`--port ${port}`, `port ${used.port}`, `port ${port}`);
  const ofDirectory = again(`-c ${configDirectory}`, used.configDirectory, configDirectory);
  return {
    ...evidence,
    ...(used.port === port ? {} : { sockets: ofPort, processes: ofPort }),
    ...(used.log === log ? {} : { apiLog: again(`--log ${log}`, used.log, log) }),
    ...(used.configDirectory === configDirectory ? {} : { config: ofDirectory }),
  };
}

const UNPROBED = blind('unsupported', 'the probe script does not look at it: diagnose --host does');
const OF_PROBE: Background = {
  clients: UNPROBED,
  workers: UNPROBED,
  master: UNPROBED,
  versions: UNPROBED,
  settings: UNPROBED,
};

function usedChoices(lines: readonly string[]) {
  const found = fields(lines);
  const since = found.get('since') ?? '';
  return {
    port: Number(found.get('port')),
    configDirectory: utf8OfLatin1(found.get('config') ?? ''),
    log: utf8OfLatin1(found.get('log') ?? ''),
    pidFiles: new Set(
      lines
        .filter((line) => line.startsWith('pidfile '))
        .map((line) => utf8OfLatin1(line.slice('pidfile '.length))),
    ),
    since: /^\d{1,10}$/.test(since) ? Number(since) : null,
    unit: stripControl(found.get('unit') ?? ''),
  };
}

function hostFacts(facts: ReadonlyMap<string, string>): HostFacts {
  // Where date(1) has no %N, the end of the second: nothing that is logged yet lies in the future.
  const [, seconds, ms = '999'] =
    /^(\d{1,11})(?:\.(\d{3})\d{6}$)?/.exec(facts.get('now') ?? '') ?? [];
  const now = Number(seconds) * 1000 + Number(ms);
  const uid = Number(facts.get('uid'));
  const zone = /^([+-])(\d\d)(\d\d)$/.exec(facts.get('zone') ?? '');
  const boot = facts.get('boot') ?? '';
  const bootedAt = parseBootTime(`btime ${facts.get('btime') ?? ''}`);
  if (!(now > 0)) throw malformed('that host does not tell the time (date +%s)');
  if (!Number.isInteger(uid)) throw malformed('that host does not tell who we are there (id -u)');
  if (!/^[0-9a-f-]{1,64}$/.test(boot)) throw malformed('that host has no boot id');
  const minutes = Number(zone?.[2] ?? 0) * 60 + Number(zone?.[3] ?? 0);
  return {
    name: stripControl(utf8OfLatin1(facts.get('name') ?? '')).slice(0, 255),
    now,
    utcOffsetMinutes: zone?.[1] === '-' ? -minutes : minutes,
    bootId: boot,
    bootedAt: bootedAt ?? 0,
    ticksPerSecond: TICKS_PER_SECOND,
    uid,
  };
}

async function configFacts(
  frames: Frames,
  directory: string,
  usedDirectory: string,
): Promise<Look<SaltConfigFacts>> {
  if (frames.config.late) return timedOut('the Salt config');
  const files = directory === usedDirectory ? configFiles(frames.config.lines) : [];
  const used = fields(frames.used.lines);
  const mainFile = used.get('main');
  const look = await saltConfigFromFiles({
    directory,
    files,
    ...(mainFile === undefined || directory !== usedDirectory
      ? {}
      : { mainFile: utf8OfLatin1(mainFile) }),
  });
  const [user, id = ''] = [used.get('user'), used.get('user-id')];
  return withUserId(look, (name) => {
    return utf8OfLatin1(user ?? '') === name && /^\d{1,10}$/.test(id) ? Number(id) : null;
  });
}

/** A file may come twice, by two include statements: it is one file. */
function configFiles(lines: readonly string[]): SaltConfigFile[] {
  const files = new Map<string, SaltConfigFile>();
  let path = '';
  let text: string[] = [];
  const close = (file: SaltConfigFile | null) => {
    if (file !== null && !files.has(file.path)) files.set(file.path, file);
  };
  const closeText = () => {
    if (path !== '') close({ path, text: utf8OfLatin1(text.join('\n')) });
    path = '';
  };
  let failed = '';
  for (const line of lines) {
    const [word, rest] = firstWord(line);
    if (line.startsWith('  ')) text.push(line.slice(2));
    else if (word === 'file') {
      closeText();
      path = posix.normalize(utf8OfLatin1(rest));
      text = [];
    } else if (word === 'error') {
      closeText();
      failed = posix.normalize(utf8OfLatin1(rest));
    } else if (word === 'why') close({ path: failed, error: stripControl(rest) });
  }
  closeText();
  return [...files.values()];
}

function socketFacts({ lines, late }: Part, port: number): Look<SocketFacts> {
  if (late) return timedOut('the socket table');
  const reader = new TcpTableReader(port);
  for (const line of lines) {
    const failure = takeSockets(reader, line);
    if (failure !== null) return failure;
  }
  return reader.look();
}

/** @returns why nothing is known, where the line says that */
function takeSockets(reader: TcpTableReader, line: string): Look<never> | null {
  const [word, table = '', ...columns] = line.split(' ');
  const family = table === 'tcp6' ? 'ipv6' : 'ipv4';
  switch (word) {
    case 'malformed':
      return blind('malformed', `/proc/net/${family} is not a socket table`);
    case 'denied':
      return blind('permission', `/proc/net/${shown(table)}: EACCES`);
    case 'missing':
      return family === 'ipv4' ? blind('missing', '/proc/net/tcp: ENOENT') : null;
    case 'table':
    case 'row':
      reader.take(`${columns.join(' ')}\n`, family);
      return null;
    case 'peer': {
      const [state = '', peer = '', ...counts] = columns;
      const [accepted = -1, unaccepted = -1, unreadBytes = -1] = counts.map(Number);
      reader.takeCounted({ family, state, peer }, { accepted, unaccepted, unreadBytes });
      return null;
    }
    default:
      return null;
  }
}

/** Ports that somebody listens on, beside the examined one. */
function otherListeners({ lines }: Part): number[] {
  return lines
    .filter((line) => line.startsWith('heard '))
    .map((line) => Number.parseInt(line.slice('heard '.length), 16));
}
