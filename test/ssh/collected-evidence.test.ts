import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { TriageError } from '../../src/errors.ts';
import type { LookRequest } from '../../src/evidence/evidence.ts';
import { parseEvidence } from '../../src/evidence/evidence-file.ts';
import { LocalHost } from '../../src/host/local/local-host.ts';
import { evidenceOfCollector, readCollected } from '../../src/host/ssh/collected-evidence.ts';
import { collectorScript } from '../../src/host/ssh/collector-script.ts';
import { parseFrames } from '../../src/host/ssh/frames.ts';
import { collectorParameters } from '../../src/host/ssh/ssh-host.ts';
import { BUNDLE } from '../cli/run.ts';
import { FakeSaltApis, pidOf, targetOf, until } from '../host/fake-salt-api.ts';
import { LOOK_REQUEST } from '../host/look-request.ts';

const REQUEST: LookRequest = { ...LOOK_REQUEST, port: 65_000, sinceMs: 3_600_000 };

let directory: string;
before(() => {
  directory = mkdtempSync(join(tmpdir(), 'salt-triage-frames-'));
});
after(() => rmSync(directory, { recursive: true, force: true }));

function probe(request: LookRequest): Buffer {
  const script = collectorScript({ ...collectorParameters(request, 'salt-api'), nonce: 'abc' });
  return execFileSync('sh', ['-s'], { input: script, maxBuffer: 64 * 1024 * 1024 });
}

describe('the frames', () => {
  const output = probe(REQUEST);

  it('are found among banners, binary junk and forged frames', async () => {
    const junk = Buffer.concat([
      Buffer.from('Welcome!\n@@other begin salt-triage-probe 2\n@@other done\n|host\n'),
      Buffer.from([0, 255, 10, 27, 91, 50, 74, 7]),
      Buffer.from('no line end'),
      output,
      Buffer.from('logout\n@@other done\n'),
    ]);
    const plain = await readCollected(parseFrames(output, 'abc'), REQUEST);
    assert.deepEqual(await readCollected(parseFrames(junk, 'abc'), REQUEST), plain);
  });

  it('are refused wherever the output is cut', () => {
    const end = output.indexOf('@@abc done') + '@@abc done'.length;
    fc.assert(
      fc.property(fc.integer({ min: 0, max: end - 1 }), (at) => {
        assert.throws(() => parseFrames(output.subarray(0, at), 'abc'), TriageError);
      }),
    );
  });

  it('are refused when a line of evidence is missing or added', () => {
    const lines = output.toString('latin1').split('\n');
    const at = lines.findIndex((line) => line.startsWith('|boot '));
    assert.notEqual(at, -1);
    const without = lines.toSpliced(at, 1).join('\n');
    const more = lines.toSpliced(at, 0, '|from a job of the profile').join('\n');
    assert.throws(() => parseFrames(Buffer.from(without, 'latin1'), 'abc'), TriageError);
    assert.throws(() => parseFrames(Buffer.from(more, 'latin1'), 'abc'), TriageError);
  });

  it('never make anything but evidence or a TriageError', async () => {
    const lines = output.toString('latin1').split('\n');
    const mangled = fc
      .tuple(fc.nat(lines.length - 1), fc.string({ unit: 'binary', maxLength: 40 }))
      .map(([at, text]) => lines.with(at, `|${text.replaceAll('\n', '')}`).join('\n'));
    await fc.assert(
      fc.asyncProperty(mangled, async (text) => {
        try {
          await readCollected(parseFrames(Buffer.from(text, 'utf8'), 'abc'), REQUEST);
        } catch (error) {
          assert.ok(error instanceof TriageError, String(error));
        }
      }),
    );
  });
});

