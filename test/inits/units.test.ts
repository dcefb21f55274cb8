import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { type Guest, SALT_MASTER, skipWithoutGuests, until } from './guest.ts';
import {
  type Diagnosis,
  diagnose,
  documentOf,
  fix,
  freeze,
  holders,
  install,
  jam,
  killed,
  orphans,
  saltApis,
  serving,
  step,
  unit,
  words,
} from './salt-api.ts';
import { boot, bootServing, noRights, ownJournal, property } from './systemd.ts';

const options = { skip: skipWithoutGuests() };
/** Uids of ordinary users. */
const STRANGER = 65_534;
const WATCHER = 1717;

describe('a stop that times out', options, () => {
  it('is told while it lasts and once it is over, and the unit is started again', async (t) => {
    const guest = await bootServing(t, (bare) => install(bare, unit()));
    await jam(guest);
    await guest.must('systemctl', 'stop', '--no-block', 'salt-api');
    const stopping = await diagnose(guest);
    assert.equal(await property(guest, 'ActiveState'), 'deactivating');
    assert.equal(stopping.exitCode, 1);
    assert.match(words(stopping), /stopping salt-api|deactivating/);
    await until('the end of the stop', async () =>
      (await property(guest, 'ActiveState')) === 'failed' ? true : null,
    );
    assert.deepEqual(await saltApis(guest), [], 'systemd has killed what did not stop');
    const stopped = await diagnose(guest);
    assert.equal(stopped.verdict.code, 'down');
    assert.match(words(stopped), /Result=timeout/);
    const fixed = await fix(guest);
    assert.equal(fixed.result, 'recovered', JSON.stringify(fixed.steps));
  });
});

describe('a start limit that is hit', options, () => {
  it('is named, and reset before the start', async (t) => {
    const guest = await boot(t, async (bare) => {
      const limit = 'StartLimitIntervalSec=600\nStartLimitBurst=2';
      const restart = 'Restart=on-failure\nRestartSec=50ms';
      await install(bare, unit({ unit: limit, service: restart }));
      await bare.must('mv', '/etc/salt/master', '/etc/salt/master.gone');
    });
    await until('the start limit', async () =>
      (await property(guest, 'ActiveState')) === 'failed' ? true : null,
    );
    await guest.must('mv', '/etc/salt/master.gone', '/etc/salt/master');
    const start = await guest.run(['systemctl', 'start', 'salt-api']);
    assert.equal(start.code, 1, 'a plain start is refused');
    const down = await diagnose(guest);
    assert.equal(down.verdict.code, 'down');
    assert.match(words(down), /start limit/);
    const fixed = await fix(guest);
    assert.equal(fixed.result, 'recovered', JSON.stringify(fixed.steps));
    assert.equal(fixed.exitCode, 0);
  });
});

describe('a masked unit', options, () => {
  it('is not stopped, since it could not be started again', async (t) => {
    const guest = await bootServing(t, async (bare) => {
      const path = '/lib/systemd/system/salt-api.service';
      await bare.write(path, unit());
      await bare.must('ln', '-s', path, '/etc/systemd/system/multi-user.target.wants/');
    });
    await guest.must('systemctl', 'mask', 'salt-api');
    const before = await saltApis(guest);
    await jam(guest);
    assert.equal((await diagnose(guest)).verdict.code, 'hung');
    const refused = await fix(guest);
    assert.equal(refused.result, 'refused', JSON.stringify(refused.steps));
    assert.equal(refused.exitCode, 5);
    assert.match(JSON.stringify(refused.plan), /systemctl unmask salt-api/);
    assert.deepEqual(await saltApis(guest), before);
  });
});

describe('a unit of another name', options, () => {
  it('is found by what runs in it', async (t) => {
    const guest = await bootServing(t, (bare) => install(bare, unit(), 'my-rest-api'));
    const before = await saltApis(guest);
    await jam(guest);
    assert.match(words(await diagnose(guest, '-v')), /hung/);
    // What was asked for by name does not exist: nothing may happen to the one that does.
    const wrong = await fix(guest, '--unit', 'salt-api');
    assert.equal(wrong.result, 'refused', JSON.stringify(wrong.steps));
    assert.match(JSON.stringify(wrong.plan), /--unit my-rest-api/);
    assert.deepEqual(await saltApis(guest), before);

    const fixed = await fix(guest);
    assert.equal(fixed.result, 'recovered', JSON.stringify([fixed.plan, fixed.steps]));
    assert.match(fixed.service?.label ?? '', /my-rest-api/);
    assert.deepEqual(killed(fixed), [], 'systemd has stopped it all');
    assert.equal(await property(guest, 'ActiveState', 'my-rest-api'), 'active');
    const now = await saltApis(guest);
    assert.ok(before.every((pid) => !now.includes(pid)));
  });
});

