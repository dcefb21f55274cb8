import type { Evidence } from '../evidence/evidence.ts';
import { isDrillDirectory } from '../evidence/salt-api-argv.ts';
import type { ProcessRoles, SaltApiProcess } from './process-roles.ts';

/** LoadState of a unit that systemd has no file of (systemctl(1)). */
const NO_UNIT = 'not-found';

/**
 * True where nothing of Salt is on the host: no config, package, process of it, pid file, unit,
 * init script or log. What could not be looked at may be there, so it counts as something; but for the
 * log, since a journal is closed to most users, whatever is in it.
 */
export function isWithoutSalt(evidence: Evidence, roles: ProcessRoles): boolean {
  const { config, processes, service, apiLog } = evidence;
  if (config.seen || config.cause !== 'missing') return false;
  if (apiLog.seen || !['missing', 'permission'].includes(apiLog.cause)) return false;
  if (!processes.seen || processes.value.hidden || processes.value.deniedArgv > 0) return false;
  if (!roles.all.every(isOfElsewhere) || !service.seen) return false;
  const { pidFiles, systemd, otherUnits, initScript, installed } = service.value;
  if (pidFiles.length > 0 || initScript || installed !== false || !systemd.seen) return false;
  return [systemd.value, ...otherUnits].every((unit) => (unit?.loadState ?? NO_UNIT) === NO_UNIT);
}

/** A container's salt-api, or a drill's: none that is installed on the host. */
function isOfElsewhere({ role, facts, argv }: SaltApiProcess): boolean {
  if (role !== 'elsewhere') return false;
  const { pidNamespace, networkNamespace, rootDirectory } = facts;
  if ([pidNamespace, networkNamespace, rootDirectory].includes('other')) return true;
  return argv.configDirectory !== null && isDrillDirectory(argv.configDirectory);
}
