/** Which salt-api of a host a look is about, and where that one's files are: pure decisions. */
import { posix } from 'node:path';
import type {
  InstanceFacts,
  InstanceRequest,
  Listener,
  Look,
  PidFileFacts,
  ProcessFacts,
  ProcessTableFacts,
  SaltConfigFacts,
} from './evidence.ts';
import {
  DEFAULT_CONFIG_DIRECTORY,
  isDrillDirectory,
  namesDirectory,
  readSaltApiArgv,
  type SaltApiArgv,
  withEnvironment,
} from './salt-api-argv.ts';
import { type ServiceMember, serviceOfCgroup } from './systemd-unit.ts';

const DEFAULT_LOG = '/var/log/salt/api';
const DEFAULT_PID_FILES = ['/var/run/salt-api.pid', '/run/salt-api.pid'];
/** From here on uids are those of people (useradd(8), UID_MIN); below, of root and of services. */
export const FIRST_PERSON_UID = 1000;

/** A salt-api that runs, as far as it may say where its files are. */
export interface RunningSaltApi {
  readonly pid: number;
  /** With what its environment says. */
  readonly argv: SaltApiArgv;
  readonly cgroup: string | null;
}

/**
 * The salt-apis of our network namespace that may say where files are, youngest first. Anybody can
 * run something that is salt-api by its argv: as root we don't let other people name our files.
 *
 * @param processes of any kind
 * @param ours uid of whoever looks
 */
export function runningSaltApis(
  processes: readonly Pick<
    ProcessFacts,
    'pid' | 'uid' | 'argv' | 'environment' | 'cgroup' | 'networkNamespace' | 'startTicks'
  >[],
  ours: number,
): RunningSaltApi[] {
  return processes
    .filter(({ networkNamespace, uid }) => networkNamespace !== 'other' && mayNameFiles(uid, ours))
    .toSorted((a, b) => b.startTicks - a.startTicks)
    .flatMap(({ pid, argv, environment, cgroup }) => {
      const read = readSaltApiArgv(argv);
      return read === null ? [] : [{ pid, argv: withEnvironment(read, environment), cgroup }];
    });
}

/** What a host shows of its salt-apis before any of them is chosen. */
export interface InstanceSigns {
  /** Of {@link runningSaltApis}. */
  readonly argvs: readonly SaltApiArgv[];
  /** Of these, the ones that hold the port that was asked for. */
  readonly holding: readonly SaltApiArgv[];
  /** SALT_CONFIG_DIR of whoever looks. */
  readonly environment: string | undefined;
  readonly defaultConfigured: boolean;
}

/**
 * `-c`; the environment; what the running salt-api name, if all name the same; of several, what
 * the holder of the asked port names; `/etc/salt`. A drill's processes name nothing for others.
 */
export function chooseInstance(request: InstanceRequest, signs: InstanceSigns): InstanceFacts {
  const { argvs, holding, environment, defaultConfigured } = signs;
  if (request.configDirectory !== undefined) {
    const configDirectory = posix.resolve(request.configDirectory);
    return { configDirectory, defaultConfigured, origin: 'option' };
  }
  if (environment) {
    const configDirectory = posix.resolve(environment);
    return { configDirectory, defaultConfigured, origin: 'environment' };
  }
  const only = onlyDirectory(argvs) ?? onlyDirectory(holding);
  return only === undefined
    ? { configDirectory: DEFAULT_CONFIG_DIRECTORY, defaultConfigured, origin: 'default' }
    : { configDirectory: only, defaultConfigured, origin: 'argv' };
}

/**
 * Whether what belongs to somebody may say where files are, or whose pid is meant.
 * @param ours uid of whoever looks
 */
export function mayNameFiles(uid: number, ours: number): boolean {
  return uid === ours || (uid >= 0 && uid < FIRST_PERSON_UID);
}

function onlyDirectory(argvs: readonly SaltApiArgv[]): string | undefined {
  const named = new Set(
    argvs
      .map(({ configDirectory }) => configDirectory)
      .filter((directory) => directory === null || !isDrillDirectory(directory)),
  );
  const [only] = named;
  return named.size === 1 && only?.startsWith('/') ? posix.resolve(only) : undefined;
}

/** Whether a running process's own options may say where this instance's files are. */
export function belongsTo({ configDirectory }: SaltApiArgv, instance: InstanceFacts): boolean {
  if (configDirectory !== null) return namesDirectory(configDirectory, instance.configDirectory);
  if (instance.configDirectory === DEFAULT_CONFIG_DIRECTORY) return true;
  return !instance.defaultConfigured && !isDrillDirectory(instance.configDirectory);
}

