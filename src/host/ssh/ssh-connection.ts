/** One host behind the user's own ssh: a connection that is made once and shared by every run. */
import { type ChildProcessWithoutNullStreams, execFile, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Duplex } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';
import { ExitCode, TriageError } from '../../errors.ts';
import { endWithThisProcess } from '../../on-exit.ts';
import { stripControl } from '../../untrusted.ts';
import { ConnectionFailure, sshFailure } from './ssh-failure.ts';

/** Where to log in; what is unset is left to the user's ssh configuration. */
export interface SshTarget {
  /** `host`, `user@host`, `ssh://user@host:port` or a name from ~/.ssh/config. */
  readonly destination: string;
  /** What it is called to the user: the destination where unset. */
  readonly label?: string;
  readonly port?: number;
  readonly user?: string;
  readonly identityFile?: string;
  /** Run as root by `sudo -n`. */
  readonly sudo: boolean;
}

export interface SshOptions {
  readonly connectTimeoutMs: number;
  /** Whether ssh may ask for a password or a host key: a person is there, for this host alone. */
  readonly mayAsk: boolean;
  /** How long a connection that once stood is made anew after it was lost, ms; at once given up where unset. */
  readonly patienceMs?: number;
  /** The ssh to run, `ssh` by default. */
  readonly program?: string;
}

/** What a script wrote. */
export interface ScriptOutput {
  readonly stdout: Buffer;
  /** True where an earlier run of the same script was lost, which may have done its work. */
  readonly again: boolean;
}

export interface ScriptLimits {
  readonly timeoutMs: number;
  readonly maxBytes: number;
  /** The script's last line: what follows is not waited for. */
  readonly endMark: string;
  /** Its first, which tells a script that began from one that never ran. */
  readonly beginMark: string;
}

/** How long the shared connection stays when this process dies without closing it, s. */
const PERSIST_SECONDS = 60;
const KEPT_STDERR = 16_384;
/** A link that is dead without a word is noticed after three of these, s. */
const ALIVE_SECONDS = 5;
/** Between two attempts to be there again, ms; each is twice the one before. */
const FIRST_PAUSE_MS = 250;
const LONGEST_PAUSE_MS = 8_000;
/** Room in sun_path (unix(7)) for ssh's own temporary suffix. */
const MAX_SOCKET_PATH = 80;
/** sh itself must come out as it went in, whatever the login shell: both words mean the same in all. */
const SHELL = 'exec sh -s';
const SUDO_SHELL = 'exec sudo -n sh -s';

/**
 * Refuses what ssh could take for an option, a command or two words.
 * @throws TriageError `usage`
 */
