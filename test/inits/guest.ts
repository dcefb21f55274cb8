/**
 * Guests that boot a real init system over an overlay of the machine's own root, under
 * systemd-nspawn, with the tests' own real-CherryPy salt-api as the service.
 */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  accessSync,
  constants,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { BUNDLE, type Ran, runCli } from '../cli/run.ts';

const HOLDER = fileURLToPath(new URL('hold-guest', import.meta.url));
const SALT_API = fileURLToPath(new URL('../cherrypy/salt-api', import.meta.url));
const DEADLINE_MS = 30_000;
const MARK = '/etc/salt-triage-guest';
const GUEST_PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';
let guests = 0;

export type Init = 'systemd' | 'sysvinit' | 'openrc';

export interface GuestOptions {
  readonly init: Init;
  /** How systemd lays out its cgroups: hybrid unless said otherwise. */
  readonly cgroups?: 'hybrid' | 'unified';
}

/** Where a command runs and with what. */
interface RunOptions {
  /** Text on standard input, which is empty otherwise. */
  readonly input?: string | Buffer;
  /** As this user and no group else, in place of root. */
  readonly uid?: number;
}

/** A guest: first a root to be furnished, after `boot` a running system. */
export interface Guest {
  readonly name: string;
  /** Enters the guest's network alone: argv before a command that is to reach it from outside. */
  readonly outside: readonly string[];
  /** Where a file of the guest is for a program outside; no link in its path may be absolute. */
  fromOutside(path: string): string;
  /** Runs a command in the guest, as root; its failure is not one of the test. */
  run(command: readonly string[], options?: RunOptions): Promise<Ran>;
  /** The same, but a failure is one: returns standard output. */
  must(...command: readonly string[]): Promise<string>;
  /** Writes a file and its directories, as the guest sees them; whatever had the name is replaced. */
  write(path: string, text: string | Buffer, mode?: string): Promise<void>;
  /** Boots the init system and waits until it has started everything. */
  boot(): Promise<void>;
  /** Runs the salt-triage of this checkout in the guest. */
  triage(args: readonly string[], options?: RunOptions): Promise<Ran>;
  /** Ends everything in it and waits until no trace is left. May be called again. */
  end(): Promise<void>;
}

/** For a test's `skip`; in CI nothing is skipped, so what is missing fails there. */
export function skipWithoutGuests(): string | false {
  if (process.env['CI']) return false;
  if (process.getuid?.() !== 0) return 'needs root, to boot init systems under systemd-nspawn';
  try {
    for (const program of ['systemd-nspawn', 'nsenter', 'unshare']) {
      accessSync(`/usr/bin/${program}`, constants.X_OK);
    }
    execFileSync('/usr/bin/python3', ['-c', 'import cherrypy, setproctitle'], { stdio: 'ignore' });
    return false;
  } catch {
    return 'needs the Debian packages systemd-container, python3-cherrypy3, python3-setproctitle';
  }
}

/** The same for guests with hybrid cgroups, which a machine without cgroup v1 can't give. */
export function skipWithoutHybridCgroups(): string | false {
  if (process.env['CI'] || /name=systemd/.test(readFileSync('/proc/self/cgroup', 'utf8'))) {
    return false;
  }
  return 'needs the named cgroup v1 hierarchy of systemd';
}

/** Makes the root of a guest, furnished with salt-api and what its init system needs. */
async function makeGuest(options: GuestOptions): Promise<Guest> {
  guests += 1;
  const name = `salt-triage-guest-${process.pid}-${guests}`;
  const directory = mkdtempSync(join(tmpdir(), `${name}-`));
  const node = realpathSync(process.execPath);
  const holder = spawn(
    'unshare',
    [
      '--mount',
      '--net',
      '--propagation',
      'private',
      'bash',
      HOLDER,
      name,
      directory,
      node,
      BUNDLE,
    ].concat(options.init === 'systemd' ? [] : ['/sbin/init']),
    {
      // A session of its own: what a terminal sends to the tests is not for it.
      detached: true,
      stdio: ['pipe', 'pipe', 'pipe'],
      env: {
        PATH: GUEST_PATH,
        ...(options.cgroups === 'unified' ? { SYSTEMD_NSPAWN_UNIFIED_HIERARCHY: '1' } : {}),
      },
    },
  );
  const hold = holding(holder);
  const guest = guestOf(name, hold, join(directory, 'root'));
  try {
    await hold.answer();
    await furnish(guest, options.init);
    return guest;
  } catch (error) {
    await guest.end();
    throw error;
  }
}

