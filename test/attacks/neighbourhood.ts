/**
 * Programs that are named as salt-api is and have nothing of Salt's, under what starts programs on
 * a real host: cron, supervisord, an agent, sudo, tmux, containers and so on, beside one salt-api.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { parseProcessStat } from '../../src/evidence/proc-text.ts';
import { endWithThisProcess } from '../../src/on-exit.ts';
import type { CherryPyIncident } from '../cherrypy/incident.ts';

const PYTHON = '/usr/bin/python3';
const LOOK_ALIKE = fileURLToPath(new URL('look-alike', import.meta.url));
const AGENT = fileURLToPath(new URL('agent.py', import.meta.url));
const LIFETIME_SECONDS = 300;
const DEADLINE_MS = 30_000;
/** An ordinary user that every Debian has. */
const NOBODY = 65_534;

/**
 * How a look-alike is named: as the script that it is, with what setproctitle appends in one era or
 * another, or as what the packages install (salt-facts §1.3, §1.4).
 */
export const NAMINGS = {
  script: () => '',
  'script, 2016.3': () => ' NetAPIProcessManager',
  'script, 3005 manager': () => ' MainProcess',
  'script, 3005 child': () => ' RunNetapi(salt.loaded.int.netapi.rest_cherrypy)',
  'package, 2014.7': (config: string) => `/usr/bin/python2.6 /usr/bin/salt-api -d -c ${config}`,
  'package, 3006 child': (config: string) =>
    `/usr/bin/python3 /usr/bin/salt-api -c ${config} RunNetapi(salt.loaded.int.netapi.rest_cherrypy)`,
  'onedir, 3006': (config: string) =>
    `/opt/saltstack/salt/bin/python3.10 /usr/bin/salt-api -c ${config} MainProcess`,
  'onedir, 3005': (config: string) => `/opt/saltstack/salt/run/run api -c ${config}`,
} as const;

export type Naming = keyof typeof NAMINGS;

/** Where programs come from. Of the last five the parent is dead: pid 1 or tini has them. */
type Launcher =
  | 'agent'
  | 'cron'
  | 'supervisord'
  | 'sudo'
  | 'tmux'
  | 'dumb-init -c'
  | 'systemd --user, its own service'
  | 'container with our pids'
  | 'another /etc/salt mounted'
  | 'chroot into a bind of /'
  | 'nohup, its shell gone'
  | 'tini -s, its shell gone';

export interface Played {
  readonly launcher: Launcher;
  readonly naming: Naming;
  /** An ordinary user's, in place of root's. */
  readonly ordinary?: boolean;
  /** Keeps the API's log open, to read it, and the configuration. */
  readonly follows?: boolean;
  /** Has a child of the same name. */
  readonly worker?: boolean;
  readonly listens?: boolean;
}

/** One process of the neighbourhood. */
export interface LookAlike extends Played {
  readonly name: string;
  readonly pid: number;
  readonly startTicks: number;
}

interface Neighbourhood {
  /** Starts look-alikes and waits until they run, by the name that they have then. */
  start(played: readonly Played[]): Promise<readonly LookAlike[]>;
  isAlive(one: LookAlike): boolean;
  /** Ends what `start` has started. May be called again. */
  end(): void;
}

