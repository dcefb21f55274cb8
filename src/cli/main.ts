import { isSea } from 'node:sea';
import { inLocale } from '../characters.ts';
import { ExitCode, TriageError } from '../errors.ts';
import { printable } from '../untrusted.ts';
import { versionText } from './version.ts';

/** Turns whatever was thrown into lines for the operator and an exit code. */
async function report(thrown: unknown, debug: boolean): Promise<ExitCode> {
  const error = thrown instanceof Error ? thrown : new Error(String(thrown));
  // What commander throws once it has shown the help or the version.
  if ('code' in error && String(error.code).startsWith('commander.')) return ExitCode.ok;
  const told = error instanceof TriageError ? error : defect(error, debug);
  const { writeError } = await import('../report/error-text.ts');
  writeError(told);
  if (debug) process.stderr.write(inLocale(printable(`${error.stack ?? ''}\n`)));
  return told.exitCode;
}

/** To a monitor even help is no result, and a usage error is a line like any other. */
async function codeOfCheck(code: ExitCode, thrown: unknown): Promise<ExitCode> {
  if (code === ExitCode.ok) return ExitCode.unknown;
  const { refuseCheck } = await import('./commands/check.ts');
  return refuseCheck(thrown instanceof Error ? thrown.message : String(thrown));
}

function defect({ message }: Error, debug: boolean): TriageError {
  const advice = debug ? '' : 'Run it again with --debug.';
  return new TriageError(`a defect in salt-triage: ${message}`, advice, ExitCode.unknown);
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

/** What nobody could catch ends the command with its own words and code, unless it is told elsewhere. */
function outliveEvents(): void {
  process.on('uncaughtException', (error) => {
    if (isToldElsewhere(error)) return;
    report(error, isDebugged(process.argv)).finally(() => process.exit(ExitCode.unknown));
  });
}

/**
 * True for a program that can't be started for want of file descriptors, which whoever started it is
 * told: node gives such a process no streams, so execa lets go of it before it listens for the event
 * (lib/internal/child_process.js, UV_EMFILE). And for a terminal that is gone when readline resets it,
 * at the end of its input.
 */
function isToldElsewhere({ code = '', syscall = '' }: NodeJS.ErrnoException): boolean {
  if (syscall === 'setRawMode') return code === 'EIO';
  return syscall.startsWith('spawn') && ['EMFILE', 'ENFILE'].includes(code);
}

function isDebugged(argv: readonly string[]): boolean {
  return argv.includes('--debug') || /^(?:1|true)$/i.test(process.env['SALT_TRIAGE_DEBUG'] ?? '');
}

async function main(): Promise<void> {
  const argv = process.argv.slice(2);
  if (isSea()) {
    const { actAsDrillScript, startBehindFront } = await import('./single-executable.ts');
    if (actAsDrillScript(argv)) return;
    startBehindFront(argv);
  }
  outliveOutput();
  outliveEvents();
  if (argv.length === 1 && (argv[0] === '--version' || argv[0] === '-V')) {
    process.stdout.write(`${versionText()}\n`);
    return;
  }
  try {
    const { buildProgram } = await import('./program.ts');
    const help = argv.length === 0 || (argv.length === 1 && argv[0] === 'help');
    await buildProgram(versionText()).parseAsync(help ? ['--help'] : argv, { from: 'user' });
  } catch (error) {
    const code = await report(error, isDebugged(argv));
    process.exitCode = argv[0] === 'check' ? await codeOfCheck(code, error) : code;
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
  // A thread that reads for us shows as the port to it.
  const hung = process
    .getActiveResourcesInfo()
    .some((resource) => resource.startsWith('FSReq') || resource === 'MessagePort');
  if (!hung) process.exit();
  process.emit('exit', Number(process.exitCode ?? ExitCode.ok));
  if ('execve' in process && typeof process.execve === 'function') {
    process.execve('/bin/sh', ['sh', '-c', `exit ${process.exitCode ?? ExitCode.ok}`]);
  }
  process.kill(process.pid, 'SIGKILL');
}

void main();
