import { execFile } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import { ExitCode, TriageError } from '../errors.ts';
import type { SocketFacts } from '../evidence/evidence.ts';
import { TcpTableReader } from '../evidence/tcp-table.ts';
import { endWithThisProcess } from '../on-exit.ts';
import { describeDuration } from '../words.ts';
import { callsBefore, USERS } from './calls-before.ts';
import { DRILL_PREFIX, markKept } from './kept.ts';
import { SALT_API_SCRIPT, SERVICE_SCRIPT } from './scripts.ts';
import { endStaged, killStaged, stagedProcess, stagedProcesses } from './staged-processes.ts';

/**
 * How far the incident has come, each with all before it:
 * `healthy` (serves), `hung` (the child is jammed, clients have given up), `orphan` (the manager
 * was killed), `restarted` (a new manager can't get the port: the whole incident).
 */
type Stage = 'healthy' | 'hung' | 'orphan' | 'restarted';

/** What to stage; everything unset has a default. */
export interface StageOptions {
  /** Where the drill's own directory is made; the system's temporary directory by default. */
  readonly directory?: string;
  /** 1024 to 65535; a free one by default. */
  readonly port?: number;
  /** After how long every process ends by itself and the directory goes; 10 minutes by default. */
  readonly keepForMs?: number;
  /** Where to stop; `restarted` by default. */
  readonly stage?: Stage;
  /** How long a manager waits before it starts its child again; 2 s by default, Salt's 10 s. */
  readonly restartAfterMs?: number;
}

/** A staged incident, with what an operator needs to work on it. */
export interface StagedIncident extends DrillFiles {
  readonly directory: string;
  readonly port: number;
  /** The first manager's child, which has the port; an orphan from stage `orphan` on. */
  readonly orphanPid: number;
  /** The newest manager: dead at stage `orphan`, the second one at `restarted`. */
  readonly managerPid: number;
  /** argv that starts the daemon, as `service salt-api start` would. */
  readonly startCommand: readonly [string, ...string[]];
  /** argv that stops what the pid file names, as `service salt-api stop` would. */
  readonly stopCommand: readonly [string, ...string[]];
  /** Ends every process of the drill and removes its directory. May be called again. */
  cleanup(): Promise<void>;
  /** Leaves the drill standing when this process ends, until its own time is up or `endKept`. */
  leaveStanding(): void;
}

const HOST = '127.0.0.1';
const DEFAULT_KEEP_MS = 10 * 60_000;
const MAX_KEEP_MS = 24 * 60 * 60_000;
/** Requests the staged child can have open; the next connection jams it. */
const THREADS = 30;
/** listen(2) backlog. Each failed start leaves one connection in the queue of the orphan. */
const BACKLOG = 128;
/** Clients by address. One more than `THREADS` is accepted, the others wait in the queue. */
const CLIENTS = { '127.0.0.2': 33, '127.0.0.3': 5, '127.0.0.1': 2 };
/** When a client gives up on an answer. */
const CLIENT_TIMEOUT_MS = 300;
const RESTART_AFTER_MS = 2_000;
/** Bound on reaching any one state; a busy machine starts a Node process in a second or two. */
const STATE_DEADLINE_MS = 30_000;

const runFile = promisify(execFile);

/**
 * Stages the incident of salt-facts §1.8 with real processes and sockets, on loopback only: a
 * manager and its child whose argv reads as salt-api's, clients that give up on the hung child,
 * the manager killed, the child left with the port, a new manager in its restart loop.
 *
 * Whatever happens to the caller (a throw, `process.exit`, SIGINT, SIGTERM, SIGHUP), the staged
 * processes are ended and the directory removed; after SIGKILL they end by themselves at
 * `keepForMs`. `leaveStanding()` takes the first part back.
 *
 * @throws TriageError where the host can't stage it (no Linux, port taken or privileged)
 */
