/** Reads what the collector printed of the service. Pure. */

import type { SystemdUnitFacts } from '../../evidence/evidence.ts';
import { blind, type Look, type ServiceFacts, seen } from '../../evidence/evidence.ts';
import { utf8OfLatin1 } from '../../evidence/proc-text.ts';
import { type InstancePlaces, type RawPidFile, readPidFiles } from '../../evidence/resolve.ts';
import {
  failedShow,
  parseSystemctlShow,
  readUnitSections,
  type UnitSections,
  unitsUnseen,
} from '../../evidence/systemd-unit.ts';
import { stripControl } from '../../untrusted.ts';
import { type Frames, type Part, timedOut } from './frames.ts';

/**
 * Who looks after salt-api there.
 * @param about the unit that was asked for, and the uid of whoever looked
 */
export async function serviceFacts(
  { service, unit }: Pick<Frames, 'service' | 'unit'>,
  { pidFiles, members }: Pick<InstancePlaces, 'pidFiles' | 'members'>,
  about: { readonly unit: string; readonly uid: number },
): Promise<Look<ServiceFacts>> {
  const { lines, late } = service;
  if (late) return timedOut('the service');
  const listed = new Map(collectedPidFiles(lines).map((file) => [file.path, file]));
  const found = pidFiles.flatMap((path) => listed.get(path) ?? []);
  return seen({
    pidFiles: readPidFiles(found, about.uid),
    ...(lines.includes('systemd')
      ? await unitSections(unit, about.unit, members)
      : unitsUnseen(false, seen(null))),
    initScript: lines.includes('initscript'),
    openRc: lines.includes('openrc'),
    installed: lines.includes('installed'),
  });
}

function collectedPidFiles(lines: readonly string[]): RawPidFile[] {
  return lines.flatMap((line, index) => {
    const shape = /^pidfile (\d{1,12}) (\d{1,20}) (\d{1,10}) (.*)$/s;
    const [, modified, file = '', uid, path = ''] = shape.exec(line) ?? [];
    if (modified === undefined) return [];
    const text = /^content (.*)$/s.exec(lines[index + 1] ?? '')?.[1] ?? '';
    const modifiedAt = Number(modified) * 1000;
    return [{ path: utf8OfLatin1(path), file, uid: Number(uid), modifiedAt, text }];
  });
}

async function unitSections(
  { lines, late }: Part,
  unit: string,
  members: InstancePlaces['members'],
): Promise<UnitSections> {
  if (late) {
    const why = `systemctl show ${unit} did not answer in time`;
    return unitsUnseen(true, blind('timeout', why));
  }
  const shown = shownUnits(lines, unit);
  return readUnitSections(unit, members, async (name) => {
    const look = shown.get(name);
    if (look !== undefined) return look;
    return name === unit ? blind('malformed', `systemctl show ${unit}: no answer`) : seen(null);
  });
}

/** The units that were shown, each from its line of the frame to its `exit`. */
function shownUnits(lines: readonly string[], asked: string) {
  const shown = new Map<string, Look<SystemdUnitFacts | null>>();
  let unit = asked;
  let text: string[] = [];
  for (const line of lines) {
    const [, name] = /^unit (\S{1,255})$/.exec(line) ?? [];
    const status = /^exit (\d{1,3})$/.exec(line)?.[1];
    if (name !== undefined) {
      unit = stripControl(name);
      text = [];
    } else if (status !== undefined) {
      if (!shown.has(unit)) shown.set(unit, shownUnit(unit, text, status));
    } else text.push(line);
  }
  return shown;
}

function shownUnit(
  unit: string,
  lines: readonly string[],
  status: string,
): Look<SystemdUnitFacts | null> {
  if (status !== '0') return failedShow(unit, utf8OfLatin1(lines.at(-1) ?? ''));
  return parseSystemctlShow(unit, utf8OfLatin1(lines.join('\n')));
}
