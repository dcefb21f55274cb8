import type { Evidence } from '../evidence/evidence.ts';
import { isDrillDirectory } from '../evidence/salt-api-argv.ts';
import type { ProcessRoles } from './process-roles.ts';

/**
 * True where what we may not see has no part: a drill runs as whoever started it, and what is
 * hidden from us is of other users (proc(5), hidepid; ptrace(2), access mode checking). Where
 * nothing of it runs, nobody can tell whose it is.
 */
export function isOwnDrill({
  instance,
  host,
  roles,
}: Pick<Evidence, 'instance' | 'host'> & { readonly roles: ProcessRoles }): boolean {
  if (!isDrillDirectory(instance.configDirectory)) return false;
  const ours = roles.all.filter(({ role }) => role !== 'elsewhere');
  return ours.length > 0 && ours.every(({ facts }) => facts.uid === host.uid);
}
