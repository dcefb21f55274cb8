import { execFile, execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { SocketFacts } from '../../src/evidence/evidence.ts';
import { type ProcessStat, parseProcessStat } from '../../src/evidence/proc-text.ts';
import { TcpTableReader } from '../../src/evidence/tcp-table.ts';
import { endWithThisProcess } from '../../src/on-exit.ts';
import { clientsThatGiveUp } from './clients.ts';

/** What differs between the salt-api versions that are played (salt-facts §1.3). */
type Era = '2017' | '3002' | '3006';

interface CherryPyOptions {
  readonly era?: Era;
  readonly tls?: boolean;
  /** CherryPy's worker threads: so many logins jam it. */
  readonly threadPool?: number;
}

/** A real CherryPy server and its manager, in a network namespace of their own where root allows. */
export interface CherryPyIncident {
  readonly directory: string;
  readonly configDirectory: string;
  readonly logFile: string;
  readonly pidFile: string;
  /** 443 in a namespace of its own, a free high port on the host otherwise. */
  readonly port: number;
  /** argv before a command that is to see the incident's network: empty on the host itself. */
  readonly enter: readonly string[];
  /** argv that starts the daemon; it returns when the daemon is on its own. */
  readonly startCommand: readonly [string, ...string[]];
  /** What the pid file says. */
  managerPid(): number;
  /** The newest child of the newest manager, null between two starts. */
  childPid(): number | null;
  /** All live processes of the incident. */
  processes(): ProcessStat[];
  sockets(): SocketFacts;
  /** Occupies every thread and has `more` clients give up on their answer; returns their number. */
  jam(more?: number): Promise<number>;
  /** SIGSTOPs the child and has `clients` give up: they wait in the accept queue. */
  freeze(clients?: number): Promise<void>;
  /** Has the server fork a daemonized job that inherits the listening socket; returns its pid. */
  forkJob(): Promise<number>;
  /** SIGKILLs the manager and waits until the child is an orphan. */
  killManager(): Promise<void>;
  /** Starts the daemon again and waits until the new child has failed to get the port. */
  restart(): Promise<void>;
  /** Ends every process and removes directory and namespace. May be called again. */
  cleanup(): void;
}

const PYTHON = '/usr/bin/python3';
const SALT_API = fileURLToPath(new URL('salt-api', import.meta.url));
const LIFETIME_SECONDS = 900;
const DEADLINE_MS = 30_000;
const runFile = promisify(execFile);
let namespaces = 0;

/** Whether Debian's python3-cherrypy3 and python3-setproctitle are installed. */
function cherrypyAvailable(): boolean {
  return spawnSync(PYTHON, ['-c', 'import cherrypy, setproctitle']).status === 0;
}

/** For a test's `skip`: in CI nothing is skipped, so a missing package fails there. */
export function skipWithoutCherryPy(): string | false {
  if (process.env['CI'] || cherrypyAvailable()) return false;
  return 'needs the Debian packages python3-cherrypy3 and python3-setproctitle';
}

/** Starts salt-api as `salt-api -d` does, and waits until it serves. */
export async function startCherryPy(options: CherryPyOptions = {}): Promise<CherryPyIncident> {
  const threadPool = options.threadPool ?? 5;
  const directory = mkdtempSync(join(tmpdir(), 'salt-triage-cherrypy-'));
  const namespace = addNamespace();
  const port = namespace === null ? await freePort() : 443;
  const enter = namespace === null ? [] : ['ip', 'netns', 'exec', namespace];
  const configDirectory = join(directory, 'etc');
  const logFile = join(directory, 'api');
  const pidFile = join(directory, 'salt-api.pid');
  const startCommand = inNetwork(PYTHON, SALT_API, '-d', '-c', configDirectory);

  function inNetwork(...command: [string, ...string[]]): [string, ...string[]] {
    const [first = command[0], ...rest] = [...enter, ...command];
    return [first, ...rest];
  }

  const release = endWithThisProcess(cleanup);

  function cleanup(): void {
    release();
    const deadline = Date.now() + DEADLINE_MS;
    for (let left = processes(); left.length > 0; left = processes()) {
      if (Date.now() > deadline) throw new Error(`still there: ${left.map(({ pid }) => pid)}`);
      for (const { pid } of left) killIfThere(pid, 'SIGKILL');
    }
    if (namespace !== null) spawnSync('ip', ['netns', 'delete', namespace]);
    rmSync(directory, { recursive: true, force: true });
  }

  /** Every process of ours has the fresh directory in its command line, whatever its title. */
  function processes(): ProcessStat[] {
    return readdirSync('/proc')
      .filter((name) => /^\d+$/.test(name))
      .map((pid) => {
        try {
          const title = readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ');
          if (!title.startsWith(`${PYTHON} ${SALT_API} -d -c ${configDirectory}`)) return null;
          return parseProcessStat(readFileSync(`/proc/${pid}/stat`, 'utf8'));
        } catch {
          return null;
        }
      })
      .filter((found) => found !== null);
  }

  function managerPid(): number {
    return Number(readFileSync(pidFile, 'utf8'));
  }

  function childPid(): number | null {
    const manager = managerPid();
    const children = processes().filter(({ ppid, state }) => ppid === manager && state !== 'Z');
    return children.at(-1)?.pid ?? null;
  }

  /** Seen through one of the incident's own processes, so the namespace need not be entered. */
  function sockets(): SocketFacts {
    const [witness] = processes();
    const reader = new TcpTableReader(port);
    reader.take(readFileSync(`/proc/${witness?.pid ?? 'self'}/net/tcp`, 'utf8'), 'ipv4');
    return reader.facts();
  }

  function closeWait(): number {
    return sockets()
      .peers.filter(({ state }) => state === 'CLOSE_WAIT')
      .reduce((sum, peer) => sum + peer.accepted + peer.unaccepted, 0);
  }

  async function giveUp(count: number, path: string): Promise<void> {
    const client = clientsThatGiveUp(count, path, port, options.tls);
    const [program, ...args] = inNetwork(process.execPath, '-e', client);
    await runFile(program, args, { timeout: DEADLINE_MS });
  }

  async function start(): Promise<void> {
    const [program, ...args] = startCommand;
    const before = processes().map(({ pid }) => pid);
    await runFile(program, args, { timeout: DEADLINE_MS });
    await until('salt-api writing its pid file', () => {
      const pid = managerPid();
      return !before.includes(pid) && processes().some((found) => found.pid === pid);
    });
  }

  try {
    mkdirSync(configDirectory);
    const tls = options.tls ? makeCertificate(directory) : ['  disable_ssl: True'];
    const settings = [
      `api_logfile: ${logFile}`,
      `api_pidfile: ${pidFile}`,
      `era: ${options.era ?? '3002'}`,
      'restart_poll: 2',
      `lifetime: ${LIFETIME_SECONDS}`,
      'rest_cherrypy:',
      '  host: 0.0.0.0',
      `  port: ${port}`,
      `  thread_pool: ${threadPool}`,
      '  queue_size: 30',
      ...tls,
    ];
    writeFileSync(join(configDirectory, 'master'), `${settings.join('\n')}\n`);
    await start();
    await until('CherryPy serving', () => /Bus STARTED/.test(readFileSync(logFile, 'utf8')));
  } catch (error) {
    cleanup();
    throw error;
  }

  return {
    directory,
    configDirectory,
    logFile,
    pidFile,
    port,
    enter,
    startCommand,
    managerPid,
    childPid,
    processes,
    sockets,
    cleanup,
    async jam(more = 20) {
      await giveUp(threadPool, '/login');
      await giveUp(more, '/');
      await until('CLOSE_WAIT', () => closeWait() >= threadPool + more);
      return threadPool + more;
    },
    async freeze(clients = 12) {
      const child = childPid();
      if (child === null) throw new Error('no child to freeze');
      process.kill(child, 'SIGSTOP');
      await giveUp(clients, '/');
      await until('CLOSE_WAIT', () => closeWait() >= clients);
    },
    async forkJob() {
      const scheme = options.tls ? 'https' : 'http';
      const client = `require('node:${scheme}').get({ host: '127.0.0.1', port: ${port}, agent: false,
        path: '/wheel_async', rejectUnauthorized: false }, (answer) => answer.pipe(process.stdout))`;
      const [program, ...args] = inNetwork(process.execPath, '-e', client);
      return Number((await runFile(program, args, { timeout: DEADLINE_MS })).stdout);
    },
    async killManager() {
      const manager = managerPid();
      const child = childPid();
      killIfThere(manager, 'SIGKILL');
      await until('an orphan', () =>
        processes().some(({ pid, ppid }) => pid === child && ppid !== manager),
      );
    },
    async restart() {
      const seen = readFileSync(logFile, 'utf8').length;
      await start();
      await until('a start that finds the port taken', () =>
        /(?:not free on|No socket could be created)[\s\S]*Bus EXITED/.test(
          readFileSync(logFile, 'utf8').slice(seen),
        ),
      );
    },
  };
}

/** A fresh network namespace with loopback up, or null where we may not make one. */
function addNamespace(): string | null {
  if (process.getuid?.() !== 0) return null;
  namespaces += 1;
  const name = `salt-triage-${process.pid}-${namespaces}`;
  if (spawnSync('ip', ['netns', 'add', name]).status !== 0) return null;
  execFileSync('ip', ['-n', name, 'link', 'set', 'lo', 'up']);
  return name;
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer().once('error', reject);
    server.listen(0, () => {
      const address = server.address();
      server.close(() => resolve(typeof address === 'object' ? (address?.port ?? 0) : 0));
    });
  });
}

/** A self-signed certificate, as most salt-api have; returns the config lines that name it. */
function makeCertificate(directory: string): string[] {
  const certificate = join(directory, 'api.crt');
  const key = join(directory, 'api.key');
  execFileSync(
    'openssl',
    ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'].concat([
      '-subj',
      '/CN=localhost',
      '-days',
      '2',
      '-keyout',
      key,
      '-out',
      certificate,
    ]),
    { stdio: 'ignore' },
  );
  return [`  ssl_crt: ${certificate}`, `  ssl_key: ${key}`];
}

function killIfThere(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'ESRCH')) throw error;
  }
}

/** Polls until `holds`; a look that throws (a file not there yet) counts as no. */
async function until(what: string, holds: () => boolean): Promise<void> {
  const deadline = Date.now() + DEADLINE_MS;
  let reason: unknown;
  while (Date.now() < deadline) {
    try {
      if (holds()) return;
    } catch (error) {
      reason = error;
    }
    await delay(20);
  }
  throw new Error(`${what} did not come about within ${DEADLINE_MS / 1000} s`, { cause: reason });
}
