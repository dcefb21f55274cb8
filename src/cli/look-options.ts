/** From options and the settings file to what a look needs. */
import { ExitCode, TriageError } from '../errors.ts';
import type { LookRequest, Policy } from '../evidence/evidence.ts';

import { quoteForShell } from '../shell-words.ts';
import { parseDuration, parseTimeout } from './duration.ts';
import { loadSettings, type Settings } from './settings.ts';

/** What commander hands over for the options that every looking command has. */
export interface LookFlags {
  readonly port?: string;
  readonly saltConfigDir?: string;
  readonly log?: string;
  readonly since?: string;
  readonly probe: boolean;
  readonly probeTimeout?: string;
  readonly closeWaitWarn?: string;
  readonly closeWaitFail?: string;
  readonly timeout?: string;
  readonly unit?: string;
  readonly config?: string;
  readonly color: boolean;
  readonly debug?: boolean;
}

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

const HOUR_MS = 3_600_000;
const DEFAULTS = {
  sinceMs: 24 * HOUR_MS,
  probeTimeoutMs: 5_000,
  lookTimeoutMs: 20_000,
  closeWaitWarn: 5,
  closeWaitFail: 20,
  unit: 'salt-api',
};

/**
 * Resolves the options: the command line wins over the settings file, which wins over defaults.
 * @throws TriageError (usage) for a value that can't be taken
 */
export async function resolveLookOptions(flags: LookFlags): Promise<LookOptions> {
  const settings = await loadSettings(flags.config);
  return {
    request: lookRequest(flags, settings),
    policy: thresholds(flags, settings, DEFAULTS),
    unit: unitOption(flags.unit) ?? settings.unit ?? DEFAULTS.unit,
    unitNamed: (flags.unit ?? settings.unit) !== undefined,
    repeated: repeatedOptions(flags),
    settings,
  };
}

/**
 * The limits of CLOSE_WAIT: options before settings before what is given besides.
 * @throws TriageError (usage) for a limit that can't be taken, and for two that cross
 */
export function thresholds(
  flags: Pick<LookFlags, 'closeWaitWarn' | 'closeWaitFail'>,
  settings: Pick<Settings, 'closeWaitWarn' | 'closeWaitFail'>,
  otherwise: Policy,
): Policy {
  const closeWaitWarn =
    wholeOption(flags.closeWaitWarn, '--close-wait-warn', 1, 1_000_000) ??
    settings.closeWaitWarn ??
    otherwise.closeWaitWarn;
  const closeWaitFail =
    wholeOption(flags.closeWaitFail, '--close-wait-fail', 1, 1_000_000) ??
    settings.closeWaitFail ??
    Math.max(otherwise.closeWaitFail, closeWaitWarn);
  if (closeWaitFail >= closeWaitWarn) return { closeWaitWarn, closeWaitFail };
  throw new TriageError(
    `--close-wait-fail ${closeWaitFail} is below --close-wait-warn ${closeWaitWarn}`,
    'Raise the one or lower the other.',
    ExitCode.usage,
  );
}

function lookRequest(flags: LookFlags, settings: Settings): LookRequest {
  const probe = flags.probe && settings.probe !== false;
  const timeout = flags.probeTimeout;
  return {
    port: wholeOption(flags.port, '--port', 1, 65_535) ?? settings.port,
    configDirectory: flags.saltConfigDir ?? settings.saltConfigDir,
    log: flags.log ?? settings.log,
    sinceMs: sinceOption(flags.since, settings),
    probeTimeoutMs: probe
      ? timeout === undefined
        ? (settings.probeTimeout ?? DEFAULTS.probeTimeoutMs)
        : parseTimeout(timeout, '--probe-timeout')
      : null,
    lookTimeoutMs:
      flags.timeout === undefined
        ? DEFAULTS.lookTimeoutMs
        : parseTimeout(flags.timeout, '--timeout'),
  };
}

function sinceOption(text: string | undefined, settings: Settings): number | null {
  if (text === undefined) return settings.since === undefined ? DEFAULTS.sinceMs : settings.since;
  return text === 'all' ? null : parseDuration(text, '--since');
}

/** A whole number within bounds, or undefined where the option was not given. */
export function wholeOption(
  text: string | undefined,
  option: string,
  least: number,
  most: number,
): number | undefined {
  if (text === undefined) return undefined;
  const value = Number(text);
  if (/^\d{1,9}$/.test(text) && value >= least && value <= most) return value;
  throw new TriageError(
    `${option} ${JSON.stringify(text)} is not a whole number from ${least} to ${most}`,
    `Example: ${option} ${least === 1 && most === 65_535 ? 443 : least}`,
    ExitCode.usage,
  );
}

function unitOption(text: string | undefined): string | undefined {
  if (text === undefined || /^[\w@:.\\][\w@:.\\-]{0,254}$/.test(text)) return text;
  throw new TriageError(
    `--unit ${JSON.stringify(text)} is no name of a service`,
    'Example: --unit salt-api',
    ExitCode.usage,
  );
}

function repeatedOptions(flags: LookFlags): string[] {
  const options: (readonly [string, string | undefined])[] = [
    ['--port', flags.port],
    ['-c', flags.saltConfigDir],
    ['--log', flags.log],
    ['--unit', flags.unit],
    ['--config', flags.config],
  ];
  return options.flatMap(([name, value]) =>
    value === undefined ? [] : [name, quoteForShell(value)],
  );
}
