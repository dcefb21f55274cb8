/** Reads what the probe script printed; the parsers are those of the local host. Pure. */

import { posix } from 'node:path';
import { ExitCode, TriageError } from '../../errors.ts';
import type { LookRequest } from '../../evidence/evidence.ts';
import {
  type ApiLogFacts,
  blind,
  type Evidence,
  type HostFacts,
  type InstanceFacts,
  type Look,
  type NamespaceRelation,
  type PidFileFacts,
  type Policy,
  type PortChoice,
  type ProcessFacts,
  type ProcessTableFacts,
  type SaltConfigFacts,
  type ServiceFacts,
  type SocketFacts,
  type SystemdUnitFacts,
  seen,
} from '../../evidence/evidence.ts';
import { withOtherPorts } from '../../evidence/instance-ports.ts';
import {
  isDeadState,
  type ProcessStat,
  parseBootTime,
  parseCommandLine,
  parseControlGroup,
  parseEffectiveUid,
  parseProcessStat,
  TICKS_PER_SECOND,
  utf8OfLatin1,
} from '../../evidence/proc-text.ts';
import {
  type RootView,
  rootRelation,
  type SaltFiles,
  type SignTexts,
  saltSigns,
} from '../../evidence/process-facts.ts';
import {
  belongsTo,
  chooseInstance,
  chooseLog,
  choosePidFiles,
  mayNameFiles,
} from '../../evidence/resolve.ts';
import {
  readSaltApiArgv,
  type SaltApiArgv,
  withEnvironment,
} from '../../evidence/salt-api-argv.ts';
import {
  choosePort,
  type SaltConfigFile,
  saltConfigFromFiles,
  withUserId,
} from '../../evidence/salt-config.ts';
import {
  chooseUnit,
  parseSystemctlShow,
  readRelatedUnits,
  type ServiceMember,
  serviceOfCgroup,
  type UnitMembership,
  unitsBeside,
} from '../../evidence/systemd-unit.ts';
import { TcpTableReader } from '../../evidence/tcp-table.ts';
import { stripControl } from '../../untrusted.ts';
import { firstWord, type Part, timedOut } from './frame-part.ts';
import { apiLogFacts } from './log-frames.ts';

/** Bytes of evidence that are taken from one host. */
export const MAX_EVIDENCE_BYTES = 32 * 1024 * 1024;

const PARTS = ['host', 'used', 'config', 'sockets', 'processes', 'service', 'unit', 'log'] as const;
type PartName = (typeof PARTS)[number];

/** The script's output, taken apart: every part is there, and none was cut. */
export type ProbeFrames = Readonly<Record<PartName, Part>>;

/** What the script went by, which the caller compares with what the evidence says. */
export interface ProbeChoices {
  readonly port: number;
  readonly configDirectory: string;
  readonly log: string;
  readonly pidFiles: readonly string[];
}

/** All sections of an evidence but the answer, with what a better look would have gone by. */
export interface ProbeSections {
  readonly host: HostFacts;
  readonly instance: InstanceFacts;
  readonly config: Look<SaltConfigFacts>;
  readonly port: PortChoice;
  readonly sockets: Look<SocketFacts>;
  readonly processes: Look<ProcessTableFacts>;
  readonly service: Look<ServiceFacts>;
  readonly apiLog: Look<ApiLogFacts>;
  /** Null where the script guessed right; else what it should be told. */
  readonly lookAgain: ProbeChoices | null;
}

/** True for text that the probe script may have printed: its first frame is in it. */
export function isProbeOutput(output: Buffer): boolean {
  return BEGIN.test(output.toString('latin1'));
}

const BEGIN = /(?:^|\n)@@([0-9a-zA-Z]{1,64}) begin salt-triage-probe (\d+)\r?(?:\n|$)/;

/**
 * Takes the output apart. Whatever is not in a frame (a banner, a profile's noise) is passed over.
 *
 * @param nonce what the frames must be marked with; null to take the first frame's
 * @throws TriageError `unknown` for output that is cut off, too long or no evidence at all
 */
