import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { chmod, chown, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { after, afterEach, before, describe, it } from 'node:test';
import type { Settings } from '../../src/cli/options.ts';
import { inForce, loadSettings, readSettingsFiles } from '../../src/cli/settings.ts';
import { ExitCode, TriageError } from '../../src/errors.ts';

let directory: string;

before(async () => {
  directory = await mkdtemp(join(tmpdir(), 'salt-settings-'));
});

after(() => rm(directory, { recursive: true, force: true }));

async function settingsFile(text: string): Promise<string> {
  const file = join(directory, 'salt-triage.yaml');
  await rm(file, { force: true });
  await writeFile(file, text, { mode: 0o644 });
  return file;
}

async function load(text: string) {
  return loadSettings(await settingsFile(text));
}

function usageError(message: RegExp) {
  return (error: unknown) => {
    assert.ok(error instanceof TriageError, String(error));
    assert.equal(error.exitCode, ExitCode.usage);
    assert.match(error.message, message);
    assert.notEqual(error.advice, '');
    return true;
  };
}

describe('loadSettings', () => {
  it('reads every key', async () => {
    const settings = await load(`
port: 8000
salt-config-dir: /srv/salt/etc
log: /var/log/salt/api
since: 7d
probe: false
probe-timeout: 500ms
close-wait-warn: 5
close-wait-fail: 50
state-dir: /var/lib/salt-triage
wait: 45s
restart: if-needed
service: sysv
unit: salt-api@blue.service
stop-cmd: [supervisorctl, stop, salt-api]
start-cmd:
  - supervisorctl
  - start
  - salt-api
command-timeout: 2m
keep-incidents: 20
keep-mebibytes: 0.5
`);
    assert.deepEqual(settings, {
      port: 8000,
      saltConfigDir: '/srv/salt/etc',
      log: '/var/log/salt/api',
      since: 604_800_000,
      probe: false,
      probeTimeout: 500,
      closeWaitWarn: 5,
      closeWaitFail: 50,
      stateDir: '/var/lib/salt-triage',
      wait: 45_000,
      restart: 'if-needed',
      service: 'sysv',
      unit: 'salt-api@blue.service',
      stopCmd: ['supervisorctl', 'stop', 'salt-api'],
      startCmd: ['supervisorctl', 'start', 'salt-api'],
      commandTimeout: 120_000,
      keepIncidents: 20,
      keepMebibytes: 0.5,
    });
  });

  it('has null for the whole log', async () => {
    assert.deepEqual(await load('since: all\n'), { since: null });
  });

  it('sets nothing where the file says nothing', async () => {
    for (const text of ['', '# port: 1\n', '---\n', '{}\n']) assert.deepEqual(await load(text), {});
    assert.deepEqual(await loadSettings('/dev/null'), {});
  });

  it('refuses a --config that is not there or is a directory', async () => {
    await assert.rejects(loadSettings(join(directory, 'none')), usageError(/none: no such file/));
    await assert.rejects(loadSettings(directory), usageError(/is a directory/));
  });

  it('refuses --yes in particular', async () => {
    await assert.rejects(load('port: 1\nyes: true\n'), usageError(/line 2: --yes can't be set/));
  });

  it('refuses an unknown key, with line and the known ones', async () => {
    await assert.rejects(
      load('port: 1\n\nclose-wait-wran: 5\n'),
      usageError(/line 3: unknown key "close-wait-wran"; the keys are .*, close-wait-warn, /),
    );
    await assert.rejects(load('closeWaitFail: 5\n'), usageError(/unknown key "closeWaitFail"/));
    await assert.rejects(
      load('colour: no\n'),
      usageError(/unknown key "colour"; the keys are port, /),
    );
  });

  for (const [text, message] of [
    ['port: "443"', /line 1: port must be a whole number from 1 to 65535/],
    ['port: 65536', /port must be/],
    ['port: 4.5', /port must be/],
    ['port:', /port must be/],
    ['probe: yes please', /probe must be true or false/],
    ['since: yesterday', /line 1: since: invalid duration "yesterday": use 90s, 5m, 24h/],
    ['since: [7d]', /since must be a duration/],
    ['wait: 0s', /wait: 0s is out of range/],
    ['probe-timeout: 5', /line 1: probe-timeout: invalid duration "5": use 90s, 5m, 24h/],
    ['restart: never', /restart must be one of always, if-needed/],
    ['service: launchd', /service must be one of auto, systemd, sysv, openrc/],
    ['unit: --force', /unit must be the name of a unit/],
    ['log: api.log', /log must be an absolute path/],
    ['stop-cmd: service salt-api stop', /stop-cmd must be a list of strings/],
    ['stop-cmd: []', /stop-cmd must be a list/],
    ['stop-cmd: ["", x]', /stop-cmd must be a list/],
    ['start-cmd: [sleep, 5]', /start-cmd must be a list of strings/],
    ['keep-incidents: 0', /keep-incidents must be/],
    ['keep-mebibytes: lots', /keep-mebibytes must be a number/],
    ['port: 1\nport: 2', /Map keys must be unique/],
    ['port: *p', /port.*p/],
    ['port: {', /line/],
    ['- port', /must be a mapping of settings/],
    ['443', /must be a mapping of settings/],
    ['? [a]\n: 1', /unknown key/],
    ['port: 1\n---\nport: 2', /multiple documents/],
  ] as const) {
    it(`refuses ${JSON.stringify(text)}`, async () => {
      await assert.rejects(load(`${text}\n`), usageError(message));
    });
  }

  it('refuses a file whole that others may write to, whatever it sets', async () => {
    for (const text of ['port: 1\n', 'wait: 5s\n', 'start-cmd: [x]\n', 'no yaml: {\n']) {
      const file = await settingsFile(text);
      await chmod(file, 0o646);
      await assert.rejects(
        loadSettings(file),
        usageError(/refusing the settings.*others may write to it/),
      );
    }
    const file = await settingsFile('start-cmd: [true-story]\n');
    assert.deepEqual(await loadSettings(file), { startCmd: ['true-story'] });
  });

  describe('for root', {
    skip: process.geteuid?.() === 0 ? false : 'only root can give a file away',
  }, () => {
    it('refuses a file of somebody else whole', async () => {
      for (const text of ['stop-cmd: [x]\n', 'port: 1\n']) {
        const file = await settingsFile(text);
        await chown(file, 65_534, 0);
        await assert.rejects(loadSettings(file), usageError(/belongs to uid 65534/));
      }
    });

    it("refuses a file that a group other than root's may write to", async () => {
      const file = await settingsFile('port: 1\n');
      await chmod(file, 0o664);
      assert.deepEqual(await loadSettings(file), { port: 1 });
      await chown(file, 0, 65_534);
      await assert.rejects(loadSettings(file), usageError(/others may write to it/));
    });
  });

  describe("of the user's own", () => {
    const own = async (text: string) => {
      const file = await settingsFile(text);
      process.env['XDG_CONFIG_HOME'] = directory;
      return file;
    };
    afterEach(() => {
      delete process.env['XDG_CONFIG_HOME'];
    });

    it('are found under XDG_CONFIG_HOME, and come after those of the host', async () => {
      const file = await own('port: 8443\n');
      const files = await readSettingsFiles(undefined);
      assert.deepEqual(
        files.map(({ path }) => path),
        ['/etc/salt-triage.yaml', file],
      );
      assert.equal((await loadSettings(undefined)).port, 8443);
      const [host, mine] = files;
      assert.ok(host !== undefined && mine !== undefined);
      const of = (settings: Settings) => ({ ...host, settings });
      assert.deepEqual(inForce([of({ port: 1, unit: 'a' }), { ...mine, settings: { port: 2 } }]), {
        port: 2,
        unit: 'a',
      });
    });

    it('have no say beside --config, nor from a directory that is relative', async () => {
      await own('port: 8443\n');
      assert.deepEqual(await loadSettings('/dev/null'), {});
      process.env['XDG_CONFIG_HOME'] = relative(process.cwd(), directory);
      assert.equal((await loadSettings(undefined)).port, undefined);
    });

    it('are refused whole where others may write to them, as those of the host', async () => {
      const file = await own('port: 8443\n');
      await chmod(file, 0o646);
      await assert.rejects(loadSettings(undefined), usageError(/others may write to it/));
    });
  });

  it('does not wait for a FIFO or a device, and reads no endless file', async () => {
    const fifo = join(directory, 'fifo');
    execFileSync('mkfifo', [fifo]);
    for (const path of [fifo, '/dev/zero', '/dev/tty']) {
      await assert.rejects(loadSettings(path), usageError(/is not a regular file|ENXIO/), path);
    }
    const file = await settingsFile(`# ${'x'.repeat(70_000)}\n`);
    await assert.rejects(loadSettings(file), usageError(/longer than 64 KiB/));
  });
});
