/** A salt-api and the master behind it, as real processes with real sockets. */
import { spawn } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import { until } from '../fix/staged.ts';

/** What the scripts beside this file read of the config. */
export interface Staging {
  /** Threads of salt-api in recv(2), in epoll_wait(2) and at a lock. */
  readonly receivers?: number;
  readonly watchers?: number;
  readonly idle?: number;
  readonly threadPool?: number;
  /** It accepts nothing, and answers nothing. */
  readonly silent?: boolean;
  /** Its master accepts nothing. */
  readonly deaf?: boolean;
}

export interface Staged {
  readonly directory: string;
  readonly configDirectory: string;
  readonly port: number;
  readonly retPort: number;
  /** Writes the config anew, for what is started after it. */
  configure(staging: Staging): void;
  /** Starts the master, and waits until it listens. @returns its processes, the first one first */
  startMaster(): Promise<readonly number[]>;
  /** Starts salt-api, and waits until it listens. @returns manager and child */
  startApi(): Promise<readonly number[]>;
}

/** The scripts' directory: their names are what tells who is who. */
const SCRIPTS = fileURLToPath(new URL('.', import.meta.url));
const PYTHON = '/usr/bin/python3';

export async function stageBehind(t: TestContext, staging: Staging = {}): Promise<Staged> {
  const directory = mkdtempSync(join(tmpdir(), 'salt-triage-behind-'));
  const configDirectory = join(directory, 'etc');
  const [port = 0, retPort = 0, publishPort = 0] = await freePorts(3);
  t.after(() => {
    for (const pid of processesOf(configDirectory)) killIfThere(pid);
    rmSync(directory, { recursive: true, force: true });
  });
  mkdirSync(configDirectory);
  writeFileSync(join(directory, 'api'), '');

  function configure(now: Staging): void {
    const { receivers = 0, watchers = 0, idle = 0, threadPool = 1 } = now;
    writeFileSync(
      join(configDirectory, 'master'),
      [
        `api_logfile: ${join(directory, 'api')}`,
        `sock_dir: ${join(directory, 'sock')}`,
        ...[`ret_port: ${retPort}`, `publish_port: ${publishPort}`],
        ...[`receivers: ${receivers}`, `watchers: ${watchers}`, `idle: ${idle}`],
        ...(now.silent ? ['silent: yes'] : []),
        ...(now.deaf ? ['deaf: yes'] : []),
        ...['rest_cherrypy:', '  host: 127.0.0.1', `  port: ${port}`, '  disable_ssl: true'],
        `  thread_pool: ${threadPool}`,
        '',
      ].join('\n'),
    );
  }

  async function start(name: string, at: number): Promise<readonly number[]> {
    const argv = [join(SCRIPTS, name), '-c', configDirectory, '-d'];
    spawn(PYTHON, argv, { stdio: 'ignore', detached: true });
    return until(`${name} listening`, () => {
      const pids = processesOf(configDirectory).filter((pid) => argvOf(pid)[1] === argv[0]);
      return pids.length === 2 && listens(at) ? pids : null;
    });
  }

  configure(staging);
  return {
    ...{ directory, configDirectory, port, retPort, configure },
    startMaster: () => start('salt-master', retPort),
    startApi: () => start('salt-api', port),
  };
}

/** Waits until so many threads are in recv(2), 45 on x86_64 and 207 on aarch64. */
export async function receiving(pid: number, threads: number): Promise<void> {
  const tasks = `/proc/${pid}/task`;
  await until(`${threads} threads in recv`, () => {
    const calls = readdirSync(tasks).map((tid) => {
      try {
        return readFileSync(`${tasks}/${tid}/syscall`, 'utf8');
      } catch {
        return '';
      }
    });
    return calls.filter((call) => /^(?:45|207) /.test(call)).length === threads;
  });
}

/** Stops processes, and waits until they are. */
export async function suspend(pids: readonly number[]): Promise<void> {
  for (const pid of pids) process.kill(pid, 'SIGSTOP');
  await until('state T', () => pids.every((pid) => stateOf(pid) === 'T'));
}

/** Ends processes, and waits until nothing of them is left but a zombie. */
export async function end(pids: readonly number[]): Promise<void> {
  for (const pid of pids) killIfThere(pid);
  await until('their end', () => pids.every((pid) => ['Z', ''].includes(stateOf(pid))));
}

function stateOf(pid: number): string {
  if (!existsSync(`/proc/${pid}/stat`)) return '';
  try {
    return /\) (\S) /.exec(readFileSync(`/proc/${pid}/stat`, 'utf8'))?.[1] ?? '';
  } catch {
    return '';
  }
}

function killIfThere(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It has ended by itself.
  }
}

/** Live processes that have the fresh directory as their `-c`, in the order of their start. */
function processesOf(configDirectory: string): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => argvOf(pid)[3] === configDirectory)
    .sort((a, b) => a - b);
}

function argvOf(pid: number): string[] {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0');
  } catch {
    return [];
  }
}

function listens(port: number): boolean {
  const hex = port.toString(16).toUpperCase().padStart(4, '0');
  return readFileSync('/proc/net/tcp', 'utf8').includes(`0100007F:${hex} 00000000:0000 0A`);
}

/** Ports that were free a moment ago, no two the same. */
async function freePorts(howMany: number): Promise<number[]> {
  const servers = Array.from({ length: howMany }, () => createServer());
  const ports = await Promise.all(
    servers.map((server) => {
      return new Promise<number>((resolve, reject) => {
        server.once('error', reject);
        server.listen({ host: '127.0.0.1', port: 0 }, () => {
          const address = server.address();
          resolve(typeof address === 'object' && address !== null ? address.port : 0);
        });
      });
    }),
  );
  for (const server of servers) server.close();
  return ports;
}
