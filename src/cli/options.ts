/**
 * Every option, once: how it is typed, its kind, what it is for and its default. The command line
 * with its help, the settings file and the values that commands work with are made from it.
 */
import { ExitCode, TriageError } from '../errors.ts';
import { SERVICE_KINDS } from '../plan/service-manager.ts';
import { ROOTS_STATE_DIRECTORY } from '../trail/directory.ts';
import { KEEP_INCIDENTS, KEEP_MEBIBYTES } from '../trail/retention.ts';
import {
  choice,
  command,
  flag,
  type Kind,
  many,
  past,
  path,
  positive,
  repeatable,
  type SettingKind,
  seconds,
  span,
  timeout,
  Unfit,
  unitName,
  whole,
} from './option-kinds.ts';

export interface Option<K extends Kind<unknown> = Kind<unknown>, D = string | undefined> {
  /** As it is typed; empty for what only the settings file has. */
  readonly flags: string;
  readonly kind: K;
  readonly help: string;
  /** As one would type it. */
  readonly default: D;
  /** The other option that it can't go with. */
  readonly conflicts?: string;
}

type Options = Readonly<Record<string, Option>>;
/** What is given of some options, each by the name that commander has for it. */
export type Values<O> = {
  readonly [Name in keyof O]?: O[Name] extends Option<Kind<infer T>> ? T : never;
};
/** What the command line gives. */
export type Flags<O> = Values<O> & { readonly color: boolean };
/** What the settings file gives. */
export type Settings = Values<typeof SETTINGS>;
type Defaults<O> = Required<
  Values<{ [Name in keyof O as O[Name] extends { default: string } ? Name : never]: O[Name] }>
>;

function option<K extends Kind<unknown>, const D extends string | undefined = undefined>(
  flags: string,
  kind: K,
  help: string,
  standard?: D,
): Option<K, D> {
  return { flags, kind, help, default: standard as D };
}

const port = whole(1, 65_535, 443);
const unprivileged = whole(1024, 65_535);
const count = whole(1, 1_000_000);
const serviceKinds = ['auto', ...SERVICE_KINDS] as const;
/** What a check can be printed as. */
const FORMATS = ['nagios', 'prometheus', 'zabbix', 'checkmk', 'json'] as const;
/** What a check prints a working configuration for. */
const EXAMPLES = ['systemd', 'nagios', 'icinga', 'zabbix', 'prometheus', 'checkmk'] as const;
const trailHelp = `where the trail is kept (default: ${ROOTS_STATE_DIRECTORY})`;

/** Which salt-api is meant. */
export const INSTANCE = {
  port: option('-p, --port <number>', port, 'API port (default: of the salt config, else 443)'),
  saltConfigDir: option('-c, --salt-config-dir <dir>', path, "Salt's config, as salt-api's own -c"),
  log: option('--log <file>', path, 'API log (default: of the process or salt config)'),
};

const LOOKING = {
  since: option('--since <span>', past, 'how far back the log counts: 90m, 7d or all', '24h'),
  unit: option('--unit <name>', unitName, 'name of the service', 'salt-api'),
};
const PATIENCE = {
  timeout: option('--timeout <span>', timeout, 'bound on every single look', '20s'),
};
const ASKING = {
  probe: option('--no-probe', flag, "don't send GET / to the API"),
  probeTimeout: option('--probe-timeout <span>', timeout, 'how long GET / may take', '5s'),
};

const THRESHOLDS = {
  closeWaitWarn: option('--close-wait-warn <number>', count, 'CLOSE_WAIT sockets that warn', '5'),
  closeWaitFail: option('--close-wait-fail <number>', count, 'CLOSE_WAIT sockets that fail', '20'),
};

/** Hosts behind ssh. */
export const SSH = {
  host: option('--host <host>', many, 'look at this host over ssh; may be repeated'),
  hostsFile: option('--hosts-file <file>', path, 'look at its hosts, one a line; - is stdin'),
  roster: option('--roster <file>', path, 'look at the hosts of a salt-ssh roster'),
  concurrency: option('--concurrency <number>', whole(1, 1_000), 'how many hosts at once', '16'),
  sudo: option('--sudo', flag, 'with sudo -n there'),
  connectTimeout: option('--connect-timeout <span>', timeout, 'how long a login may take', '10s'),
};

const FIXING = {
  restart: option(
    '--restart <when>',
    choice('always', 'if-needed'),
    'always, or if-needed: only if the daemon stays down',
    'always',
  ),
  wait: option('--wait <span>', timeout, 'how long to wait for the recovery', '30s'),
  service: option('--service <kind>', choice(...serviceKinds), serviceKinds.join(', '), 'auto'),
  stopCmd: option('--stop-cmd <command>', command('stop'), 'stops the service, without a shell'),
  startCmd: option('--start-cmd <command>', command('start'), 'starts it, without a shell'),
  // Longer than systemd's own 90 s before it kills (DefaultTimeoutStopSec, systemd-system.conf(5)).
  commandTimeout: option('--command-timeout <span>', timeout, 'bound on a service command', '120s'),
  stateDir: option('--state-dir <dir>', path, trailHelp),
};

const json = option('--json', flag, 'one JSON document on standard output');
const config = option('--config <file>', path, 'settings of salt-triage', '/etc/salt-triage.yaml');
const debug = option('--debug', flag, 'show the stack of an error');
const SCREEN = {
  color: option('--no-color', flag, 'no colour, as NO_COLOR'),
  ascii: option('--ascii', flag, 'words in place of marks: OK, FAIL, WARN, UNKNOWN'),
  debug,
};

