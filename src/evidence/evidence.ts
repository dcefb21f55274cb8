/**
 * The plain data that a look at a host returns and that every judgement is made from.
 * It survives `JSON.stringify`: `--save` writes it, `--from` reads it, and ssh hosts send it.
 * Times are epoch milliseconds of the *host's* clock unless a name says otherwise.
 */

import type { BindWording } from './api-log-wordings.ts';
import type { Background, BackgroundSection } from './background.ts';
import type { SaltOptions } from './salt-options.ts';

/** Which salt-api is meant; what is unset is found out on the host. */
export interface InstanceRequest {
  /** `--port`. */
  readonly port: number | undefined;
  /** `-c DIR`: Salt's configuration directory. */
  readonly configDirectory: string | undefined;
  /** `--log FILE`. */
  readonly log: string | undefined;
}

/** What to look at. */
export interface LookRequest extends InstanceRequest {
  /** How far back the log is read, in ms; null for all of it. */
  readonly sinceMs: number | null;
  /** How long `GET /` may take, in ms; null leaves the probe out. */
  readonly probeTimeoutMs: number | null;
  /** Bound on every other single look, in ms: one that takes longer is blind. */
  readonly lookTimeoutMs: number;
  /** What nobody will read: it is not looked at, and comes back blind. */
  readonly leaveOut?: readonly OptionalSection[];
  /** What is looked at to explain what was found; nothing where unset. */
  readonly background?: readonly BackgroundSection[];
}

/** Sections that may be left out of a look. */
type OptionalSection = 'apiLog' | 'answer';

export const BLIND_CAUSES = [
  'permission',
  'missing',
  'timeout',
  'malformed',
  'unsupported',
  'not-asked',
  // Asked, and left before the reply came: none would have changed the verdict.
  'not-awaited',
] as const;

/** Why a look came back without data. */
export type BlindCause = (typeof BLIND_CAUSES)[number];

/** Either what was seen, or why nothing could be: a failed look is never an empty one. */
export type Look<T> =
  | { readonly seen: true; readonly value: T }
  | { readonly seen: false; readonly cause: BlindCause; readonly why: string };

/** Wraps what a look saw. */
export function seen<T>(value: T): Look<T> {
  return { seen: true, value };
}

/** Says that a look failed, with a reason an operator can act on. */
export function blind(cause: BlindCause, why: string): Look<never> {
  return { seen: false, cause, why };
}

/** A section that was left out of a look. */
export const LEFT_OUT = blind('not-asked', 'not looked at: nothing went by it');

/** The host itself, and the clock and boot that every other number is relative to. */
export interface HostFacts {
  readonly name: string;
  /** The host's clock when the look began. */
  readonly now: number;
  /** Minutes east of UTC in the host's zone, as its log's local times need. */
  readonly utcOffsetMinutes: number;
  /** `/proc/sys/kernel/random/boot_id`: a start time is only comparable within one boot. */
  readonly bootId: string;
  /** `btime` of `/proc/stat`, in ms. */
  readonly bootedAt: number;
  /** `sysconf(_SC_CLK_TCK)`; 100 on every Linux that Salt supports. */
  readonly ticksPerSecond: number;
  /** Effective uid of whoever looked. */
  readonly uid: number;
}

/** Which TCP port is examined, and who said so. */
export interface PortChoice {
  readonly number: number;
  readonly origin:
    | { readonly kind: 'option' }
    | { readonly kind: 'config'; readonly file: string; readonly key: string }
    | { readonly kind: 'default'; readonly why: string };
}

/** One netapi module that has a port, as the config has it. */
export interface NetapiFacts {
  readonly module: 'rest_cherrypy' | 'rest_tornado' | 'rest_wsgi';
  readonly port: number;
  readonly file: string;
  /** Address it binds; `0.0.0.0` where the config is silent. */
  readonly host: string;
  readonly tls: boolean;
  /** The listen(2) backlog: `queue_size` (cherrypy, 30) or `backlog` (tornado, 128). */
  readonly backlog: number;
}

