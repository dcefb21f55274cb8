/** What `npm run package` has made: in dist/, or where TRIAGE_DIST says. */
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import manifest from '../../package.json' with { type: 'json' };

export const DIST =
  process.env['TRIAGE_DIST'] ?? fileURLToPath(new URL('../../dist', import.meta.url));
export const { version: VERSION } = manifest;

/** For a test's `skip`; in CI nothing is skipped, so what is missing fails there. */
export function skipWithoutDist(): string | false {
  if (process.env['CI'] || existsSync(join(DIST, 'SHA256SUMS'))) return false;
  return 'needs what `npm run package` makes';
}

/** The executable for this machine. */
export const executable = () => made(new RegExp(`-linux-${process.arch}$`));

/** The one file of dist/ whose name matches. */
export function made(name: RegExp): string {
  const found = readdirSync(DIST).filter((entry) => name.test(entry));
  if (found.length !== 1) throw new Error(`${DIST} has ${found.length} files like ${name}`);
  return join(DIST, found[0] ?? '');
}
