/**
 * Who called the API, how often, and what changed, as its logs tell it: access lines, written when a
 * request ends, and `[api_acl]` lines, written when a login begins (salt-advice §4).
 */

/** What the last request line of a call was for; paths themselves are not kept, nor query strings. */
export const CALL_KINDS = [
  // `GET /`: a probe, most often a monitor's.
  'welcome',
  'login',
  // `POST /` and `/run`: synchronous or not, no log says.
  'run',
  // `POST /minions`: always local_async.
  'start-job',
  // `GET /minions`: synchronous, asks all minions for their grains.
  'all-grains',
  // `GET /jobs` and `/keys`: synchronous; who polls `/jobs/JID` calls asynchronously.
  'jobs',
  // `/events` and `/ws`: owns a worker for as long as it lasts.
  'events',
  'other',
] as const;

export type CallKind = (typeof CALL_KINDS)[number];

/** Clients that are told of one by one: those with the most calls. */
export const MAX_CLIENTS = 20;
/** How far back calls are counted from the newest, minutes. */
export const MAX_MINUTES = 48 * 60;

/** A log that was searched for calls. */
interface SearchedLog {
  /** `api-log`: Salt's own log; `access-file`: what `log_access_file` names. */
  readonly kind: 'api-log' | 'access-file';
  readonly path: string;
  /** Bytes really read, of a gzipped one as they came out of it. */
  readonly bytesRead: number;
  /** Lines in it that tell of a call. */
  readonly calls: number;
}

/** Calls by the minute. */
export interface CallsPerMinute {
  /** Beginning of the first minute, epoch ms of the host's clock. */
  readonly firstMinute: number;
  /** Calls in it and in those that follow, the last with any included; at most {@link MAX_MINUTES}. */
  readonly counts: readonly number[];
}

/** One client: an address with what its program calls itself. */
export interface ClientFacts extends CallsPerMinute {
  readonly address: string;
  /** `User-Agent`, one printable line of at most 80 characters; null where the client sends none. */
  readonly agent: string | null;
  readonly calls: number;
  readonly kinds: Readonly<Record<CallKind, number>>;
}

/** Logins that began from an address as a user. */
interface LoginFacts {
  readonly address: string;
  readonly user: string;
  readonly count: number;
}

/** The logins of one salt-api process: begun by `[api_acl]` lines, ended by access lines. */
interface ProcessLogins {
  /** As the log has it; null where the log's format carries none. */
  readonly pid: number | null;
  readonly begun: number;
  readonly ended: number;
  readonly lastBegunAt: number;
}

export interface ClientsFacts {
  /** The newest first. */
  readonly logs: readonly SearchedLog[];
  /** Where the config names a file for access lines (`log_access_file`, 2016.11+). */
  readonly accessFile: string | null;
  /**
   * How far back it was read: to the beginning of all that is there (`all`), {@link MAX_MINUTES}
   * (`window`), until a bound on bytes or time, or up to a log that could not be read (`unread`).
   */
  readonly reach: 'all' | 'window' | 'bytes' | 'time' | 'unread';
  /** Epoch ms of the host's clock: from when on all calls that were logged are counted; null without any. */
  readonly from: number | null;
  /** When the newest access line was written, to the minute; null without any. */
  readonly lastCallAt: number | null;
  /** Every call, those of clients beyond {@link MAX_CLIENTS} included. */
  readonly all: CallsPerMinute;
  /** The busiest first. */
  readonly clients: readonly ClientFacts[];
  /** Addresses with agents that are not in `clients`. */
  readonly furtherClients: number;
  /** The most first; at most {@link MAX_CLIENTS}. Empty where the log's level hides logins. */
  readonly logins: readonly LoginFacts[];
  /** By process, the newest last; at most {@link MAX_CLIENTS}. */
  readonly processLogins: readonly ProcessLogins[];
  /** Lines by which Salt's client says that a synchronous call waits (log level debug alone has them). */
  readonly syncCalls: number;
  /** Oddities met on the way: a file that could not be read, … */
  readonly notes: readonly string[];
}