/** What of the Salt master config bears on salt-api (salt-facts §3). */
export interface SaltConfigFacts {
  readonly directory: string;
  /** Files that were read, in the order Salt reads them. */
  readonly files: readonly string[];
  /** Files that exist and could not be read or parsed, each with its reason. */
  readonly problems: readonly string[];
  readonly netapi: NetapiFacts | null;
  /** Further modules with a port: salt-api starts one child for each (salt-facts §1.1). */
  readonly otherNetapis?: readonly NetapiFacts[];
  /** `api_logfile`, made absolute with `root_dir`; null where the config is silent. */
  readonly apiLogFile: string | null;
  /** `log_file`, which Salt up to 2015.8 also used for salt-api. */
  readonly logFile: string | null;
  /** `api_pidfile` (2016.3+), else `pidfile` (to 2015.8), made absolute; null where silent. */
  readonly pidFile: string | null;
  /** `user`, whom salt-api becomes before it binds (salt-facts §2); unset where silent. */
  readonly user?: ServiceUser;
  /** Further options that are set; unset in evidence from before they were kept. */
  readonly options?: SaltOptions;
}

/** Whom salt-api runs as by its config; the uid is null where the host knows no such user. */
export interface ServiceUser {
  readonly name: string;
  readonly uid: number | null;
}

/** In the order of their numbers, from 1 on (include/net/tcp_states.h). */
export const TCP_STATES = [
  'ESTABLISHED',
  'SYN_SENT',
  'SYN_RECV',
  'FIN_WAIT1',
  'FIN_WAIT2',
  'TIME_WAIT',
  'CLOSE',
  'CLOSE_WAIT',
  'LAST_ACK',
  'LISTEN',
  'CLOSING',
  'NEW_SYN_RECV',
] as const;

export type TcpState = (typeof TCP_STATES)[number];

/** One listening socket on the port. */
export interface Listener {
  readonly family: 'ipv4' | 'ipv6';
  /** Presentation form, `0.0.0.0` and `::` for the wildcards. */
  readonly address: string;
  readonly inode: number;
  readonly uid: number;
  /** Connections the kernel completed that nobody accepted: `rx_queue` of a LISTEN row. */
  readonly acceptQueue: number;
}

/** The port's sockets in one state with one peer address. */
export interface PeerSockets {
  /** IPv4-mapped peers are shown as IPv4. */
  readonly address: string;
  readonly state: TcpState;
  /** With an inode: accepted, so some process has the fd. */
  readonly accepted: number;
  /**
   * Inode 0: owned by no process. In CLOSE_WAIT and ESTABLISHED that is the accept queue
   * (salt-facts §7); TIME_WAIT and FIN_WAIT2 have outlived their owner.
   */
  readonly unaccepted: number;
  /** Sum of `rx_queue`: bytes that arrived and were not read. */
  readonly unreadBytes: number;
}

/** What `/proc/net/tcp` and `tcp6` say of the port. */
export interface SocketFacts {
  readonly listeners: readonly Listener[];
  readonly peers: readonly PeerSockets[];
  /** Sockets of peers beyond the bound on `peers`, by state. */
  readonly overflow: readonly PeerSockets[];
  /** False where IPv6 is switched off, so there was no second table to read. */
  readonly ipv6: boolean;
  /** Of the instance's other configured ports, those that somebody listens on, ascending. */
  readonly alsoListening?: readonly number[];
}

/** pid, start and boot: the only thing a signal may be aimed at. */
export interface ProcessIdentity {
  readonly pid: number;
  /** Field 22 of `/proc/PID/stat`, clock ticks after boot (proc_pid_stat(5)). */
  readonly startTicks: number;
  readonly bootId: string;
}