export async function stageIncident(options: StageOptions = {}): Promise<StagedIncident> {
  const stage = options.stage ?? 'restarted';
  const port = await usablePort(options.port);
  const keepForMs = options.keepForMs ?? DEFAULT_KEEP_MS;
  if (!(keepForMs > 0 && keepForMs <= MAX_KEEP_MS)) {
    throw new TriageError(
      `a drill can't be kept for ${describeDuration(keepForMs)}`,
      'give it up to 24 hours',
      ExitCode.usage,
    );
  }
  const directory = mkdtempSync(join(resolve(options.directory ?? tmpdir()), DRILL_PREFIX));
  const script = join(directory, 'salt-api');
  const end = () => {
    endStaged(script);
    rmSync(directory, { recursive: true, force: true });
  };
  const release = endWithThisProcess(end);
  const cleanup = async () => {
    end();
    release();
  };
  try {
    const files = writeDrill(directory, {
      port,
      endsAt: Date.now() + keepForMs,
      restartAfterMs: options.restartAfterMs ?? RESTART_AFTER_MS,
    });
    const startCommand = [process.execPath, files.serviceScript, 'start'] as const;
    const stopCommand = [process.execPath, files.serviceScript, 'stop'] as const;

    const first = await startDaemon(startCommand, script, files.pidFile);
    const orphanPid = await reached('salt-api serving', files.logFile, () =>
      sockets(port).listeners.length === 0 ? null : childOf(first, script),
    );
    let managerPid = first;
    if (stage !== 'healthy') await hang(port, files.logFile);
    if (stage === 'orphan' || stage === 'restarted') {
      await killManager(first, orphanPid, script, files.logFile);
    }
    if (stage === 'restarted') {
      managerPid = await startDaemon(startCommand, script, files.pidFile);
      await reached(
        'a start that finds the port taken',
        files.logFile,
        () => /not free on[\s\S]*Bus EXITED/.test(readFileSync(files.logFile, 'utf8')) || null,
      );
    }
    const where = { directory, ...files, port, orphanPid, managerPid, startCommand, stopCommand };
    const leaveStanding = () => {
      markKept(where);
      release();
    };
    return { ...where, cleanup, leaveStanding };
  } catch (error) {
    await cleanup();
    throw error;
  }
}

/** Checks the wanted port, or finds a free one. */
async function usablePort(wanted: number | undefined): Promise<number> {
  if (process.platform !== 'linux') {
    throw new TriageError(
      `a drill can't be staged on ${process.platform}: it needs Linux and its /proc`,
      'run it on a Linux host, for example the Salt master',
      ExitCode.usage,
    );
  }
  if (wanted !== undefined && !(Number.isInteger(wanted) && wanted >= 1024 && wanted <= 65_535)) {
    throw new TriageError(
      `a drill can't use port ${wanted}`,
      'give an unprivileged port, 1024 to 65535, or none for a free one',
      ExitCode.usage,
    );
  }
  return new Promise((resolvePort, reject) => {
    const server = createServer();
    server.once('error', (error) => {
      reject(
        new TriageError(
          `a drill can't use port ${wanted}: ${error.message}`,
          'give another --port, or none for a free one',
          ExitCode.usage,
          { cause: error },
        ),
      );
    });
    server.listen({ host: HOST, port: wanted ?? 0 }, () => {
      const address = server.address();
      const port = typeof address === 'object' && address !== null ? address.port : 0;
      server.close(() => resolvePort(port));
    });
  });
}

interface DrillFiles {
  /** What salt-api's `-c` says. */
  readonly configDirectory: string;
  readonly logFile: string;
  readonly pidFile: string;
  /** The script that starts and stops it. */
  readonly serviceScript: string;
}