/** Makes a guest as it comes, furnished further by `more`, and boots it. */
export async function bootGuest(
  options: GuestOptions,
  more: (guest: Guest) => Promise<void> = async () => undefined,
): Promise<Guest> {
  const guest = await makeGuest(options);
  try {
    await more(guest);
    await guest.boot();
    return guest;
  } catch (error) {
    await guest.end();
    throw error;
  }
}

/** The process that holds a guest, and what it says. */
interface Holder {
  readonly pid: number;
  /** Its next line; throws where it ends instead. */
  answer(): Promise<string>;
  boot(): void;
  end(): Promise<void>;
}

function holding(holder: ChildProcess): Holder {
  const { pid, stdin, stdout, stderr } = holder;
  if (pid === undefined || stdin === null || stdout === null || stderr === null) {
    throw new Error('unshare did not start');
  }
  let complaint = '';
  stderr.setEncoding('utf8').on('data', (text: string) => {
    complaint += text;
  });
  stdin.on('error', () => undefined);
  const lines = createInterface(stdout)[Symbol.asyncIterator]();
  const ended = once(holder, 'close');
  return {
    pid,
    async answer() {
      const line = await lines.next();
      if (line.done) throw new Error(`no guest came about: ${complaint}`);
      return line.value;
    },
    boot() {
      stdin.write('boot\n');
    },
    async end() {
      stdin.end();
      await ended;
      if (complaint !== '') throw new Error(`the guest's holder complained: ${complaint}`);
    },
  };
}

function guestOf(name: string, holder: Holder, root: string): Guest {
  const furnishing = ['nsenter', `--target=${holder.pid}`, '--mount', '--net', 'chroot', root];
  let enter = furnishing;

  async function run(command: readonly string[], options: RunOptions = {}): Promise<Ran> {
    const user = options.uid === undefined ? [] : asUser(options.uid);
    const plain = ['env', '-i', `PATH=${GUEST_PATH}`, 'HOME=/root', 'LANG=C.UTF-8'];
    return runCli([], {
      command: [...enter, ...plain, ...user, ...command],
      ...(options.input === undefined ? {} : { input: options.input }),
    });
  }

  async function must(...command: readonly string[]): Promise<string> {
    const ran = await run(command);
    if (ran.code !== 0) throw new Error(`${command.join(' ')}: ${ran.code}: ${ran.stderr}`);
    return ran.stdout;
  }

  return {
    name,
    outside: ['nsenter', `--target=${holder.pid}`, '--net'],
    fromOutside: (path) => `/proc/${holder.pid}/root${root}${path}`,
    run,
    must,
    async write(path, text, mode = '644') {
      // Written by the guest's own eyes: an absolute link would lead out of the overlay otherwise.
      const script = 'mkdir -p "$(dirname "$1")" && rm -f "$1" && cat >"$1" && chmod "$2" "$1"';
      const ran = await run(['sh', '-c', script, 'sh', path, mode], { input: text });
      if (ran.code !== 0) throw new Error(`${path}: ${ran.stderr}`);
    },
    async boot() {
      await must('sh', '-c', `echo ${name} >${MARK}`);
      holder.boot();
      const nspawn = Number((await holder.answer()).replace('nspawn ', ''));
      try {
        const pid = await until('pid 1 of the guest', () => firstProcess(nspawn, name));
        enter = ['nsenter', `--target=${pid}`, '--all'];
        await until('a booted guest', async () => (await run(['/booted'])).code === 0 || null);
      } catch (error) {
        const console = readFileSync(`/proc/${holder.pid}/root${root}/../console`, 'utf8');
        throw new Error(`the guest does not boot: ${console}`, { cause: error });
      }
    },
    triage: (args, options) => run(['node', '/usr/local/bin/salt-triage', ...args], options),
    end: () => holder.end(),
  };
}

function asUser(uid: number): string[] {
  return ['setpriv', `--reuid=${uid}`, `--regid=${uid}`, '--clear-groups', '--'];
}

