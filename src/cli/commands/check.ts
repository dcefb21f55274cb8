import {
  type CheckResult,
  failedCheck,
  judgeCheck,
  STATES,
  type State,
  type Thresholds,
  withTrouble,
} from '../../check/check.ts';
import { runningMs } from '../../clock.ts';
import type { Diagnosis } from '../../diagnosis/diagnosis.ts';
import { ExitCode, TriageError } from '../../errors.ts';
import type { Host } from '../../host/host.ts';
import { LocalHost } from '../../host/local/local-host.ts';
import { checkJson, zabbixLine } from '../../report/check-json.ts';
import { prometheusText } from '../../report/check-prometheus.ts';
import { checkmkLine, pluginLines } from '../../report/check-text.ts';
import { handOver, handOverOtherwise, WHY } from '../front-shell.ts';
import { rateSinceLastLook } from '../last-look.ts';
import { diagnoseInTime, type Progress, silenceOf, type Time } from '../look-in-time.ts';
import { type LookOptions, resolveLookOptions } from '../look-options.ts';
import { COMMANDS, defaultsOf, type Flags, type Values } from '../options.ts';
import { refuseSshOptions } from '../ssh-flags.ts';
import { parseThresholds, policyOf } from '../thresholds.ts';

type CheckFlags = Flags<typeof COMMANDS.check>;

/** What node takes to start, print and end, ms: so much earlier than asked for it gives up. */
const OWN_TIME_MS = 400;
/** Whoever collects a file has an account of its own. */
const READABLE = 0o644;

/**
 * `salt-triage check`: one line and a code for a monitor.
 * @param typed what the command line alone says
 * @returns 0 ok, 1 warning, 2 critical, 3 unknown
 * @throws TriageError for options that can't be used
 */
export async function checkCommand(
  flags: CheckFlags,
  typed: Values<typeof COMMANDS.check>,
): Promise<ExitCode> {
  if (flags.example !== undefined) {
    const { exampleOf } = await import('../../report/check-examples.ts');
    process.stdout.write(exampleOf(flags.example));
    return ExitCode.ok;
  }
  if (flags.host === undefined) refuseSshOptions(typed);
  const { timeout, format, unknownIs } = { ...defaultsOf(COMMANDS.check), ...flags };
  const thresholds = parseThresholds(flags.warning, flags.critical, flags.growth === true);
  const show = (result: CheckResult) =>
    showAs(flags.output === undefined ? format : 'nagios', result, flags);
  const failed = (why: string) => settled(failedCheck(why, flags.growth === true), unknownIs);
  const otherwise = failed(WHY);
  handOverOtherwise(() => show(otherwise), STATES.indexOf(otherwise.state));
  const progress: Progress = { step: '', answer: null };
  const endsAt = timeout - OWN_TIME_MS;
  const result = await Promise.race([
    checked(flags, thresholds, { endsAt, progress })
      .then((looked) => settled(looked, unknownIs))
      .then((one) => written(one, format, flags)),
    cutShort(timeout, progress).then((why) => {
      const silence = silenceOf(progress);
      if (silence === null) return failed(why);
      return { ...failed(`${silence}; ${why}`), state: 'critical' as const };
    }),
  ]);
  const code = STATES.indexOf(result.state) as ExitCode;
  const printed = await handOver(show(result), code);
  // Nothing printed is nothing known: a full disk, a reader that went away.
  return printed || result.state === 'critical' ? code : ExitCode.unknown;
}

/** What is said where the command line itself can't be used; its code is 3 whatever was asked for. */
export async function refuseCheck(message: string): Promise<ExitCode> {
  const result = failedCheck(message.replace(/^error: /, ''), false);
  await handOver(pluginLines(result, 0, runningMs()), ExitCode.unknown);
  return ExitCode.unknown;
}

/** Resolves, with the reason, when there is no more time, or a signal comes. */
function cutShort(timeoutMs: number, progress: Progress): Promise<string> {
  return new Promise((resolve) => {
    const left = timeoutMs - OWN_TIME_MS - runningMs();
    const late = () => {
      const step = progress.step === '' ? '' : `, still at step "${progress.step}"`;
      resolve(`no result within ${timeoutMs / 1000} s${step}`);
    };
    setTimeout(late, Math.max(100, left)).unref();
    for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) {
      process.once(signal, () => resolve(`ended by ${signal}`));
    }
  });
}

