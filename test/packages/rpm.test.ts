/** The RPM package on a real system, which has rpm and systemd: installed, upgraded, at work, erased. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { after, before, describe, it } from 'node:test';
import { makeRpm } from '../../bin/package/rpm.ts';
import { type Guest, skipWithoutGuests } from '../inits/guest.ts';
import { made, skipWithoutDist, VERSION } from './dist.ts';
import {
  administered,
  asDisabled,
  bootForPackages,
  earlier,
  isThere,
  keepsWhatIsTheirs,
  LOGS,
  PROGRAM,
  SETTINGS,
  TIMER_LINK,
  timerRuns,
} from './package-host.ts';

const skip = skipWithoutGuests() || skipWithoutDist();
/** rpm of Debian warns off; what the other packages of the host are it does not know. */
const RPM = ['rpm', '--force-debian', '--nodeps'] as const;

describe('the RPM package', { skip }, () => {
  let guest: Guest;
  before(async () => {
    guest = await bootForPackages();
    const previous = await earlier((made, program, directory) =>
      makeRpm(made, { executable: program, architecture: 'x64' }, directory, 0),
    );
    await guest.write('/root/earlier.rpm', previous);
    await guest.write('/root/new.rpm', readFileSync(made(/x86_64\.rpm$/)));
  });
  after(() => guest?.end());

  it('asks for what EL 8 has, and for nothing else', () => {
    const asked = execFileSync('rpm', ['-qp', '--requires', made(/x86_64\.rpm$/)]).toString();
    assert.deepEqual(
      [...new Set(asked.trim().split('\n'))].filter((one) => !/^rpmlib/.test(one)),
      [
        '/bin/sh',
        'libc.so.6(GLIBC_2.28)(64bit)',
        'libgcc_s.so.1()(64bit)',
        'libstdc++.so.6(CXXABI_1.3.11)(64bit)',
      ],
    );
  });

  it('is installed with its timer disabled', async () => {
    await guest.must(...RPM, '--install', '/root/earlier.rpm');
    await asDisabled(guest);
    await guest.must(...RPM, '--verify', 'salt-triage');
  });

  it('is upgraded: settings, records and the enabled timer stay', async () => {
    await administered(guest);
    await guest.must(...RPM, '--upgrade', '/root/new.rpm');
    assert.equal((await guest.must(PROGRAM, '--version')).split(' ')[0], VERSION);
    await keepsWhatIsTheirs(guest);
  });

  it('checks once the timer is enabled, without root', () => timerRuns(guest));

  it('is erased: the settings are kept aside, the records stay, the timer is gone', async () => {
    await guest.must(...RPM, '--erase', 'salt-triage');
    assert.ok(await isThere(guest, `${SETTINGS}.rpmsave`));
    assert.ok(await isThere(guest, LOGS));
    for (const path of [PROGRAM, SETTINGS, TIMER_LINK]) {
      assert.ok(!(await isThere(guest, path)), path);
    }
  });
});
