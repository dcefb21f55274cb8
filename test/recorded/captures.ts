/**
 * Evidence of real incidents, made from raw recordings by the parsers that read a live host.
 * What a recording does not hold is made up here and says so.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { fixedOffsetTime } from '../../src/evidence/api-log-lines.ts';
import { ApiLogScanner } from '../../src/evidence/api-log-scan.ts';
import { NO_BACKGROUND } from '../../src/evidence/background.ts';
import {
  type AnswerFacts,
  type ApiLogFacts,
  type Evidence,
  type ProcessFacts,
  seen,
} from '../../src/evidence/evidence.ts';
import {
  parseCommandLine,
  parseEffectiveUid,
  parseProcessStat,
  parseSocketLink,
} from '../../src/evidence/proc-text.ts';
import { TcpTableReader } from '../../src/evidence/tcp-table.ts';

const PORT = 443;
const DAY_MS = 86_400_000;

/** The stages of `captures-3002`, as CASE/STAGE. */
export const STAGES = [
  'jammed/healthy',
  'jammed/hung',
  'jammed/orphan',
  'jammed/restarted',
  'jammed/sigterm-orphan',
  'jammed/healed',
  'stopped/healthy',
  'stopped/hung',
  'stopped/orphan',
  'stopped/restarted',
  'stopped/sigterm-manager',
  'child-killed/child-killed',
] as const;

export type Stage = (typeof STAGES)[number];

/** Evidence of a stage of salt-api 3002's recorded incidents. */
export function stageEvidence(stage: Stage): Evidence {
  const directory = new URL(`captures-3002/${stage}/`, import.meta.url);
  const file = (name: string) => readFileSync(new URL(name, directory), 'utf8');
  const now = Date.parse(file('date.txt').trim());
  const table = new TcpTableReader(PORT);
  table.take(file('proc-net-tcp.txt'), 'ipv4');
  table.take(file('proc-net-tcp6.txt'), 'ipv6');
  const sockets = table.facts();
  const listening = new Set(sockets.listeners.map(({ inode }) => inode));
  const rows = psRows(file('ps-all.txt'));
  // As the kernel's own btime, in whole seconds: pid 1 of the recording is not the host's.
  const bootedAt = bootTime(rows, directory);
  const recorded = readdirSync(directory)
    .filter((name) => name.endsWith('.stat'))
    .map((name) => name.slice(0, -'.stat'.length))
    .map((pid) => recordedProcess(file, pid, { listening, connected: table.inodes }));
  const known = new Set(recorded.map(({ pid }) => pid));
  // Zombies have no files in a recording, and pid 1 has none that salt-triage would need.
  const others = rows
    .filter(({ pid, state }) => !known.has(pid) && (state === 'Z' || pid === 1))
    .map((row) => psProcess(row, bootedAt));
  return {
    ...hostEvidence(now, bootedAt, 0),
    sockets: seen(sockets),
    processes: seen({
      total: rows.length,
      processes: [...recorded, ...others].sort((a, b) => a.pid - b.pid),
      deniedFds: 0,
      deniedArgv: 0,
      hidden: false,
    }),
    service: seen({
      pidFiles: [
        {
          path: '/var/run/salt-api.pid',
          pid: Number(file('pidfile-content.txt')),
          modifiedAt: Math.min(now, pidFileTime(file('pidfiles.txt'), now)),
        },
      ],
      systemd: seen(null),
      systemdRuns: false,
      otherUnits: [],
      relatedUnits: [],
      initScript: false,
      openRc: false,
    }),
    apiLog: seen(apiLogFacts(readFileSync(new URL('api.log', directory)), now, 0)),
    answer: seen(curlAnswer(file('http-get.txt'))),
  };
}

/** What `ps` of the 2018 incident does not tell, and the tests choose. */
export interface Unrecorded {
  /** Who has the listening socket: netstat was not recorded. */
  readonly listener: number | null;
  /** What is in the pid file: it was not recorded. */
  readonly pidFile: number | null;
}

/**
 * Evidence of the incident of July 2018, from its `ps -ef` and its log. Made up: sockets, pid
 * file, sessions (as `-d` makes them), thread counts (100 for who listens) and the seconds.
 */
