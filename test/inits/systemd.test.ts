import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { SALT_MASTER, skipWithoutGuests, until } from './guest.ts';
import {
  diagnose,
  fix,
  freeze,
  holders,
  install,
  jam,
  killed,
  orphans,
  saltApis,
  step,
  unit,
} from './salt-api.ts';
import { boot, bootServing, property } from './systemd.ts';

const options = { skip: skipWithoutGuests() };

describe('the incident under systemd, KillMode=process', options, () => {
  for (const cgroups of ['hybrid', 'unified'] as const) {
    it(`is told from healthy to recovered, with ${cgroups} cgroups`, async (t) => {
      const guest = await bootServing(
        t,
        (bare) => install(bare, unit({ service: 'KillMode=process' })),
        cgroups,
      );
      const healthy = await diagnose(guest);
      assert.equal(healthy.verdict.code, 'healthy');
      const [child] = holders(healthy);
      assert.ok(child !== undefined);

      const clients = await jam(guest);
      const hung = await diagnose(guest);
      assert.equal(hung.verdict.code, 'hung');
      assert.equal(hung.exitCode, 1);
      assert.ok((step(hung, 'close-wait').evidence.count ?? 0) >= clients);
      assert.deepEqual(orphans(hung), []);

      // What the engineer tries first: it says that all is well.
      await guest.must('systemctl', 'restart', 'salt-api');
      assert.equal(await property(guest, 'ActiveState'), 'active');
      assert.ok((await saltApis(guest)).includes(child), 'the child outlived the restart');
      const orphaned = await diagnose(guest);
      assert.equal(orphaned.verdict.code, 'orphan-holds-port');
      assert.equal(orphaned.exitCode, 1);
      assert.deepEqual(holders(orphaned), [child]);
      assert.deepEqual(orphans(orphaned), [child]);

      const fixed = await fix(guest);
      assert.equal(fixed.result, 'recovered', JSON.stringify(fixed.steps));
      assert.equal(fixed.exitCode, 0);
      assert.deepEqual(
        killed(fixed).map(({ pid, role }) => [pid, role]),
        [[child, 'orphan']],
      );
      assert.ok(fixed.plan.remarks?.some((remark) => remark.includes('KillMode=process')));
      assert.equal(fixed.after?.verdict.code, 'healthy');

      const after = await diagnose(guest);
      assert.equal(after.verdict.code, 'healthy');
      const manager = Number(await property(guest, 'MainPID'));
      assert.deepEqual((await saltApis(guest)).sort(), [manager, ...holders(after)].sort());
    });
  }
});

describe('a stop that times out', options, () => {
  it('ends the whole cgroup in the end, and fix goes on from there', async (t) => {
    const guest = await bootServing(t, (bare) => install(bare, unit()));
    const before = await saltApis(guest);
    await jam(guest);
    const fixed = await fix(guest);
    assert.equal(fixed.before.verdict.code, 'hung');
    assert.equal(fixed.result, 'recovered', JSON.stringify(fixed.steps));
    assert.deepEqual(killed(fixed), [], 'systemd has killed what it stopped');
    const after = await saltApis(guest);
    assert.equal(after.length, 2);
    assert.ok(before.every((pid) => !after.includes(pid)));
    assert.match(await guest.must('journalctl', '-u', 'salt-api'), /timed out.*Killing/);
  });

  it('is waited for as long as --command-timeout says: what it leaves is killed by pid', async (t) => {
    const guest = await bootServing(t, (bare) =>
      install(bare, unit({ service: 'TimeoutStopSec=60' })),
    );
    const before = await saltApis(guest);
    await jam(guest);
    const fixed = await fix(guest, '--command-timeout', '2s');
    assert.match(
      fixed.steps.find(({ kind }) => kind === 'stop')?.detail ?? '',
      /^systemctl stop salt-api: timed out after 2 s/,
    );
    assert.deepEqual(
      killed(fixed).map(({ pid }) => pid),
      before,
    );
    assert.equal(fixed.result, 'recovered', JSON.stringify(fixed.steps));
    assert.equal((await saltApis(guest)).length, 2);
  });
});

describe('a start limit that is hit', options, () => {
  it('is reset before the start', async (t) => {
    const guest = await boot(t, async (bare) => {
      await install(
        bare,
        unit({
          unit: 'StartLimitIntervalSec=600\nStartLimitBurst=2',
          service: 'Restart=on-failure\nRestartSec=50ms',
        }),
      );
      await bare.must('mv', '/etc/salt/master', '/etc/salt/master.gone');
    });
    await until('the start limit', async () =>
      (await property(guest, 'ActiveState')) === 'failed' ? true : null,
    );
    await guest.must('mv', '/etc/salt/master.gone', '/etc/salt/master');
    assert.notEqual((await guest.run(['systemctl', 'start', 'salt-api'])).code, 0);
    const down = await diagnose(guest);
    assert.equal(down.verdict.code, 'down');
    const fixed = await fix(guest);
    assert.equal(fixed.result, 'recovered', JSON.stringify(fixed.steps));
    assert.equal(fixed.exitCode, 0);
  });
});

describe('a salt-api that logs to the journal alone', options, () => {
  const journalOnly = SALT_MASTER.filter((line) => !line.startsWith('api_logfile')).join('\n');

  it('is read there by root', async (t) => {
    const guest = await bootServing(t, async (bare) => {
      await bare.write('/etc/salt/master', `${journalOnly}\n`);
      await install(bare, unit({ service: 'KillMode=process' }));
    });
    const child = holders(await diagnose(guest))[0] ?? 0;
    await freeze(guest, child);
    await guest.must('systemctl', 'restart', 'salt-api');
    const seen = await until('failed binds in the journal', async () => {
      const diagnosis = await diagnose(guest);
      return (step(diagnosis, 'api-log').evidence.events ?? 0) > 0 ? diagnosis : null;
    });
    assert.equal(seen.verdict.code, 'orphan-holds-port');
    assert.equal(step(seen, 'api-log').evidence.path, 'journal:salt-api');
  });
});