/**
 * Which salt-api of the host is examined. Two daemons with different configuration directories
 * are two instances, and a drill is an instance of its own.
 */
export interface InstanceFacts {
  /** Salt's configuration directory. */
  readonly configDirectory: string;
  /** `/etc/salt/master` is there: a salt-api that names no directory has that one. */
  readonly defaultConfigured: boolean;
  /** `option` and `environment` name it; `argv` is what the running salt-api was started with. */
  readonly origin: 'option' | 'environment' | 'argv' | 'default';
}

/** `ours`, `other`, or `unseen` where the link could not be read. */
export type NamespaceRelation = 'ours' | 'other' | 'unseen';

/**
 * What tells Salt's own salt-api from another program of that name: the entry point of a package,
 * or a script that imports Salt; the interpreter of a onedir package; the title of a netapi child;
 * an fd on the API log, or on a file of the configuration.
 */
export const SALT_SIGNS = ['entry-point', 'interpreter', 'child-title', 'log', 'config'] as const;

export type SaltSign = (typeof SALT_SIGNS)[number];

/** One process that matters: salt-api by argv, a holder of the port, or a parent of either. */
export interface ProcessFacts {
  readonly pid: number;
  readonly ppid: number;
  readonly startTicks: number;
  /** One letter of `/proc/PID/stat` field 3: R S D T t Z X I … */
  readonly state: string;
  readonly processGroup: number;
  readonly session: number;
  readonly threads: number;
  /** utime + stime, in clock ticks. */
  readonly cpuTicks: number;
  /** Effective uid. */
  readonly uid: number;
  /** As the kernel has it: split at NUL only, so a rewritten title is one element. */
  readonly argv: readonly string[];
  readonly comm: string;
  /** What its environment says of salt-api; null where that was not, or could not be, read. */
  readonly environment: { readonly configDirectory: string | null } | null;
  /** The last path of `/proc/PID/cgroup`, null where it could not be read. */
  readonly cgroup: string | null;
  readonly networkNamespace: NamespaceRelation;
  readonly pidNamespace: NamespaceRelation;
  /** Whether a salt-api process reads the files that we read: a container or a chroot does not. */
  readonly rootDirectory: NamespaceRelation;
  /**
   * What says that a process named salt-api is Salt's; empty where nothing does. Null for other
   * processes, and in evidence that was saved before these were looked for.
   */
  readonly saltSigns: readonly SaltSign[] | null;
  /** `read` in full, `denied`, or `skipped` because nothing was to be found in it. */
  readonly fds: 'read' | 'denied' | 'skipped';
  /** Inodes of the port's listening sockets among its fds. */
  readonly listens: readonly number[];
  /** How many of its fds are accepted connections on the port. */
  readonly portConnections: number;
  /** Other TCP ports that a salt-api process listens on, ascending; empty for all others. */
  readonly otherPorts: readonly number[];
  /** `/proc/PID/wchan`: what a process in D state waits on; null where unreadable. */
  readonly waitChannel: string | null;
}

/** The process table, reduced to what bears on salt-api. */
export interface ProcessTableFacts {
  /** Processes in the whole table. */
  readonly total: number;
  readonly processes: readonly ProcessFacts[];
  /** Processes whose fd table could not be read: one of them may hold the port unseen. */
  readonly deniedFds: number;
  /** Processes whose argv could not be read (hidepid=1). */
  readonly deniedArgv: number;
  /** True where /proc hides other users' processes (hidepid=2: not even pid 1 shows). */
  readonly hidden: boolean;
}

/** One pid file that could be salt-api's. */
export interface PidFileFacts {
  readonly path: string;
  /** Null where the content is no pid. */
  readonly pid: number | null;
  readonly modifiedAt: number;
}