describe('units that go down with salt-api', options, () => {
  it('are up again after fix, those that were; PartOf=salt-master is shown', async (t) => {
    const guest = await bootServing(t, async (bare) => {
      const sleeper = '[Service]\nType=exec\nExecStart=/bin/sleep infinity\n';
      await install(bare, sleeper, 'salt-master');
      await install(bare, unit({ unit: 'PartOf=salt-master.service' }));
      const needs = 'Requires=salt-api.service\nAfter=salt-api.service';
      await install(bare, `[Unit]\n${needs}\n${sleeper}`, 'needs-api');
      await install(bare, `[Unit]\nPartOf=salt-api.service\n${sleeper}`, 'part-of-api');
      await bare.write('/etc/systemd/system/never-active.service', `[Unit]\n${needs}\n${sleeper}`);
    });
    for (const name of ['needs-api', 'part-of-api']) {
      assert.equal(await property(guest, 'ActiveState', name), 'active', name);
    }
    await jam(guest);
    const fixed = await fix(guest);
    assert.match(JSON.stringify(fixed.plan.remarks), /salt-master/);
    assert.equal(fixed.after?.verdict.code, 'healthy', JSON.stringify(fixed.steps));
    for (const name of ['needs-api', 'part-of-api', 'salt-master']) {
      assert.equal(await property(guest, 'ActiveState', name), 'active', name);
    }
    assert.equal(await property(guest, 'ActiveState', 'never-active'), 'inactive');
    assert.equal(fixed.result, 'recovered');
  });
});

describe('a salt-api that logs to the journal alone', options, () => {
  const journalOnly = SALT_MASTER.filter((line) => !line.startsWith('api_logfile')).join('\n');

  it('is read there by root; a user without rights to it is told so', async (t) => {
    const guest = await bootServing(t, async (bare) => {
      await bare.write('/etc/salt/master', `${journalOnly}\n`);
      await install(bare, unit({ service: 'KillMode=process' }));
      await bare.must('mkdir', '/var/log/journal');
    });
    await ownJournal(guest, WATCHER);
    const [child] = holders(await diagnose(guest));
    await freeze(guest, child ?? 0);
    await guest.must('systemctl', 'restart', 'salt-api');
    const seen = await until('failed binds in the journal', async () => {
      const diagnosis = await diagnose(guest);
      return (step(diagnosis, 'api-log').evidence.events ?? 0) > 0 ? diagnosis : null;
    });
    assert.equal(seen.verdict.code, 'orphan-holds-port');
    assert.deepEqual(orphans(seen), [child]);
    assert.equal(step(seen, 'api-log').evidence.path, 'journal:salt-api');

    // One has no journal that he may open; the other has his own, in which salt-api has no line.
    for (const uid of [STRANGER, WATCHER]) {
      const blind = documentOf<Diagnosis>(
        await guest.triage(['diagnose', '--json', '--probe-timeout', '1s'], { uid }),
      );
      assert.equal(blind.exitCode, 3);
      noRights(step(blind, 'api-log'));
    }
  });
});

describe('socket activation', options, () => {
  it('is no foreign holder, and the socket goes down and comes up with the service', async (t) => {
    const guest = await bootServing(t, furnishSocket);
    const looked = await guest.triage(['diagnose', '-v', '--probe-timeout', '1s']);
    assert.equal(looked.code, 0);
    assert.match(looked.stdout, /salt-api\.socket/);
    assert.doesNotMatch(looked.stdout, /another address/);
    await jam(guest);
    const hung = await diagnose(guest);
    assert.equal(hung.verdict.code, 'hung');
    assert.doesNotMatch(words(hung), /stop (?:pid )?1\b/);
    const fixed = await fix(guest);
    assert.equal(fixed.result, 'recovered', JSON.stringify(fixed.steps));
    assert.equal(await property(guest, 'ActiveState', 'salt-api.socket'), 'active');
    await serving(guest);
    assert.equal((await diagnose(guest)).verdict.code, 'healthy');
  });
});

async function furnishSocket(guest: Guest): Promise<void> {
  const path = '/etc/systemd/system/salt-api.socket';
  await guest.write(path, '[Socket]\nListenStream=0.0.0.0:443\nBacklog=30\n');
  await guest.write('/etc/systemd/system/salt-api.service', unit());
  await guest.must('mkdir', '-p', '/etc/systemd/system/sockets.target.wants');
  await guest.must('ln', '-s', path, '/etc/systemd/system/sockets.target.wants/');
}