function writeDrill(
  directory: string,
  { port, endsAt, restartAfterMs }: Record<'port' | 'endsAt' | 'restartAfterMs', number>,
): DrillFiles {
  const files = {
    configDirectory: join(directory, 'etc'),
    logFile: join(directory, 'log', 'api'),
    pidFile: join(directory, 'salt-api.pid'),
    serviceScript: join(directory, 'salt-api-service'),
  };
  const sizes = { threads: THREADS, backlog: BACKLOG };
  const drill = { host: HOST, port, endsAt, ...sizes, restartAfterMs, users: USERS };
  mkdirSync(files.configDirectory);
  mkdirSync(join(directory, 'log'));
  // A package.json further up must not turn the scripts into ES modules.
  writeFileSync(join(directory, 'package.json'), '{ "type": "commonjs" }\n');
  writeFileSync(join(directory, 'drill.json'), `${JSON.stringify(drill)}\n`);
  writeFileSync(join(directory, 'salt-api'), SALT_API_SCRIPT);
  writeFileSync(files.serviceScript, SERVICE_SCRIPT);
  writeFileSync(files.logFile, callsBefore(Date.now()));
  writeFileSync(
    join(files.configDirectory, 'master'),
    [
      '# A salt-triage drill: no real salt-master reads this.',
      // JSON strings are YAML strings, whatever the temporary directory is called.
      `api_logfile: ${JSON.stringify(files.logFile)}`,
      `api_pidfile: ${JSON.stringify(files.pidFile)}`,
      'rest_cherrypy:',
      `  host: ${HOST}`,
      `  port: ${port}`,
      '  disable_ssl: true',
      `  thread_pool: ${THREADS}`,
      `  queue_size: ${BACKLOG}`,
      '',
    ].join('\n'),
  );
  return files;
}

/** Runs the start command and waits until the pid file names the new manager. */
async function startDaemon(
  command: readonly [string, ...string[]],
  script: string,
  pidFile: string,
): Promise<number> {
  const [program, ...args] = command;
  await runFile(program, args);
  return reached('salt-api starting', pidFile, () => {
    const pid = Number(readFileSync(pidFile, 'utf8'));
    return stagedProcess(pid, script) === null ? null : pid;
  });
}

function childOf(manager: number, script: string): number | null {
  return stagedProcesses(script).find(({ ppid }) => ppid === manager)?.pid ?? null;
}

/** Has more clients ask than the child has threads; they wait in vain and hang up. */
async function hang(port: number, logFile: string): Promise<void> {
  const clients = Object.entries(CLIENTS).flatMap(([address, count]) =>
    Array.from({ length: count }, () => askInVain(port, address)),
  );
  await Promise.all(clients);
  await reached('connections in CLOSE_WAIT', logFile, () => {
    const waiting = sockets(port).peers.filter(({ state }) => state === 'CLOSE_WAIT');
    const accepted = waiting.reduce((sum, peer) => sum + peer.accepted, 0);
    const unaccepted = waiting.reduce((sum, peer) => sum + peer.unaccepted, 0);
    return accepted > THREADS && accepted + unaccepted >= clients.length ? true : null;
  });
}

/** One client: logs in, gets no answer within its timeout, closes. */
function askInVain(port: number, localAddress: string): Promise<void> {
  return new Promise((done, reject) => {
    const socket = connect({ host: HOST, port, localAddress, timeout: CLIENT_TIMEOUT_MS });
    socket.write(`POST /login HTTP/1.1\r\nHost: ${HOST}:${port}\r\nContent-Length: 0\r\n\r\n`);
    socket.once('timeout', () => socket.destroy());
    socket.once('error', reject);
    socket.once('close', () => done());
  });
}

async function killManager(
  manager: number,
  child: number,
  script: string,
  logFile: string,
): Promise<void> {
  const seen = stagedProcess(manager, script);
  if (seen !== null) killStaged(seen, script);
  await reached('the child becoming an orphan', logFile, () => {
    const orphan = stagedProcess(child, script);
    return orphan === null || orphan.ppid === manager ? null : orphan.pid;
  });
}

function sockets(port: number): SocketFacts {
  const reader = new TcpTableReader(port);
  reader.take(readFileSync('/proc/net/tcp', 'utf8'), 'ipv4');
  return reader.facts();
}

/** Polls until `look` gives something; a look that fails counts as nothing yet. */
async function reached<T>(what: string, file: string, look: () => T | null): Promise<T> {
  const deadline = Date.now() + STATE_DEADLINE_MS;
  let reason: unknown;
  while (Date.now() < deadline) {
    try {
      const found = look();
      if (found !== null) return found;
    } catch (error) {
      reason = error;
    }
    await delay(10);
  }
  throw new TriageError(
    `the drill did not get as far as ${what} within ${STATE_DEADLINE_MS / 1000} s`,
    `run it again on a less busy machine; what it logged is in ${file} with --keep`,
    ExitCode.unknown,
    { cause: reason },
  );
}
