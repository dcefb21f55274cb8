import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { isSea } from 'node:sea';
import { diagnoseHost } from '../../diagnosis/diagnose.ts';
import type { VerdictCode } from '../../diagnosis/verdict.ts';
import { endKept, type KeptDrill, keptDrills } from '../../drill/kept.ts';
import { type StagedIncident, stageIncident } from '../../drill/stage.ts';
import { ExitCode } from '../../errors.ts';
import { LocalActions } from '../../host/local/local-actions.ts';
import { LocalHost } from '../../host/local/local-host.ts';
import { textReport } from '../../report/diagnosis-text.ts';
import { nextCommand } from '../../report/next-command.ts';
import { type Screen, screenOn, wrap } from '../../report/screen.ts';
import { commandLine } from '../../shell-words.ts';
import { count, describeDuration } from '../../words.ts';
import { repeating, resolveFixOptions } from '../fix-options.ts';
import { resolveLookOptions } from '../look-options.ts';
import { COMMANDS, defaultsOf, type Flags } from '../options.ts';
import { guideFix } from './fix.ts';

export type DrillFlags = Flags<typeof COMMANDS.drill>;

/**
 * `salt-triage drill`: stages the incident for real on this machine, diagnoses it, fixes it,
 * shows that it is fixed, and removes every trace. With `--keep` it stops after staging; `--end` ends
 * what was kept.
 *
 * @returns 0 where every part went as it should, 1 where one did not
 */
export async function drillCommand(flags: DrillFlags): Promise<ExitCode> {
  const screen = screenOn(process.stdout, flags);
  const { port } = flags;
  if (flags.end) return endDrills(screen, keptDrills(), port);
  const keepForMs = flags.keep ?? defaultsOf(COMMANDS.drill).keep;
  if (flags.report !== undefined) {
    const { requireReportTarget } = await import('../report-files.ts');
    await requireReportTarget(flags.report);
  }
  banner(screen, 'DRILL: staging the incident of July 2018 here; no real salt-api is touched');
  const staged = await stageIncident({ keepForMs, ...(port === undefined ? {} : { port }) });
  if (flags.keep !== undefined) {
    staged.leaveStanding();
    await showKept(screen, staged, keepForMs);
    return ExitCode.ok;
  }
  try {
    const wentWell = await practise(screen, staged, flags);
    return wentWell ? ExitCode.ok : ExitCode.incident;
  } finally {
    await staged.cleanup();
    banner(screen, 'DRILL: over; every process and file of it is gone');
  }
}

/** @param port of the one to end; of all where undefined */
function endDrills(screen: Screen, kept: readonly KeptDrill[], port: number | undefined): ExitCode {
  const meant = kept.filter((drill) => port === undefined || drill.port === port);
  let code: ExitCode = ExitCode.ok;
  const say = (text: string) => screen.write(`${wrap(text, screen.columns, 2)}\n`);
  if (meant.length === 0) say(`No drill of yours is kept${port ? ` on port ${port}` : ''}.`);
  for (const drill of meant) {
    const what = `the drill on port ${drill.port}`;
    try {
      const ended = count(endKept(drill), 'process', 'processes');
      say(`Ended ${what}: ${ended} and ${drill.directory} are gone.`);
    } catch (error) {
      code = ExitCode.incident;
      say(`Could not end ${what} in ${drill.directory}: ${(error as Error).message}`);
    }
  }
  return code;
}

/** Diagnose, fix, diagnose: what an operator would type. */
async function practise(
  screen: Screen,
  staged: StagedIncident,
  flags: DrillFlags,
): Promise<boolean> {
  const look = await resolveLookOptions({
    port: staged.port,
    saltConfigDir: staged.configDirectory,
    probeTimeout: 2_000,
    // The settings of the real salt-api have no say in a drill.
    config: '/dev/null',
  });
  const { stopCommand, startCommand } = staged;
  const stateDir = join(staged.directory, 'trail');
  const given = { startCmd: startCommand, stopCmd: stopCommand, stateDir };
  const options = resolveFixOptions(given, {});
  // As it reads where the settings have all of that.
  const told = repeating({ ...look, sameSaltApi: [] }, options);
  const here = { host: new LocalHost(), actions: new LocalActions() };
  const diagnose = async (): Promise<VerdictCode> => {
    screen.write(`\n${screen.chalk.bold('$ salt-triage diagnose')}\n`);
    const report = textReport(screen, 'normal', (seen) => nextCommand(seen, told.repeated));
    const diagnosis = await diagnoseHost(here.host, look.request, look.policy, report);
    return diagnosis.verdict.code;
  };
  if ((await diagnose()) !== 'orphan-holds-port') return false;
  screen.write(`\n${screen.chalk.bold('$ salt-triage fix --yes')}\n`);
  const fixed = await guideFix(here, told, { ...options, yes: true }, flags);
  const isWell = fixed === ExitCode.ok && (await diagnose()) === 'healthy';
  if (flags.report !== undefined) await report(screen, stateDir, flags.report);
  return isWell;
}

/** Leaves the report of the fix behind, the only thing of a drill that stays. */
async function report(screen: Screen, stateDir: string, output: string): Promise<void> {
  screen.write(`\n${screen.chalk.bold(`$ salt-triage report -o ${commandLine([output])}`)}\n`);
  const { reportCommand } = await import('./report.ts');
  await reportCommand('latest', { stateDir, output, color: false });
}

/** Writes settings that make the drill's own salt-api the one that is meant, and says how to use them. */
async function showKept(screen: Screen, staged: StagedIncident, keepForMs: number): Promise<void> {
  const { write, columns } = screen;
  const settings = join(staged.directory, 'salt-triage.yaml');
  const values = {
    port: staged.port,
    'salt-config-dir': staged.configDirectory,
    'start-cmd': staged.startCommand,
    'stop-cmd': staged.stopCommand,
    'state-dir': join(staged.directory, 'trail'),
  };
  const lines = Object.entries(values).map(([key, value]) => `${key}: ${JSON.stringify(value)}\n`);
  await writeFile(settings, lines.join(''), { mode: 0o600 });
  const self = ownCommand();
  const span = describeDuration(keepForMs);
  write(
    `${wrap(`It ends by itself after ${span}. To diagnose it, fix it, or end it sooner:`, columns, 0)}\n\n`,
  );
  for (const command of ['diagnose', 'fix']) {
    // Whole, however long: these are for copying.
    write(`  ${commandLine([...self, command, '--config', settings])}\n`);
  }
  write(`  ${commandLine([...self, 'drill', '--end', '--port', String(staged.port)])}\n`);
  const where = `The orphan is ${staged.orphanPid}, the log ${staged.logFile}`;
  write(`\n${wrap(where, columns, 0)}\n`);
}

/** What started us, to be typed again. */
function ownCommand(): string[] {
  if (isSea()) return [process.execPath];
  return process.argv[1] === undefined ? ['salt-triage'] : ['node', process.argv[1]];
}

function banner({ chalk, columns, write }: Screen, text: string): void {
  write(`${chalk.bold(wrap(text, columns, 0))}\n`);
}