/** A neighbourhood of one salt-api: in its network, and named as its instance. */
export function neighbourhoodOf(incident: CherryPyIncident): Neighbourhood {
  const directory = mkdtempSync(join(tmpdir(), 'salt-triage-look-alikes-'));
  chmodSync(directory, 0o755);
  const started: ChildProcess[] = [];
  const all: LookAlike[] = [];
  let number = 0;
  const release = endWithThisProcess(end);

  function end(): void {
    release();
    for (const child of started.splice(0)) child.kill('SIGTERM');
    for (const one of all.splice(0)) if (isAlive(one)) process.kill(one.pid, 'SIGKILL');
    rmSync(directory, { recursive: true, force: true });
  }

  /** The directory of one to be started. */
  function furnish(played: Played): string {
    number += 1;
    const place = join(directory, `${number}`);
    mkdirSync(place);
    copyFileSync(LOOK_ALIKE, join(place, 'salt-api'));
    const { configDirectory, logFile, port } = incident;
    const play = {
      title: NAMINGS[played.naming](configDirectory),
      reads: played.follows ? [logFile, join(configDirectory, 'master')] : [],
      ...(played.listens ? { listen: port } : {}),
      worker: played.worker === true,
      lifetime: LIFETIME_SECONDS,
    };
    writeFileSync(join(place, 'play.json'), JSON.stringify(play));
    chmodSync(place, 0o777);
    return place;
  }

  async function start(wanted: readonly Played[]): Promise<readonly LookAlike[]> {
    const fresh = wanted.map((played) => ({ played, place: furnish(played) }));
    for (const launcher of new Set(wanted.map((one) => one.launcher))) {
      const theirs = fresh.filter(({ played }) => played.launcher === launcher);
      for (const command of commandsOf(launcher, theirs)) {
        const [program = '', ...args] = [...incident.enter, ...command];
        const child = spawn(program, args, {
          cwd: '/',
          stdio: ['ignore', 'ignore', 'pipe'],
          env: { ...process.env, TMUX_TMPDIR: directory, TMUX: '' },
        });
        child.stderr.setEncoding('utf8').on('data', (text: string) => {
          complaints += `${launcher}: ${text}`;
        });
        started.push(child);
      }
    }
    const found: LookAlike[] = [];
    for (const { played, place } of fresh) {
      const pids = await until(`${played.launcher}, ${played.naming}`, () => {
        const file = join(place, 'pids');
        return existsSync(file) ? readFileSync(file, 'utf8').split(' ').map(Number) : null;
      });
      for (const [at, pid] of pids.entries()) {
        const startTicks = startOf(pid);
        if (startTicks === null) throw new Error(`${played.launcher}, ${played.naming} has ended`);
        const name = at === 0 ? nameOf(played) : `${nameOf(played)}, its worker`;
        found.push({ ...played, name, pid, startTicks });
      }
    }
    all.push(...found);
    return found;
  }

  let complaints = '';

  async function until<Value>(what: string, look: () => Value | null): Promise<Value> {
    const deadline = Date.now() + DEADLINE_MS;
    while (Date.now() < deadline) {
      const value = look();
      if (value !== null) return value;
      await delay(30);
    }
    throw new Error(`${what} did not come about. ${complaints}`);
  }

  /** What starts the look-alikes of one launcher, all at once where it can. */
  function commandsOf(launcher: Launcher, theirs: readonly Placed[]): string[][] {
    const config = incident.configDirectory;
    const run = ({ place }: Placed) => `${PYTHON} ${place}/salt-api -c ${config}`;
    /** Once its shell has ended, each has whoever takes orphans as its parent. */
    const leave = theirs.map((one) => `${asUser(one)}${run(one)} >/dev/null 2>&1 &`).join('\n');
    const agent = ['--session', `${LIFETIME_SECONDS}`, config];
    const scripts = theirs.map(({ place }) => join(place, 'salt-api'));
    switch (launcher) {
      case 'agent': {
        const users = [false, true].map((ordinary) => {
          const some = theirs.filter(({ played }) => (played.ordinary === true) === ordinary);
          return { ordinary, some: some.map(({ place }) => join(place, 'salt-api')) };
        });
        return users
          .filter(({ some }) => some.length > 0)
          .map(({ ordinary, some }) => [
            ...(ordinary ? AS_NOBODY : []),
            ...[PYTHON, AGENT, ...agent, ...some],
          ]);
      }
      case 'systemd --user, its own service':
        return [
          shell(`exec -a /lib/systemd/systemd ${PYTHON} ${AGENT} --user "$@"`, 'bash').concat(
            agent,
            scripts,
          ),
        ];
      case 'cron':
        return [inMounts(cron(theirs.map((one) => [userOf(one), run(one)] as const)))];
      case 'supervisord':
        return [['supervisord', '-n', '-c', supervisordConfig(theirs, run)]];
      case 'sudo':
        return theirs.map((one) => ['sudo', '-n', '-u', userOf(one), ...run(one).split(' ')]);
      case 'tmux':
        return [
          shell(
            theirs
              .map((one) => `tmux -L looks -f /dev/null new-session -d "exec ${run(one)}"`)
              .join('\n'),
          ),
        ];
      case 'dumb-init -c':
        return theirs.map((one) => ['dumb-init', '-c', ...run(one).split(' ')]);
      case 'tini -s, its shell gone':
        return [
          ['tini', '-s', '--', 'sh', '-c', `sh -c '${leave}'\nexec sleep ${LIFETIME_SECONDS}`],
        ];
      case 'nohup, its shell gone':
        return [shell(leave.replaceAll(/^/gm, 'nohup '))];
      case 'container with our pids':
        return [inMounts(`${container(config)}\n${leave}`)];
      case 'another /etc/salt mounted':
        return [
          inMounts(`mount -t tmpfs none ${config} && echo "a: b" >${config}/master\n${leave}`),
        ];
      case 'chroot into a bind of /': {
        const way = join(directory, 'way');
        mkdirSync(way, { recursive: true });
        const inside = theirs.map((one) => `chroot ${way} ${run(one)} >/dev/null 2>&1 &`);
        return [inMounts(`mount --rbind / ${way}\n${inside.join('\n')}`)];
      }
    }
  }

  function cron(jobs: readonly (readonly [string, string])[]): string {
    const table = join(directory, 'crontab');
    const permit = ['auth', 'account', 'session'].map((kind) => `${kind} required pam_permit.so`);
    writeFileSync(table, `${jobs.map(([user, job]) => `@reboot ${user} ${job}`).join('\n')}\n`);
    writeFileSync(join(directory, 'pam'), `${permit.join('\n')}\n`);
    // Its own tables and its own mark of a boot; a session of PAM's would want auditing.
    return `for place in /run /var/spool/cron /etc/cron.d; do mount -t tmpfs none $place; done
mkdir /var/spool/cron/crontabs
mount --bind ${table} /etc/crontab
mount --bind ${join(directory, 'pam')} /etc/pam.d/cron
exec cron -f`;
  }

  function supervisordConfig(theirs: readonly Placed[], run: (one: Placed) => string): string {
    const file = join(directory, 'supervisord.conf');
    const programs = theirs.map(
      (one, at) =>
        `[program:look${at}]\ncommand=${run(one)}\nuser=${userOf(one)}\nautorestart=false\nstartsecs=0\n`,
    );
    const own = `[supervisord]\nlogfile=/dev/null\nlogfile_maxbytes=0\npidfile=${file}.pid\nuser=root\n`;
    writeFileSync(file, [own, ...programs].join('\n'));
    return file;
  }

  /** A root of its own with the machine's programs, and a configuration of its own in it. */
  function container(config: string): string {
    return `set -e
R=${join(directory, 'root')}
mkdir -p $R; mount -t tmpfs none $R
cd $R
mkdir -p usr proc dev tmp old .${config} .${directory}
cp -a /bin /sbin /lib /lib64 .
mount --rbind /usr usr; mount --rbind /dev dev; mount -t proc proc proc
mount --bind ${directory} .${directory}
echo "a: b" >.${config}/master
pivot_root . old
cd /
umount -l old`;
  }

  return { start, end, isAlive };
}

