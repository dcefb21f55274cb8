import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { skipWithoutGuests, skipWithoutHybridCgroups } from './guest.ts';
import {
  diagnose,
  fix,
  holders,
  install,
  jam,
  killed,
  orphans,
  saltApis,
  step,
  unit,
} from './salt-api.ts';
import { bootServing, property } from './systemd.ts';

const options = { skip: skipWithoutGuests() };

describe('the incident under systemd, KillMode=process', options, () => {
  for (const cgroups of ['hybrid', 'unified'] as const) {
    const skip = cgroups === 'hybrid' && skipWithoutHybridCgroups();
    it(`is told from healthy to recovered, with ${cgroups} cgroups`, { skip }, async (t) => {
      const guest = await bootServing(
        t,
        (bare) => install(bare, unit({ service: 'KillMode=process' })),
        cgroups,
      );
      const layout = await guest.must('stat', '--file-system', '--format=%T', '/sys/fs/cgroup');
      assert.equal(layout.trim(), cgroups === 'unified' ? 'cgroup2fs' : 'tmpfs');
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