export function incident2018(
  moment: 'after-restart' | 'after-stop',
  { listener, pidFile }: Unrecorded,
): Evidence {
  const directory = new URL('incident-2018/', import.meta.url);
  const offset = 480;
  const at = (clock: string) => Date.parse(`2018-07-13T${clock}:00+08:00`);
  const now = at('09:33') + 10_000;
  const bootedAt = at('00:00') - 30 * DAY_MS;
  const inode = 4711;
  const processes = readFileSync(new URL(`ps-${moment}.txt`, directory), 'utf8')
    .trim()
    .split('\n')
    .slice(1)
    .map((line): ProcessFacts => {
      const [, pid = '', ppid = '', , started = '', , time = '', ...words] = line
        .trim()
        .split(/\s+/);
      const command = words.join(' ');
      const startedAt = started.includes(':') ? at(started) : at('09:00') - DAY_MS;
      const listens = Number(pid) === listener;
      return {
        pid: Number(pid),
        ppid: Number(ppid),
        startTicks: (startedAt - bootedAt) / 10,
        state: 'S',
        processGroup: pid === '17502' ? 17_420 : 12_602,
        session: pid === '17502' ? 17_420 : 12_602,
        threads: listens ? 103 : 1,
        cpuTicks: cpuSeconds(time) * 100,
        uid: 0,
        // A rewritten title is one string; that of a first child is as exec left it (§1.3).
        argv: command.endsWith('ProcessManager') ? [command] : words,
        comm: '/usr/bin/python',
        cgroup: '/',
        networkNamespace: 'ours',
        pidNamespace: 'ours',
        fds: 'read',
        listens: listens ? [inode] : [],
        portConnections: 0,
        otherPorts: [],
        environment: { configDirectory: null },
        rootDirectory: 'ours',
        saltSigns: null,
        waitChannel: null,
      };
    });
  return {
    ...hostEvidence(now, bootedAt, offset),
    sockets: seen({
      listeners:
        listener === null
          ? []
          : [{ family: 'ipv4', address: '0.0.0.0', inode, uid: 0, acceptQueue: 0 }],
      peers: [],
      overflow: [],
      ipv6: false,
    }),
    processes: seen({
      total: processes.length,
      processes,
      deniedFds: 0,
      deniedArgv: 0,
      hidden: false,
    }),
    service: seen({
      pidFiles:
        pidFile === null
          ? []
          : [{ path: '/var/run/salt-api.pid', pid: pidFile, modifiedAt: at('09:25') + 1000 }],
      systemd: seen(null),
      systemdRuns: false,
      otherUnits: [],
      relatedUnits: [],
      initScript: true,
      openRc: false,
    }),
    apiLog: seen(apiLogFacts(readFileSync(new URL('api.log', directory)), now, offset)),
    answer: seen(
      listener === null ? { kind: 'refused' } : { kind: 'no-reply', afterMs: 5000, tls: true },
    ),
  };
}

function hostEvidence(now: number, bootedAt: number, utcOffsetMinutes: number) {
  return {
    schemaVersion: 1,

    background: NO_BACKGROUND,
    host: {
      name: 'salt-master-01',
      now,
      utcOffsetMinutes,
      bootId: '00000000-0000-4000-8000-000000000000',
      bootedAt,
      ticksPerSecond: 100,
      uid: 0,
    },
    instance: { configDirectory: '/etc/salt', defaultConfigured: true, origin: 'default' },
    port: {
      number: PORT,
      origin: { kind: 'config', file: '/etc/salt/master', key: 'rest_cherrypy.port' },
    },
    policy: { closeWaitWarn: 5, closeWaitFail: 20 },
    config: seen({
      directory: '/etc/salt',
      files: ['/etc/salt/master'],
      problems: [],
      netapi: {
        module: 'rest_cherrypy',
        port: PORT,
        file: '/etc/salt/master',
        host: '0.0.0.0',
        tls: false,
        backlog: 30,
      },
      apiLogFile: null,
      logFile: null,
      pidFile: null,
    }),
  } as const satisfies Partial<Evidence>;
}

function apiLogFacts(log: Buffer, now: number, utcOffsetMinutes: number): ApiLogFacts {
  const windowFrom = now - DAY_MS;
  const scanner = new ApiLogScanner(windowFrom, {
    localTime: fixedOffsetTime(utcOffsetMinutes),
    now,
  });
  scanner.push(log);
  scanner.endFile();
  const { undatedEvents: _, ...counts } = scanner.counts();
  const path = '/var/log/salt/api';
  return {
    source: { kind: 'file', path, origin: 'default' },
    files: [{ path, bytesRead: log.length }],
    windowFrom,
    ...counts,
    notes: [],
  };
}