export function parseFrames(output: Buffer, nonce: string | null): ProbeFrames {
  if (output.length > MAX_EVIDENCE_BYTES) throw malformed('it is larger than 32 MiB');
  const text = output.toString('latin1');
  const begin = nonce === null ? BEGIN.exec(text) : beginOf(text, nonce);
  if (begin === null) throw malformed('there is no beginning');
  if (begin[2] !== '1') throw malformed('it is of another version of salt-triage');
  const mark = `@@${begin[1] ?? ''} `;
  const parts = new Map<string, Part>();
  let lines: string[] | null = null;
  let finished = false;
  for (const raw of text.slice(begin.index).split('\n')) {
    const line = raw.endsWith('\r') && raw.startsWith('@@') ? raw.slice(0, -1) : raw;
    if (line.startsWith('|')) lines?.push(line.slice(1));
    if (!line.startsWith(mark)) continue;
    const [word = '', name = '', count = ''] = line.slice(mark.length).split(' ');
    if (word === 'noproc') throw noProc();
    if (word === 'part') lines = [];
    if (word === 'end') {
      if (lines === null || parts.has(name)) throw malformed(`part ${shown(name)} is out of place`);
      if (Number(count) !== lines.length) throw malformed(`part ${shown(name)} is not whole`);
      parts.set(name, closePart(lines));
      lines = null;
    }
    if (word === 'done') {
      finished = true;
      break;
    }
  }
  if (!finished) throw malformed('its end is missing');
  const entries = PARTS.map((name) => {
    const part = parts.get(name);
    if (part === undefined) throw malformed(`part ${name} is missing`);
    return [name, part] as const;
  });
  return Object.fromEntries(entries) as Record<PartName, Part>;
}

function beginOf(text: string, nonce: string): RegExpExecArray | null {
  return new RegExp(`(?:^|\\n)@@(${nonce}) begin salt-triage-probe (\\d+)\\r?(?:\\n|$)`).exec(text);
}

/** The last line says how the part ended; 137 is our own `kill -9`. */
function closePart(lines: readonly string[]): Part {
  const last = lines.at(-1) ?? '';
  const status = /^= (\d+)$/.exec(last)?.[1];
  if (status === undefined) return { lines, late: true };
  return { lines: lines.slice(0, -1), late: status === '137' };
}

function malformed(why: string): TriageError {
  return new TriageError(
    `the evidence can't be used: ${why}`,
    'Look again; if it happens twice, run `salt-triage probe` by hand and read what it prints.',
    ExitCode.unknown,
  );
}

function noProc(): TriageError {
  return new TriageError(
    'that host has no /proc that can be read',
    'Mount /proc there, or log in where it is mounted (not into a chroot).',
    ExitCode.unknown,
  );
}

function shown(name: string): string {
  return stripControl(name).slice(0, 40);
}

/**
 * Makes evidence of the parts.
 * @param request what was asked for; the port, the log and the directory it leaves open are chosen
 *   here, by the same rules as on the host itself
 */