describe('the API log over ssh', () => {
  const stamp = (at: number) => {
    const date = new Date(at - new Date(at).getTimezoneOffset() * 60_000).toISOString();
    return date.slice(0, 23).replace('T', ' ').replace('.', ',');
  };
  const failedStart = (at: number, pid: number) =>
    [
      `${stamp(at)} [cherrypy.error   :213 ][ERROR   ][${pid}] [13/Jul/2018:09:27:57] ENGINE Error in 'start' listener <bound method Server.start>`,
      'Traceback (most recent call last):',
      '  File "/usr/lib/python2.7/cherrypy/process/servers.py", line 187, in start',
      '    wait_for_free_port(*self.bind_addr)',
      "IOError: Port 443 not free on '0.0.0.0'",
      '',
    ].join('\n');
  const chatter = (from: number, to: number, count: number) =>
    Array.from({ length: count }, (_, index) => {
      const at = from + ((to - from) * index) / count;
      return `${stamp(at)} [salt.loaded.int.netapi][DEBUG   ][77] request ${index} ${'x'.repeat(60)}\n`;
    }).join('');

  async function bothWays(request: LookRequest) {
    const { apiLog } = await readCollected(parseFrames(probe(request), 'abc'), request);
    const local = await new LocalHost().look(request).apiLog;
    assert.ok(apiLog.seen && local.seen);
    const comparable = ({ value }: typeof local) => {
      const { files, windowFrom, ...counts } = value;
      return { ...counts, names: files.map(({ path }) => path) };
    };
    return { ssh: comparable(apiLog), local: comparable(local), files: apiLog.value.files };
  }

  it('counts what the host itself counts, and reads little more than the window', async () => {
    const log = join(directory, 'api');
    const now = Date.now();
    const day = 86_400_000;
    const text = [
      chatter(now - 3 * day, now - day, 100_000),
      failedStart(now - day, 11),
      chatter(now - day, now - 3_000_000, 20_000),
      failedStart(now - 2_900_000, 12),
      failedStart(now - 1_000_000, 13),
      chatter(now - 900_000, now - 60_000, 1_000),
      failedStart(now - 50_000, 14),
    ].join('');
    writeFileSync(log, text);
    const { ssh, local, files } = await bothWays({ ...REQUEST, log });
    assert.equal(ssh.events, 3);
    assert.deepEqual(ssh, local);
    assert.ok((files[0]?.bytesRead ?? 0) < text.length / 4, `${files[0]?.bytesRead} bytes read`);
  });

  it('goes on into rotated and compressed logs while the window does', async () => {
    const logs = join(directory, 'rotated');
    mkdirSync(logs);
    const log = join(logs, 'api');
    const now = Date.now();
    const write = (name: string, at: number, pid: number, gzip = false) => {
      const text = chatter(at - 60_000, at, 10) + failedStart(at, pid);
      writeFileSync(join(logs, name), gzip ? gzipSync(text) : text);
      utimesSync(join(logs, name), at / 1000, at / 1000);
    };
    write('api', now - 10_000, 1);
    write('api.1', now - 1_000_000, 2);
    write('api.2.gz', now - 2_000_000, 3, true);
    write('api.3.gz', now - 9_000_000, 4, true);
    write('api.bak', now - 1_000, 5);
    const { ssh, local } = await bothWays({ ...REQUEST, log });
    assert.equal(ssh.events, 3);
    assert.deepEqual(ssh, local);
  });

  for (const capture of ['jammed/restarted', 'stopped/restarted', 'jammed/sigterm-orphan']) {
    it(`counts the recorded log ${capture} as the host itself does`, async () => {
      const log = new URL(`../recorded/captures-3002/${capture}/api.log`, import.meta.url).pathname;
      const { ssh, local } = await bothWays({ ...REQUEST, log, sinceMs: null });
      assert.deepEqual(ssh, local);
    });
  }

  it('tells a directory, a FIFO and a missing file apart', async () => {
    execFileSync('mkfifo', [join(directory, 'fifo')]);
    for (const [log, cause] of [
      [directory, 'unsupported'],
      [join(directory, 'fifo'), 'unsupported'],
      [join(directory, 'nothing'), 'missing'],
    ] as const) {
      const request = { ...REQUEST, log };
      const { apiLog } = await readCollected(parseFrames(probe(request), 'abc'), request);
      assert.deepEqual(apiLog, await new LocalHost().look(request).apiLog);
      assert.equal(apiLog.seen ? null : apiLog.cause, cause);
    }
  });
});

describe('the evidence of a probe that was run by hand', () => {
  it('is of the port, the directory and the log that the probe was told', async () => {
    const config = join(directory, 'by-hand');
    mkdirSync(config);
    const told = { ...REQUEST, configDirectory: config, log: join(config, 'api.log') };
    writeFileSync(told.log, '');
    const untold = { ...told, port: undefined, configDirectory: undefined, log: undefined };
    const policy = { closeWaitWarn: 5, closeWaitFail: 20 };
    const { port, instance, apiLog, sockets } = await evidenceOfCollector(
      probe(told),
      untold,
      policy,
    );
    assert.equal(port.number, told.port);
    assert.equal(instance.configDirectory, config);
    assert.equal(apiLog.seen, true);
    assert.equal(sockets.seen, true);
  });
});