export function checkDestination(text: string): string {
  const sound =
    /^[^\s\p{Cc}\p{Cf}'"`$;&|<>()\\*?!{}#]{1,512}$/u.test(text) && !text.startsWith('-');
  const user = text.lastIndexOf('@');
  if (sound && !text.slice(user + 1).startsWith('-') && user !== text.length - 1) return text;
  throw new TriageError(
    `${JSON.stringify(stripControl(text))} is not a host name`,
    'Give HOST, USER@HOST, or a Host of ~/.ssh/config.',
    ExitCode.usage,
  );
}

interface Shared {
  readonly arguments: readonly string[];
  /** Ours, to be removed; null where the user's own connection is used. */
  readonly directory: { readonly remove: () => void } | null;
}

/** OpenSSH as a child process; nothing of it is rebuilt, and host keys are checked as ever. */
export class SshConnection {
  readonly name: string;
  readonly #target: SshTarget;
  readonly #options: SshOptions;
  readonly #program: string;
  #shared: Promise<Shared> | null = null;
  /** A script has run there: a failure from now on is a loss and no refusal. */
  #stood = false;

  constructor(target: SshTarget, options: SshOptions) {
    this.#target = { ...target, destination: checkDestination(target.destination) };
    this.name = target.label ?? target.destination;
    this.#options = options;
    this.#program = options.program ?? 'ssh';
  }

  /**
   * As {@link run}, for a script that may run twice without harm: where the connection is lost it
   * is made anew and the script sent again, as long as `patienceMs` lasts.
   * @throws ConnectionFailure the last one
   */
  async runRepeatable(script: string, limits: ScriptLimits): Promise<ScriptOutput> {
    const deadline = performance.now() + (this.#options.patienceMs ?? 0);
    let again = false;
    for (let pause = FIRST_PAUSE_MS; ; pause = Math.min(LONGEST_PAUSE_MS, 2 * pause)) {
      try {
        return { ...(await this.run(script, limits)), again };
      } catch (error) {
        const lost = error instanceof ConnectionFailure && this.#stood;
        if (!lost || performance.now() + pause > deadline) throw error;
      }
      again = true;
      await this.close();
      await delay(pause);
    }
  }

  /**
   * Runs a script in `sh` there, given on its standard input so that no login shell reads it.
   * @throws ConnectionFailure where it may not have run to its end, with the reason told apart
   * @throws TriageError `unknown` for an answer beyond `maxBytes`
   */
  async run(script: string, limits: ScriptLimits): Promise<ScriptOutput> {
    const shell = this.#target.sudo ? SUDO_SHELL : SHELL;
    const child = await this.#spawn(['-o', 'ClearAllForwardings=yes', '-T'], [shell]);
    return new Promise((resolve, reject) => {
      const chunks: Buffer[] = [];
      let length = 0;
      let tail = '';
      let stderr = '';
      let begun = false;
      const finish = (settle: () => void): void => {
        clearTimeout(timer);
        child.removeAllListeners();
        child.on('error', () => undefined);
        child.kill('SIGTERM');
        child.stdin.destroy();
        child.stdout.destroy();
        child.stderr.destroy();
        settle();
      };
      const done = (): void => {
        this.#stood = true;
        finish(() => resolve({ stdout: Buffer.concat(chunks), again: false }));
      };
      const fail = (error: TriageError): void => finish(() => reject(error));
      const timer = setTimeout(() => {
        if (begun) fail(this.#tooLong('its answer was not complete', limits.timeoutMs));
        else fail(this.#tooLong('it did not answer', limits.timeoutMs));
      }, limits.timeoutMs);
      child.stdout.on('data', (chunk: Buffer) => {
        length += chunk.length;
        if (length > limits.maxBytes) {
          fail(
            new TriageError(
              `${this.name}: it sends more than ${limits.maxBytes >> 20} MiB and was cut off`,
              'That is not evidence. Log in and see what its shell profile prints.',
              ExitCode.unknown,
            ),
          );
          return;
        }
        chunks.push(chunk);
        tail = (tail + chunk.toString('latin1')).slice(-(chunk.length + 200));
        begun ||= tail.includes(limits.beginMark);
        if (tail.includes(limits.endMark)) done();
      });
      child.stderr.on('data', (chunk: Buffer) => {
        stderr = (stderr + chunk.toString('utf8')).slice(-KEPT_STDERR);
      });
      child.once('error', (error) => fail(noSsh(error)));
      // Not `close`: an old ssh's shared connection keeps our stderr open.
      child.once('exit', (exitCode) => {
        const settle = () => fail(sshFailure(this.name, { exitCode, stderr, begun }));
        if (child.stdout.readableEnded) setTimeout(settle, 20);
        else child.stdout.once('end', () => setTimeout(settle, 20));
      });
      // A connection that breaks while the script is sent is told by how ssh ends.
      child.stdin.on('error', () => undefined);
      child.stdin.end(script);
    });
  }

  /** A connection from that host to an address, over the one that stands (`ssh -W`). */
  forward(address: { readonly host: string; readonly port: number }): ForwardedConnection {
    const { host, port } = address;
    const to = host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
    return new ForwardedConnection(this.#spawn(['-v', '-W', to], []));
  }

  /** Ends the shared connection, if it is ours; the next script makes a new one. Never rejects. */
  async close(): Promise<void> {
    const shared = await this.#shared?.catch(() => null);
    this.#shared = null;
    if (shared?.directory == null) return;
    await this.#output([...shared.arguments, '-O', 'exit', '--', this.#target.destination], 2_000);
    shared.directory.remove();
  }

  async #spawn(
    options: readonly string[],
    command: readonly string[],
  ): Promise<ChildProcessWithoutNullStreams> {
    this.#shared ??= this.#share();
    const shared = await this.#shared;
    const { port, user, identityFile } = this.#target;
    const seconds = Math.max(1, Math.ceil(this.#options.connectTimeoutMs / 1000));
    const argv = [
      ...shared.arguments,
      ...options,
      ...['-o', `ConnectTimeout=${seconds}`, '-o', 'Compression=yes'],
      ...(this.#options.mayAsk ? [] : ['-o', 'BatchMode=yes']),
      ...(port === undefined ? [] : ['-p', String(port)]),
      ...(user === undefined ? [] : ['-l', user]),
      ...(identityFile === undefined ? [] : ['-i', identityFile]),
      ...['--', this.#target.destination, ...command],
    ];
    // The reasons of a failure are told from its words.
    const env = { ...process.env, LC_ALL: 'C' };
    // Once it need not ask any more, a Ctrl-C in our terminal is not for it.
    const detached = !this.#options.mayAsk || this.#stood;
    return spawn(this.#program, argv, { env, detached, stdio: ['pipe', 'pipe', 'pipe'] });
  }

  /** The user's own shared connection where one is configured; ours in a private directory else. */
  async #share(): Promise<Shared> {
    const { port, user } = this.#target;
    const more = [
      ...(port === undefined ? [] : ['-p', String(port)]),
      ...(user === undefined ? [] : ['-l', user]),
    ];
    // What the user's files say of this host.
    const config = await this.#output([...more, '-G', '--', this.#target.destination], 10_000);
    const withoutCommand = /^remotecommand (?!none$)/m.test(config)
      ? ['-o', 'RemoteCommand=none']
      : [];
    if (/^controlpath (?!none$)/m.test(config)) {
      return { arguments: withoutCommand, directory: null };
    }
    const path = privateDirectory();
    const removeNow = () => rmSync(path, { recursive: true, force: true });
    // Whatever ends us, the directory goes; the connection in it ends by itself.
    const release = endWithThisProcess(removeNow);
    const remove = () => {
      release();
      removeNow();
    };
    const control = [
      ...['-o', 'ControlMaster=auto', '-o', `ControlPath=${join(path, 'ssh')}`],
      ...['-o', `ControlPersist=${PERSIST_SECONDS}`],
      ...(/^serveraliveinterval [1-9]/m.test(config)
        ? []
        : ['-o', `ServerAliveInterval=${ALIVE_SECONDS}`]),
    ];
    return { arguments: [...control, ...withoutCommand], directory: { remove } };
  }

  /** What a short run of ssh writes, empty where it fails. */
  #output(argv: readonly string[], timeoutMs: number): Promise<string> {
    return new Promise((resolve, reject) => {
      const run = execFile(this.#program, argv, { timeout: timeoutMs }, (error, stdout) => {
        if (error !== null && 'code' in error && error.code === 'ENOENT') reject(noSsh(error));
        else resolve(stdout);
      });
      run.stdin?.end();
    });
  }

  #tooLong(what: string, ms: number): ConnectionFailure {
    return new ConnectionFailure(
      `${this.name}: ${what} within ${Math.round(ms / 1000)} s`,
      'Is it overloaded? --timeout gives it longer.',
    );
  }
}

function noSsh(error: Error): TriageError {
  return new TriageError(
    `ssh can't be run here: ${error.message}`,
    'Install the OpenSSH client.',
    ExitCode.unknown,
    { cause: error },
  );
}

/** Made with mode 0700 (mkdtemp(3)), at a path short enough for a socket. */
function privateDirectory(): string {
  const preferred = join(tmpdir(), 'salt-triage-ssh-');
  return mkdtempSync(preferred.length < MAX_SOCKET_PATH ? preferred : '/tmp/salt-triage-ssh-');
}

/**
 * The standard input and output of `ssh -W` as a stream that emits `connect`, as a socket does.
 * `refused` tells that the other side did not make the connection.
 */
export class ForwardedConnection extends Duplex {
  readonly #child: Promise<ChildProcessWithoutNullStreams>;
  refused = false;

  constructor(child: Promise<ChildProcessWithoutNullStreams>) {
    super({ allowHalfOpen: true });
    this.#child = child;
    child.then(
      (started) => this.#attach(started),
      (error: Error) => this.destroy(error),
    );
  }

  #attach(child: ChildProcessWithoutNullStreams): void {
    let said = '';
    let connected = false;
    child.stdout.on('data', (chunk: Buffer) => {
      if (!this.push(chunk)) child.stdout.pause();
    });
    child.stdout.once('end', () => {
      if (connected) this.push(null);
    });
    child.stderr.on('data', (chunk: Buffer) => {
      if (connected) return;
      said = (said + chunk.toString('latin1')).slice(-KEPT_STDERR);
      // mux.c and ssh.c, once the channel is confirmed.
      connected = /master session id|Entering interactive session/.test(said);
      if (connected) this.emit('connect');
    });
    child.stdin.on('error', () => undefined);
    child.once('error', (error) => this.destroy(error));
    child.once('exit', () => {
      if (connected || this.destroyed) return;
      this.refused = true;
      this.destroy(new Error('ssh did not make the connection there'));
    });
  }

  override _read(): void {
    this.#child.then((child) => child.stdout.resume()).catch(() => undefined);
  }

  override _write(chunk: Buffer, encoding: BufferEncoding, done: (error?: Error | null) => void) {
    this.#child.then((child) => child.stdin.write(chunk, encoding, () => done())).catch(done);
  }

  override _final(done: (error?: Error | null) => void) {
    this.#child.then((child) => child.stdin.end(() => done())).catch(done);
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void) {
    this.#child.then((child) => child.kill('SIGTERM')).catch(() => undefined);
    done(error);
  }
}
