/** Programs named salt-api that systemd itself has started: pid 1 is their parent, and lives. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { skipWithoutGuests, until } from './guest.ts';
import { diagnose, fix, install, jam, killed, orphans, unit } from './salt-api.ts';
import { bootServing } from './systemd.ts';

/** Takes the title of a netapi child of 3006, as if the packaged entry point had forked it. */
const NAMESAKE = `import setproctitle, time
setproctitle.setproctitle('/usr/bin/python3 /usr/bin/salt-api RunNetapi(salt.loaded.int.netapi.rest_cherrypy)')
time.sleep(600)
`;

describe('a service of that name beside salt-api', { skip: skipWithoutGuests() }, () => {
  it('started by systemd-run is no orphan, and outlives a fix', async (t) => {
    const guest = await bootServing(t, async (bare) => {
      await install(bare, unit());
      await bare.write('/opt/checks/salt-api', NAMESAKE);
    });
    const run = ['systemd-run', '--unit=checks', 'python3', '/opt/checks/salt-api'];
    await guest.must(...run);
    const mainPid = async () => {
      const { stdout } = await guest.run(['systemctl', 'show', '-P', 'MainPID', 'checks']);
      return Number(stdout.trim());
    };
    const pid = await until('the namesake', async () => ((await mainPid()) > 1 ? mainPid() : null));
    await until('its title', async () => {
      const { stdout } = await guest.run(['cat', `/proc/${pid}/cmdline`]);
      return stdout.includes('RunNetapi') ? true : null;
    });
    assert.deepEqual(orphans(await diagnose(guest)), []);
    await jam(guest);
    const fixed = await fix(guest);
    assert.equal(fixed.result, 'recovered', JSON.stringify(fixed.steps));
    assert.deepEqual(
      killed(fixed).filter((step) => step.pid === pid),
      [],
    );
    assert.equal(await mainPid(), pid, 'the same process');
  });
});
