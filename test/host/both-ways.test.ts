/** Any host, seen from within and by the script behind ssh, gives the same evidence. */
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import {
  chownSync,
  mkdirSync,
  mkdtempSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import type { LookRequest } from '../../src/evidence/evidence.ts';
import { LocalHost } from '../../src/host/local/local-host.ts';
import { readCollected } from '../../src/host/ssh/collected-evidence.ts';
import { collectorScript } from '../../src/host/ssh/collector-script.ts';
import { parseFrames } from '../../src/host/ssh/frames.ts';
import { collectorParameters } from '../../src/host/ssh/ssh-host.ts';
import { SHELLS } from '../ssh/shells.ts';
import { LOOK_REQUEST } from './look-request.ts';

const PORT = 8443;
const HOSTS_A_SHELL = 6;

/** Command lines of salt-api in its generations, of what looks like it, and of others. */
const argv = fc.oneof(
  fc.constantFrom(
    ['/usr/bin/python3', '/usr/bin/salt-api'],
    ['/usr/bin/python2', '/usr/bin/salt-api', '-d'],
    ['/usr/bin/python3', '-s', '/opt/venv/bin/salt-api', '-c', '@conf', '--log-file=@log'],
    ['/usr/bin/python3 /usr/bin/salt-api ProcessManager'],
    ['/usr/bin/python3 /usr/bin/salt-api RunNetapi(salt.loaded.int.netapi.rest_cherrypy)'],
    ['/opt/saltstack/salt/run/run', 'api', '--pid-file', '@conf/api.pid'],
    ['/opt/saltstack/salt/bin/python3.10', '/usr/bin/salt-api', 'RunNetapi(x)'],
  ),
  fc.constantFrom(
    ['tail', '-f', '/var/log/salt/api'],
    ['vim', '/etc/salt-api.conf'],
    ['/usr/bin/python3', '/usr/bin/salt-api', '--version'],
    ['/usr/bin/python3', '-m', 'http.server'],
    ['nginx: worker process', '', ''],
    [],
  ),
  fc.array(fc.string({ unit: 'binary', maxLength: 12 }), { maxLength: 4 }),
);

const target = fc.oneof(
  fc.integer({ min: 100, max: 140 }).map((inode) => `socket:[${inode}]`),
  fc.constantFrom('@log', '@conf/master', '/dev/null', 'pipe:[7]', 'anon_inode:[eventpoll]'),
  fc.constantFrom('/var/log/salt/api.1', '/tmp/socket:[100]', '/srv/a -> socket:[101]'),
);

const proc = fc.record({
  ppid: fc.integer({ min: 0, max: 14 }),
  comm: fc.constantFrom('salt-api', 'a) S 1 (b', 'x y', 'line\nbreak) R 2'),
  state: fc.constantFrom('S', 'S', 'S', 'R', 'D', 'T', 'Z', 'X', 'x'),
  kernel: fc.constantFrom(false, false, false, true),
  startTicks: fc.integer({ min: 1, max: 1e9 }),
  threads: fc.integer({ min: 1, max: 100 }),
  argv,
  uid: fc.constantFrom(0, 0, 0, 33, 998, 1000, 1001),
  environ: fc.constantFrom(
    null,
    '',
    'A=b\0',
    'SALT_CONFIG_DIR=@conf\0B=c\0',
    'X=\nSALT_CONFIG_DIR=/srv/x\0',
  ),
  cgroup: fc.constantFrom(
    null,
    '0::/\n',
    '0::/system.slice/salt-api.service\n',
    '4:cpu:/x\n1:name=systemd:/y/z.service\n',
  ),
  wchan: fc.constantFrom(null, '0', 'do_poll', 'futex_wait'),
  network: fc.constantFrom(null, 'net:[1]', 'net:[1]', 'net:[2]'),
  pidNamespace: fc.constantFrom(null, 'pid:[1]', 'pid:[1]', 'pid:[2]'),
  exe: fc.constantFrom(
    null,
    '/usr/bin/python3.11',
    '/opt/saltstack/salt/bin/python3.10',
    '/tmp/a b',
  ),
  root: fc.constantFrom('/', '/', '/', '/var'),
  fds: fc.array(target, { maxLength: 6 }),
});

const socket = fc.record({
  family: fc.constantFrom('tcp', 'tcp', 'tcp6'),
  port: fc.constantFrom(PORT, PORT, 8000, 4506),
  state: fc.constantFrom('0A', '01', '08', '08', '06', '03'),
  peer: fc.constantFrom('0100007F', '0202000A', '0302000A'),
  peerPort: fc.integer({ min: 1, max: 65_535 }),
  unread: fc.integer({ min: 0, max: 0x7fff_ffff }),
  owned: fc.boolean(),
});

const host = fc.record({
  processes: fc.array(proc, { minLength: 1, maxLength: 14 }),
  sockets: fc.array(socket, { maxLength: 40 }),
  config: fc.constantFrom(
    'rest_cherrypy:\n  port: 8443\n  disable_ssl: true\n',
    'rest_cherrypy: {port: 8000}\napi_logfile: "@conf/my api"\nuser: nobody\n',
    '# nothing\nroot_dir: @conf\npidfile: run/api.pid\n',
    'include: [more.conf]\nrest_tornado:\n  port: 08443 # octal\n',
  ),
  asked: fc.record({ port: fc.boolean(), directory: fc.boolean() }),
});

type Host = typeof host extends fc.Arbitrary<infer T> ? T : never;

/** One salt-api that its environment alone tells where its files are. */
const TOLD_BY_ENVIRONMENT: Host = {
  processes: [
    {
      ppid: 0,
      comm: 'salt-api',
      state: 'S',
      kernel: false,
      startTicks: 7,
      threads: 1,
      argv: ['/usr/bin/python3', '/usr/bin/salt-api'],
      uid: 0,
      environ: 'SALT_CONFIG_DIR=@conf\0B=c\0',
      cgroup: null,
      wchan: null,
      network: 'net:[1]',
      pidNamespace: 'pid:[1]',
      exe: null,
      root: '/',
      fds: [],
    },
  ],
  sockets: [],
  config: 'rest_cherrypy:\n  port: 8443\n  disable_ssl: true\n',
  asked: { port: false, directory: false },
};

describe('any host gives the same evidence here and over ssh', {
  skip: spawnSync('unshare', ['--mount', 'true']).status !== 0 && 'needs root',
}, () => {
  for (const shell of SHELLS) {
    it(`under ${shell.join(' ')}`, async () => {
      await fc.assert(
        fc.asyncProperty(host, async (drawn) => {
          await sameBothWays(drawn, shell);
        }),
        {
          numRuns: HOSTS_A_SHELL,
          // To make a failing host smaller would take minutes; its seed is told.
          endOnFailure: true,
          includeErrorInReport: true,
        },
      );
    });

    it(`at the first ask, where an environment names the instance, under ${shell.join(' ')}`, async () => {
      const asks = await sameBothWays(TOLD_BY_ENVIRONMENT, shell);
      assert.equal(asks, 1);
    });
  }
});

/** @returns how often the script was sent */
async function sameBothWays(drawn: Host, shell: readonly string[]): Promise<number> {
  const directory = mkdtempSync(join(tmpdir(), 'salt-triage-both-ways-'));
  try {
    const tree = build(drawn, directory);
    const request: LookRequest = {
      ...LOOK_REQUEST,
      port: drawn.asked.port ? PORT : undefined,
      configDirectory: drawn.asked.directory ? join(directory, 'conf') : undefined,
    };
    const { instance, config, port, sockets, processes, service } = new LocalHost({
      proc: tree,
    }).look(request);
    const here = {
      instance: await instance,
      config: await config,
      port: await port,
      sockets: await sockets,
      processes: await processes,
      service: await service,
    };
    const { sections, asks } = await collected(request, tree, shell);
    const { host: _, apiLog: __, ...overSsh } = sections;
    assert.deepEqual(overSsh, here);
    return asks;
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

/** What the script sees where the tree is its /proc, asked again until it was told right. */
async function collected(request: LookRequest, tree: string, shell: readonly string[]) {
  let told = {};
  for (let asks = 1; ; asks += 1) {
    const script = collectorScript({
      ...collectorParameters(request, 'salt-api'),
      nonce: 'abc',
      ...told,
    });
    const enter =
      'printf "%s (sh) S 1 1 1\\n" $$ > "$0/self/stat"; mount --bind "$0" /proc; exec "$@"';
    const output = execFileSync('unshare', ['--mount', 'sh', '-c', enter, tree, ...shell, '-s'], {
      input: script,
      maxBuffer: 1 << 26,
    });
    const { lookAgain, ...sections } = await readCollected(parseFrames(output, 'abc'), request);
    if (lookAgain === null) return { sections, asks };
    told = { ...lookAgain, port: String(lookAgain.port), pidFiles: lookAgain.pidFiles.join('\n') };
  }
}

/** Writes the host: a /proc and a configuration. */
function build({ processes, sockets, config }: Host, directory: string): string {
  const conf = join(directory, 'conf');
  const named = (text: string) => {
    return text.replaceAll('@conf', conf).replaceAll('@log', join(directory, 'api.log'));
  };
  const tree = join(directory, 'proc');
  const write = (path: string, text: string | null, into = tree) => {
    if (text === null) return;
    mkdirSync(dirname(join(into, path)), { recursive: true });
    writeFileSync(join(into, path), named(text));
  };
  const link = (path: string, to: string | null) => {
    if (to === null) return;
    mkdirSync(dirname(join(tree, path)), { recursive: true });
    symlinkSync(named(to), join(tree, path));
  };
  write('master', config, conf);
  for (const name of ['api.pid', 'run/api.pid']) {
    write(name, '3', conf);
    // Not every stat(1) tells fractions of a second.
    utimesSync(join(conf, name), 1_500_000_000, 1_500_000_000);
  }
  write('sys/kernel/random/boot_id', '0b5f7b1c-0000-4000-8000-000000000000\n');
  write('stat', 'btime 1500000000\n');
  write('self/cmdline', 'sh\0');
  mkdirSync(join(tree, 'self', 'fd'));
  for (const kind of ['net', 'pid']) link(`self/ns/${kind}`, `${kind}:[1]`);
  link('self/root', '/');
  for (const [index, one] of processes.entries()) {
    const pid = index + 1;
    const flags = one.kernel ? 0x20_0000 : 0x40_0000;
    const line = [
      `${pid} (${one.comm}) ${one.kernel ? 'I' : one.state} ${one.ppid} ${pid} ${pid} 0 -1 ${flags}`,
      `1 2 3 4 50 60 0 0 20 0 ${one.threads} 0 ${one.startTicks} 1000 200\n`,
    ];
    const living = !one.kernel && !['Z', 'X', 'x'].includes(one.state);
    write(`${pid}/stat`, line.join(' '));
    write(`${pid}/cmdline`, living ? [...one.argv].map((word) => `${word}\0`).join('') : '');
    write(`${pid}/environ`, living ? one.environ : null);
    write(`${pid}/status`, `Name:\tx\nUid:\t${one.uid}\t${one.uid}\t0\t0\n`);
    write(`${pid}/cgroup`, one.cgroup);
    write(`${pid}/wchan`, one.wchan);
    link(`${pid}/ns/net`, one.network);
    link(`${pid}/ns/pid`, one.pidNamespace);
    link(`${pid}/exe`, one.exe);
    link(`${pid}/root`, one.root);
    mkdirSync(join(tree, `${pid}`, 'fd'));
    for (const [fd, to] of (living ? one.fds : []).entries()) link(`${pid}/fd/${fd}`, to);
    chownSync(join(tree, `${pid}`), one.uid, one.uid);
  }
  for (const family of ['tcp', 'tcp6'] as const) {
    const rows = sockets.flatMap((one, at) => (one.family === family ? [row(one, at)] : []));
    write(`net/${family}`, `  sl  local_address rem_address   st\n${rows.join('')}`);
  }
  return tree;
}

function row(
  { family, port, state, peer, peerPort, unread, owned }: Host['sockets'][number],
  at: number,
): string {
  const hex = (value: number, width: number) =>
    value.toString(16).toUpperCase().padStart(width, '0');
  const [any, remote] =
    family === 'tcp6' ? ['0'.repeat(32), `0000000000000000FFFF0000${peer}`] : ['00000000', peer];
  const listens = state === '0A';
  const there = listens ? `${any}:0000` : `${remote}:${hex(peerPort, 4)}`;
  return `${String(at).padStart(4)}: ${any}:${hex(port, 4)} ${there} ${state} 00000000:${hex(unread, 8)} 00:00000000 00000000     0        0 ${owned ? 100 + at : 0} 1 0000000000000000 100 0 0 10 0\n`;
}