export async function readFrames(
  frames: ProbeFrames,
  request: LookRequest,
): Promise<ProbeSections> {
  const facts = fields(frames.host.lines);
  const used = usedChoices(frames.used.lines);
  const host = hostFacts(facts);
  const table = processTable(frames.processes, facts.get('self') ?? '', {
    log: used.log,
    configDirectory: used.configDirectory,
  });
  const near = table.saltApi
    .filter(({ networkNamespace }) => networkNamespace !== 'other')
    .filter(({ uid }) => mayNameFiles(uid, host.uid));
  const argvs = near.map(({ argv }) => argv);
  const holding = used.port === request.port ? near.filter(({ holds }) => holds) : [];
  const instance = chooseInstance(request, {
    argvs,
    holding: holding.map(({ argv }) => argv),
    environment: utf8OfLatin1(facts.get('environment') ?? '') || undefined,
    defaultConfigured: facts.has('default-config'),
  });
  const config = await configFacts(frames, instance.configDirectory, used.configDirectory);
  const port = choosePort(request.port, config);
  const ours = argvs.filter((argv) => belongsTo(argv, instance));
  const members = near
    .filter(({ argv }) => belongsTo(argv, instance))
    .flatMap(({ pid, service }) => (service === null ? [] : [{ pid, service }]));
  const log = chooseLog(request, { config, argvs: ours });
  const pidFiles = choosePidFiles(config, ours, instance);
  const guessedRight =
    used.configDirectory === instance.configDirectory &&
    used.port === port.number &&
    used.log === log.path &&
    pidFiles.every((path) => used.pidFiles.includes(path));
  const windowFrom = used.since === null ? null : host.now - used.since * 1000;
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
    processes: table.look,
    service: await serviceFacts(frames, pidFiles, { unit: used.unit, uid: host.uid, members }),
    apiLog: apiLogFacts(frames.log, {
      source: { kind: 'file', ...log },
      unit: used.unit,
      windowFrom,
      host,
    }),
    lookAgain: guessedRight
      ? null
      : {
          port: port.number,
          configDirectory: instance.configDirectory,
          log: log.path,
          pidFiles,
        },
  };
}

/**
 * The evidence in the output of `salt-triage probe`, run by hand.
 * @param output all of it, banners included
 * @throws TriageError as {@link parseFrames}
 */
