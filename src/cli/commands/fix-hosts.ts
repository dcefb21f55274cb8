import { ExitCode, TriageError } from '../../errors.ts';
import { SshActions } from '../../host/ssh/ssh-actions.ts';
import type { SshConnection } from '../../host/ssh/ssh-connection.ts';
import { SshHost } from '../../host/ssh/ssh-host.ts';
import { jsonHostError } from '../../report/diagnosis-json.ts';
import { type Screen, screenOn, wrap } from '../../report/screen.ts';
import { stripControl } from '../../untrusted.ts';
import type { FixFlags, FixOptions } from '../fix-options.ts';
import { hostError, hostsAtOnce, worstOf } from '../hosts-at-once.ts';
import { listenForInterrupts } from '../interrupts.ts';
import { type LookFlags, type LookOptions, wholeOption } from '../look-options.ts';
import type { SshFlags } from '../ssh-flags.ts';
import { resolveSshHosts, type SshHosts } from '../ssh-options.ts';
import { type FixTalk, fixHost } from './fix.ts';

/** Of several hosts: still broken before not known, and that before what was not allowed. */
const WORST_FIRST: readonly ExitCode[] = [
  ExitCode.interrupted,
  ExitCode.incident,
  ExitCode.unknown,
  ExitCode.refused,
  ExitCode.notPermitted,
  ExitCode.busy,
  ExitCode.declined,
  ExitCode.usage,
];

/** What became of one host; `not begun` where enough others had failed before. */
interface HostOutcome {
  readonly name: string;
  readonly exitCode: ExitCode | 'not begun';
}

type AllFlags = LookFlags & FixFlags & SshFlags;

/**
 * `salt-triage fix --host`: questions and trail here, actions there.
 *
 * @returns the exit code of the one host, of several the worst
 * @throws TriageError (declined) for several hosts without `--yes`
 */
export async function fixOtherHosts(
  look: LookOptions,
  options: FixOptions,
  flags: AllFlags,
): Promise<ExitCode> {
  const atOnce = wholeOption(flags.serial, '--serial', 1, 1_000) ?? 1;
  const mostFailures = wholeOption(flags.maxFailures, '--max-failures', 1, 10_000) ?? 1;
  // Whoever waits for a recovery waits as long for a connection that was lost meanwhile.
  const hosts = await resolveSshHosts(flags, options.waitMs);
  const mend = (connection: SshConnection, talk: FixTalk) =>
    fixOne(connection, hosts, look, options, talk);
  const [only, another] = hosts.connections;
  if (only !== undefined && another === undefined) return mend(only, flags);
  if (!options.yes && !options.dryRun) {
    throw new TriageError(
      'fix asks about one host at a time; several are named',
      'Name one host, or agree to all of it with --yes.',
      ExitCode.declined,
    );
  }
  const outcomes = await fixSeveral(hosts.connections, { atOnce, mostFailures }, flags, mend);
  if (!flags.json) {
    const screen = screenOn(process.stdout, flags.color);
    screen.write(summary(screen, outcomes));
  }
  const codes = outcomes.map(({ exitCode }) => exitCode).filter((code) => code !== 'not begun');
  return worstOf(codes, WORST_FIRST);
}

/** Mends so many at once, and begins no more once `mostFailures` of them could not be. */
async function fixSeveral(
  connections: readonly SshConnection[],
  bounds: { readonly atOnce: number; readonly mostFailures: number },
  flags: AllFlags,
  mend: (connection: SshConnection, talk: FixTalk) => Promise<ExitCode>,
): Promise<HostOutcome[]> {
  const outcomes: HostOutcome[] = [];
  const interrupts = listenForInterrupts({ survivesHangUp: flags.yes === true });
  let failures = 0;
  await hostsAtOnce(connections, bounds.atOnce, async (connection) => {
    const { name } = connection;
    if (failures >= bounds.mostFailures || interrupts.interrupted) {
      outcomes.push({ name, exitCode: 'not begun' });
      return;
    }
    const screen = bounds.atOnce > 1 && !flags.json ? bufferedScreen(flags) : null;
    const talk = { color: flags.color, json: flags.json === true, interrupts };
    let exitCode: ExitCode;
    try {
      exitCode = await mend(connection, screen === null ? talk : { ...talk, screen });
    } catch (thrown) {
      const error = hostError(name, thrown);
      exitCode = error.exitCode;
      if (flags.json) {
        process.stdout.write(`${JSON.stringify(jsonHostError(name, error, exitCode))}\n`);
      }
      process.stderr.write(`salt-triage: ${error.message}\n  ${error.advice}\n`);
    }
    screen?.flush();
    outcomes.push({ name, exitCode });
    if (exitCode !== ExitCode.ok) failures += 1;
  }).finally(() => interrupts.stop());
  return outcomes;
}

async function fixOne(
  connection: SshConnection,
  { connectTimeoutMs, repeated }: SshHosts,
  look: LookOptions,
  options: FixOptions,
  talk: FixTalk,
): Promise<ExitCode> {
  const { name } = connection;
  const there = {
    host: new SshHost(connection, { unit: look.unit, connectTimeoutMs }),
    actions: new SshActions(connection),
    elsewhere: name,
  };
  const named = { ...look, repeated: [...repeated(name), ...look.repeated] };
  try {
    return await fixHost(there, named, options, talk);
  } finally {
    await connection.close();
  }
}

/** Keeps what one host has to say together, where others talk at the same time. */
function bufferedScreen({ color }: AllFlags): Screen & { flush(): void } {
  const screen = screenOn(process.stdout, color);
  let text = '';
  return {
    ...screen,
    interactive: false,
    write: (more) => {
      text += more;
    },
    flush: () => {
      screen.write(`${text}\n`);
      text = '';
    },
  };
}

function summary(screen: Screen, outcomes: readonly HostOutcome[]): string {
  const { chalk, symbols, columns } = screen;
  const failed = outcomes.filter(({ exitCode }) => exitCode !== 'not begun' && exitCode !== 0);
  const left = outcomes.filter(({ exitCode }) => exitCode === 'not begun');
  const well = outcomes.filter(({ exitCode }) => exitCode === 0);
  const head = `${outcomes.length} hosts: ${failed.length} failed, ${left.length} not begun, ${well.length} well`;
  const rows = [
    ...failed.map(({ name, exitCode }) => [chalk.red(symbols.fail), `${name}: exit ${exitCode}`]),
    ...left.map(({ name }) => [chalk.yellow(symbols.skip), `${name}: not begun`]),
    ...well.map(({ name }) => [chalk.green(symbols.pass), name]),
  ];
  const lines = rows.map(([symbol = '', text = '']) => {
    return `${symbol} ${wrap(stripControl(text), columns, 2)}\n`;
  });
  return `\n${chalk.bold(head)}\n${lines.join('')}`;
}
