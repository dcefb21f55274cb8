/** From options and the settings file to what a look needs. */
import { ExitCode, TriageError } from '../errors.ts';
import type { LookRequest, Policy } from '../evidence/evidence.ts';
import { quoteForShell } from '../shell-words.ts';
import { type COMMANDS, defaultsOf, type Flags, LOOK, type Settings } from './options.ts';
import { loadSettings } from './settings.ts';

/** What the command line gives of the options that every looking command has. */
export type LookFlags = Flags<typeof LOOK & Pick<typeof COMMANDS.probe, 'config'>>;

export interface LookOptions {
  readonly request: LookRequest;
  readonly policy: Policy;
  readonly unit: string;
  /** Whether somebody named it, on the command line or in the settings. */
  readonly unitNamed: boolean;
  /** Options that the next command must repeat to mean the same salt-api. */
  readonly repeated: readonly string[];
  readonly settings: Settings;
}

/**
 * Resolves the options: the command line wins over the settings file, which wins over defaults.
 * @throws TriageError (usage) for settings that can't be followed, and for limits that cross
 */
export async function resolveLookOptions(flags: Partial<LookFlags>): Promise<LookOptions> {
  const settings = await loadSettings(flags.config);
  const defaults = defaultsOf(LOOK);
  const named = { ...settings, ...flags };
  const value = { ...defaults, ...named };
  const asks = flags.probe !== false && settings.probe !== false;
  return {
    request: {
      port: value.port,
      configDirectory: value.saltConfigDir,
      log: value.log,
      sinceMs: value.since,
      probeTimeoutMs: asks ? value.probeTimeout : null,
      lookTimeoutMs: value.timeout,
    },
    policy: thresholds(named, defaults),
    unit: value.unit,
    unitNamed: named.unit !== undefined,
    repeated: repeatedOptions(flags),
    settings,
  };
}

/**
 * The limits of CLOSE_WAIT: what is named before what is given besides.
 * @throws TriageError (usage) for two that cross
 */
export function thresholds(named: Partial<Policy>, otherwise: Policy): Policy {
  const closeWaitWarn = named.closeWaitWarn ?? otherwise.closeWaitWarn;
  const closeWaitFail = named.closeWaitFail ?? Math.max(otherwise.closeWaitFail, closeWaitWarn);
  if (closeWaitFail >= closeWaitWarn) return { closeWaitWarn, closeWaitFail };
  throw new TriageError(
    `--close-wait-fail ${closeWaitFail} is below --close-wait-warn ${closeWaitWarn}`,
    'Raise the one or lower the other.',
    ExitCode.usage,
  );
}

function repeatedOptions(flags: Partial<LookFlags>): string[] {
  const options = [
    ['--port', flags.port],
    ['-c', flags.saltConfigDir],
    ['--log', flags.log],
    ['--unit', flags.unit],
    ['--config', flags.config],
  ] as const;
  return options.flatMap(([name, value]) =>
    value === undefined ? [] : [name, quoteForShell(String(value))],
  );
}