export async function evidenceOfProbe(
  output: Buffer,
  request: LookRequest,
  policy: Policy,
): Promise<Evidence> {
  const frames = parseFrames(output, null);
  // What the script was told counts as told here, where nothing else is.
  const told = fields(frames.used.lines);
  const askedPort = Number(told.get('asked-port') ?? '');
  const { lookAgain, ...sections } = await readFrames(frames, {
    ...request,
    port: request.port ?? (askedPort > 0 && askedPort < 65_536 ? askedPort : undefined),
    configDirectory:
      request.configDirectory ?? (utf8OfLatin1(told.get('asked-config') ?? '') || undefined),
    log: request.log ?? (utf8OfLatin1(told.get('asked-log') ?? '') || undefined),
  });
  const answer = blind('not-asked', 'not asked: the probe script sends nothing to the port');
  const evidence = { schemaVersion: 1, policy, answer, ...sections } as const;
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

/** First words and what follows them; the first of each counts. */
function fields(lines: readonly string[]): Map<string, string> {
  const found = new Map<string, string>();
  for (const line of lines) {
    const [word, rest] = firstWord(line);
    if (!found.has(word)) found.set(word, rest);
  }
  return found;
}

function usedChoices(lines: readonly string[]) {
  const found = fields(lines);
  const since = found.get('since') ?? '';
  return {
    port: Number(found.get('port')),
    configDirectory: utf8OfLatin1(found.get('config') ?? ''),
    log: utf8OfLatin1(found.get('log') ?? ''),
    pidFiles: lines
      .filter((line) => line.startsWith('pidfile '))
      .map((line) => utf8OfLatin1(line.slice('pidfile '.length))),
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
  frames: ProbeFrames,
  directory: string,
  usedDirectory: string,
): Promise<Look<SaltConfigFacts>> {
  if (frames.config.late) return timedOut('the salt config');
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
    const [word, rest] = firstWord(line);
    const [table = '', ...columns] = rest.split(' ');
    const family = table === 'tcp6' ? 'ipv6' : 'ipv4';
    if (word === 'malformed') return blind('malformed', `/proc/net/${family} is no socket table`);
    if (word === 'denied') return blind('permission', `/proc/net/${shown(table)}: EACCES`);
    if (word === 'missing' && family === 'ipv4') return blind('missing', '/proc/net/tcp: ENOENT');
    if (word === 'table') reader.take('', family);
    if (word === 'row') reader.take(`${columns.join(' ')}\n`, family);
    if (word === 'peer') {
      const [state = '', peer = '', ...counts] = columns;
      const [accepted = -1, unaccepted = -1, unreadBytes = -1] = counts.map(Number);
      reader.takeCounted({ family, state, peer }, { accepted, unaccepted, unreadBytes });
    }
  }
  if (reader.malformedRows > 0) {
    return blind('malformed', `${reader.malformedRows} rows of /proc/net/tcp can't be read`);
  }
  return seen(reader.facts());
}

/** Ports that somebody listens on, beside the examined one. */
function otherListeners({ lines }: Part): number[] {
  return lines
    .filter((line) => line.startsWith('heard '))
    .map((line) => Number.parseInt(line.slice('heard '.length), 16));
}

interface ProcessTexts {
  stat: string;
  status: string;
  cgroup: string;
  wchan: string;
  argv: readonly string[] | null;
  networkNamespace: string | null;
  pidNamespace: string | null;
  fds: { readonly connections: number; readonly listens: readonly number[] } | 'denied' | null;
  otherPorts: readonly number[];
  environment: { readonly configDirectory: string | null } | null;
  executable: string | null;
  script: string | null;
  readonly saltFiles: string[];
}

interface ProcessTable {
  readonly look: Look<ProcessTableFacts>;
  /** Youngest first. */
  readonly saltApi: readonly {
    readonly pid: number;
    readonly service: UnitMembership | null;
    /** With what its environment says. */
    readonly argv: SaltApiArgv;
    readonly uid: number;
    readonly networkNamespace: NamespaceRelation;
    /** It has a socket that listens on the port. */
    readonly holds: boolean;
  }[];
}

/**
 * @param self the pid that /proc knows the shell by, and the one it goes by
 * @param files what the script took for Salt's
 */
function processTable({ lines, late }: Part, self: string, files: SaltFiles): ProcessTable {
  if (late) return { look: timedOut('the process table'), saltApi: [] };
  const [knownAs, goesBy] = self.split(' ');
  if (knownAs !== goesBy) {
    const why = '/proc belongs to another PID namespace there, so its pids mean others';
    return { look: blind('unsupported', why), saltApi: [] };
  }
  const texts = new Map<number, ProcessTexts>();
  const own: Record<string, string> = {};
  const views = new RootViews(files.configDirectory);
  const noArgv = new Set<string>();
  const noFds = new Set<string>();
  let total = 0;
  let hidden = false;
  const of = (pid: string): ProcessTexts => {
    const known = texts.get(Number(pid));
    if (known !== undefined) return known;
    const none = {
      stat: '',
      status: '',
      cgroup: '',
      wchan: '',
      argv: null,
      networkNamespace: null,
      pidNamespace: null,
      fds: null,
      otherPorts: [],
      environment: null,
      executable: null,
      script: null,
      saltFiles: [],
    };
    texts.set(Number(pid), none);
    return none;
  };
  for (const line of lines) {
    const [word, rest] = firstWord(line);
    if (word === 'total') total = Number(rest);
    else if (word === 'hidden') hidden = true;
    else if (word === 'noargv') noArgv.add(rest);
    else if (word === 'nofds') noFds.add(rest);
    else if (word === 'closed') {
      of(rest).fds = 'denied';
      noFds.add(rest);
    } else if (word === 'fds') {
      const [pid = '', connections, ...listens] = rest.split(' ').filter((part) => part !== '');
      of(pid).fds = { connections: Number(connections), listens: listens.map(Number) };
    } else if (word === 'listens') {
      const [pid = '', ...ports] = rest.split(' ').filter((part) => part !== '');
      of(pid).otherPorts = ports.map((hex) => Number.parseInt(hex, 16)).sort((a, b) => a - b);
    } else if (word === 'file') {
      const file = /^\/proc\/(\d{1,10})\/(stat|status|cgroup|wchan):(.*)$/s.exec(rest);
      if (file === null) continue;
      const [, pid = '', name, text = ''] = file;
      of(pid)[name as 'stat' | 'status' | 'cgroup' | 'wchan'] += `${text}\n`;
    } else if (word === 'namespace') {
      const [, pid = '', kind, id = ''] =
        /^\/proc\/(self|\d{1,10})\/ns\/(net|pid) (\S+)$/.exec(rest) ?? [];
      if (kind === undefined) continue;
      if (pid === 'self') own[kind] = id;
      else if (kind === 'net') of(pid).networkNamespace = id;
      else of(pid).pidNamespace = id;
    } else if (word === 'environment') {
      const [pid, directory] = firstWord(rest);
      of(pid).environment = { configDirectory: utf8OfLatin1(directory) || null };
    } else if (word === 'id' || word === 'link') views.take(word, rest);
    else if (word === 'exe' || word === 'script' || word === 'open') {
      const [pid, path] = firstWord(rest);
      const text = utf8OfLatin1(path);
      if (word === 'exe') of(pid).executable = text;
      else if (word === 'script') of(pid).script = text;
      else of(pid).saltFiles.push(text);
    } else if (word === 'argv') {
      const [pid = '', hex = ''] = rest.split(' ');
      of(pid).argv = parseCommandLine(Buffer.from(hex, 'hex').toString('utf8'));
    }
  }
  if (!(total > 0 && total < 1e8)) {
    return { look: blind('malformed', 'the process table is empty'), saltApi: [] };
  }

  const stats = new Map<number, ProcessStat>();
  for (const [pid, { stat }] of texts) {
    const parsed = parseProcessStat(stat.trimEnd());
    if (parsed?.pid === pid) stats.set(pid, parsed);
  }
  const saltApi = [...stats.values()]
    .filter(({ state }) => !isDeadState(state))
    .flatMap((stat) => {
      const argv = readSaltApiArgv(texts.get(stat.pid)?.argv ?? []);
      return argv === null ? [] : [{ stat, argv }];
    })
    .sort((a, b) => b.stat.startTicks - a.stat.startTicks);
  const daemons = new Set(saltApi.map(({ stat }) => stat.pid));
  const parents = new Set(saltApi.map(({ stat }) => stat.ppid));

  const processes: ProcessFacts[] = [];
  for (const stat of stats.values()) {
    const text = texts.get(stat.pid);
    if (text === undefined) continue;
    const dead = isDeadState(stat.state);
    const holds = typeof text.fds === 'object' && (text.fds?.listens.length ?? 0) > 0;
    const matters = dead
      ? daemons.has(stat.ppid)
      : daemons.has(stat.pid) || parents.has(stat.pid) || holds;
    if (matters)
      processes.push(processFacts(stat, text, { dead, daemons, own, views, files, holds }));
  }
  processes.sort((a, b) => a.pid - b.pid);
  const value = {
    total,
    processes,
    deniedFds: noFds.size,
    deniedArgv: noArgv.size,
    hidden,
  };
  const facts = new Map(processes.map((one) => [one.pid, one]));
  return {
    look: seen(value),
    saltApi: saltApi.map(({ stat, argv }) => {
      const process = facts.get(stat.pid);
      const holds = (process?.listens.length ?? 0) > 0;
      return {
        pid: stat.pid,
        service: process?.cgroup == null ? null : serviceOfCgroup(process.cgroup),
        argv: withEnvironment(argv, process?.environment ?? null),
        uid: process?.uid ?? -1,
        networkNamespace: process?.networkNamespace ?? 'unseen',
        holds,
      };
    }),
  };
}

function processFacts(
  stat: ProcessStat,
  text: ProcessTexts,
  about: {
    readonly dead: boolean;
    readonly daemons: ReadonlySet<number>;
    readonly own: Readonly<Record<string, string>>;
    readonly views: RootViews;
    readonly files: SaltFiles;
    readonly holds: boolean;
  },
): ProcessFacts {
  const { pid, ppid, startTicks, state, processGroup, session, threads, cpuTicks, comm } = stat;
  const daemon = about.daemons.has(pid);
  const fds = typeof text.fds === 'object' && (daemon || about.holds) ? text.fds : null;
  const waitChannel = text.wchan.trim();
  const cgroup = text.cgroup === '' || about.dead ? null : parseControlGroup(text.cgroup);
  const relation = (kind: string, theirs: string | null): NamespaceRelation => {
    if (theirs === null || about.dead || about.own[kind] === undefined) return 'unseen';
    return about.own[kind] === theirs ? 'ours' : 'other';
  };
  return {
    pid,
    ppid,
    startTicks,
    state,
    processGroup,
    session,
    threads,
    cpuTicks,
    comm,
    uid: about.dead ? -1 : (parseEffectiveUid(text.status) ?? -1),
    argv: about.dead ? [] : (text.argv ?? []),
    cgroup,
    networkNamespace: relation('net', text.networkNamespace),
    pidNamespace: relation('pid', text.pidNamespace),
    rootDirectory: daemon ? about.views.relationOf(pid) : 'unseen',
    saltSigns: daemon ? saltSigns(signTexts(text), about.files) : null,
    environment: daemon ? text.environment : null,
    fds: fds !== null ? 'read' : daemon ? 'denied' : 'skipped',
    listens: fds?.listens ?? [],
    portConnections: daemon ? (fds?.connections ?? 0) : 0,
    otherPorts: daemon ? text.otherPorts : [],
    waitChannel: about.dead || waitChannel === '' || waitChannel === '0' ? null : waitChannel,
  };
}

/** What each process sees as its root: `id /proc/PID/root/FILE DEVICE:INODE`, `link PID TARGET`. */
class RootViews {
  readonly #configDirectory: string;
  readonly #views = new Map<string, { -readonly [K in keyof RootView]: RootView[K] }>();

  constructor(configDirectory: string) {
    this.#configDirectory = configDirectory;
  }

  take(word: 'id' | 'link', rest: string): void {
    if (word === 'link') {
      const [pid, target] = firstWord(rest);
      this.#of(pid).link = utf8OfLatin1(target);
      return;
    }
    const [, pid = '', file = '', id = ''] =
      /^\/proc\/(self|\d{1,10})\/root(\/.*) (\d+(?::\d+)?)$/s.exec(rest) ?? [];
    const view = this.#of(pid);
    const path = utf8OfLatin1(file);
    if (path === '/') view.root = id;
    else if (path === this.#configDirectory) view.configDirectory = id;
    else if (path === `${this.#configDirectory}/master`) view.mainFile = id;
  }

  relationOf(pid: number): NamespaceRelation {
    return rootRelation(this.#of('self'), this.#of(String(pid)));
  }

  #of(pid: string) {
    const known = this.#views.get(pid);
    if (known !== undefined) return known;
    const view = { link: '', root: '', configDirectory: '', mainFile: '' };
    this.#views.set(pid, view);
    return view;
  }
}

function signTexts({ argv, executable, script, saltFiles }: ProcessTexts): SignTexts {
  return { argv: argv ?? [], executable, script, files: saltFiles };
}

async function serviceFacts(
  { service, unit }: ProbeFrames,
  wanted: readonly string[],
  about: {
    readonly unit: string;
    readonly uid: number;
    readonly members: readonly ServiceMember[];
  },
): Promise<Look<ServiceFacts>> {
  if (service.late) return timedOut('the service');
  const found = new Map<string, PidFileFacts & { readonly file: string }>();
  for (const [index, line] of service.lines.entries()) {
    const listed = /^pidfile (\d{1,12}) (\d{1,20}) (\d{1,10}) (.*)$/s.exec(line);
    if (listed === null) continue;
    const [, modified = '', file = '', owner = '', path = ''] = listed;
    if (!mayNameFiles(Number(owner), about.uid)) continue;
    const pid = /^content\s+([1-9]\d{0,9})\s*$/.exec(service.lines[index + 1] ?? '')?.[1];
    const facts = {
      pid: pid === undefined ? null : Number(pid),
      modifiedAt: Number(modified) * 1000,
    };
    found.set(utf8OfLatin1(path), { path: utf8OfLatin1(path), file, ...facts });
  }
  const pidFiles: PidFileFacts[] = [];
  const files = new Set<string>();
  for (const facts of wanted.map((path) => found.get(path)).filter((one) => one !== undefined)) {
    const { file, ...pidFile } = facts;
    if (!files.has(file)) pidFiles.push(pidFile);
    files.add(file);
  }
  const runs = service.lines.includes('systemd');
  return seen({
    pidFiles,
    ...(runs ? await unitSections(unit, about) : NO_SYSTEMD),
    initScript: service.lines.includes('initscript'),
    openRc: service.lines.includes('openrc'),
    // Unknown where an older probe was run by hand.
    ...(service.lines.includes('notinstalled') && { installed: false }),
    ...(service.lines.includes('installed') && { installed: true }),
  });
}

type UnitSections = Pick<ServiceFacts, 'systemd' | 'systemdRuns' | 'otherUnits' | 'relatedUnits'>;

const NO_SYSTEMD: UnitSections = {
  systemd: seen(null),
  systemdRuns: false,
  otherUnits: [],
  relatedUnits: [],
};

async function unitSections(
  { lines, late }: Part,
  { unit, members }: { readonly unit: string; readonly members: readonly ServiceMember[] },
): Promise<UnitSections> {
  const blindTo = (systemd: Look<never>) => ({ ...NO_SYSTEMD, systemdRuns: true, systemd });
  if (late) return blindTo(blind('timeout', `systemctl show ${unit} did not answer in time`));
  const [asked, ...shown] = shownUnits(lines, unit);
  if (asked === undefined) return blindTo(blind('malformed', `systemctl show ${unit}: no answer`));
  if (!asked.look.seen) return blindTo(asked.look);
  const wanted = new Set(unitsBeside(unit, members));
  const found = (kind: 'unit' | 'related') =>
    shown.flatMap(({ look, ...about }) => {
      return about.kind === kind && look.seen && look.value !== null ? [look.value] : [];
    });
  const beside = found('unit').filter((facts) => wanted.has(facts.unit));
  const chosen = chooseUnit(asked.look.value, beside, members);
  const otherUnits = [...(asked.look.value === null ? [] : [asked.look.value]), ...beside];
  const all = [...found('unit'), ...found('related')];
  const among = async (names: readonly string[]) => {
    return names.flatMap((name) => all.find((facts) => facts.unit === name) ?? []);
  };
  return {
    systemd: seen(chosen),
    systemdRuns: true,
    otherUnits: otherUnits.filter((facts) => facts !== chosen),
    relatedUnits: chosen === null ? [] : await readRelatedUnits(chosen, among),
  };
}

/** The units that were shown, each from its line of the frame to its `exit`. */
function shownUnits(lines: readonly string[], asked: string) {
  const shown: { kind: string; look: Look<SystemdUnitFacts | null> }[] = [];
  let kind = 'unit';
  let unit = asked;
  let text: string[] = [];
  for (const line of lines) {
    const [, heading, name] = /^(unit|related) (\S{1,255})$/.exec(line) ?? [];
    const status = /^exit (\d{1,3})$/.exec(line)?.[1];
    if (heading !== undefined && name !== undefined) {
      kind = heading;
      // The first is the asked one, by the name that it was asked by.
      unit = shown.length === 0 ? asked : stripControl(name);
      text = [];
    } else if (status !== undefined) {
      shown.push({ kind, look: shownUnit(unit, text, status) });
    } else text.push(line);
  }
  return shown;
}

function shownUnit(
  unit: string,
  lines: readonly string[],
  status: string,
): Look<SystemdUnitFacts | null> {
  if (status !== '0') {
    const said = stripControl(utf8OfLatin1(lines.at(-1) ?? '')) || 'it failed';
    const cause = /denied|not permitted/i.test(said) ? 'permission' : 'unsupported';
    return blind(cause, `systemctl show ${unit}: ${said}`);
  }
  return parseSystemctlShow(unit, utf8OfLatin1(lines.join('\n')));
}
