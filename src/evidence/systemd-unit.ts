import { stripControl } from '../untrusted.ts';
import {
  blind,
  type Look,
  type RelatedUnit,
  type ServiceFacts,
  type SystemdUnitFacts,
  seen,
} from './evidence.ts';
import { isPackagedEntryPoint } from './process-facts.ts';
import { readSaltApiArgv } from './salt-api-argv.ts';

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
  'ExecMainStatus',
  'StatusText',
  'TriggeredBy',
  'DropInPaths',
  'ExecStart',
  'Listen',
] as const;

/** What salt-api's unit is called unless somebody says otherwise. */
const DEFAULT_UNIT = 'salt-api.service';

/** Settings of a drop-in that change how a stop or a start goes (systemd.service(5), systemd.kill(5)). */
export const TELLING_SETTINGS = [
  'KillMode',
  'KillSignal',
  'SendSIGKILL',
  'TimeoutStopSec',
  'Type',
  'PIDFile',
  'ExecStart',
  'ExecStop',
  'Restart',
  'RemainAfterExit',
  'User',
] as const;

/**
 * Reads `KEY=VALUE` lines of `systemctl show` (systemctl(1)), in any order. Properties that an old
 * systemd does not know are missing there (`NRestarts` came with 235) and read as 0 or empty.
 * A line `drop-in KEYS PATH` is of ours: the telling settings, split at commas, of one drop-in.
 * Null for a unit that does not exist, malformed where there is no `LoadState`.
 */
export function parseSystemctlShow(unit: string, text: string): Look<SystemdUnitFacts | null> {
  const properties = new Map<string, string>();
  const dropIns: { path: string; sets: string[] }[] = [];
  for (const line of text.split('\n')) {
    const [, keys, path] = /^drop-in ([A-Za-z,]+) (.+)$/.exec(line) ?? [];
    if (keys !== undefined && path !== undefined) {
      dropIns.push({ path: stripControl(path), sets: keys.split(',') });
      continue;
    }
    const equals = line.indexOf('=');
    const key = line.slice(0, equals);
    // Of several ExecStart= the first is the program.
    if (equals > 0 && !properties.has(key)) {
      properties.set(key, stripControl(line.slice(equals + 1)).trim());
    }
  }
  const word = (name: (typeof UNIT_PROPERTIES)[number]): string => properties.get(name) ?? '';
  const words = (name: (typeof UNIT_PROPERTIES)[number]): string[] => listOf(word(name));
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
    exitStatus: count(word('ExecMainStatus')),
    statusText: word('StatusText').slice(0, 300),
    sockets: words('TriggeredBy').filter((name) => name.endsWith('.socket')),
    dropIns,
    startsSaltApi: startsSaltApi(word('ExecStart')),
    ports: listenPorts(text),
  });
}

/** A `systemctl show` that failed. @param said the last line of its words */
export function failedShow(unit: string, said: string): Look<never> {
  const words = stripControl(said) || 'it failed';
  const cause = /denied|not permitted/i.test(words) ? 'permission' : 'unsupported';
  return blind(cause, stripControl(`systemctl show ${unit}: ${words}`));
}

/** The unit of salt-api; null where there is none, or it was not seen. */
export function unitOf(service: Look<ServiceFacts>): SystemdUnitFacts | null {
  return service.seen && service.value.systemd.seen ? service.value.systemd.value : null;
}

/** The files that `systemctl show` says a unit's settings come from beside its own. */
export function dropInPaths(text: string): string[] {
  return listOf(/^DropInPaths=(.*)$/m.exec(text)?.[1] ?? '');
}

/** Which telling settings a drop-in makes; names alone, since a value may be a secret. */
export function tellingSettings(text: string): string[] {
  return TELLING_SETTINGS.filter((name) => new RegExp(`^[ \t]*${name}[ \t]*=`, 'm').test(text));
}

function listOf(text: string): string[] {
  return text.split(/\s+/).filter((word) => word !== '');
}

/** `ExecStart={ path=… ; argv[]=/usr/bin/salt-api -d ; ignore_errors=no ; … }` (systemctl(1)). */
function startsSaltApi(execStart: string): boolean {
  const argv = /\bargv\[\]=(.*?)(?: ; |$)/.exec(execStart)?.[1] ?? '';
  return isPackagedEntryPoint(readSaltApiArgv(listOf(argv))?.entryPoint ?? '');
}

