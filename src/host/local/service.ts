import { realpath, stat } from 'node:fs/promises';
import { isAbsolute } from 'node:path';
import {
  blind,
  type Look,
  type ServiceFacts,
  type SystemdUnitFacts,
  seen,
} from '../../evidence/evidence.ts';
import { type RawPidFile, readPidFiles } from '../../evidence/resolve.ts';
import {
  dropInPaths,
  failedShow,
  parseSystemctlShow,
  readUnitSections,
  type ServiceMember,
  tellingSettings,
  UNIT_PROPERTIES,
  type UnitSections,
  unitsUnseen,
} from '../../evidence/systemd-unit.ts';
import { stripControl } from '../../untrusted.ts';
import { isOnPath } from './on-path.ts';
import { tryReadHead } from './plain-file.ts';

/** Where Salt's packages and pip put it, besides PATH (salt-facts §10). */
const SALT_PLACES = ['/usr/bin/salt-api', '/usr/local/bin/salt-api', '/opt/saltstack'];

/** What is known of the service before it is looked at; the rest is where things normally are. */
export interface ServiceRequest {
  /** In the order of precedence, absolute. */
  readonly pidFiles: readonly string[];
  readonly unit: string;
  /** This instance's salt-api processes that are in a service. */
  readonly members: readonly ServiceMember[];
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
    Promise.all(request.pidFiles.map(readPidFile)),
    readUnits(request),
    exists(initScript),
    isOnPath('rc-service'),
    isOnPath('salt-api'),
    ...SALT_PLACES.map(exists),
  ]);
  return seen({
    pidFiles: readPidFiles(pidFiles.flat(), process.geteuid?.() ?? -1),
    ...units,
    initScript: hasScript,
    openRc,
    installed: installed.includes(true),
  });
}

async function readUnits(request: ServiceRequest): Promise<UnitSections> {
  const { unit, members, timeoutMs } = request;
  if (!(await isDirectory(request.systemdRuntimeDirectory ?? '/run/systemd/system'))) {
    return unitsUnseen(false, seen(null));
  }
  return readUnitSections(unit, members, (name) => readUnit(name, timeoutMs));
}

async function readUnit(unit: string, timeoutMs: number): Promise<Look<SystemdUnitFacts | null>> {
  if (unit === '' || unit.startsWith('-')) {
    return blind('malformed', stripControl(`${JSON.stringify(unit)} is not a unit name`));
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
    return failedShow(unit, result.stderr.trim().split('\n').at(-1) || (result.shortMessage ?? ''));
  }
  const dropIns = await Promise.all(dropInPaths(result.stdout).map(describeDropIn));
  return parseSystemctlShow(unit, [result.stdout, ...dropIns].join('\n'));
}

/** The line that `parseSystemctlShow` knows; empty for a file that tells nothing. */
async function describeDropIn(path: string): Promise<string> {
  const sets = tellingSettings((await tryReadHead(path, 65_536)) ?? '');
  return sets.length === 0 ? '' : `drop-in ${sets.join(',')} ${path}`;
}

function patience(milliseconds: number, signal: AbortSignal): Promise<null> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, milliseconds, null);
    signal.addEventListener('abort', () => clearTimeout(timer));
  });
}

/** None where it is missing, or in a directory that is closed to us: no fact either way. */
async function readPidFile(path: string): Promise<RawPidFile[]> {
  if (!isAbsolute(path)) return [];
  try {
    const file = await realpath(path);
    const found = await stat(file);
    if (!found.isFile()) return [];
    const text = (await tryReadHead(file, 64)) ?? '';
    return [{ path, file, uid: found.uid, modifiedAt: found.mtimeMs, text }];
  } catch {
    return [];
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
