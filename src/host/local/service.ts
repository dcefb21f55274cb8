import { realpath, stat } from 'node:fs/promises';
import { isAbsolute } from 'node:path';
import {
  blind,
  type Look,
  type PidFileFacts,
  type ServiceFacts,
  type SystemdUnitFacts,
  seen,
} from '../../evidence/evidence.ts';
import { mayNameFiles } from '../../evidence/resolve.ts';
import {
  chooseUnit,
  dropInPaths,
  parseSystemctlShow,
  readRelatedUnits,
  type ServiceMember,
  tellingSettings,
  UNIT_PROPERTIES,
  unitsBeside,
} from '../../evidence/systemd-unit.ts';
import { stripControl } from '../../untrusted.ts';
import { isOnPath } from './on-path.ts';
import { readHead } from './plain-file.ts';

/** Where Salt's packages and pip put it, besides PATH (salt-facts §10). */
const SALT_PLACES = ['/usr/bin/salt-api', '/usr/local/bin/salt-api', '/opt/saltstack'];

/** What is known of the service before it is looked at; the rest is where things normally are. */
export interface ServiceRequest {
  /** In the order of precedence, absolute. */
  readonly pidFiles: readonly string[];
  readonly unit: string;
  /** This instance's salt-api processes that are in a service; asked for where systemd runs. */
  readonly members: () => Promise<readonly ServiceMember[]>;
  /** Bound on systemctl, in ms. */
  readonly timeoutMs: number;
  /** A directory where systemd is the init (sd_booted(3)). */
  readonly systemdRuntimeDirectory?: string;
  readonly initScript?: string;
}

/**
 * Who looks after salt-api here: pid files in the order of precedence (salt-facts §2), the systemd
 * unit, an init script, OpenRC. `systemctl` is found on PATH; one that hangs, fails or is missing
 * makes `systemd` blind and nothing else.
 */
export async function readService(request: ServiceRequest): Promise<Look<ServiceFacts>> {
  const initScript = request.initScript ?? `/etc/init.d/${request.unit.replace(/\.service$/, '')}`;
  const [pidFiles, units, hasScript, openRc, ...installed] = await Promise.all([
    readPidFiles(request.pidFiles),
    readUnits(request),
    exists(initScript),
    isOnPath('rc-service'),
    isOnPath('salt-api'),
    ...SALT_PLACES.map(exists),
  ]);
  return seen({
    pidFiles,
    ...units,
    initScript: hasScript,
    openRc,
    installed: installed.includes(true),
  });
}

type UnitSections = Pick<ServiceFacts, 'systemd' | 'systemdRuns' | 'otherUnits' | 'relatedUnits'>;

async function readUnits(request: ServiceRequest): Promise<UnitSections> {
  const none = { systemdRuns: true, otherUnits: [], relatedUnits: [] };
  if (!(await isDirectory(request.systemdRuntimeDirectory ?? '/run/systemd/system'))) {
    return { ...none, systemdRuns: false, systemd: seen(null) };
  }
  const { unit, timeoutMs } = request;
  const asked = await readUnit(unit, timeoutMs);
  if (!asked.seen) return { ...none, systemd: asked };
  const members = await request.members();
  const beside = await readAll(unitsBeside(unit, members), timeoutMs);
  const chosen = chooseUnit(asked.value, beside, members);
  const otherUnits = [...(asked.value === null ? [] : [asked.value]), ...beside].filter(
    (facts) => facts !== chosen,
  );
  return {
    systemd: seen(chosen),
    systemdRuns: true,
    otherUnits,
    relatedUnits:
      chosen === null ? [] : await readRelatedUnits(chosen, (units) => readAll(units, timeoutMs)),
  };
}

/** Those that exist and could be asked for. */
async function readAll(units: readonly string[], timeoutMs: number): Promise<SystemdUnitFacts[]> {
  const looks = await Promise.all(units.map((unit) => readUnit(unit, timeoutMs)));
  return looks.flatMap((look) => (look.seen && look.value !== null ? [look.value] : []));
}

async function readUnit(unit: string, timeoutMs: number): Promise<Look<SystemdUnitFacts | null>> {
  if (unit === '' || unit.startsWith('-')) {
    return blind('malformed', stripControl(`${JSON.stringify(unit)} is no unit name`));
  }
  const { execa } = await import('execa');
  const run = execa('systemctl', ['show', unit, '-p', UNIT_PROPERTIES.join(',')], {
    env: { LC_ALL: 'C' },
    stdin: 'ignore',
    reject: false,
    maxBuffer: 65_536,
    timeout: timeoutMs,
    killSignal: 'SIGKILL',
  });
  // A child of systemctl that keeps its stdout open outlives the kill, and execa waits for it.
  const late = new AbortController();
  const result = await Promise.race([run, patience(timeoutMs + 200, late.signal)]);
  late.abort();
  if (result === null || result.timedOut) {
    run.stdout.destroy();
    run.stderr.destroy();
    return blind('timeout', `systemctl show ${unit} did not answer within ${timeoutMs} ms`);
  }
  if (result.failed) {
    const said = result.stderr.trim().split('\n').at(-1) || (result.shortMessage ?? 'it failed');
    const cause = /denied|not permitted/i.test(said) ? 'permission' : 'unsupported';
    return blind(cause, stripControl(`systemctl show ${unit}: ${said}`));
  }
  const dropIns = await Promise.all(dropInPaths(result.stdout).map(describeDropIn));
  return parseSystemctlShow(unit, [result.stdout, ...dropIns].join('\n'));
}

/** The line that `parseSystemctlShow` knows; empty for a file that tells nothing. */
async function describeDropIn(path: string): Promise<string> {
  try {
    const sets = tellingSettings((await readHead(path, 65_536)).toString('utf8'));
    return sets.length === 0 ? '' : `drop-in ${sets.join(',')} ${path}`;
  } catch {
    return '';
  }
}

function patience(milliseconds: number, signal: AbortSignal): Promise<null> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, milliseconds, null);
    signal.addEventListener('abort', () => clearTimeout(timer));
  });
}

/**
 * Those that exist, each file once however many names lead to it (/var/run is often /run); one that
 * belongs to somebody else is his word against ours.
 */
async function readPidFiles(paths: readonly string[]): Promise<PidFileFacts[]> {
  const found = new Map<string, PidFileFacts>();
  for (const path of paths) {
    if (!isAbsolute(path)) continue;
    try {
      const real = await realpath(path);
      const status = await stat(real);
      if (found.has(real) || !status.isFile()) continue;
      if (!mayNameFiles(status.uid, process.geteuid?.() ?? -1)) continue;
      found.set(real, { path, pid: await readPid(real), modifiedAt: status.mtimeMs });
    } catch {
      // Missing, or in a directory that is closed to us: no fact either way.
    }
  }
  return [...found.values()];
}

/** Salt writes the decimal pid and no newline (salt-facts §2). */
async function readPid(path: string): Promise<number | null> {
  try {
    const text = (await readHead(path, 64)).toString('latin1');
    const pid = /^\s*([1-9]\d{0,9})\s*$/.exec(text)?.[1];
    return pid === undefined ? null : Number(pid);
  } catch {
    return null;
  }
}

async function exists(path: string): Promise<boolean> {
  return (await status(path)) !== null;
}

async function isDirectory(path: string): Promise<boolean> {
  return (await status(path))?.isDirectory() ?? false;
}

async function status(path: string): Promise<Awaited<ReturnType<typeof stat>> | null> {
  try {
    return await stat(path);
  } catch {
    return null;
  }
}
