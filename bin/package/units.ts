import { readFileSync } from 'node:fs';

const EXAMPLE = new URL('../../src/report/check-examples/systemd.txt', import.meta.url);

/** Where a file of the example is to be put: `# ==> /etc/systemd/system/NAME`. */
const PART = /^# ==> \/etc\/systemd\/system\/(\S+)$/m;
/** What is said to whoever has the example before him, and what holds of a package. */
const IN_A_PACKAGE = [
  ['/usr/local/bin/salt-triage', '/usr/bin/salt-triage'],
  ['# Put here', '# With `systemctl edit --full salt-api-alert@.service` put here'],
] as const;

/**
 * The units of the check, by their names: those that `check --example systemd` prints, for the
 * executable of a package.
 */
export function checkUnits(): ReadonlyMap<string, string> {
  const [, ...parts] = readFileSync(EXAMPLE, 'utf8').split(PART);
  const units = new Map<string, string>();
  for (let at = 0; at < parts.length; at += 2) {
    let text = `${(parts[at + 1] ?? '').trim()}\n`;
    for (const [before, after] of IN_A_PACKAGE) text = text.replaceAll(before, after);
    units.set(parts[at] ?? '', text);
  }
  if (units.size === 0) throw new Error('the example has no units');
  return units;
}
