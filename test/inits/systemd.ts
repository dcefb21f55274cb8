/** Guests with systemd and salt-api as a unit of it. */
import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';
import { bootGuest, type Guest, type GuestOptions, until } from './guest.ts';
import { type Diagnosis, serving } from './salt-api.ts';

/** A guest that ends with the test, with salt-api as one unit or another. */
export async function boot(
  t: TestContext,
  furnish: (guest: Guest) => Promise<void>,
  cgroups: GuestOptions['cgroups'] = 'hybrid',
): Promise<Guest> {
  const guest = await bootGuest({ init: 'systemd', cgroups }, furnish);
  t.after(() => guest.end());
  return guest;
}

/** The same once it serves. */
export async function bootServing(
  t: TestContext,
  furnish: (guest: Guest) => Promise<void>,
  cgroups: GuestOptions['cgroups'] = 'hybrid',
): Promise<Guest> {
  const guest = await boot(t, furnish, cgroups);
  await serving(guest);
  return guest;
}

/** A property of a unit, as systemd has it. */
export async function property(guest: Guest, name: string, unitName = 'salt-api'): Promise<string> {
  return (await guest.must('systemctl', 'show', unitName, '-P', name)).trim();
}

/** Has journald keep a journal of a user's own, which is all that he may read. */
export async function ownJournal(guest: Guest, uid: number): Promise<void> {
  await guest.run(['logger', 'a line of his own'], { uid });
  await until('a journal of his own', async () =>
    (await guest.must('sh', '-c', 'ls /var/log/journal/*')).includes(`user-${uid}.journal`)
      ? true
      : null,
  );
}

/** Holds the step to what it must say of a journal that may not be read. */
export function noRights(log: Diagnosis['steps'][number]): void {
  assert.equal(log.status, 'unknown');
  assert.match(log.summary, /journal/);
  assert.match(log.summary, /permi|right|not allowed|may not/i);
}
