import assert from 'node:assert/strict';
import {
  chmod,
  chown,
  mkdir,
  mkdtemp,
  readFile,
  rm,
  stat,
  symlink,
  utimes,
  writeFile,
} from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { readService, type ServiceRequest } from '../../src/host/local/service.ts';

const PATH = process.env['PATH'];
let directory: string;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'salt-service-'));
  await mkdir(join(directory, 'bin'));
  await mkdir(join(directory, 'systemd'));
  process.env['PATH'] = `${join(directory, 'bin')}:${PATH}`;
});

afterEach(async () => {
  process.env['PATH'] = PATH;
  await rm(directory, { recursive: true, force: true });
});

/** An executable of ours, found before any real one. */
async function program(name: string, script: string): Promise<void> {
  const path = join(directory, 'bin', name);
  await writeFile(path, `#!/bin/sh\n${script}\n`);
  await chmod(path, 0o755);
}

/** A look that sees nothing of the machine that the test runs on. */
function look(request: Partial<ServiceRequest> = {}) {
  return readService({
    pidFiles: [],
    unit: 'salt-api',
    members: [],
    timeoutMs: 10_000,
    systemdRuntimeDirectory: join(directory, 'systemd'),
    initScript: join(directory, 'init-script'),
    ...request,
  });
}

async function systemd(request: Partial<ServiceRequest> = {}) {
  const service = await look(request);
  assert.ok(service.seen);
  return service.value.systemd;
}

describe('pid files', () => {
  async function pidFiles(request: Partial<ServiceRequest>) {
    const service = await look({ systemdRuntimeDirectory: '/nonexistent', ...request });
    assert.ok(service.seen);
    return service.value.pidFiles;
  }

  it('are those that exist, in the order they are asked for', async () => {
    const [argv, config, fallback] = ['argv', 'config', 'fallback'].map((n) => join(directory, n));
    assert.ok(argv && config && fallback);
    await writeFile(argv, '11');
    await writeFile(config, '12\n');
    await writeFile(fallback, '13');
    await utimes(config, 1_531_474_389, 1_531_474_389);
    const found = await pidFiles({
      pidFiles: [join(directory, 'missing'), argv, config, fallback],
    });
    assert.deepEqual(
      found.map(({ path, pid }) => [path, pid]),
      [
        [argv, 11],
        [config, 12],
        [fallback, 13],
      ],
    );
    assert.equal(found[1]?.modifiedAt, 1_531_474_389_000);
  });

  it('are listed once where several names lead to one', async () => {
    await mkdir(join(directory, 'run'));
    await symlink('run', join(directory, 'var-run'));
    await writeFile(join(directory, 'run/salt-api.pid'), '14');
    const found = await pidFiles({
      pidFiles: [join(directory, 'var-run/salt-api.pid'), join(directory, 'run/salt-api.pid')],
    });
    assert.deepEqual(
      found.map(({ path }) => path),
      [join(directory, 'var-run/salt-api.pid')],
    );
  });

  it('have no pid where the content is none', async () => {
    for (const content of ['', 'abc', '12 13', '-5', '0', '1'.repeat(100)]) {
      const path = join(directory, 'salt-api.pid');
      await writeFile(path, content);
      const [file] = await pidFiles({ pidFiles: [path] });
      assert.equal(file?.pid, null, JSON.stringify(content));
    }
  });

  it('leave out one that another person has written', async (t) => {
    if (process.getuid?.() !== 0) return t.skip('needs root');
    const path = join(directory, 'theirs.pid');
    await writeFile(path, '15');
    await chown(path, 65_534, 65_534);
    assert.deepEqual(await pidFiles({ pidFiles: [path] }), []);
  });

  it('leave out a directory and a relative path', async () => {
    assert.deepEqual(await pidFiles({ pidFiles: [directory, 'package.json'] }), []);
  });
});

describe('systemd', () => {
  it('is asked with systemctl show, in the C locale, with nothing on stdin', async () => {
    await program(
      'systemctl',
      `{ echo "$@"; echo "$LC_ALL"; cat; } > ${join(directory, 'asked')}
       printf 'LoadState=loaded\\nActiveState=active\\nSubState=running\\nMainPID=77\\n'`,
    );
    const unit = await systemd();
    assert.ok(unit.seen && unit.value !== null);
    assert.equal(unit.value.mainPid, 77);
    assert.equal(
      await readFile(join(directory, 'asked'), 'utf8'),
      'show salt-api -p LoadState,ActiveState,SubState,MainPID,ControlGroup,KillMode,NRestarts,' +
        'PartOf,ConsistsOf,BoundBy,RequiredBy,Result,ExecMainStatus,StatusText,TriggeredBy,' +
        'DropInPaths,ExecStart,Listen\nC\n',
    );
  });

  it('is null, and not asked, where systemd does not run', async () => {
    await program('systemctl', `touch ${join(directory, 'asked')}; echo LoadState=loaded`);
    const unit = await systemd({ systemdRuntimeDirectory: join(directory, 'nowhere') });
    assert.deepEqual(unit, { seen: true, value: null });
    await assert.rejects(stat(join(directory, 'asked')));
  });

  it('is null where there is no such unit', async () => {
    await program('systemctl', 'echo LoadState=not-found');
    assert.deepEqual(await systemd(), { seen: true, value: null });
  });

  it('is blind, not late, where systemctl hangs', async () => {
    await program('systemctl', 'exec sleep 60');
    const startedAt = performance.now();
    const unit = await systemd({ timeoutMs: 300 });
    assert.equal(!unit.seen && unit.cause, 'timeout');
    assert.ok(performance.now() - startedAt < 10_000);
  });

  it('is blind, not late, where a child of a killed systemctl keeps its output open', async () => {
    await program('systemctl', `sleep 30 & echo $! > ${join(directory, 'child')}; wait`);
    const startedAt = performance.now();
    const unit = await systemd({ timeoutMs: 300 });
    assert.equal(!unit.seen && unit.cause, 'timeout');
    assert.ok(performance.now() - startedAt < 10_000);
    process.kill(Number(await readFile(join(directory, 'child'), 'utf8')), 'SIGKILL');
  });

  it('is blind with what systemctl said where it fails', async () => {
    await program('systemctl', 'echo "Failed to connect to bus: Host is down" >&2; exit 1');
    const unit = await systemd();
    assert.ok(!unit.seen);
    assert.equal(unit.cause, 'unsupported');
    assert.match(unit.why, /Host is down/);
  });

  it('never takes a unit for an option', async () => {
    await program('systemctl', 'echo LoadState=loaded');
    const unit = await systemd({ unit: '--version' });
    assert.equal(!unit.seen && unit.cause, 'malformed');
  });
});

