import { configuredNetapis } from '../evidence/instance-ports.ts';
import { isDrillDirectory } from '../evidence/salt-api-argv.ts';
import type { Known } from './checks/finding.ts';

/** rest_cherrypy's default (salt-advice §3). */
const DEFAULT = 100;

/**
 * `thread_pool` of the examined port; null where no CherryPy serves it, as in a drill, whose server is
 * Node, or where it can't be known.
 */
export function threadPoolOf({
  config,
  port,
  instance,
}: Pick<Known, 'config' | 'port' | 'instance'>): number | null {
  const netapi = configuredNetapis(config).find((one) => one.port === port.number);
  if (netapi?.module !== 'rest_cherrypy' || isDrillDirectory(instance.configDirectory)) return null;
  const options = config.seen ? config.value.options : undefined;
  const pool = options?.['rest_cherrypy.thread_pool'] ?? DEFAULT;
  return typeof pool === 'number' && pool > 0 ? pool : null;
}