/** `systemctl show` of the salt-api unit. */
export interface SystemdUnitFacts {
  readonly unit: string;
  readonly loadState: string;
  readonly activeState: string;
  readonly subState: string;
  /** 0 where the unit has no main process. */
  readonly mainPid: number;
  readonly controlGroup: string;
  readonly killMode: string;
  readonly restarts: number;
  readonly partOf: readonly string[];
  /** Units that a stop of this one takes along (ConsistsOf, BoundBy, RequiredBy; systemd.unit(5)). */
  readonly stopsAlso: readonly string[];
  /** How it last ended: `success`, `exit-code`, `start-limit-hit`, … (systemd.exec(5)). */
  readonly result: string;
  /** Exit status or signal of the main process when it last ended; 0 where it has not. */
  readonly exitStatus: number;
  /** What the service itself says of its state (`STATUS=`, sd_notify(3)). */
  readonly statusText: string;
  /** Socket units that start this one (TriggeredBy): systemd itself holds their sockets. */
  readonly sockets: readonly string[];
  /** Drop-ins that change how a stop or a start goes, and which settings they make. */
  readonly dropIns: readonly { readonly path: string; readonly sets: readonly string[] }[];
  /** Its program is salt-api (ExecStart). */
  readonly startsSaltApi: boolean;
  /** TCP ports that a socket unit listens on. */
  readonly ports: readonly number[];
}

/** How a unit stands that a stop of salt-api's takes along, or that starts it. */
export type RelatedUnit = Pick<SystemdUnitFacts, 'unit' | 'activeState' | 'ports'>;

/** Who is supposed to look after salt-api on this host. */
export interface ServiceFacts {
  readonly pidFiles: readonly PidFileFacts[];
  /**
   * The unit that was asked for, or that salt-api turned out to be in (`chooseUnit`). Null where
   * the host does not run systemd, or has no such unit.
   */
  readonly systemd: Look<SystemdUnitFacts | null>;
  /** systemd is the init (sd_booted(3)). */
  readonly systemdRuns: boolean;
  /** Units that were looked at and are not it. */
  readonly otherUnits: readonly SystemdUnitFacts[];
  /** Its socket units and all that a stop of it takes along. */
  readonly relatedUnits: readonly RelatedUnit[];
  /** The init script of the service, `/etc/init.d/salt-api`, exists. */
  readonly initScript: boolean;
  /** `rc-service` is there (OpenRC). */
  readonly openRc: boolean;
  /** A program or a directory that Salt's packages install; unset in evidence of old. */
  readonly installed?: boolean | undefined;
}

/** Why a start failed that no held port explains (salt-facts §3, §10). */
export const START_FAILURE_KINDS = [
  'bind-permission',
  'bind-address',
  'certificate',
  'permission',
  'tls-options',
  'no-port',
  'no-netapi',
  'import',
  'exception',
] as const;

export type StartFailureKind = (typeof START_FAILURE_KINDS)[number];

/** Starts that failed for one reason, within the window. */
export interface StartFailureFacts {
  readonly kind: StartFailureKind;
  /** The port and the netapi module that the log names, null where it names none. */
  readonly port: number | null;
  readonly module: string | null;
  readonly count: number;
  /** Of the newest, null where the log carries no times. */
  readonly lastAt: number | null;
  /** The newest line that tells the reason, as `samples` are. */
  readonly sample: string;
}

/** Failed binds of one port, or of those that name none. */
export interface PortBindFailures extends BindFailureTally {
  readonly port: number | null;
}

/** What failed binds add up to. */
export interface BindFailureTally {
  /** Failed starts within the window. */
  readonly events: number;
  readonly firstAt: number | null;
  readonly lastAt: number | null;
  /** Times of the newest events, ascending, at most `MAX_EVENT_TIMES`. */
  readonly times: readonly number[];
  /** Log pids of the newest events, each once, in order, at most 50. */
  readonly pids: readonly number[];
  readonly wordings: Readonly<Partial<Record<BindWording, number>>>;
  /** A few of the error lines, first and newest, each cut to 300 characters, control characters removed. */
  readonly samples: readonly string[];
}

