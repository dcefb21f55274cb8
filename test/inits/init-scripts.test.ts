import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import {
  bootGuest,
  type Guest,
  type Init,
  SALT_MASTER,
  skipWithoutGuests,
  until,
} from './guest.ts';
import {
  diagnose,
  fix,
  holders,
  jam,
  killed,
  LSB_SCRIPT,
  OPENRC_SCRIPT,
  orphans,
  saltApis,
  serving,
} from './salt-api.ts';

const options = { skip: skipWithoutGuests() };

/** A guest that serves, ends with the test, and has salt-api as a script of its init system. */
async function bootServing(t: TestContext, init: Init): Promise<Guest> {
  const guest = await bootGuest({ init }, async (bare) => {
    // Titles of 3006, whose child is named in full: what a pid file or an argv no longer matches.
    const master = SALT_MASTER.map((line) => line.replace('era: 3002', 'era: 3006'));
    await bare.write('/etc/salt/master', `${master.join('\n')}\n`);
    const [script, link] =
      init === 'openrc'
        ? [OPENRC_SCRIPT, '/etc/runlevels/default/salt-api']
        : [LSB_SCRIPT, '/etc/rc2.d/S01salt-api'];
    await bare.write('/etc/init.d/salt-api', script, '755');
    await bare.must('ln', '-s', '/etc/init.d/salt-api', link);
  });
  t.after(() => guest.end());
  if (init === 'sysvinit') await guest.must('service', 'salt-api', 'start');
  await serving(guest);
  return guest;
}

describe('a Debian-style LSB script under sysvinit', options, () => {
  it('leaves a hung salt-api as it is, and fix ends both of it by their pids', async (t) => {
    const guest = await bootServing(t, 'sysvinit');
    const healthy = await diagnose(guest);
    assert.equal(healthy.verdict.code, 'healthy');
    const before = await saltApis(guest);
    await jam(guest);
    const restart = await guest.run(['service', 'salt-api', 'restart']);
    assert.equal(restart.code, 0);
    assert.match(restart.stdout, /failed!/);
    assert.deepEqual(await saltApis(guest), before, 'the restart changed nothing');
    const hung = await diagnose(guest);
    assert.equal(hung.verdict.code, 'hung');
    assert.deepEqual(holders(hung), holders(healthy));

    const fixed = await fix(guest);
    assert.equal(fixed.result, 'recovered', JSON.stringify(fixed.steps));
    assert.equal(fixed.exitCode, 0);
    assert.equal(fixed.service?.kind, 'sysv');
    assert.deepEqual(
      killed(fixed).map(({ role }) => role),
      ['manager', 'child'],
    );
    assert.deepEqual(
      killed(fixed).map(({ pid }) => pid),
      before,
    );
    assert.equal(fixed.after?.verdict.code, 'healthy');
  });

  it('starts a daemon beside the orphan of one that was killed, and fix kills the orphan alone', async (t) => {
    const guest = await bootServing(t, 'sysvinit');
    const [child] = holders(await diagnose(guest));
    await jam(guest);
    await guest.must('sh', '-c', 'kill -9 "$(cat /run/salt-api.pid)"');
    await guest.must('service', 'salt-api', 'start');
    const orphaned = await until('the orphan and a daemon', async () => {
      const diagnosis = await diagnose(guest);
      return diagnosis.verdict.code === 'orphan-holds-port' ? diagnosis : null;
    });
    assert.deepEqual(orphans(orphaned), [child]);

    const fixed = await fix(guest);
    assert.equal(fixed.result, 'recovered', JSON.stringify(fixed.steps));
    assert.deepEqual(
      killed(fixed).map(({ pid, role }) => [pid, role]),
      [[child, 'orphan']],
    );
    assert.equal((await saltApis(guest)).length, 2);
  });
});

describe('a unit that systemd generated from an LSB script', options, () => {
  it('is active (exited) with main pid 0 once its daemon is gone, and started all the same', async (t) => {
    const guest = await bootServing(t, 'systemd');
    const state = () =>
      guest.must('systemctl', 'show', 'salt-api', '-p', 'ActiveState,SubState,MainPID,SourcePath');
    assert.match(await state(), /^MainPID=0$/m);
    assert.match(await state(), /^SourcePath=\/etc\/init\.d\/salt-api$/m);
    assert.equal((await diagnose(guest)).verdict.code, 'healthy');
    await guest.must('kill', '-9', ...(await saltApis(guest)).map(String));
    await until('active (exited)', async () =>
      /^SubState=exited$/m.test(await state()) ? true : null,
    );
    assert.match(await state(), /^ActiveState=active$/m);
    await guest.must('systemctl', 'start', 'salt-api');
    assert.deepEqual(await saltApis(guest), [], 'systemd believes that it runs');

    const down = await diagnose(guest);
    assert.equal(down.verdict.code, 'down');
    assert.equal(down.exitCode, 1);
    const fixed = await fix(guest);
    assert.equal(fixed.result, 'recovered', JSON.stringify(fixed.steps));
    assert.equal(fixed.exitCode, 0);
    assert.equal(fixed.after?.verdict.code, 'healthy');
  });
});

describe('OpenRC', options, () => {
  it('does not find a salt-api that has a title of its own; fix ends it and starts it', async (t) => {
    const guest = await bootServing(t, 'openrc');
    const before = await saltApis(guest);
    await jam(guest);
    const restart = await guest.run(['rc-service', 'salt-api', 'restart']);
    assert.equal(restart.code, 1);
    assert.match(restart.stdout, /none killed/);
    assert.deepEqual(await saltApis(guest), before);
    assert.equal((await diagnose(guest)).verdict.code, 'hung');

    const fixed = await fix(guest);
    assert.equal(fixed.result, 'recovered', JSON.stringify(fixed.steps));
    assert.equal(fixed.exitCode, 0);
    assert.equal(fixed.service?.kind, 'openrc');
    assert.deepEqual(
      killed(fixed).map(({ pid }) => pid),
      before,
    );
    assert.match(await guest.must('rc-service', 'salt-api', 'status'), /started/);
  });
});
