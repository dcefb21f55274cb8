/** From options and the settings file to what a look needs. */
import { ExitCode, TriageError } from '../errors.ts';
import { BACKGROUND } from '../evidence/background.ts';
import type { LookRequest, Policy } from '../evidence/evidence.ts';
import { quoteForShell } from '../shell-words.ts';
import {
  type COMMANDS,
  defaultsOf,
  type Flags,
  LOOK,
  SETTINGS_FILE,
  type Settings,
} from './options.ts';
import { inForce, readSettingsFiles } from './settings.ts';

/** What is given of the options that every looking command has. */
export type LookFlags = Flags<typeof LOOK & Pick<typeof COMMANDS.probe, 'config'>>;

export interface LookOptions {
  readonly request: LookRequest;
  readonly policy: Policy;
  readonly unit: string;
  /** Whether somebody named it, on the command line or in the settings. */
  readonly unitNamed: boolean;
  /** Options that mean the same salt-api to any command, quoted. */
  readonly sameSaltApi: readonly string[];
  /** What of it is not typed: sudo would lose the environment and the user's own settings. */
  readonly untyped: readonly string[];
  readonly settings: Settings;
}

/**
 * Resolves the options: what is given wins over the settings files, which win over defaults.
 * @param typed what of `flags` is typed, and not from the environment
 * @throws TriageError (usage) for settings that can't be followed, and for limits that cross
 */
export async function resolveLookOptions(
  flags: Partial<LookFlags>,
  typed: Partial<LookFlags> = flags,
): Promise<LookOptions> {
  const files = await readSettingsFiles(flags.config);
  const settings = inForce(files);
  const own = files.find(({ path }) => path !== SETTINGS_FILE && path !== flags.config);
  const meant = { ...own?.settings, ...flags };
  const defaults = defaultsOf(LOOK);
  const named = { ...settings, ...flags };
  const value = { ...defaults, ...named };
  return {
    request: {
      port: value.port,
      configDirectory: value.saltConfigDir,
      log: value.log,
      sinceMs: value.since,
      probeTimeoutMs: value.probe === false ? null : value.probeTimeout,
      lookTimeoutMs: value.timeout,
      background: BACKGROUND,
    },
    policy: wholePolicy(named, defaults),
    unit: value.unit,
    unitNamed: named.unit !== undefined,
    sameSaltApi: repeatedOptions(meant),
    untyped: repeatedOptions(meant, typed),
    settings,
  };
}

/**
 * The limits of CLOSE_WAIT: what is named before what is given besides.
 * @throws TriageError (usage) for two that cross
 */
export function wholePolicy(named: Partial<Policy>, otherwise: Policy): Policy {
  const closeWaitWarn = named.closeWaitWarn ?? otherwise.closeWaitWarn;
  const closeWaitFail = named.closeWaitFail ?? Math.max(otherwise.closeWaitFail, closeWaitWarn);
  if (closeWaitFail >= closeWaitWarn) return { closeWaitWarn, closeWaitFail };
  throw new TriageError(
    `--close-wait-fail ${closeWaitFail} is below --close-wait-warn ${closeWaitWarn}`,
    'Raise the one or lower the other.',
    ExitCode.usage,
  );
}

/** What tells one salt-api from another, and how it is judged, each as it is typed. */
const REPEATED = {
  port: '--port',
  saltConfigDir: '-c',
  log: '--log',
  unit: '--unit',
  closeWaitWarn: '--close-wait-warn',
  closeWaitFail: '--close-wait-fail',
  config: '--config',
} as const;

function repeatedOptions(
  values: { readonly [name in keyof typeof REPEATED]?: string | number | undefined },
  except: object = {},
): string[] {
  const names = Object.keys(REPEATED) as (keyof typeof REPEATED)[];
  return names.flatMap((name) => {
    const value = values[name];
    if (value === undefined || name in except) return [];
    return [REPEATED[name], quoteForShell(String(value))];
  });
}
