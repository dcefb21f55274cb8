import type { Command } from 'commander';
import { ExitCode, TriageError } from '../errors.ts';
import { printable } from '../untrusted.ts';
import type { DiagnoseFlags } from './commands/diagnose.ts';
import type { DrillFlags } from './commands/drill.ts';
import type { HistoryFlags } from './commands/history.ts';
import type { FixFlags } from './fix-options.ts';
import type { LookFlags } from './look-options.ts';

declare const SALT_TRIAGE_VERSION: string;

const VERSION = typeof SALT_TRIAGE_VERSION === 'string' ? SALT_TRIAGE_VERSION : '0.0.0-source';

const EXIT_CODES = `
Exit codes:
   0 healthy, degraded, recovered    4 declined or needs --yes
   1 incident, still broken          5 refused for safety
   2 usage or configuration         75 another fix is running
   3 could not determine            77 not permitted     130 interrupted`;

/** Options that say what to look at, the same for every command that looks. */
function addTargetOptions(command: Command): Command {
  return command
    .option('-p, --port <number>', 'port of the API (default: from the salt config, else 443)')
    .option('-c, --salt-config-dir <dir>', "Salt's configuration directory, as salt-api's own -c")
    .option('--log <file>', 'API log (default: from the running process or the salt config)')
    .option('--since <span>', 'how far back the log counts: 90m, 24h, 7d or all (default: 24h)')
    .option('--timeout <span>', 'bound on every single look (default: 20s)')
    .option('--unit <name>', 'name of the service (default: salt-api)')
    .option('--config <file>', 'settings of salt-triage (default: /etc/salt-triage.yaml)')
    .option('--no-color', 'no colour, as NO_COLOR')
    .option('--debug', 'show the stack of an error');
}

/** The same, and how what is seen is judged. */
function addLookOptions(command: Command): Command {
  return addTargetOptions(command)
    .option('--no-probe', "don't send GET / to the API")
    .option('--probe-timeout <span>', 'how long GET / may take (default: 5s)')
    .option('--close-wait-warn <number>', 'CLOSE_WAIT sockets that raise a warning (default: 5)')
    .option('--close-wait-fail <number>', 'CLOSE_WAIT sockets that fail the step (default: 20)');
}

/** Options that bear on a host behind ssh. */
function addSshOptions(command: Command): Command {
  return command
    .option('--sudo', 'with sudo -n there')
    .option('--connect-timeout <span>', 'how long ssh may take to connect (default: 10s)');
}

/** Options that name many hosts to look at. */
function addHostsOptions(command: Command): Command {
  return command
    .option('--host <host>', 'look at this host over ssh; may be repeated', gather)
    .option('--hosts-file <file>', 'look at the hosts of a file, one a line; - is standard input')
    .option('--roster <file>', 'look at the hosts of a salt-ssh roster')
    .option('--concurrency <number>', 'how many hosts at once (default: 16)');
}

function gather(value: string, before: readonly string[] = []): readonly string[] {
  return [...before, value];
}

async function program(): Promise<Command> {
  const { Command, Option } = await import('commander');
  const root = new Command('salt-triage')
    .description('Finds and mends what keeps salt-api from answering.')
    .version(VERSION)
    .exitOverride()
    .configureOutput({ outputError: (text, write) => write(text) })
    .showSuggestionAfterError()
    .showHelpAfterError('  Add --help for what there is.')
    .addHelpText('after', EXIT_CODES);
  addSshOptions(addHostsOptions(addLookOptions(root.command('diagnose'))))
    .description(
      'who holds the port, which children are orphans, CLOSE_WAIT, the API log; a verdict',
    )
    .option('--json', 'one JSON document on standard output')
    .option('--save <file>', 'write the evidence, for --from on another machine')
    .option('--from <file>', 'judge saved evidence instead of this host; - is standard input')
    .option('--strict', 'exit 1 for degraded too')
    .addOption(new Option('-v, --verbose', 'show the evidence of each step').conflicts('quiet'))
    .option('-q, --quiet', 'the verdict line alone')
    .action(async (flags: DiagnoseFlags) => {
      const { diagnoseCommand } = await import('./commands/diagnose.ts');
      process.exitCode = await diagnoseCommand(flags);
    });
  addSshOptions(addLookOptions(root.command('fix')))
    .description('kill -9 what is proven an orphan, restart, verify; asks before each step')
    .option('--host <host>', 'fix this host over ssh; one at a time', gather)
    .option('-y, --yes', 'ask nothing; every guard stays on')
    .option('--dry-run', 'show the plan with its real pids and commands; change nothing')
    .option('--json', 'one JSON document on standard output')
    .option('--only <part>', 'kill: the orphans alone')
    .option(
      '--restart <when>',
      'always, or if-needed: only if the daemon stays down (default: always)',
    )
    .option('--wait <span>', 'how long to wait for the recovery (default: 30s)')
    .option('--service <kind>', 'auto, systemd, sysv or openrc (default: auto)')
    .option('--stop-cmd <command>', 'stops the service; run without a shell')
    .option('--start-cmd <command>', 'starts the service; run without a shell')
    .option('--command-timeout <span>', 'bound on one service command (default: 120s)')
    .option('--state-dir <dir>', 'where the trail is kept (default: /var/log/salt-triage)')
    .action(async (flags: LookFlags & FixFlags) => {
      const { fixCommand } = await import('./commands/fix.ts');
      process.exitCode = await fixCommand(flags);
    });
  addTargetOptions(root.command('probe'))
    .description('print the shell script that --host sends, to run by hand; see diagnose --from')
    .action(async (flags: Omit<LookFlags, 'probe'>) => {
      const { probeCommand } = await import('./commands/probe.ts');
      process.exitCode = await probeCommand(flags);
    });
  root
    .command('history')
    .argument('[id]', 'one incident, as the list names it')
    .description('the incidents that fixes have recorded, newest first, or one of them')
    .option('--json', 'one JSON document on standard output')
    .option('--state-dir <dir>', 'where the trail is kept (default: /var/log/salt-triage)')
    .option('--config <file>', 'settings of salt-triage (default: /etc/salt-triage.yaml)')
    .option('--no-color', 'no colour, as NO_COLOR')
    .option('--debug', 'show the stack of an error')
    .action(async (id: string | undefined, flags: HistoryFlags) => {
      const { historyCommand } = await import('./commands/history.ts');
      process.exitCode = await historyCommand(id, flags);
    });
  root
    .command('drill')
    .description(
      'stage the incident on this machine, without touching a real salt-api, and practise',
    )
    .option('-p, --port <number>', 'unprivileged port to stage it on (default: a free one)')
    .option('--keep [span]', 'leave it standing to practise on, at most this long (default: 10m)')
    .option('--no-color', 'no colour, as NO_COLOR')
    .option('--debug', 'show the stack of an error')
    .action(async (flags: DrillFlags) => {
      const { drillCommand } = await import('./commands/drill.ts');
      process.exitCode = await drillCommand(flags);
    });
  return root;
}

