import { type ChildProcess, spawn } from 'node:child_process';
import type { Readable } from 'node:stream';
import { redactSecrets, stripControl } from '../../untrusted.ts';
import type { CommandOutcome } from '../host.ts';
import { codeOrText, errorCode } from './proc-files.ts';

const OUTPUT_BYTES = 4096;
/** Between SIGTERM and SIGKILL of a command that was too slow, ms. */
const TERM_MS = 3_000;
/** What a command wrote is in the pipe when it exits; how long reading that may take, ms. */
const DRAIN_MS = 100;

/**
 * Runs a service command without a shell, environment and directory as ours; `service` and the like
 * are found where a login over ssh has no PATH to.
 *
 * Unlike execa it settles when the command itself has ended, not when its output has: a daemon
 * that it started may keep that open for years. The command has a session of its own, so a Ctrl-C
 * meant for us doesn't reach it, and only its own pid is ever signalled, never its group: the
 * daemon may be in that.
 *
 * @param timeoutMs then SIGTERM, and SIGKILL three seconds later
 * @returns never rejects; what can't be started says so in `failed`
 */
export async function runCommand(
  argv: readonly string[],
  timeoutMs: number,
): Promise<CommandOutcome> {
  const began = performance.now();
  const [program = '', ...args] = argv;
  const output = new Tail(OUTPUT_BYTES);
  const end = await new Promise<End>((resolve) => {
    let child: ChildProcess;
    try {
      const env = {
        ...process.env,
        PATH: `${process.env['PATH'] ?? '/usr/bin:/bin'}:/usr/sbin:/sbin`,
      };
      child = spawn(program, args, { detached: true, env, stdio: ['ignore', 'pipe', 'pipe'] });
    } catch (error) {
      // An empty name, a NUL in an argument: refused before anything was started.
      resolve({ exitCode: null, timedOut: false, failed: codeOrText(error) });
      return;
    }
    const pipes = [child.stdout, child.stderr].filter((pipe) => pipe !== null);
    for (const pipe of pipes) {
      pipe.on('data', (chunk: Buffer) => output.add(chunk));
      pipe.on('error', () => undefined);
    }
    const patience = endAfter(child, timeoutMs);
    const settle = async (last: End) => {
      patience.stop();
      await Promise.all(pipes.map(leave));
      child.unref();
      resolve(last);
    };
    patience.onGivenUp(() => void settle({ exitCode: null, timedOut: true, failed: null }));
    child.once('error', (error) => {
      void settle({ exitCode: null, timedOut: false, failed: errorCode(error) || error.message });
    });
    child.once('exit', (code) => {
      const { timedOut } = patience;
      void settle({ exitCode: timedOut ? null : code, timedOut, failed: null });
    });
  });
  return {
    argv,
    ...end,
    lost: false,
    output: output.text(),
    durationMs: performance.now() - began,
  };
}

type End = Pick<CommandOutcome, 'exitCode' | 'timedOut' | 'failed'>;

/** SIGTERM, SIGKILL, and giving up, each in its time. */
function endAfter(child: ChildProcess, timeoutMs: number) {
  let timedOut = false;
  let giveUp: () => void = () => undefined;
  const timers = [
    setTimeout(() => {
      timedOut = true;
      child.kill('SIGTERM');
    }, timeoutMs),
    setTimeout(() => child.kill('SIGKILL'), timeoutMs + TERM_MS),
    // In D state not even SIGKILL ends it: that is no reason to hang with it.
    setTimeout(() => giveUp(), timeoutMs + 2 * TERM_MS),
  ];
  return {
    get timedOut() {
      return timedOut;
    },
    onGivenUp(then: () => void) {
      giveUp = then;
    },
    stop() {
      for (const timer of timers) clearTimeout(timer);
    },
  };
}

/**
 * Takes what is still in a pipe, then leaves it. If someone has kept the other end, such as the
 * daemon that was started, `cat` reads on in our place: a closed pipe would kill it with SIGPIPE
 * at its next word. That `cat` ends with the daemon.
 */
async function leave(pipe: Readable): Promise<void> {
  const drained = new Promise<boolean>((resolve) => {
    if (pipe.closed) resolve(true);
    pipe.once('close', () => resolve(true));
    setTimeout(resolve, DRAIN_MS, false);
  });
  if (await drained) return;
  pipe.pause();
  await new Promise<void>((resolve) => {
    const reader = spawn('cat', [], {
      detached: true,
      cwd: '/',
      stdio: [pipe, 'ignore', 'ignore'],
    });
    reader.once('spawn', resolve);
    reader.once('error', () => resolve());
    reader.unref();
  });
  pipe.destroy();
}

/** The end of an output of any length, in bounded memory. */
class Tail {
  readonly #most: number;
  #kept = Buffer.alloc(0);

  constructor(most: number) {
    this.#most = most;
  }

  add(chunk: Buffer): void {
    const last = chunk.subarray(-this.#most);
    this.#kept = Buffer.concat([this.#kept, last]).subarray(-this.#most);
  }

  /** Printable lines: control characters are gone, secrets are masked. */
  text(): string {
    const lines = this.#kept.toString('utf8').trimEnd().split(/\r?\n/);
    return lines
      .map((line) => redactSecrets(stripControl(line)))
      .join('\n')
      .slice(-this.#most);
  }
}
