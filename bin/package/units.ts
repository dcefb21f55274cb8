import { readFileSync } from 'node:fs';

const EXAMPLE = new URL('../../src/report/check-examples/systemd.txt', import.meta.url);

/** Where a file of the example is to be put: `# ==> /etc/systemd/system/NAME`. */
const PART = /^# ==> \/etc\/systemd\/system\/(\S+)$/m;
const BY_HAND = '/usr/local/bin/salt-triage';

/**
 * The units of the check, by their names: those that `check --example systemd` prints, for the
 * executable of a package.
 */
export function checkUnits(): ReadonlyMap<string, string> {
  const [, ...parts] = readFileSync(EXAMPLE, 'utf8').split(PART);
  const units = new Map<string, string>();
  for (let at = 0; at < parts.length; at += 2) {
    const text = (parts[at + 1] ?? '').trim();
    units.set(parts[at] ?? '', `${text.replaceAll(BY_HAND, '/usr/bin/salt-triage')}\n`);
  }
  if (units.size === 0) throw new Error('the example has no units');
  return units;
}