/** Turns whatever was thrown into a line for the operator and an exit code. */
function report(error: unknown, debug: boolean): ExitCode | number {
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  if (code.startsWith('commander.')) {
    return code === 'commander.helpDisplayed' ||
      code === 'commander.help' ||
      code === 'commander.version'
      ? ExitCode.ok
      : ExitCode.usage;
  }
  if (error instanceof TriageError) {
    const advice = error.advice === '' ? '' : `  ${error.advice}\n`;
    const stack = debug ? `${error.stack ?? ''}\n` : '';
    process.stderr.write(printable(`salt-triage: ${error.message}\n${advice}${stack}`));
    return error.exitCode;
  }
  const message = error instanceof Error ? error.message : String(error);
  process.stderr.write(printable(`salt-triage: a defect of salt-triage itself: ${message}\n`));
  process.stderr.write(
    debug && error instanceof Error ? `${error.stack ?? ''}\n` : '  Run it again with --debug.\n',
  );
  return ExitCode.unknown;
}

/**
 * A reader that went away (`| head -1`), a terminal that is gone and a full disk behind `>> log`
 * must not end a fix between the stop and the start: what can't be said is lost, and no more.
 */
function outliveOutput(): void {
  process.stderr.on('error', () => undefined);
  process.stdout.once('error', ({ code }: NodeJS.ErrnoException) => {
    process.stdout.on('error', () => undefined);
    if (code === 'EPIPE' || code === 'EIO') return;
    process.stderr.write(`salt-triage: WARNING: standard output is incomplete: ${code}\n`);
  });
}

async function main(): Promise<void> {
  outliveOutput();
  const argv = process.argv.slice(2);
  if (argv.length === 1 && (argv[0] === '--version' || argv[0] === '-V')) {
    process.stdout.write(`${VERSION}\n`);
    return;
  }
  try {
    await (await program()).parseAsync(argv.length === 0 ? ['--help'] : argv, { from: 'user' });
  } catch (error) {
    process.exitCode = report(error, argv.includes('--debug'));
  }
  await Promise.all([flushed(process.stdout), flushed(process.stderr)]);
  // A look that timed out may have left a read behind that never ends: it must not keep us here.
  setTimeout(leave, 300).unref();
}

/** Waits for a slow reader of a pipe: what exit(3) finds unwritten is lost. */
function flushed(stream: NodeJS.WriteStream): Promise<void> {
  return new Promise((resolve) => stream.write('', () => resolve()));
}

/**
 * Ends this process although something is still under way. exit(3) joins the threads of libuv's
 * pool, so it would wait for a hung read. execve(2) does not, and keeps the exit code; where Node
 * has none (before 22.15), only SIGKILL is left and the code is 137.
 */
function leave(): void {
  const hung = process.getActiveResourcesInfo().some((resource) => resource.startsWith('FSReq'));
  if (!hung) process.exit();
  process.emit('exit', Number(process.exitCode ?? ExitCode.ok));
  if ('execve' in process && typeof process.execve === 'function') {
    process.execve('/bin/sh', ['sh', '-c', `exit ${process.exitCode ?? ExitCode.ok}`]);
  }
  process.kill(process.pid, 'SIGKILL');
}

void main();
