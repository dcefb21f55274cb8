/** `.github/RELEASE_NOTES.md`, from which every changelog is made. */
import { readFileSync } from 'node:fs';

export interface Release {
  readonly version: string;
  /** The day it was released, UTC. */
  readonly date: Date;
  /** What is new, each a paragraph on one line, without Markdown's backquotes. */
  readonly changes: readonly string[];
}

/** All releases, newest first. */
export function releases(
  text = readFileSync(new URL('../../.github/RELEASE_NOTES.md', import.meta.url), 'utf8'),
): readonly [Release, ...Release[]] {
  const [first, ...rest] = text.split(/^## /m).slice(1).map(readRelease);
  if (first === undefined) throw new Error('the release notes name no release');
  return [first, ...rest];
}

function readRelease(text: string): Release {
  const [heading = '', ...lines] = text.split('\n');
  const [, version, day] = /^(\d+\.\d+\.\d+) \((\d{4}-\d\d-\d\d)\)$/.exec(heading) ?? [];
  if (version === undefined) throw new Error(`no version and day: ${heading}`);
  const changes = lines
    .join('\n')
    .split(/^- /m)
    .slice(1)
    .map((change) => change.replace(/\s+/g, ' ').replaceAll('`', '').trim());
  return { version, date: new Date(`${day}T00:00:00Z`), changes };
}

/** As dpkg has it (deb-changelog(5)). */
export function debianChangelog(all: readonly Release[], maintainer: string): string {
  const entries = all.map(({ version, date, changes }) => {
    // RFC 5322, without the name of the zone.
    const day = date.toUTCString().replace('GMT', '+0000');
    const list = changes.map((change) => `  * ${wrapped(change, 76, '    ')}\n`).join('');
    return `salt-triage (${version}) unstable; urgency=medium\n\n${list}\n -- ${maintainer}  ${day}\n`;
  });
  return entries.join('\n');
}

/** As rpm has it (the `%changelog` of a spec file). */
export function rpmChangelog(all: readonly Release[], maintainer: string): string {
  const entries = all.map(({ version, date, changes }) => {
    const [weekday = '', day = '', month = '', year = ''] = date.toUTCString().split(/[, ]+/);
    const list = changes.map((change) => `- ${wrapped(change, 76, '  ')}\n`).join('');
    const head = `* ${weekday} ${month} ${day} ${year} ${maintainer} - ${version}-1\n`;
    // To rpm a percent sign begins a macro.
    return head + list.replaceAll('%', '%%');
  });
  return entries.join('\n');
}

function wrapped(text: string, columns: number, indent: string): string {
  const lines = [''];
  for (const word of text.split(' ')) {
    const line = lines.at(-1) ?? '';
    if (line !== '' && line.length + word.length + 1 > columns) lines.push(word);
    else lines[lines.length - 1] = line === '' ? word : `${line} ${word}`;
  }
  return lines.join(`\n${indent}`);
}
