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
  timeout,
  Unfit,
  unitName,
  whole,
} from './option-kinds.ts';

export interface Option<K extends Kind<unknown> = Kind<unknown>, D = string | undefined> {
  /** As it is typed. */
  readonly flags: string;
  readonly kind: K;
  readonly help: string;
  /** As one would type it. */
  readonly default: D;
  /** The other option that it can't go with. */
  readonly conflicts?: string;
  /** The heading that the help shows it under. */
  readonly group?: string;
  /** The environment has no say in it. */
  readonly typedOnly?: boolean;
  /** Known, so that it can be refused with a reason, and left out of the help. */
  readonly refused?: boolean;
}

type Options = Readonly<Record<string, Option>>;
/** What is given of some options, each by the name that commander has for it. */
export type Values<O> = {
  readonly [Name in keyof O]?: O[Name] extends Option<Kind<infer T>> ? T : never;
};
/** What a command is given, on its line and in the environment. */
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

/** A file that is of one run alone. */
function typedPath(flags: string, help: string) {
  return { ...option(flags, path, help), typedOnly: true };
}

/** The settings file of the host; a user's own is read besides (settings.ts). */
export const SETTINGS_FILE = '/etc/salt-triage.yaml';

/** Puts options under a heading of the help. */
function under<O extends Options>(group: string, options: O): O {
  const rows = Object.entries(options).map(([name, row]) => [name, { ...row, group }]);
  return Object.fromEntries(rows) as O;
}

const port = whole(1, 65_535, 443);
const unprivileged = whole(1024, 65_535);
const count = whole(1, 1_000_000);
const serviceKinds = ['auto', ...SERVICE_KINDS] as const;
/** What a check can be printed as. */
const FORMATS = ['nagios', 'prometheus', 'zabbix', 'checkmk', 'json'] as const;
/** What a report is written as. */
const REPORTS = ['html', 'md'] as const;
/** What a check prints a working configuration for. */
const EXAMPLES = ['systemd', 'nagios', 'icinga', 'zabbix', 'prometheus', 'checkmk'] as const;

const WHICH = 'Which salt-api:';
/** Which salt-api is meant. */
export const INSTANCE = under(WHICH, {
  port: option('-p, --port <number>', port, 'API port (default: of the Salt config, else 443)'),
  saltConfigDir: option('-c, --salt-config-dir <dir>', path, "Salt's config, as salt-api's own -c"),
  log: option('--log <file>', path, 'API log (default: of the process or the Salt config)'),
});

const HOW = 'How to look:';
const LOOKING = {
  ...under(HOW, {
    since: option('--since <span>', past, 'how far back the log counts: 90m, 7d or all', '24h'),
  }),
  ...under(WHICH, {
    unit: option('--unit <name>', unitName, 'name of the service', 'salt-api'),
  }),
};
const PATIENCE = under(HOW, {
  timeout: option('--timeout <span>', timeout, 'how long each single look may take', '20s'),
});
const ASKING = under(HOW, {
  probe: option('--no-probe', flag, "don't send GET / to the API"),
  probeTimeout: option('--probe-timeout <span>', timeout, 'how long GET / may take', '5s'),
});

const THRESHOLDS = under('Limits:', {
  closeWaitWarn: option('--close-wait-warn <number>', count, 'CLOSE_WAIT sockets that warn', '5'),
  closeWaitFail: option('--close-wait-fail <number>', count, 'CLOSE_WAIT sockets that fail', '20'),
});

const ELSEWHERE = 'Another host, over ssh:';
/** Hosts behind ssh. */
export const SSH = under(ELSEWHERE, {
  host: option('--host <host>', many, 'look at this host; may be repeated'),
  hostsFile: option('--hosts-file <file>', path, 'look at its hosts, one a line; - is stdin'),
  roster: option('--roster <file>', path, 'look at the hosts of a salt-ssh roster'),
  concurrency: option('--concurrency <number>', whole(1, 1_000), 'how many hosts at once', '16'),
  sudo: option('--sudo', flag, 'use sudo -n there'),
  connectTimeout: option('--connect-timeout <span>', timeout, 'how long a login may take', '10s'),
});

const CONSENT = under('The fix:', {
  yes: { ...option('-y, --yes', flag, 'ask nothing; every guard stays on'), typedOnly: true },
  dryRun: option('--dry-run', flag, 'show the plan, pids and commands; change nothing'),
  only: option('--only <part>', choice('kill'), 'kill: kill the orphans, leave the service alone'),
});

