/** Guests with systemd and salt-api as a unit of it. */
import type { TestContext } from 'node:test';
import { bootGuest, type Guest, type GuestOptions } from './guest.ts';
import { serving } from './salt-api.ts';

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