describe('a unit of another name', () => {
  const shows = (units: Readonly<Record<string, readonly string[]>>) =>
    program(
      'systemctl',
      `case "$2" in
        ${Object.entries(units)
          .map(
            ([unit, lines]) =>
              `${unit}) printf '%s\\n' ${lines.map((one) => `'${one}'`).join(' ')};;`,
          )
          .join('\n')}
        *) echo LoadState=not-found;;
      esac`,
    );
  const members = [{ pid: 77, service: { unit: 'my-rest-api.service', user: null } }];
  const starts = (program: string) =>
    `ExecStart={ path=${program} ; argv[]=${program} -d ; ignore_errors=no ; pid=77 }`;
  const PACKAGED = starts('/usr/bin/salt-api');

  it('is the service of the salt-api that runs, where systemd says that it is its main process', async () => {
    await shows({ 'my-rest-api.service': ['LoadState=loaded', 'MainPID=77', PACKAGED] });
    const unit = await systemd({ members });
    assert.equal(unit.seen && unit.value?.unit, 'my-rest-api.service');
  });

  it('is not taken where systemd says that its main process is another', async () => {
    await shows({
      'my-rest-api.service': ['LoadState=loaded', 'MainPID=5', starts('/usr/sbin/crond')],
    });
    assert.deepEqual(await systemd({ members }), { seen: true, value: null });
  });

  it('is not taken for its name: a check of monitoring may have that', async () => {
    const check = starts('/opt/checks/salt-api');
    await shows({ 'my-rest-api.service': ['LoadState=loaded', 'MainPID=77', check] });
    assert.deepEqual(await systemd({ members }), { seen: true, value: null });
  });

  it('is told beside the usual one, which stays known', async () => {
    await shows({
      'salt-api': ['LoadState=loaded', 'ActiveState=inactive', 'MainPID=0'],
      'my-rest-api.service': ['LoadState=loaded', 'MainPID=77', PACKAGED],
    });
    const service = await look({ members });
    assert.ok(service.seen);
    assert.deepEqual(
      service.value.otherUnits.map(({ unit }) => unit),
      ['salt-api'],
    );
    assert.equal(service.value.systemdRuns, true);
  });

  it('comes with the units that go down with it, and with the drop-ins that matter', async () => {
    const dropIn = join(directory, 'kill.conf');
    await writeFile(dropIn, '[Service]\nKillMode=process\nEnvironment=TOKEN=hunter2\n');
    await shows({
      'salt-api': [
        'LoadState=loaded',
        'TriggeredBy=salt-api.socket',
        'ConsistsOf=dep.service',
        `DropInPaths=${dropIn} ${join(directory, 'gone.conf')}`,
      ],
      'salt-api.socket': ['LoadState=loaded', 'ActiveState=active', 'Listen=0.0.0.0:443 (Stream)'],
      'dep.service': ['LoadState=loaded', 'ActiveState=inactive'],
    });
    const service = await look();
    assert.ok(service.seen && service.value.systemd.seen);
    assert.deepEqual(service.value.relatedUnits, [
      { unit: 'salt-api.socket', activeState: 'active', ports: [443] },
      { unit: 'dep.service', activeState: 'inactive', ports: [] },
    ]);
    assert.deepEqual(service.value.systemd.value?.dropIns, [{ path: dropIn, sets: ['KillMode'] }]);
    assert.doesNotMatch(JSON.stringify(service), /hunter2/);
  });
});

describe('init script and OpenRC', () => {
  it('are seen where they are there', async () => {
    await writeFile(join(directory, 'init-script'), '');
    await program('rc-service', '');
    const service = await look({ systemdRuntimeDirectory: '/nonexistent' });
    assert.ok(service.seen);
    assert.deepEqual([service.value.initScript, service.value.openRc], [true, true]);
  });

  it('are not where they are not', async () => {
    const service = await look({ systemdRuntimeDirectory: '/nonexistent' });
    assert.ok(service.seen);
    assert.deepEqual([service.value.initScript, service.value.openRc], [false, false]);
  });
});
