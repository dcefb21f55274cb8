/**
 * What a real process runs, by what it has mapped, and what it may use: read alike of this host and
 * of one behind ssh.
 */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import type { Evidence } from '../../../src/evidence/evidence.ts';
import { parseProcessStat } from '../../../src/evidence/proc-text.ts';
import { readSettings } from '../../../src/host/background/settings.ts';
import { readVersions } from '../../../src/host/background/versions.ts';
import { LocalRawHost } from '../../../src/host/local/local-raw-host.ts';
import type { RawHost } from '../../../src/host/raw-host.ts';
import { SshRawHost } from '../../../src/host/ssh/ssh-raw-host.ts';
import { evidenceOf, saltApi } from '../../diagnosis/situation.ts';
import { runnerIn, SHELLS } from '../../ssh/shells.ts';

const PYTHON = '/usr/bin/python3';
/** Maps its first argument, says so, and stays until its standard input ends. */
const MAPS_A_FILE = `import mmap, sys
file = open(sys.argv[1], 'rb')
mapped = mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ)
file.close()
print('mapped', flush=True)
sys.stdin.read()`;

const HOSTS: readonly (readonly [string, RawHost])[] = [
  ['this host', new LocalRawHost()],
  ...SHELLS.map((shell) => {
    return [`a host with ${shell.join(' ')}`, new SshRawHost(runnerIn(shell), 20_000)] as const;
  }),
];

let root: string;
let packages: string;
let server: ChildProcess;

before(async () => {
  root = mkdtempSync(join(tmpdir(), 'salt-triage-versions-'));
  packages = join(root, 'lib', 'python3.9', 'site-packages');
  for (const name of ['salt-3006.9.dist-info', 'cherrypy-18.10.0.dist-info']) {
    mkdirSync(join(packages, name), { recursive: true });
  }
  for (const name of ['cheroot-8.5.2-py3.9.egg-info', 'salt-pepper-0.7.dist-info', 'zmq.so']) {
    writeFileSync(join(packages, name), 'content');
  }
  server = await startMapping(join(packages, 'zmq.so'));
});
after(() => {
  server.stdin?.end();
  server.kill('SIGKILL');
  rmSync(root, { recursive: true, force: true });
});

async function startMapping(path: string): Promise<ChildProcess> {
  const child = spawn(PYTHON, ['-c', MAPS_A_FILE, path], { stdio: ['pipe', 'pipe', 'inherit'] });
  await once(child.stdout, 'data');
  return child;
}

/** Evidence in which a real process is a salt-api that serves. @param later ticks of its start more */
function evidenceWith(child: ChildProcess, prefix: string, later = 0): Evidence {
  const pid = child.pid ?? assert.fail();
  const stat = parseProcessStat(readFileSync(`/proc/${pid}/stat`, 'latin1')) ?? assert.fail();
  const argv = [PYTHON, join(prefix, 'bin', 'salt-api'), '-d'];
  const startTicks = stat.startTicks + later;
  return evidenceOf({ processes: [saltApi({ pid, ppid: 1, startTicks, argv, listens: [7001] })] });
}

const request = { sinceMs: null, lookTimeoutMs: 20_000 };
const versionsOf = async (raw: RawHost, evidence: Evidence) => {
  const look = await readVersions({ raw, evidence, request });
  assert.ok(look.seen, look.seen ? '' : look.why);
  return look.value.programs[0] ?? assert.fail('no program');
};

for (const [name, raw] of HOSTS) {
  describe(`the releases of ${name}`, () => {
    it('are those where the process has mapped its files from, not those of the system', async () => {
      const program = await versionsOf(raw, evidenceWith(server, root));
      assert.equal(program.pid, server.pid);
      assert.match(program.interpreter ?? '', /^\/usr\/bin\/python3\.\d+$/);
      assert.deepEqual(
        program.packages.map((one) => `${one.name} ${one.version} ${one.path}`).toSorted(),
        [
          `cheroot 8.5.2 ${packages}/cheroot-8.5.2-py3.9.egg-info`,
          `cherrypy 18.10.0 ${packages}/cherrypy-18.10.0.dist-info`,
          `salt 3006.9 ${packages}/salt-3006.9.dist-info`,
        ],
      );
      assert.deepEqual(program.replaced, []);
      for (const { path, changedAt } of program.packages) {
        assert.equal(changedAt, Math.floor(statSync(path).ctimeMs / 1000) * 1000, path);
      }
    });

    it('are no other’s: a pid that was given out again tells nothing', async () => {
      for (const read of [readVersions, readSettings]) {
        const look = await read({ raw, evidence: evidenceWith(server, root, 1), request });
        assert.deepEqual([look.seen, look.seen || look.cause], [false, 'missing']);
      }
    });

    it('come with what was replaced under the process', async () => {
      const old = join(packages, `old-${HOSTS.findIndex((host) => host[1] === raw)}.so`);
      writeFileSync(old, 'content');
      const child = await startMapping(old);
      try {
        rmSync(old);
        const program = await versionsOf(raw, evidenceWith(child, root));
        assert.deepEqual(program.replaced, [old]);
      } finally {
        child.kill('SIGKILL');
      }
    });

    it('come with open files, their limit and the memory', async () => {
      const look = await readSettings({ raw, evidence: evidenceWith(server, root), request });
      const [limits] = look.seen ? look.value.programs : [];
      assert.ok(limits !== undefined);
      const open = readdirSync(`/proc/${server.pid}/fd`).length;
      assert.deepEqual([limits.openFiles, limits.moreOpen], [open, false]);
      // A shell inherits from this process what the server has inherited.
      const soft = spawnSync('sh', ['-c', 'ulimit -n'], { encoding: 'utf8' }).stdout.trim();
      assert.equal(limits.mostFiles, soft === 'unlimited' ? null : Number(soft));
      assert.ok((limits.residentBytes ?? 0) > 1_000_000);
    });
  });
}

const debian = spawnSync(PYTHON, ['-c', 'import cherrypy, cheroot; print(cherrypy.__version__)'], {
  encoding: 'utf8',
});
const skip = !process.env['CI'] && debian.status !== 0 && 'needs Debian’s python3-cherrypy3';

describe('Debian’s CherryPy', { skip }, () => {
  for (const [name, raw] of HOSTS) {
    it(`is found where Debian’s Python looks, on ${name}`, async () => {
      const { packages: found } = await versionsOf(raw, evidenceWith(server, '/usr'));
      const releases = new Map(found.map((one) => [one.name, one.version]));
      // What the tree of this test has is mapped, so it goes first; the rest is the system's.
      const system = found.filter(({ path }) => path.startsWith('/usr/lib/python3/'));
      assert.ok(releases.size >= 2);
      assert.equal(
        system.find((one) => one.name === 'cherrypy')?.version.replace(/\+.*/, ''),
        debian.stdout.trim(),
      );
      assert.ok(system.some((one) => one.name === 'cheroot'));
    });
  }
});

it('no salt-api, and one that is a stranger’s, are told apart from nothing found', async () => {
  const [[, raw] = assert.fail()] = HOSTS;
  const strangers = saltApi({ pid: process.pid, ppid: 1, uid: 1000 });
  const unsaid = saltApi({ pid: process.pid, ppid: 1, saltSigns: [] });
  for (const processes of [[], [strangers], [unsaid]]) {
    for (const read of [readVersions, readSettings]) {
      const look = await read({ raw, evidence: evidenceOf({ processes }), request });
      assert.deepEqual([look.seen, look.seen || look.cause], [false, 'missing']);
    }
  }
});