/** Looks and judges; a host that can't be looked at is a result, too. */
async function checked(
  flags: CheckFlags,
  thresholds: Thresholds,
  time: Time,
): Promise<CheckResult> {
  const options = await resolveLookOptions({ ...flags, ...limitsOf(flags, thresholds) });
  const host = await chooseHost(flags, options, time.endsAt);
  // Nothing is worse than critical, so what is still to come then can make no difference.
  const suffices = (early: Diagnosis) => judgeCheck(early, thresholds).state === 'critical';
  let diagnosis: Diagnosis;
  try {
    diagnosis = await diagnoseInTime(host, options, time, suffices);
  } catch (error) {
    if (!(error instanceof TriageError) || error.exitCode === ExitCode.usage) throw error;
    return failedCheck(error.message, flags.growth === true);
  }
  if (flags.growth !== true) return judgeCheck(diagnosis, thresholds);
  return withGrowth(diagnosis, thresholds, flags, options.settings.stateDir);
}

/** Judges with the rate since the last look; one that can't be kept is told, and no longer well. */
async function withGrowth(
  diagnosis: Diagnosis,
  thresholds: Thresholds,
  { host, stateDir }: CheckFlags,
  settled: string | undefined,
): Promise<CheckResult> {
  const { now, bootId } = diagnosis.evidence.host;
  const { count } = diagnosis.findings['close-wait'].evidence;
  if (count === null) return judgeCheck(diagnosis, thresholds, null);
  const name = [...(host ?? []), diagnosis.evidence.port.number].join('-');
  try {
    const look = { at: now, closeWait: count, verdict: diagnosis.verdict.code };
    const rate = await rateSinceLastLook(stateDir ?? settled, name, bootId, look);
    return judgeCheck(diagnosis, thresholds, rate);
  } catch (error) {
    return withTrouble(judgeCheck(diagnosis, thresholds, null), (error as Error).message);
  }
}

/** An upper limit on CLOSE_WAIT is one of the diagnosis, too; one that alone is low takes the other along. */
function limitsOf(flags: CheckFlags, thresholds: Thresholds) {
  const limits = policyOf(thresholds);
  const { closeWaitFail } = limits;
  const warn = limits.closeWaitWarn ?? flags.closeWaitWarn;
  if (warn !== undefined || closeWaitFail === undefined) return limits;
  return {
    ...limits,
    closeWaitWarn: Math.min(closeWaitFail, defaultsOf(COMMANDS.check).closeWaitWarn),
  };
}

async function chooseHost(flags: CheckFlags, { unit }: LookOptions, endsAt: number): Promise<Host> {
  if (flags.host === undefined) {
    return new LocalHost({ unit });
  }
  if (flags.host.length > 1) {
    throw new TriageError('a check is of one host', 'Give --host once.', ExitCode.usage);
  }
  const [{ resolveSshHosts }, { SshHost }] = await Promise.all([
    import('../ssh-options.ts'),
    import('../../host/ssh/ssh-host.ts'),
  ]);
  const { connections, connectTimeoutMs } = await resolveSshHosts(flags);
  const [connection] = connections;
  if (connection === undefined) throw new TriageError('no host is named', '', ExitCode.usage);
  return new SshHost(connection, {
    unit,
    connectTimeoutMs: Math.min(connectTimeoutMs, endsAt / 2),
  });
}

function settled(result: CheckResult, unknownIs: State): CheckResult {
  return result.state === 'unknown' ? { ...result, state: unknownIs } : result;
}

/** Writes the file of `-o`; where that fails the result says so, and is no longer well. */
async function written(
  result: CheckResult,
  format: string,
  flags: CheckFlags,
): Promise<CheckResult> {
  if (flags.output === undefined) return result;
  const { writePlainFile } = await import('../../host/local/plain-file.ts');
  try {
    await writePlainFile(flags.output, showAs(format, result, flags), READABLE);
    return result;
  } catch (error) {
    return withTrouble(result, `can't write ${flags.output}: ${(error as Error).message}`);
  }
}

function showAs(format: string, result: CheckResult, flags: CheckFlags): string {
  const durationMs = Math.round(runningMs());
  switch (format) {
    case 'prometheus': {
      const port = result.port ?? flags.port;
      const target = flags.host?.[0];
      const labels = {
        port: port === undefined ? 'unknown' : String(port),
        ...(target === undefined ? {} : { target }),
      };
      return prometheusText(result, labels, { endedAt: Date.now(), durationMs });
    }
    case 'zabbix':
      return zabbixLine(result, durationMs);
    case 'checkmk':
      return checkmkLine(result);
    case 'json':
      return checkJson(result, durationMs);
    default:
      return pluginLines(result, flags.verbose ?? 0, durationMs);
  }
}