const FIXING = {
  ...under('The fix:', {
    restart: option(
      '--restart <when>',
      choice('always', 'if-needed'),
      'always, or if-needed: only if the daemon stays down',
      'always',
    ),
    wait: option('--wait <span>', timeout, 'how long to wait for the recovery', '30s'),
    stacks: option(
      '--stacks <when>',
      choice('auto', 'never'),
      'auto or never: Python stacks of what is killed, 10 s at most',
      'auto',
    ),
  }),
  ...under('The service:', {
    service: option('--service <kind>', choice(...serviceKinds), serviceKinds.join(', '), 'auto'),
    stopCmd: option('--stop-cmd <command>', command('stop'), 'stops it; run without a shell'),
    startCmd: option('--start-cmd <command>', command('start'), 'starts it; run without a shell'),
    commandTimeout: option(
      '--command-timeout <span>',
      timeout,
      'how long such a command may take',
      // Longer than systemd's own 90 s before it kills (DefaultTimeoutStopSec, systemd-system.conf(5)).
      '120s',
    ),
  }),
};

const OUTPUT = 'Output:';
/** The group of what is about salt-triage, and not about salt-api. */
export const OWN = 'salt-triage itself:';
const trail = under(OWN, {
  stateDir: option(
    '--state-dir <dir>',
    path,
    `where fixes are recorded (default: ${ROOTS_STATE_DIRECTORY})`,
  ),
});
const KEEPING = under(OWN, {
  keepIncidents: option(
    '--keep-incidents <number>',
    count,
    'how many records to keep',
    String(KEEP_INCIDENTS),
  ),
  keepMebibytes: option(
    '--keep-mebibytes <number>',
    positive,
    'how large they may be, in MiB',
    String(KEEP_MEBIBYTES),
  ),
});
const json = under(OUTPUT, {
  json: option('--json', flag, 'one JSON document on standard output'),
});
const config = under(OWN, {
  config: option('--config <file>', path, 'settings file', SETTINGS_FILE),
});
const debug = under(OWN, { debug: option('--debug', flag, 'show the stack of an error') });
const color = under(OUTPUT, { color: option('--no-color', flag, 'no colour, as NO_COLOR') });
const SCREEN = {
  ...color,
  ...under(OUTPUT, {
    ascii: option('--ascii', flag, 'words in place of marks: OK, FAIL, WARN, UNKNOWN'),
  }),
  ...debug,
};

/** What every command that looks takes. */
export const LOOK = { ...INSTANCE, ...LOOKING, ...PATIENCE, ...ASKING, ...THRESHOLDS };

/** What means nothing to a look that is over. */
export const OF_A_LOOK = { ...LOOKING, ...PATIENCE, ...ASKING, ...SSH };

/** What only the command line and the environment may set, with a default. */
const BESIDE_SETTINGS = {
  ...PATIENCE,
  concurrency: SSH.concurrency,
  connectTimeout: SSH.connectTimeout,
};