/** What every command that looks takes. */
export const LOOK = { ...INSTANCE, ...LOOKING, ...PATIENCE, ...ASKING, ...THRESHOLDS };

/** What means nothing to a look that is over. */
export const OF_A_LOOK = { ...LOOKING, ...PATIENCE, probeTimeout: ASKING.probeTimeout, ...SSH };

/** The options of each command, in the order of its help. */
export const COMMANDS = {
  diagnose: {
    ...LOOK,
    ...SSH,
    json,
    save: option('--save <file>', path, 'write the evidence, for --from on another machine'),
    from: option('--from <file>', path, 'judge saved evidence, not this host; - is stdin'),
    strict: option('--strict', flag, 'exit 1 for degraded too'),
    verbose: { ...option('-v, --verbose', flag, 'the evidence of each step'), conflicts: 'quiet' },
    quiet: option('-q, --quiet', flag, 'the verdict line alone'),
    config,
    ...SCREEN,
  },
  fix: {
    ...LOOK,
    host: option('--host <host>', many, 'fix this host over ssh; one at a time'),
    sudo: SSH.sudo,
    connectTimeout: SSH.connectTimeout,
    yes: option('-y, --yes', flag, 'ask nothing; every guard stays on'),
    dryRun: option('--dry-run', flag, 'show the plan, pids and commands; change nothing'),
    only: option('--only <part>', choice('kill'), 'kill: the orphans alone'),
    ...FIXING,
    json,
    config,
    ...SCREEN,
  },
  check: {
    ...LOOK,
    // `-c` is critical to every monitor.
    saltConfigDir: { ...INSTANCE.saltConfigDir, flags: '--salt-config-dir <dir>' },
    timeout: option('-t, --timeout <seconds>', seconds, 'bound on the whole command', '10'),
    warning: option('-w, --warning <name=range>', many, 'warns outside it; may be repeated'),
    critical: option('-c, --critical <name=range>', many, 'critical outside it; may be repeated'),
    unknownIs: option(
      '--unknown-is <state>',
      choice('unknown', 'warning', 'critical'),
      'state where a look failed: unknown, warning, critical',
      'unknown',
    ),
    format: option('--format <format>', choice(...FORMATS), FORMATS.join(', '), 'nagios'),
    output: option('-o, --output <file>', path, 'write it there, whole or not at all'),
    growth: option('--growth', flag, 'keep the last look, and tell close_wait_rate per minute'),
    stateDir: { ...FIXING.stateDir, help: 'where --growth keeps the last look' },
    host: { ...SSH.host, flags: '-H, --host <host>', help: 'check this host over ssh' },
    sudo: SSH.sudo,
    connectTimeout: SSH.connectTimeout,
    verbose: option('-v, --verbose', repeatable, 'the steps; -vv their evidence; -vvv more'),
    example: option(
      '--example <monitor>',
      choice(...EXAMPLES),
      `configuration of ${EXAMPLES.join(', ')}`,
    ),
    config,
    ...SCREEN,
  },
  probe: { ...INSTANCE, ...LOOKING, ...PATIENCE, config, debug },
  history: { json, stateDir: FIXING.stateDir, config, ...SCREEN },
  drill: {
    port: option('-p, --port <number>', unprivileged, 'port to stage it on (default: a free one)'),
    keep: option('--keep [span]', span, 'leave it standing to practise on, at most so long', '10m'),
    end: { ...option('--end', flag, 'end what was left standing'), conflicts: 'keep' },
    ...SCREEN,
  },
};

/** What the settings file may set; the key is the name with dashes, `closeWaitFail` as `close-wait-fail`. */
export const SETTINGS = {
  ...INSTANCE,
  ...LOOKING,
  ...ASKING,
  ...THRESHOLDS,
  ...FIXING,
  keepIncidents: option('', count, 'incidents that the trail keeps', String(KEEP_INCIDENTS)),
  keepMebibytes: option('', positive, 'MiB that the trail keeps', String(KEEP_MEBIBYTES)),
} satisfies Readonly<Record<string, Option<SettingKind<unknown>>>>;

/** The long option, as it is typed. */
export function longName({ flags }: Option): string {
  return /--[\w-]+/.exec(flags)?.[0] ?? '';
}

/**
 * What the command line gives, each word read as its kind.
 * @param given as commander has gathered it
 * @throws TriageError (usage) that names the option
 */
export function readFlags<O extends Options>(options: O, given: object): Flags<O> {
  return readWords(options, Object.entries(given)) as unknown as Flags<O>;
}

/** What holds where neither the command line nor the settings say otherwise. */
export function defaultsOf<O extends Options>(options: O): Defaults<O> {
  const words = Object.entries(options).map(([name, option]) => [name, option.default] as const);
  return readWords(options, words) as unknown as Defaults<O>;
}

function readWords(options: Options, words: readonly (readonly [string, unknown])[]) {
  const values = words.map(([name, word]) => {
    const option = options[name];
    // An option whose value may be left out has its default then.
    const text = word === true ? option?.default : word;
    return [name, typeof text === 'string' && option ? readWord(option, text) : word];
  });
  return Object.fromEntries(values);
}

function readWord(option: Option, word: string): unknown {
  const name = longName(option);
  try {
    return option.kind.fromText?.(word, name);
  } catch (error) {
    if (!(error instanceof Unfit)) throw error;
    throw new TriageError(
      `${name} ${JSON.stringify(word)} is not ${error.message}`,
      `Example: ${name} ${error.example}`,
      ExitCode.usage,
    );
  }
}
