/** Why a unit's journal tells nothing: none is kept, it may not be read, or it is empty. */
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
 * What journalctl complains of; null where it doesn't. Its hint about rights is left out under
 * `--quiet`, and it exits 0 with it (journalctl(1); systemd src/shared/logs-show.c,
 * src/journal/journalctl.c: `No journal files were opened due to insufficient permissions.`).
 *
 * @param complaints standard error of `journalctl` without `--quiet`
 */
export function journalComplaint(complaints: string, unit: string): Look<never> | null {
  if (/insufficient permissions|not seeing messages from/i.test(complaints)) {
    return blindJournal('denied', unit);
  }
  if (/No journal files were (?:found|opened)/.test(complaints)) {
    return blindJournal(/permission/i.test(complaints) ? 'denied' : 'none', unit);
  }
  const failed = /^failed: \d+$/m.test(complaints);
  if (!failed) return null;
  const words = complaints.replace(/^failed: \d+$/m, '').trim();
  return blind('unsupported', stripControl(`journalctl failed: ${words.slice(0, 300)}`));
}

/** The file is not there. @param path as it is shown */
export function noLogFile(path: string): Look<never> {
  return blind('missing', `${path} does not exist`);
}

/** Neither a file nor a journal: both are named, and rights that are wanting are not hidden. */
export function noLog(path: string, journal: Look<never>): Look<never> {
  if (journal.seen) return journal;
  return blind(journal.cause, `${path} does not exist, and ${journal.why}`);
}
