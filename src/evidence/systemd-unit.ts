import { stripControl } from '../untrusted.ts';
import { blind, type Look, type SystemdUnitFacts, seen } from './evidence.ts';

/** What `systemctl show` is asked for. */
export const UNIT_PROPERTIES = [
  'LoadState',
  'ActiveState',
  'SubState',
  'MainPID',
  'ControlGroup',
  'KillMode',
  'NRestarts',
  'PartOf',
  'ConsistsOf',
  'BoundBy',
  'RequiredBy',
  'Result',
] as const;

/**
 * Reads `KEY=VALUE` lines of `systemctl show` (systemctl(1)), in any order. Properties that an old
 * systemd does not know are missing there (`NRestarts` came with 235) and read as 0 or empty.
 * Null for a unit that does not exist, malformed where there is no `LoadState`.
 */
export function parseSystemctlShow(unit: string, text: string): Look<SystemdUnitFacts | null> {
  const properties = new Map<string, string>();
  for (const line of text.split('\n')) {
    const equals = line.indexOf('=');
    if (equals > 0) {
      properties.set(line.slice(0, equals), stripControl(line.slice(equals + 1)).trim());
    }
  }
  const word = (name: (typeof UNIT_PROPERTIES)[number]): string => properties.get(name) ?? '';
  const words = (name: (typeof UNIT_PROPERTIES)[number]): string[] =>
    word(name)
      .split(/\s+/)
      .filter((unitName) => unitName !== '');
  const loadState = word('LoadState');
  if (loadState === '') return blind('malformed', `systemctl show ${unit} named no LoadState`);
  if (loadState === 'not-found') return seen(null);
  return seen({
    unit,
    loadState,
    activeState: word('ActiveState'),
    subState: word('SubState'),
    mainPid: count(word('MainPID')),
    controlGroup: word('ControlGroup'),
    killMode: word('KillMode'),
    restarts: count(word('NRestarts')),
    partOf: words('PartOf'),
    stopsAlso: [...new Set([...words('ConsistsOf'), ...words('BoundBy'), ...words('RequiredBy')])],
    result: word('Result'),
  });
}

function count(text: string): number {
  return /^\d{1,10}$/.test(text) ? Number(text) : 0;
}