describe('the configuration over ssh', () => {
  it('is read as on the host itself, includes and secrets and all', async () => {
    const config = join(directory, 'etc');
    mkdirSync(join(config, 'master.d'), { recursive: true });
    mkdirSync(join(config, 'more files'));
    writeFileSync(
      join(config, 'master'),
      'include:\n  - more files/*.conf\npassword: hunter2\nrest_cherrypy:\n  port: 1\n',
    );
    writeFileSync(
      join(config, 'master.d', 'api.conf'),
      'rest_cherrypy:\n  port: 08443 # with a comment\n  ssl_crt: /etc/pki/api.crt\n',
    );
    writeFileSync(join(config, 'more files', 'log.conf'), 'api_logfile: "/var/log/my api"\n');
    const request = { ...REQUEST, port: undefined, configDirectory: config };
    const output = probe(request);
    assert.ok(!output.includes('hunter2'));
    const sections = await readCollected(parseFrames(output, 'abc'), request);
    const local = new LocalHost().look(request);
    assert.deepEqual(sections.config, await local.config);
    assert.deepEqual(sections.port, await local.port);
    assert.equal(sections.port.number, 8443);
    assert.equal(sections.lookAgain, null);
  });
});

describe('the other ports of an instance over ssh', () => {
  it('are those that the config names, heard or not, as on the host itself', async (t) => {
    const config = mkdtempSync(join(directory, 'ports-'));
    const server = createServer().listen(0, '127.0.0.1');
    t.after(() => server.close());
    await once(server, 'listening');
    const address = server.address();
    const heard = typeof address === 'object' ? (address?.port ?? 0) : 0;
    writeFileSync(
      join(config, 'master'),
      `rest_cherrypy: {port: 65000, disable_ssl: true}\nrest_tornado: {port: ${heard}, disable_ssl: true}\nrest_wsgi: {port: 65001}\n`,
    );
    const request = { ...REQUEST, port: undefined, configDirectory: config };
    const { sockets, port } = await readCollected(parseFrames(probe(request), 'abc'), request);
    const local = await new LocalHost().look(request).sockets;
    assert.ok(sockets.seen && local.seen);
    assert.equal(port.number, 65_000);
    assert.deepEqual(sockets.value.alsoListening, [heard]);
    assert.deepEqual(local.value.alsoListening, [heard]);
  });
});