/** Where an instance's log and pid files are, and the services that its processes are in. */
export interface InstancePlaces {
  readonly log: {
    readonly path: string;
    readonly origin: 'option' | 'argv' | 'config' | 'default';
  };
  readonly pidFiles: readonly string[];
  readonly members: readonly ServiceMember[];
}

/** What an instance's processes, its config and Salt's defaults say of where its files are. */
export function choosePlaces(
  request: InstanceRequest,
  {
    instance,
    config,
    running,
  }: {
    readonly instance: InstanceFacts;
    readonly config: Look<SaltConfigFacts>;
    readonly running: readonly RunningSaltApi[];
  },
): InstancePlaces {
  const own = running.filter(({ argv }) => belongsTo(argv, instance));
  const argvs = own.map(({ argv }) => argv);
  return {
    log: chooseLog(request, { config, argvs }),
    pidFiles: choosePidFiles(config, argvs, instance),
    members: own.flatMap(({ pid, cgroup }) => {
      const service = cgroup === null ? null : serviceOfCgroup(cgroup);
      return service === null ? [] : [{ pid, service }];
    }),
  };
}

/** The log that was asked for, whatever else there is; null where none was. */
export function askedLog({ log }: InstanceRequest): InstancePlaces['log'] | null {
  return log === undefined ? null : { path: posix.resolve(log), origin: 'option' };
}

/** `--log`, what the running process names, the config, Salt's default. */
export function chooseLog(
  request: InstanceRequest,
  {
    config,
    argvs,
  }: { readonly config: Look<SaltConfigFacts>; readonly argvs: readonly SaltApiArgv[] },
): InstancePlaces['log'] {
  const asked = askedLog(request);
  if (asked !== null) return asked;
  const fromArgv = argvs.find(({ logFile }) => logFile?.startsWith('/'))?.logFile;
  if (fromArgv != null) return { path: fromArgv, origin: 'argv' };
  const fromConfig = config.seen ? config.value.apiLogFile : null;
  if (fromConfig !== null) return { path: fromConfig, origin: 'config' };
  return { path: DEFAULT_LOG, origin: 'default' };
}

/**
 * Which pid files could be this instance's, in the order of precedence (salt-facts §2). The default
 * ones are the default instance's: of another that names its own they would only name strangers.
 */
export function choosePidFiles(
  config: Look<SaltConfigFacts>,
  argvs: readonly SaltApiArgv[],
  { configDirectory }: InstanceFacts,
): string[] {
  const named = argvs.flatMap(({ pidFile }) => (pidFile === null ? [] : [pidFile]));
  if (config.seen && config.value.pidFile !== null) named.push(config.value.pidFile);
  const neighbour = named.length > 0 && configDirectory !== DEFAULT_CONFIG_DIRECTORY;
  const all = neighbour ? named : [...named, ...DEFAULT_PID_FILES];
  return [...new Set(all.filter((path) => posix.isAbsolute(path)))];
}

/** A pid file as a host has it. */
export interface RawPidFile {
  readonly path: string;
  /** The same for every name of one file: /var/run is often /run. */
  readonly file: string;
  readonly uid: number;
  readonly modifiedAt: number;
  /** Its first 64 bytes: Salt writes the decimal pid and no newline (salt-facts §2). */
  readonly text: string;
}

/**
 * Each file once; one that belongs to somebody else is his word against ours.
 * @param found in the order of precedence
 * @param ours uid of whoever looks
 */
export function readPidFiles(found: readonly RawPidFile[], ours: number): PidFileFacts[] {
  const files = new Map<string, PidFileFacts>();
  for (const { path, file, uid, modifiedAt, text } of found) {
    if (files.has(file) || !mayNameFiles(uid, ours)) continue;
    const pid = /^\s*([1-9]\d{0,9})\s*$/.exec(text)?.[1];
    files.set(file, { path, pid: pid === undefined ? null : Number(pid), modifiedAt });
  }
  return [...files.values()];
}

/**
 * Where to knock: at a listener of salt-api, the configured address first, since another program
 * may listen on another address of the same port; any listener's where none is known to be its.
 */
export function chooseAddress(
  listeners: readonly Listener[],
  configured: string | null,
  processes: Look<ProcessTableFacts>,
): string {
  const table = processes.seen ? processes.value.processes : [];
  const held = new Set(
    table.filter(({ argv }) => readSaltApiArgv(argv) !== null).flatMap(({ listens }) => listens),
  );
  const own = listeners.filter(({ inode }) => held.has(inode));
  const addresses = (own.length > 0 ? own : listeners).map(({ address }) => address);
  if (configured !== null && addresses.includes(configured)) return configured;
  return addresses[0] ?? configured ?? '127.0.0.1';
}