/** The child of systemd-nspawn that is pid 1 in a namespace of its own and has our root, or null. */
function firstProcess(nspawn: number, name: string): number | null {
  const children = readFileSync(`/proc/${nspawn}/task/${nspawn}/children`, 'utf8').trim();
  for (const pid of children.split(' ').filter((word) => word !== '')) {
    if (!/^NSpid:\t\d+\t1$/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'))) continue;
    if (readFileSync(`/proc/${pid}/root${MARK}`, 'utf8').trim() === name) return Number(pid);
  }
  return null;
}

/** `/booted` says by its exit code whether the init system has started everything. */
const BOOTED = {
  systemd: 'case $(systemctl is-system-running) in running|degraded) ;; *) exit 1 ;; esac',
  sysvinit: 'test -e /run/default-is-up',
  openrc: 'test -e /run/default-is-up',
};

/** Directives that a salt-api has beside Salt's own keys (test/cherrypy/salt-api says which). */
export const SALT_MASTER = [
  'api_logfile: /var/log/salt/api',
  'api_pidfile: /run/salt-api.pid',
  'era: 3002',
  'restart_poll: 2',
  'lifetime: 600',
  'rest_cherrypy:',
  '  host: 0.0.0.0',
  '  port: 443',
  '  thread_pool: 5',
  '  queue_size: 30',
  '  disable_ssl: True',
];

async function furnish(guest: Guest, init: Init): Promise<void> {
  await guest.write('/usr/bin/salt-api', readFileSync(SALT_API), '755');
  await guest.write('/etc/salt/master', `${SALT_MASTER.join('\n')}\n`);
  await guest.write('/booted', `#!/bin/sh\n${BOOTED[init]}\n`, '755');
  // The machine's own services have no business in a guest. An ordinary user must get at the rest.
  await guest.must(
    'sh',
    '-c',
    `mkdir -p /var/log/salt && rm -rf /etc/rc?.d/* /var/log/journal /var/log/salt-triage &&
     cd /etc/systemd/system && for unit in multi-user.target.wants/*; do
       ln -sfn /dev/null "\${unit##*/}"
     done && ln -sfn /dev/null timers.target`,
  );
  if (init === 'systemd') return;
  for (const archive of archives(init)) {
    const files = execFileSync('dpkg-deb', ['--fsys-tarfile', archive], { maxBuffer: 1 << 26 });
    // What is a link to a directory stays one: /lib leads to /usr/lib.
    const ran = await guest.run(['tar', '-C', '/', '--keep-directory-symlink', '-xf', '-'], {
      input: files,
    });
    if (ran.code !== 0) throw new Error(`${archive}: ${ran.stderr}`);
  }
  const levels = init === 'openrc' ? ['/sbin/openrc sysinit', '/sbin/openrc default'] : [];
  await guest.write(
    '/etc/inittab',
    [
      'id:2:initdefault:',
      `si::sysinit:${levels[0] ?? '/bin/true'}`,
      `up:2:wait:/bin/sh -c '${levels[1] ?? '/bin/true'}; >/run/default-is-up'`,
      '',
    ].join('\n'),
  );
  if (init !== 'openrc') return;
  await guest.write('/etc/insserv.conf', '');
  await guest.must('sh', '-c', 'rm -f /etc/runlevels/*/*');
}

/** Debian's packages that conflict with systemd's, and so can't be installed beside it. */
const PACKAGES = {
  sysvinit: ['sysvinit-core'],
  openrc: ['sysvinit-core', 'openrc', 'librc1', 'libeinfo1'],
};
const ARCHIVES = fileURLToPath(new URL('../../node_modules/.cache/inits', import.meta.url));

/** Their archives, downloaded once per checkout. */
function archives(init: 'sysvinit' | 'openrc'): string[] {
  mkdirSync(ARCHIVES, { recursive: true });
  return PACKAGES[init].map((name) => archive(name) ?? download(name));
}

function archive(name: string): string | null {
  const found = readdirSync(ARCHIVES).find((file) => file.startsWith(`${name}_`));
  return found === undefined ? null : join(ARCHIVES, found);
}

/** Into a directory of its own first: what is in the cache is whole. */
function download(name: string): string {
  const fresh = mkdtempSync(join(ARCHIVES, 'download-'));
  const get = () =>
    execFileSync('apt-get', ['-q', 'download', name], { cwd: fresh, stdio: 'pipe' });
  try {
    try {
      get();
    } catch {
      // A fresh image has no package lists.
      execFileSync('apt-get', ['-q', 'update'], { stdio: 'pipe' });
      get();
    }
    for (const file of readdirSync(fresh)) renameSync(join(fresh, file), join(ARCHIVES, file));
  } finally {
    rmSync(fresh, { recursive: true, force: true });
  }
  const found = archive(name);
  if (found === null) throw new Error(`apt-get download ${name} brought no archive`);
  return found;
}

/** Polls until there is a value; a look that throws counts as none. */
export async function until<Value>(
  what: string,
  look: () => Value | null | Promise<Value | null>,
): Promise<Value> {
  const deadline = Date.now() + DEADLINE_MS;
  let cause: unknown;
  while (Date.now() < deadline) {
    try {
      const value = await look();
      if (value !== null) return value;
    } catch (error) {
      cause = error;
    }
    await delay(30);
  }
  throw new Error(`${what} did not come about within ${DEADLINE_MS / 1000} s`, { cause });
}