describe('the units over ssh', () => {
  const UNIT = ['LoadState=loaded', 'ActiveState=active', 'MainPID=0'];

  /** The output with another part `unit`, and every process in the given cgroup. */
  function output(unit: readonly string[], cgroup: string): Buffer {
    const lines = probe(REQUEST).toString('latin1').split('\n');
    const from = lines.indexOf('@@abc part unit');
    const to = lines.findIndex((line) => line.startsWith('@@abc end unit '));
    assert.ok(from > 0 && to > from);
    const part = unit.map((line) => `|${line}`);
    const there = lines
      .toSpliced(from + 1, to - from, ...part, '|= 0', `@@abc end unit ${part.length + 1}`)
      .map((line) => line.replace(/^(\|text \/proc\/\d+\/cgroup:).*/, `$10::${cgroup}`));
    const service = there.findIndex((line) => line.startsWith('@@abc end service '));
    const count = Number(there[service]?.split(' ').at(-1));
    const runs = there.toSpliced(service, 1, `@@abc end service ${count + 1}`);
    return Buffer.from(runs.toSpliced(service - 1, 0, '|systemd').join('\n'), 'latin1');
  }

  async function service(unit: readonly string[], cgroup = '/') {
    const sections = await readCollected(parseFrames(output(unit, cgroup), 'abc'), REQUEST);
    assert.ok(sections.service.seen);
    return sections.service.value;
  }

  it('are those of the salt-api that runs, where another is its unit', async (t) => {
    const fakes = new FakeSaltApis();
    t.after(() => fakes.end());
    const pid = pidOf(fakes.start('echo ready; read x'));
    await until(() => targetOf(pid).argv.length > 1, 'its argv');
    const own = [
      'unit own.service',
      'LoadState=loaded',
      `MainPID=${pid}`,
      'ExecStart={ path=/usr/bin/salt-api ; argv[]=/usr/bin/salt-api -d ; ignore_errors=no }',
      'TriggeredBy=own.socket',
    ];
    const socket = ['unit own.socket', 'LoadState=loaded', 'ActiveState=active'];
    const shown = [
      'unit salt-api',
      'LoadState=not-found',
      'exit 0',
      ...own,
      'exit 0',
      ...socket,
      'exit 0',
    ];
    const found = await service(shown, '/system.slice/own.service');
    assert.equal(found.systemd.seen && found.systemd.value?.unit, 'own.service');
    assert.deepEqual(found.relatedUnits, [
      { unit: 'own.socket', activeState: 'active', ports: [] },
    ]);
    // What no process of ours is in does not count, whatever was shown.
    const elsewhere = await service(shown, '/system.slice/cron.service');
    assert.deepEqual(elsewhere.systemd, { seen: true, value: null });
  });

  it('are read from a probe that knew one unit alone', async () => {
    const { systemd, systemdRuns } = await service([...UNIT, 'exit 0']);
    assert.equal(systemd.seen && systemd.value?.activeState, 'active');
    assert.equal(systemdRuns, true);
  });

  it('are blind with what systemctl said where it failed or never answered', async () => {
    const failed = await service(['unit salt-api', 'Failed to connect to bus', 'exit 1']);
    assert.match(failed.systemd.seen ? '' : failed.systemd.why, /Failed to connect to bus/);
    const silent = await service([]);
    assert.equal(silent.systemd.seen ? null : silent.systemd.cause, 'malformed');
  });

  it('are read as on the host itself, with what goes down along and what drop-ins set', {
    skip: spawnSync('unshare', ['--mount', 'true']).status !== 0 && 'needs root',
  }, () => {
    const bin = join(directory, 'units');
    mkdirSync(bin);
    const dropIn = join(bin, 'kill.conf');
    writeFileSync(
      dropIn,
      '[Service]\nKillMode=none\n  User = x\nKillMode=mixed\nEnvironment=A=b\n',
    );
    writeFileSync(
      join(bin, 'systemctl'),
      `#!/bin/sh
      case "$2" in
        salt-api) printf '%s\\n' LoadState=loaded ActiveState=failed Result=exit-code \
          ExecMainStatus=3 'StatusText=no: "certificate"' 'TriggeredBy=salt-api.socket a.timer' \
          'RequiredBy=one.service gone.service' 'DropInPaths=${dropIn} /nowhere.conf' \
          'ExecStart={ path=/usr/bin/salt-api ; argv[]=/usr/bin/salt-api ; x=y }';;
        salt-api.socket) printf '%s\\n' LoadState=loaded ActiveState=active 'Listen=[::]:443 (Stream)';;
        one.service) printf '%s\\n' LoadState=loaded ActiveState=active BoundBy=two.service;;
        two.service) printf '%s\\n' LoadState=loaded ActiveState=inactive ConsistsOf=salt-api.service;;
        *) echo LoadState=not-found;;
      esac`,
      { mode: 0o755 },
    );
    const script = `set -e
      mount -t tmpfs none /run; mkdir -p /run/systemd/system; PATH=${bin}:$PATH; cd ${bin}
      "$0" "$1" diagnose --no-probe --port 65000 --save local > /dev/null || true
      "$0" "$1" probe --port 65000 > script
      for shell in $2; do
        $(echo $shell | tr _ ' ') script > output
        "$0" "$1" diagnose --from output --save $shell > /dev/null || true
      done`;
    const shells = ['sh', 'bash', ...(existsSync('/bin/busybox') ? ['busybox_ash'] : [])];
    const args = ['--mount', 'sh', '-c', script, process.execPath, BUNDLE, shells.join(' ')];
    execFileSync('unshare', args);
    const read = (name: string) => parseEvidence(readFileSync(join(bin, name), 'utf8')).service;
    const local = read('local');
    assert.ok(local.seen && local.value.systemd.seen);
    assert.deepEqual(
      local.value.relatedUnits.map(({ unit }) => unit),
      ['salt-api.socket', 'one.service', 'two.service'],
    );
    assert.deepEqual(local.value.systemd.value?.dropIns, [
      { path: dropIn, sets: ['KillMode', 'User'] },
    ]);
    for (const shell of shells) assert.deepEqual(read(shell), local, shell);
  });
});

it('the uid of `user:` in the config comes from that host', async () => {
  const root = mkdtempSync(join(directory, 'user-'));
  const request = { ...REQUEST, configDirectory: root };
  for (const [name, uid] of [
    ['nobody', 65_534],
    ["'; echo user-id 0; '", null],
  ] as const) {
    writeFileSync(join(root, 'master'), `user: ${JSON.stringify(name)}\n`);
    const { config } = await readCollected(parseFrames(probe(request), 'abc'), request);
    assert.deepEqual(config.seen && config.value.user, { name, uid });
  }
});
