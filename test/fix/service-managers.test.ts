/** systemd, SysV and OpenRC played by executables on PATH that behave as those do, and fail so. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { PROGRAM, runCli } from '../cli/run.ts';
import { fix } from './fix-document.ts';
import { isAlive, programs, type Staged, stage, until } from './staged.ts';

const start = (staged: Staged) => staged.startCommand.join(' ');
const stop = (staged: Staged) => staged.stopCommand.join(' ');

/** A shell line that writes down how the program was called. */
const note = (staged: Staged) => `echo "$(basename "$0") $*" >> ${calls(staged)}`;
const calls = (staged: Staged) => join(staged.directory, 'calls');
const called = (staged: Staged) =>
  existsSync(calls(staged)) ? readFileSync(calls(staged), 'utf8').trim().split('\n') : [];

/** The program on a host that systemd seems to have booted (sd_booted(3)). */
const BOOTED = [
  ...['unshare', '--mount', 'sh', '-c'],
  'mount -t tmpfs none /run && mkdir -p /run/systemd/system && exec "$@"',
  ...['sh', ...PROGRAM],
];
const unbootable = skipWithoutMountNamespaces();

const quiet = { systemctl: 'exit 1', journalctl: 'exit 1', logger: 'exit 0' };

describe('fix through systemd', () => {
  it('stops, clears the start limit, starts: a limit that was hit does not keep it down', async (t) => {
    const staged = await stage(t, 'restarted');
    const cleared = join(staged.directory, 'cleared');
    const env = programs(staged.directory, {
      ...quiet,
      systemctl: `${note(staged)}
        case "$1" in
          stop) exec ${stop(staged)};;
          reset-failed) touch ${cleared};;
          start) [ -e ${cleared} ] && exec ${start(staged)}
            echo 'Start request repeated too quickly.' >&2; exit 1;;
        esac`,
    });
    const { code, document } = await fix([...staged.target, '--service', 'systemd'], { env });
    assert.equal(code, 0, JSON.stringify(document.steps));
    assert.deepEqual(called(staged), [
      'systemctl stop salt-api',
      'systemctl reset-failed salt-api',
      'systemctl start salt-api',
    ]);
  });

  it('gives each process that a stop with OK left its own kill (the incident of 2018)', async (t) => {
    const staged = await stage(t, 'restarted');
    const env = programs(staged.directory, {
      ...quiet,
      systemctl: `${note(staged)}\n[ "$1" = start ] && exec ${start(staged)}\necho OK`,
    });
    const { code, document } = await fix([...staged.target, '--service', 'systemd'], { env });
    assert.equal(code, 0, JSON.stringify(document.steps));
    const kills = document.steps.filter(({ kind }) => kind === 'kill');
    assert.equal(kills[0]?.pid, staged.orphanPid);
    assert.ok(kills.some(({ pid, role }) => pid === staged.managerPid && role === 'manager'));
    assert.ok(kills.every(({ status }) => status === 'done' || status === 'not-needed'));
    assert.match(
      document.steps.find(({ kind }) => kind === 'stop')?.detail ?? '',
      /reported OK; checking independently/,
    );
    assert.ok(!isAlive(staged.managerPid));
  });

  it('goes on after a stop that failed, and shows its code, its words and the journal', async (t) => {
    const staged = await stage(t, 'restarted');
    const env = programs(staged.directory, {
      ...quiet,
      systemctl: `case "$1" in
        stop) echo 'Failed to stop salt-api.service: Connection timed out' >&2; exit 4;;
        start) exec ${start(staged)};;
        esac`,
      journalctl: `echo 'salt-api.service: State stop-sigterm timed out.'`,
    });
    const { code, document } = await fix([...staged.target, '--service', 'systemd'], { env });
    assert.equal(code, 0, JSON.stringify(document.steps));
    const failed = document.steps.find(({ kind }) => kind === 'stop');
    assert.equal(failed?.status, 'failed');
    assert.match(failed?.detail ?? '', /exit 4[\s\S]*Connection timed out[\s\S]*stop-sigterm/);
    assert.ok(!isAlive(staged.managerPid));
  });

  it('does not believe a start that says OK', async (t) => {
    const staged = await stage(t, 'orphan');
    const env = programs(staged.directory, { ...quiet, systemctl: 'echo OK' });
    const options = ['--service', 'systemd', '--wait', '500ms'];
    const { code, document } = await fix([...staged.target, ...options], { env });
    assert.equal(code, 1);
    assert.equal(document.steps.find(({ kind }) => kind === 'start')?.status, 'done');
    assert.equal(document.steps.at(-1)?.status, 'failed');
    assert.equal(document.result, 'not-recovered');
  });

  it('kills nothing that a stop of a unit that is not loaded has never reached', async (t) => {
    const staged = await stage(t, 'hung');
    const env = programs(staged.directory, {
      ...quiet,
      systemctl: `${note(staged)}
        [ "$1" = stop ] && { echo 'Failed to stop salt-api.service: Unit not loaded.' >&2; exit 5; }
        exit 1`,
    });
    const options = ['--service', 'systemd', '--wait', '500ms'];
    const { code, document } = await fix([...staged.target, ...options], { env });
    assert.equal(code, 5, JSON.stringify(document.steps));
    assert.deepEqual(
      document.steps.filter(({ kind }) => kind === 'kill'),
      [],
    );
    assert.ok(isAlive(staged.managerPid) && isAlive(staged.orphanPid));
    assert.deepEqual(
      called(staged).filter((call) => call.includes(' stop ') || call.includes(' start ')),
      ['systemctl stop salt-api'],
    );
  });

  it('shows the reason of systemd first where a start fails, and the journal since then', async (t) => {
    const staged = await stage(t, 'orphan');
    const env = programs(staged.directory, {
      ...quiet,
      systemctl: `case "$1" in
        show) printf '%s\\n' Result=exit-code ExecMainStatus=3 'StatusText=no certificate';;
        start) echo 'Job for salt-api.service failed.' >&2; exit 1;;
        esac`,
      journalctl: `${note(staged)}; echo '-- No entries --'; echo 'salt-api: no certificate'`,
    });
    const before = Math.floor(Date.now() / 1000);
    const options = ['--service', 'systemd', '--wait', '500ms'];
    const { code, document } = await fix([...staged.target, ...options], { env });
    assert.equal(code, 1);
    const lines = document.steps.find(({ kind }) => kind === 'start')?.detail.split('\n') ?? [];
    assert.match(lines[0] ?? '', /^systemctl start salt-api: exit 1/);
    assert.deepEqual(lines.slice(1), [
      'systemd: Result=exit-code, ExecMainStatus=3; it last said "no certificate"',
      'Job for salt-api.service failed.',
      'salt-api: no certificate',
    ]);
    const since = Number(/--since=@(\d+)$/.exec(called(staged).at(-1) ?? '')?.[1]);
    assert.ok(since >= before && since <= Date.now() / 1000, called(staged).join());
  });

  it('refuses a masked unit before it kills anything', { skip: unbootable }, async (t) => {
    const staged = await stage(t, 'orphan');
    const env = programs(staged.directory, {
      ...quiet,
      systemctl: `${note(staged)}\n[ "$1" = show ] && echo LoadState=masked`,
    });
    const args = ['fix', '--yes', ...staged.target, '--unit', 'salt-api'];
    const ran = await runCli(args, { env, command: BOOTED });
    assert.equal(ran.code, 5);
    assert.match(ran.stderr, /systemctl unmask salt-api\s+refused: salt-api is masked/);
    assert.ok(isAlive(staged.orphanPid));
    assert.ok(called(staged).every((call) => call.startsWith('systemctl show')));
  });

  for (const [what, works] of [
    ['is recovered only with what the stop took along', true],
    ['is not recovered while what the stop took along stays down', false],
  ] as const) {
    it(what, { skip: unbootable }, async (t) => {
      const staged = await stage(t, 'restarted');
      const down = join(staged.directory, 'dep-is-down');
      const env = programs(staged.directory, {
        ...quiet,
        systemctl: `${note(staged)}
          case "$1 $2" in
            'show salt-api') printf '%s\\n' LoadState=loaded ActiveState=active \
              MainPID=${staged.managerPid} RequiredBy=dep.service ConsistsOf=idle.service;;
            'show dep.service') printf '%s\\n' LoadState=loaded ActiveState=active;;
            'show idle.service') printf '%s\\n' LoadState=loaded ActiveState=inactive;;
            'is-active --quiet') [ ! -e ${down} ];;
            'stop salt-api') touch ${down}; exec ${stop(staged)};;
            'start salt-api') exec ${start(staged)};;
            'start dep.service') ${works ? `rm ${down}` : 'echo no >&2; exit 1'};;
          esac`,
      });
      const { code, document } = await fix(staged.target, { env, command: BOOTED });
      const again = document.steps.filter(({ kind }) => kind === 'start-dependent');
      assert.deepEqual(
        again.map(({ status }) => status),
        [works ? 'done' : 'failed'],
        JSON.stringify(document.steps),
      );
      assert.deepEqual([code, document.result], works ? [0, 'recovered'] : [1, 'not-recovered']);
      const last = document.steps.at(-1);
      if (!works)
        assert.match(last?.detail ?? '', /the API serves again; still down: dep\.service/);
      assert.equal(
        called(staged).filter((call) => call === 'systemctl start dep.service').length,
        1,
      );
    });
  }

  it('says beforehand what else a stop takes along, and which KillMode makes orphans', {
    skip: unbootable,
  }, async (t) => {
    const staged = await stage(t, 'restarted');
    const env = programs(staged.directory, {
      ...quiet,
      systemctl: `printf '%s\\n' LoadState=loaded ActiveState=active MainPID=${staged.managerPid} \
        KillMode=process ConsistsOf=salt-master.service`,
    });
    const ran = await runCli(['fix', '--dry-run', ...staged.target], { env, command: BOOTED });
    assert.equal(ran.code, 0, ran.stderr);
    assert.match(ran.stdout, /service: systemd \(unit salt-api\)/);
    assert.match(ran.stdout, /! stopping salt-api also stops salt-master\.service/);
    assert.match(ran.stdout, /! KillMode=process ends only the main process at a stop/);
  });
});