/** `Listen=[::]:443 (Stream)`; `ListenStream=[::]:443` before systemd 220. */
function listenPorts(text: string): number[] {
  const found = text.matchAll(/^Listen(?:=.*:(\d{1,5}) \(Stream\)|Stream=.*:(\d{1,5}))\s*$/gm);
  const ports = [...found].map(([, now, before]) => Number(now ?? before));
  return [...new Set(ports)].filter((port) => port > 0 && port < 65_536);
}

function count(text: string): number {
  return /^\d{1,10}$/.test(text) ? Number(text) : 0;
}

/** `salt-api` and `salt-api.service` are one unit (systemctl(1): `.service` is the default end). */
export function sameUnit(one: string, other: string): boolean {
  return fullUnitName(one) === fullUnitName(other);
}

function fullUnitName(unit: string): string {
  return /\.(service|socket|target|timer|path|mount|scope|slice)$/.test(unit)
    ? unit
    : `${unit}.service`;
}

/** A service unit that a process is in. */
export interface UnitMembership {
  readonly unit: string;
  /** Uid whose own systemd it is a unit of (`systemctl --user`); null for the system's. */
  readonly user: number | null;
}

/**
 * The service that a cgroup path belongs to: its last `.service` or `.scope`, below which a service
 * may have groups of its own (Delegate=). A unit below `user@UID.service` is one of that user's
 * own systemd (systemd's cgroup delegation document). systemd puts `_` before names that the kernel
 * would take for files of its own.
 * @returns null for a session, a container's scope and what no service has started
 */
export function serviceOfCgroup(path: string): UnitMembership | null {
  const parts = path.split('/');
  const at = parts.findLastIndex((part) => /\.(service|scope)$/.test(part));
  const unit = (parts[at] ?? '').replace(/^_/, '');
  if (!/^[\w@:.\\-]{1,247}\.service$/.test(unit)) return null;
  const users = parts.slice(0, at + 1).map((part) => /^user@(\d{1,10})\.service$/.exec(part)?.[1]);
  const user = users.findLast((uid) => uid !== undefined);
  return { unit, user: user === undefined ? null : Number(user) };
}

/** A salt-api process of the examined instance, and the service it is in. */
export interface ServiceMember {
  readonly pid: number;
  readonly service: UnitMembership;
}

/** The system's units, other than the asked one, that processes of this instance are in; at most 5. */
export function unitsBeside(asked: string, members: readonly ServiceMember[]): string[] {
  if (!sameUnit(asked, DEFAULT_UNIT)) return [];
  const units = members
    .filter(({ service }) => service.user === null && !sameUnit(service.unit, asked))
    .map(({ service }) => service.unit);
  return [...new Set(units)].slice(0, 5);
}

/**
 * Which unit is salt-api's. The asked one, unless that is only what the unit is usually called and
 * its main process is none of this instance: then the one whose main process is, or, where there
 * is no asked one, any, of those that start a packaged salt-api. To be in a unit's cgroup is not
 * enough: what a job of salt-minion or of cron has started is in theirs. Nor is the name of its main
 * process, which a service of anything may give itself.
 *
 * @param beside of the units of {@link unitsBeside}, those that exist
 */
export function chooseUnit(
  asked: SystemdUnitFacts | null,
  beside: readonly SystemdUnitFacts[],
  members: readonly ServiceMember[],
): SystemdUnitFacts | null {
  const pids = new Set(members.map(({ pid }) => pid));
  if (asked !== null && pids.has(asked.mainPid)) return asked;
  const own = beside.filter((facts) => facts.loadState === 'loaded' && facts.startsSaltApi);
  const byMain = own.filter(({ mainPid }) => pids.has(mainPid));
  const byProgram = asked === null ? own : [];
  const [only, ...more] = byMain.length > 0 ? byMain : byProgram;
  return only === undefined || more.length > 0 ? asked : only;
}

/** What the services of a host say of systemd. */
export type UnitSections = Pick<
  ServiceFacts,
  'systemd' | 'systemdRuns' | 'otherUnits' | 'relatedUnits'
>;

/** Of a host without systemd, or one where it says nothing. */
export function unitsUnseen(systemdRuns: boolean, systemd: UnitSections['systemd']): UnitSections {
  return { systemd, systemdRuns, otherUnits: [], relatedUnits: [] };
}

/** Units beside salt-api's own that are asked for. */
const MAX_RELATED = 20;

