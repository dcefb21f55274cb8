/** A booted host on which packages are installed, and what holds of it in each format. */
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Made } from '../../bin/package/files.ts';
import { bootGuest, type Guest, until } from '../inits/guest.ts';
import { install, serving, unit } from '../inits/salt-api.ts';
import { property } from '../inits/systemd.ts';

export const SETTINGS = '/etc/salt-triage.yaml';
export const LOGS = '/var/log/salt-triage';
export const TIMER_LINK = '/etc/systemd/system/timers.target.wants/salt-api-check.timer';
/** The guest has the checkout's own in /usr/local/bin. */
export const PROGRAM = '/usr/bin/salt-triage';
const TIMER = 'salt-api-check.timer';
const CHECK = 'salt-api-check.service';

/** With a salt-api that serves, and without the salt-triage of the checkout. */
export async function bootForPackages(): Promise<Guest> {
  const guest = await bootGuest({ init: 'systemd' }, (bare) => install(bare, unit()));
  await serving(guest);
  // An image for containers forbids that a package starts or stops anything.
  await guest.must('rm', '-f', '/usr/sbin/policy-rc.d');
  return guest;
}

/** A package of an earlier version, in which the program only says its version. */
export async function earlier(
  make: (made: Made, program: string, directory: string) => Promise<string>,
): Promise<Buffer> {
  const directory = mkdtempSync(join(tmpdir(), 'salt-triage-earlier-'));
  try {
    const program = join(directory, 'program');
    writeFileSync(program, '#!/bin/sh\necho 0.0.9\n');
    const made: Made = {
      version: '0.0.9',
      epoch: 1_700_000_000,
      manPage: '.Dt SALT-TRIAGE 8\n',
      completions: { bash: '', zsh: '', fish: '' },
      licenses: '',
      licenseNames: 'MIT',
    };
    return readFileSync(await make(made, program, directory));
  } finally {
    rmSync(directory, { recursive: true });
  }
}

export async function isThere(guest: Guest, path: string): Promise<boolean> {
  // A link that leads nowhere is there, too.
  return (await guest.run(['sh', '-c', 'test -e "$1" || test -L "$1"', 'sh', path])).code === 0;
}

/** As it comes: there, and nothing runs. */
export async function asDisabled(guest: Guest): Promise<void> {
  assert.equal((await guest.run(['systemctl', 'is-enabled', TIMER])).stdout.trim(), 'disabled');
  assert.equal(await property(guest, 'ActiveState', TIMER), 'inactive');
  assert.equal((await guest.must(PROGRAM, '--version')).trim(), '0.0.9');
  const mode = await guest.must('stat', '--format=%a %U', SETTINGS, PROGRAM);
  assert.equal(mode, '644 root\n755 root\n');
}

/** What an administrator does with it: a setting, a fix that was recorded, the timer. */
export async function administered(guest: Guest): Promise<void> {
  await guest.must('sh', '-c', `echo 'since: 12h' >>${SETTINGS} && mkdir -m 700 ${LOGS}`);
  // A minute is too long to wait for.
  const soon = '[Timer]\nOnBootSec=\nOnUnitInactiveSec=3\nOnActiveSec=1\n';
  await guest.write(`/etc/systemd/system/${TIMER}.d/soon.conf`, soon);
  await guest.must('systemctl', 'daemon-reload');
  await guest.must('systemctl', 'enable', '--quiet', '--now', TIMER);
}

export async function keepsWhatIsTheirs(guest: Guest): Promise<void> {
  const settings = JSON.parse(await guest.must(PROGRAM, 'settings', '--json'));
  const since = settings.settings.find(({ key }: { key: string }) => key === 'since');
  assert.deepEqual([since.value, since.source], ['12h', SETTINGS]);
  assert.ok(await isThere(guest, LOGS));
  assert.equal((await guest.run(['systemctl', 'is-enabled', TIMER])).stdout.trim(), 'enabled');
  assert.equal(await property(guest, 'ActiveState', TIMER), 'active');
}

/** Waits for a run that the timer has begun, and reads what it found. */
export async function timerRuns(guest: Guest): Promise<void> {
  const units = await guest.run(['systemd-analyze', 'verify', CHECK, TIMER]);
  assert.doesNotMatch(units.stderr, /salt-api-/);
  const line = await until('a line of the check', async () => {
    const log = await guest.must('journalctl', '-u', CHECK, '-o', 'cat', '--no-pager');
    return log.split('\n').findLast((text) => text.startsWith('SALT-API ')) ?? null;
  });
  assert.match(line, /^SALT-API OK - healthy: salt-api \d+ holds port 443 and answers \|/);
  await until('a run that ends well', async () => {
    const state = await property(guest, 'ActiveState', CHECK);
    return (state === 'inactive' && (await property(guest, 'Result', CHECK)) === 'success') || null;
  });
  // By the timer, and by nobody else.
  assert.notEqual(await property(guest, 'LastTriggerUSec', TIMER), 'n/a');
}