/** The options of each command. */
export const COMMANDS = {
  diagnose: {
    ...LOOK,
    ...SSH,
    ...under('Evidence:', {
      save: option('--save <file>', path, 'write the evidence for --from; - is stdout'),
      from: option('--from <file>', path, 'judge saved evidence, not this host; - is stdin'),
    }),
    ...json,
    ...under(OUTPUT, {
      strict: option('--strict', flag, 'exit 1 for degraded too'),
      verbose: {
        ...option('-v, --verbose', flag, 'the evidence of each step'),
        conflicts: 'quiet',
      },
      quiet: option('-q, --quiet', flag, 'the verdict line alone'),
    }),
    ...config,
    ...SCREEN,
  },
  fix: {
    ...LOOK,
    probe: { ...ASKING.probe, refused: true },
    ...CONSENT,
    ...FIXING,
    ...under(ELSEWHERE, {
      host: option('--host <host>', many, 'fix this host; one at a time'),
      sudo: SSH.sudo,
      connectTimeout: SSH.connectTimeout,
    }),
    ...json,
    ...config,
    ...trail,
    ...KEEPING,
    ...SCREEN,
  },
  check: {
    ...LOOK,
    // `-c` is critical to every monitor.
    saltConfigDir: { ...INSTANCE.saltConfigDir, flags: '--salt-config-dir <dir>' },
    ...under(HOW, {
      // What starts node reads it, too (bin/front.sh), and that reads no environment.
      timeout: {
        ...option('-t, --timeout <seconds>', seconds, 'how long all of it may take', '10'),
        typedOnly: true,
      },
    }),
    ...under('Limits:', {
      warning: option('-w, --warning <name=range>', many, 'warns outside it; may be repeated'),
      critical: option('-c, --critical <name=range>', many, 'critical outside; may be repeated'),
      growth: option('--growth', flag, 'keep looks, for close_wait_rate per minute and for report'),
    }),
    ...under(ELSEWHERE, {
      host: option('-H, --host <host>', many, 'check this host; one at a time'),
      sudo: SSH.sudo,
      connectTimeout: SSH.connectTimeout,
    }),
    ...under(OUTPUT, {
      format: option('--format <format>', choice(...FORMATS), FORMATS.join(', '), 'nagios'),
      output: option('-o, --output <file>', path, 'write it there, whole or not at all'),
      unknownIs: option(
        '--unknown-is <state>',
        choice('unknown', 'warning', 'critical'),
        'unknown, warning or critical: state where a look failed',
        'unknown',
      ),
      verbose: option('-v, --verbose', repeatable, 'the steps; -vv their evidence; -vvv more'),
      example: option('--example <monitor>', choice(...EXAMPLES), `set for ${EXAMPLES.join(', ')}`),
    }),
    ...color,
    ...config,
    ...trail,
    ...debug,
  },
  probe: { ...INSTANCE, ...LOOKING, ...PATIENCE, ...color, ...config, ...debug },
  history: { ...json, ...config, ...trail, ...SCREEN },
  report: {
    ...under('Evidence:', {
      from: typedPath('--from <file>', 'of saved evidence, not of an incident; - is stdin'),
    }),
    ...under(OUTPUT, {
      format: {
        ...option(
          '--format <format>',
          choice(...REPORTS),
          'html or md (default: as -o ends, else md)',
        ),
        typedOnly: true,
      },
      output: typedPath('-o, --output <file>', 'write it there, whole or not at all'),
      anonymize: option('--anonymize', flag, 'other names for addresses, hosts and users'),
      names: typedPath('--names <file>', 'who is who then (default: beside -o)'),
    }),
    ...config,
    ...trail,
    ...color,
    ...debug,
  },
  settings: {
    ...LOOK,
    ...FIXING,
    ...BESIDE_SETTINGS,
    ...json,
    ...config,
    ...trail,
    ...KEEPING,
    ...SCREEN,
  },
  completion: { ...config, ...trail, ...debug },
  drill: {
    ...under('The drill:', {
      // SALT_TRIAGE_PORT is that of the real salt-api, which has no say in a drill.
      port: {
        ...option('-p, --port <number>', unprivileged, 'port to stage it on (default: a free one)'),
        typedOnly: true,
      },
      keep: option('--keep [span]', timeout, 'leave it standing, at most so long', '10m'),
      end: { ...option('--end', flag, 'end what was left standing'), conflicts: 'keep' },
      report: {
        ...option('--report [file]', path, 'leave a report of it', 'salt-triage-drill.html'),
        conflicts: 'keep',
        typedOnly: true,
      },
    }),
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
  ...trail,
  ...KEEPING,
} satisfies Readonly<Record<string, Option<SettingKind<unknown>>>>;

/** The long option, as it is typed. */
export function longName({ flags }: Pick<Option, 'flags'>): string {
  return /--[\w-]+/.exec(flags)?.[0] ?? '';
}

/**
 * What the command line gives, each word read as its kind.
 * @param given as commander has gathered it
 * @throws TriageError (usage) that names the option
 */
export function readFlags<O extends Options>(options: O, given: object): Values<O> {
  return readWords(options, Object.entries(given)) as Values<O>;
}

/** What holds where nothing else says otherwise. */
export function defaultsOf<O extends Options>(options: O): Defaults<O> {
  const words = Object.entries(options).map(([name, option]) => [name, option.default] as const);
  return readWords(options, words) as Defaults<O>;
}

function readWords(options: Options, words: readonly (readonly [string, unknown])[]): object {
  const values = words.map(([name, word]) => {
    const option = options[name];
    // An option whose value may be left out has its default then.
    const text = word === true ? option?.default : word;
    return [name, typeof text === 'string' && option ? readWord(option, text) : word];
  });
  return Object.fromEntries(values);
}

/**
 * What a word means to an option.
 * @param name what it is called where the word was found, for the error
 * @throws TriageError (usage)
 */
export function readWord(
  { kind, flags }: Option,
  word: string,
  name = longName({ flags }),
): unknown {
  try {
    return kind.fromText(word, name);
  } catch (error) {
    if (!(error instanceof Unfit)) throw error;
    throw new TriageError(
      `${name} ${JSON.stringify(word)}: must be ${error.message}`,
      error.example === ''
        ? ''
        : `Example: ${name}${name.startsWith('-') ? ' ' : '='}${error.example}`,
      ExitCode.usage,
    );
  }
}
