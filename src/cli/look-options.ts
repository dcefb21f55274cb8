/** From options and the settings file to what a look needs. */
import { ExitCode, TriageError } from '../errors.ts';
import type { LookRequest, Policy } from '../evidence/evidence.ts';
import type { ServiceOptions } from '../plan/service-manager.ts';
import type { Repeated } from '../report/next-command.ts';
import { quoteForShell } from '../shell-words.ts';
import { resolveFixOptions } from './fix-options.ts';
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
  readonly repeated: Repeated;
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
    repeated: repeatedBy(flags, settings, {
      unit: value.unit,
      unitNamed: named.unit !== undefined,
    }),
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

/** What the next command repeats of this one, and how a fix would go by the settings. */
function repeatedBy(
  flags: Partial<LookFlags>,
  settings: Settings,
  unit: Pick<ServiceOptions, 'unit' | 'unitNamed'>,
): Repeated {
  const options = [
    ['--port', flags.port],
    ['-c', flags.saltConfigDir],
    ['--log', flags.log],
    ['--unit', flags.unit],
    ['--close-wait-warn', flags.closeWaitWarn],
    ['--close-wait-fail', flags.closeWaitFail],
    ['--config', flags.config],
  ] as const;
  const words = options.flatMap(([name, value]) =>
    value === undefined ? [] : [name, quoteForShell(String(value))],
  );
  const { yes, only, restart, ...service } = resolveFixOptions({}, settings);
  return { flags: words, fixFlags: words, yes, only, restart, service: { ...service, ...unit } };
}
