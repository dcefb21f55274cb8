/** Why a log tells nothing: a file that can't be read, and a unit's journal that is silent. */
import { stripControl } from '../untrusted.ts';
import { blind, type Look } from './evidence.ts';

/** `absent`: no journalctl. `none`: no journal. `empty`: nothing of the unit in the window. */
type JournalSilence = 'absent' | 'none' | 'denied' | 'empty';

/** A journal that could not be read, or says nothing: silence says nothing about the unit. */
export function blindJournal(silence: JournalSilence, unit: string): Look<never> {
  const what = `the journal of ${stripControl(unit)}`;
  switch (silence) {
    case 'absent':
      return blind('missing', 'journalctl is not on this host');
    case 'none':
      return blind('missing', 'this host keeps no journal');
    case 'denied':
      return blind('permission', `${what} may not be read by this user; run as root`);
    case 'empty':
      return blind('missing', `${what} has no entry in that time`);
  }
}

/**
 * Why a journal that was asked tells nothing; null where it does. Its hint about rights is left out under
 * `--quiet`, and it exits 0 with it (journalctl(1); systemd src/shared/logs-show.c,
 * src/journal/journalctl.c: `No journal files were opened due to insufficient permissions.`).
 *
 * @param complaints standard error of `journalctl` without `--quiet`, and `failed: STATUS` for another than 0
 * @param entries whether there was any
 */
export function silentJournal(
  complaints: string,
  entries: boolean,
  unit: string,
): Look<never> | null {
  if (/insufficient permissions|not seeing messages from/i.test(complaints)) {
    return blindJournal('denied', unit);
  }
  if (/No journal files were (?:found|opened)/.test(complaints)) {
    return blindJournal(/permission/i.test(complaints) ? 'denied' : 'none', unit);
  }
  const words = complaints.replace(/^failed: \d+$/m, '').trim();
  if (words === complaints.trim()) return entries ? null : blindJournal('empty', unit);
  return blind('unsupported', stripControl(`journalctl failed: ${words.slice(0, 300)}`));
}

/** A log file that can't be read. @param path as it is shown */
export const unreadFile = {
  missing: (path: string) => blind('missing', `${path} does not exist`),
  denied: (path: string) =>
    blind('permission', `${path} may not be read by this user; run as root`),
  /** @param type with its article: `a FIFO` */
  ofType: (path: string, type: string) => blind('unsupported', `${path} is ${type}, not a file`),
  address: (path: string) =>
    blind('unsupported', `the API log goes to ${path}, which is not a file`),
} satisfies Record<string, (path: string, type: string) => Look<never>>;

/** The journal in place of a file that is missing; where it is blind, both are named. */
export function inPlaceOfFile<T>(path: string, journal: Look<T>): Look<T> {
  if (journal.seen) return journal;
  return blind(journal.cause, `${path} does not exist, and ${journal.why}`);
}