describe('fix through other service managers', () => {
  it('uses service(8) of SysV, and warns of what its stop leaves', async (t) => {
    const staged = await stage(t, 'restarted');
    const env = programs(staged.directory, {
      ...quiet,
      service: `${note(staged)}\n[ "$2" = start ] && exec ${start(staged)}\nexec ${stop(staged)}`,
    });
    const { code, document } = await fix([...staged.target, '--service', 'sysv'], { env });
    assert.equal(code, 0, JSON.stringify(document.steps));
    assert.deepEqual(called(staged), ['service salt-api stop', 'service salt-api start']);
    assert.match(
      document.plan.remarks?.join() ?? '',
      /ends only the process in the pid file: expect leftovers/,
    );
  });

  it('does not take for a stop what exits 0 and says that it failed, as Debian’s script does', async (t) => {
    const staged = await stage(t, 'hung');
    const env = programs(staged.directory, {
      ...quiet,
      service: `[ "$2" = start ] && exec ${start(staged)}
        echo 'Stopping the Salt REST API: salt-api failed!'`,
    });
    const { code, document } = await fix([...staged.target, '--service', 'sysv'], { env });
    assert.equal(code, 0, JSON.stringify(document.steps));
    const failed = document.steps.find(({ kind }) => kind === 'stop');
    assert.equal(failed?.status, 'failed');
    assert.match(failed?.detail ?? '', /service salt-api stop: exit 0 .*\n.*salt-api failed!/);
    assert.ok(document.steps.some(({ kind, pid }) => kind === 'kill' && pid === staged.managerPid));
  });

  it('uses rc-service of OpenRC, with zap: it would not start what it believes to run', async (t) => {
    const staged = await stage(t, 'restarted');
    const env = programs(staged.directory, {
      ...quiet,
      'rc-service': `${note(staged)}
        case "$2" in start) exec ${start(staged)};; stop) exec ${stop(staged)};; esac`,
    });
    const { code, document } = await fix([...staged.target, '--service', 'openrc'], { env });
    assert.equal(code, 0, JSON.stringify(document.steps));
    assert.deepEqual(called(staged), [
      'rc-service salt-api stop',
      'rc-service salt-api zap',
      'rc-service salt-api start',
    ]);
  });

  it('ends a stop that hangs and ignores SIGTERM, and that one alone', async (t) => {
    const staged = await stage(t, 'restarted');
    const pidFile = join(staged.directory, 'stop.pid');
    const env = programs(staged.directory, {
      service: `[ "$2" = start ] && exec ${start(staged)}
        echo $$ > ${pidFile}; trap '' TERM; while :; do sleep 0.2; done`,
    });
    const options = ['--service', 'sysv', '--command-timeout', '300ms'];
    const { code, document } = await fix([...staged.target, ...options], { env });
    assert.equal(code, 0, JSON.stringify(document.steps));
    assert.match(document.steps.find(({ kind }) => kind === 'stop')?.detail ?? '', /timed out/);
    assert.ok(!isAlive(Number(readFileSync(pidFile, 'utf8'))));
  });

  it('says that a command is not there before anything is changed', async (t) => {
    const staged = await stage(t, 'orphan');
    const options = ['--start-cmd', '/nonexistent/rc.salt start', '--wait', '500ms'];
    const ran = await runCli(['fix', '--yes', ...staged.target, ...options]);
    assert.equal(ran.code, 2);
    assert.match(ran.stderr, /\/nonexistent\/rc\.salt can't be run.*\n.*Nothing was changed/);
    assert.ok(isAlive(staged.orphanPid));
  });

  it('kills without a stop command only what the plan has named', async (t) => {
    const staged = await stage(t, 'hung');
    const args = [...staged.target, '--start-cmd', start(staged)];
    const dry = await fix([...args, '--dry-run']);
    assert.deepEqual(
      dry.document.plan.steps.flatMap(({ pid, role }) => (pid === undefined ? [] : [[pid, role]])),
      [
        [staged.managerPid, 'manager'],
        [staged.orphanPid, 'child'],
      ],
    );
    assert.ok(isAlive(staged.managerPid) && isAlive(staged.orphanPid));
    const { code, document } = await fix(args);
    assert.equal(code, 0, JSON.stringify(document.steps));
    assert.deepEqual(
      document.steps.map(({ kind, status }) => `${kind} ${status}`),
      document.plan.steps.map(({ kind }) => `${kind} done`),
    );
  });

  it('refuses where nothing could start it again, and kills nothing', async (t) => {
    const staged = await stage(t, 'orphan');
    const bin = join(staged.directory, 'empty');
    mkdirSync(bin);
    const ran = await runCli(['fix', '--yes', ...staged.target], { env: { PATH: bin } });
    assert.equal(ran.code, 2);
    assert.match(ran.stderr, /no service manager[\s\S]*--start-cmd/);
    assert.ok(isAlive(staged.orphanPid));
    const kill = await fix([...staged.target, '--only', 'kill'], { env: { PATH: bin } });
    assert.equal(kill.code, 1, 'nobody serves, and nothing could start it');
    await until('its end', () => !isAlive(staged.orphanPid));
  });
});

function skipWithoutMountNamespaces(): string | false {
  const works = spawnSync('unshare', ['--mount', 'mount', '-t', 'tmpfs', 'none', '/mnt']);
  return works.status === 0 ? false : 'needs root and mount namespaces';
}