/**
 * The unit that was asked for, or that salt-api turns out to be in, and all that bears on its stop.
 * @param show what systemctl says of one unit; a `null` look is of one that does not exist
 */
export async function readUnitSections(
  unit: string,
  members: readonly ServiceMember[],
  show: (unit: string) => Promise<Look<SystemdUnitFacts | null>>,
): Promise<UnitSections> {
  const asked = await show(unit);
  if (!asked.seen) return unitsUnseen(true, asked);
  const showAll = async (units: readonly string[]) => {
    const looks = await Promise.all(units.map(show));
    return looks.flatMap((look) => (look.seen && look.value !== null ? [look.value] : []));
  };
  const beside = await showAll(unitsBeside(unit, members));
  const chosen = chooseUnit(asked.value, beside, members);
  const all = asked.value === null ? beside : [asked.value, ...beside];
  return {
    systemd: seen(chosen),
    systemdRuns: true,
    otherUnits: all.filter((facts) => facts !== chosen),
    relatedUnits: chosen === null ? [] : await readRelatedUnits(chosen, showAll),
  };
}

/**
 * How the units stand that start this one or go down with it. What a stop takes along may be
 * needed by others, which it takes along as well (systemd.unit(5), Requires=, PartOf=).
 *
 * @param ask for units by name; those that don't exist are left out of the answer
 */
export async function readRelatedUnits(
  chosen: SystemdUnitFacts,
  ask: (units: readonly string[]) => Promise<readonly SystemdUnitFacts[]>,
): Promise<RelatedUnit[]> {
  const known = new Set([fullUnitName(chosen.unit)]);
  const related: RelatedUnit[] = [];
  let next: readonly string[] = [...chosen.sockets, ...chosen.stopsAlso];
  while (next.length > 0 && related.length < MAX_RELATED) {
    for (const unit of next) known.add(unit);
    const found = await ask(next);
    related.push(...found.map(({ unit, activeState, ports }) => ({ unit, activeState, ports })));
    const further = found.flatMap(({ stopsAlso }) => stopsAlso);
    next = [...new Set(further)].filter((unit) => !known.has(unit)).slice(0, MAX_RELATED);
  }
  return related;
}

/**
 * What is wrong with a unit, or will be in the way of a stop or a start, in words; one line each.
 * The results are those of systemd.exec(5), "$SERVICE_RESULT"; a start limit mostly keeps the result
 * of the last run, and shows as `failed` after restarts of systemd's own (salt-facts §10).
 */
export function unitTroubles(facts: SystemdUnitFacts): string[] {
  const { unit, loadState, activeState, subState, restarts, result } = facts;
  const troubles: string[] = [];
  if (loadState === 'masked') troubles.push(`${unit} is masked: systemd refuses to start it`);
  else if (loadState !== 'loaded') troubles.push(`systemd can't load ${unit}: ${loadState}`);
  if (activeState === 'deactivating') {
    troubles.push(`systemd is stopping ${unit} at the moment (${subState})`);
  }
  if (subState === 'auto-restart') troubles.push(`systemd is about to start ${unit} again`);
  const limit = result === 'start-limit-hit' || result === 'start-limit';
  if (limit || (activeState === 'failed' && restarts > 0)) {
    troubles.push(`systemd has given up on ${unit}, started too often (start limit)`);
  }
  if (result !== '' && result !== 'success' && !limit) {
    const status = facts.exitStatus > 0 ? `, status ${facts.exitStatus}` : '';
    const words = facts.statusText === '' ? '' : `; it last said "${facts.statusText}"`;
    troubles.push(`${unit} ended with Result=${result}${status}${words}`);
  }
  return troubles;
}

/**
 * Why systemd says that a unit has failed, from `systemctl show` (Result, ExecMainStatus and
 * StatusText); at most one line, none where it gives no reason.
 */
export function unitFailure(text: string): string[] {
  const word = (name: string) => new RegExp(`^${name}=(.*)$`, 'm').exec(text)?.[1]?.trim() ?? '';
  const [result, status, words] = ['Result', 'ExecMainStatus', 'StatusText'].map(word);
  if (!result || result === 'success') return [];
  const exit = count(status ?? '') > 0 ? `, ExecMainStatus=${status}` : '';
  return [
    stripControl(`systemd: Result=${result}${exit}${words ? `; it last said "${words}"` : ''}`),
  ];
}