/** Where the log lines were read from. */
export type LogSource =
  | {
      readonly kind: 'file';
      readonly path: string;
      readonly origin: 'option' | 'argv' | 'config' | 'default';
    }
  | { readonly kind: 'journal'; readonly unit: string };

/** What the API log says of failed binds; one failed start is one event. */
export interface ApiLogFacts extends BindFailureTally {
  readonly source: LogSource;
  /** Every file that was read, newest first, with the bytes really read from it. */
  readonly files: readonly { readonly path: string; readonly bytesRead: number }[];
  /** Start of the window; null for the whole log. */
  readonly windowFrom: number | null;
  /** Ports the events named, each once. */
  readonly ports: readonly number[];
  /** The same events port by port, at most `MAX_LOG_PORTS` of them; unset in older evidence. */
  readonly byPort?: readonly PortBindFailures[];
  /** Starts that failed for other reasons, at most `MAX_START_FAILURES`, the newest last. */
  readonly startFailures?: readonly StartFailureFacts[];
  /** `died with exit status …, restarting` lines of the manager within the window. */
  readonly childDeaths: number;
  /** When the last of these was logged; null without one that has a time. Unset in older evidence. */
  readonly lastChildDeathAt?: number | null;
  /** False where no line carried a timestamp, so the window could not be applied. */
  readonly dated: boolean;
  /** Oddities met on the way: truncated while read, a file that could not be opened, … */
  readonly notes: readonly string[];
}

/** How many event times an evidence keeps. */
export const MAX_EVENT_TIMES = 5_000;
/** How many ports an evidence keeps failed binds of; those of further ones count in all alone. */
export const MAX_LOG_PORTS = 8;
/** How many reasons of failed starts an evidence keeps. */
export const MAX_START_FAILURES = 20;

/**
 * What `GET /` brought back. `silentBefore`: how long an ask before this one waited for a reply in
 * vain, ms; unset where this is the first.
 */
export type AnswerFacts = { readonly silentBefore?: number } & (
  | {
      readonly kind: 'answered';
      readonly status: number;
      readonly afterMs: number;
      readonly tls: boolean;
      /** Its `Server:` header, by which CherryPy tells its release, at most 100 characters. */
      readonly server?: string;
    }
  | { readonly kind: 'no-reply'; readonly afterMs: number; readonly tls: boolean }
  | { readonly kind: 'no-connection'; readonly afterMs: number }
  | { readonly kind: 'refused' }
  | { readonly kind: 'broken'; readonly afterMs: number; readonly error: string }
);

/** Limits that a judgement uses; part of the evidence so that `--from` judges alike. */
export interface Policy {
  /** CLOSE_WAIT sockets from which step 3 warns. Healthy is 0 (incident-2018). */
  readonly closeWaitWarn: number;
  /** CLOSE_WAIT sockets from which step 3 fails. */
  readonly closeWaitFail: number;
}

/** Everything a verdict is made from. */
export interface Evidence {
  readonly schemaVersion: 1;
  readonly host: HostFacts;
  readonly instance: InstanceFacts;
  readonly port: PortChoice;
  readonly policy: Policy;
  readonly config: Look<SaltConfigFacts>;
  readonly sockets: Look<SocketFacts>;
  readonly processes: Look<ProcessTableFacts>;
  readonly service: Look<ServiceFacts>;
  readonly apiLog: Look<ApiLogFacts>;
  readonly answer: Look<AnswerFacts>;
  readonly background: Background;
}

/** The sections of an evidence that a look at a host fills, each on its own. */
export const SECTIONS = [
  'host',
  'instance',
  'port',
  'config',
  'sockets',
  'processes',
  'service',
  'apiLog',
  'answer',
] as const satisfies readonly (keyof Evidence)[];

/** What a look makes of a host. */
export type Sections = Pick<Evidence, (typeof SECTIONS)[number]>;
