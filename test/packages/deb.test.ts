/** The Debian package on a real system: installed, upgraded, at work, removed and purged. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { after, before, describe, it } from 'node:test';
import { makeDeb } from '../../bin/package/deb.ts';
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

it('lintian has nothing to say but what is overridden with a reason', { skip }, () => {
  // How Node's authors spell is only for information, and takes half of the time.
  const faster = ['--dont-check-part', 'binaries/spelling'];
  const options = [...faster, '--allow-root', '--no-cfg', '--fail-on', 'none', '--suppress-tags'];
  // What stands in a changelog that no Debian archive has seen is no bug of Debian's.
  const said = execFileSync('lintian', [
    ...options,
    'initial-upload-closes-no-bugs',
    made(/amd64\.deb$/),
  ]);
  assert.equal(said.toString(), '');
});

describe('the Debian package', { skip }, () => {
  let guest: Guest;
  let brought: string[];
  before(async () => {
    guest = await bootForPackages();
    const previous = await earlier((made, program, directory) =>
      makeDeb(made, { executable: program, architecture: 'x64' }, directory, 0),
    );
    await guest.write('/root/earlier.deb', previous);
    await guest.write('/root/new.deb', readFileSync(made(/amd64\.deb$/)));
  });
  after(() => guest?.end());

  it('is installed with its timer disabled', async () => {
    await guest.must('dpkg', '--install', '/root/earlier.deb');
    await asDisabled(guest);
    await guest.must('dpkg', '--verify', 'salt-triage');
  });

  it('is upgraded without a question: settings, records and the enabled timer stay', async () => {
    await administered(guest);
    await guest.must('dpkg', '--install', '/root/new.deb');
    assert.equal((await guest.must(PROGRAM, '--version')).split(' ')[0], VERSION);
    await keepsWhatIsTheirs(guest);
  });

  it('checks once the timer is enabled, without root', () => timerRuns(guest));

  it('is removed: what the administrator made of it stays', async () => {
    const paths = await guest.must('dpkg', '--listfiles', 'salt-triage');
    brought = paths.split('\n').filter((path) => path.includes('salt-'));
    assert.ok(brought.length > 8);
    await guest.must('dpkg', '--remove', 'salt-triage');
    const { stdout } = await guest.run(['systemctl', 'is-active', 'salt-api-check.timer']);
    assert.equal(stdout.trim(), 'inactive');
    assert.ok(!(await isThere(guest, PROGRAM)));
    for (const path of [SETTINGS, LOGS, TIMER_LINK]) assert.ok(await isThere(guest, path), path);
  });

  it('is purged: nothing of it is left', async () => {
    await guest.must('dpkg', '--purge', 'salt-triage');
    for (const path of [SETTINGS, LOGS, TIMER_LINK, ...brought]) {
      assert.ok(!(await isThere(guest, path)), path);
    }
  });
});