function recordedProcess(
  file: (name: string) => string,
  pid: string,
  inodes: { readonly listening: ReadonlySet<number>; readonly connected: ReadonlySet<number> },
): ProcessFacts {
  const stat = parseProcessStat(file(`${pid}.stat`));
  if (stat === null) throw new Error(`${pid}.stat of the recording is no stat line`);
  const links = file(`${pid}.fd`)
    .split('\n')
    .map((line) => parseSocketLink(line.split(' -> ')[1] ?? ''))
    .filter((inode) => inode !== null);
  const { comm, kernel: _kernel, ...numbers } = stat;
  return {
    ...numbers,
    uid: parseEffectiveUid(file(`${pid}.status`)) ?? -1,
    argv: parseCommandLine(file(`${pid}.cmdline`)),
    comm,
    cgroup: null,
    networkNamespace: 'ours',
    pidNamespace: 'ours',
    fds: 'read',
    listens: links.filter((inode) => inodes.listening.has(inode)),
    portConnections: links.filter(
      (inode) => inodes.connected.has(inode) && !inodes.listening.has(inode),
    ).length,
    otherPorts: [],
    environment: { configDirectory: null },
    rootDirectory: 'ours',
    saltSigns: null,
    waitChannel: null,
  };
}

interface PsRow {
  readonly pid: number;
  readonly ppid: number;
  readonly processGroup: number;
  readonly session: number;
  readonly state: string;
  readonly startedAt: number;
  readonly command: string;
}

/** Rows of `ps -eo pid,ppid,pgid,sid,stat,lstart,etime,time,pcpu,wchan:20,args`, in UTC. */
function psRows(text: string): PsRow[] {
  return text
    .trim()
    .split('\n')
    .slice(1)
    .map((line) => {
      const fields = line.trim().split(/\s+/);
      const [pid, ppid, processGroup, session] = fields.map(Number);
      return {
        pid: pid ?? 0,
        ppid: ppid ?? 0,
        processGroup: processGroup ?? 0,
        session: session ?? 0,
        state: fields[4]?.charAt(0) ?? '',
        startedAt: Date.parse(`${fields.slice(5, 10).join(' ')} UTC`),
        command: fields.slice(14).join(' '),
      };
    });
}

/** `healed` recorded no process of its own to tell the boot by; it is `jammed`'s. */
function bootTime(rows: readonly PsRow[], directory: URL): number {
  for (const { pid, startedAt } of rows) {
    try {
      const stat = parseProcessStat(readFileSync(new URL(`${pid}.stat`, directory), 'utf8'));
      if (stat !== null) return startedAt - Math.floor(stat.startTicks / 100) * 1000;
    } catch {
      // Not among the recorded.
    }
  }
  return Date.parse('2026-11-23T23:21:27Z');
}

function psProcess(row: PsRow, bootedAt: number): ProcessFacts {
  const { pid, ppid, processGroup, session, state, startedAt, command } = row;
  return {
    pid,
    ppid,
    startTicks: Math.max(0, (startedAt - bootedAt) / 10),
    state,
    processGroup,
    session,
    threads: 1,
    cpuTicks: 0,
    uid: 0,
    argv: state === 'Z' ? [] : command.split(' '),
    comm: command.split(' ')[0] ?? '',
    cgroup: null,
    networkNamespace: 'unseen',
    pidNamespace: 'unseen',
    fds: 'skipped',
    listens: [],
    portConnections: 0,
    otherPorts: [],
    environment: { configDirectory: null },
    rootDirectory: 'ours',
    saltSigns: null,
    waitChannel: null,
  };
}

/** `ls -l` cuts a time to the minute: the end of that minute. */
function pidFileTime(listing: string, now: number): number {
  const match = /([A-Z][a-z]{2} \d+) (\d\d:\d\d) /.exec(listing);
  const year = new Date(now).getUTCFullYear();
  return Date.parse(`${match?.[1]} ${year} ${match?.[2]}:59 UTC`);
}

/** From curl's last line: `--- curl rc=28 http=000 connect=… total=4.001s Operation timed out…`. */
function curlAnswer(text: string): AnswerFacts {
  const match = /--- curl rc=(\d+) http=(\d+) .*total=([\d.]+)s (.*)/.exec(text);
  const [, code, status, total, message = ''] = match ?? [];
  const afterMs = Math.round(Number(total) * 1000);
  if (code === '0') return { kind: 'answered', status: Number(status), afterMs, tls: false };
  if (code === '7') return { kind: 'refused' };
  if (code !== '28') throw new Error(`curl ended with ${code}`);
  return message.startsWith('Connection')
    ? { kind: 'no-connection', afterMs }
    : { kind: 'no-reply', afterMs, tls: false };
}

/** `[DD-]HH:MM:SS` of ps. */
function cpuSeconds(time: string): number {
  const [clock = '', days = '0'] = time.split('-').reverse();
  return (
    clock
      .split(':')
      .map(Number)
      .reduce((sum, part) => sum * 60 + part, 0) +
    Number(days) * 86_400
  );
}