interface Placed {
  readonly played: Played;
  readonly place: string;
}

const AS_NOBODY = ['setpriv', `--reuid=${NOBODY}`, `--regid=${NOBODY}`, '--clear-groups', '--'];

function asUser({ played }: Placed): string {
  return played.ordinary ? `${AS_NOBODY.join(' ')} ` : '';
}

function userOf({ played }: Placed): string {
  return played.ordinary ? 'nobody' : 'root';
}

function shell(script: string, program = 'sh'): string[] {
  return [program, '-c', script, program];
}

function inMounts(script: string): string[] {
  return ['unshare', '--mount', '--propagation', 'private', ...shell(script)];
}

function nameOf({ launcher, naming, ordinary, follows, listens }: Played): string {
  const more = [
    ...(ordinary ? ['ordinary user'] : []),
    ...(follows ? ['follows the log'] : []),
    ...(listens ? ['on the port'] : []),
  ];
  return [launcher, naming, ...more].join(', ');
}

function isAlive({ pid, startTicks }: LookAlike): boolean {
  return startOf(pid) === startTicks;
}

/** When a process started, null where there is none or a zombie. */
function startOf(pid: number): number | null {
  try {
    const stat = parseProcessStat(readFileSync(`/proc/${pid}/stat`, 'utf8'));
    return stat === null || stat.state === 'Z' ? null : stat.startTicks;
  } catch {
    return null;
  }
}
