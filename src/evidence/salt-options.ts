/** The options of the Salt config that bear on how salt-api fares and on what is known of it. */
import { redactSecrets, stripControl } from '../untrusted.ts';

/** None of them holds a secret. One with a dot stands in the block of that module. */
export const SALT_OPTIONS = [
  'cachedir',
  // Whose logins cost what; the names of the backends alone.
  'external_auth',
  'gather_job_timeout',
  'interface',
  'ipc_mode',
  'keep_jobs',
  'log_level',
  'log_level_logfile',
  'max_open_files',
  // Without it no client works from 3006.0 on (salt-advice §2).
  'netapi_enable_clients',
  'publish_port',
  'rest_timeout',
  'ret_port',
  'root_dir',
  'sock_dir',
  'timeout',
  'transport',
  'user',
  'worker_threads',
  'zmq_backlog',
  'rest_cherrypy.collect_stats',
  'rest_cherrypy.debug',
  'rest_cherrypy.enable_sessions',
  'rest_cherrypy.expire_responses',
  'rest_cherrypy.log.access_file',
  'rest_cherrypy.log.error_file',
  'rest_cherrypy.log_access_file',
  'rest_cherrypy.log_error_file',
  'rest_cherrypy.max_request_body_size',
  'rest_cherrypy.queue_size',
  'rest_cherrypy.socket_queue_size',
  'rest_cherrypy.stats_disable_auth',
  'rest_cherrypy.thread_pool',
] as const;

type SaltOption = (typeof SALT_OPTIONS)[number];

/** As YAML has it: of a list its words, of a mapping its keys, parted by commas. */
type SaltOptionValue = string | number | boolean;

/** Those that are set; one that is set to nothing (`null`) is as good as unset. */
export type SaltOptions = Readonly<Partial<Record<SaltOption, SaltOptionValue>>>;

/** Characters of one value. */
export const MAX_OPTION_TEXT = 300;

/** The keys of the config that hold them: those of a module stand in one block. */
export const TOP_LEVEL_KEYS: readonly string[] = [
  ...new Set(SALT_OPTIONS.map((option) => pathOf(option)[0])),
];

/**
 * What of a config is kept.
 * @param valueAt what a key holds, or a key of a module's block; of a mapping its keys; undefined
 *   where it is not set
 */
export function saltOptions(valueAt: (key: string, inner?: string) => unknown): SaltOptions {
  const entries = SALT_OPTIONS.flatMap((option) => {
    const value = plainValue(valueAt(...pathOf(option)));
    return value === null ? [] : [[option, value] as const];
  });
  return Object.fromEntries(entries) as SaltOptions;
}

function pathOf(option: SaltOption): readonly [key: string, inner?: string] {
  const module = 'rest_cherrypy';
  return option.startsWith(`${module}.`) ? [module, option.slice(module.length + 1)] : [option];
}

function plainValue(value: unknown): SaltOptionValue | null {
  if (typeof value === 'boolean') return value;
  if (typeof value === 'number') return Number.isFinite(value) ? value : null;
  if (typeof value === 'string') {
    return redactSecrets(stripControl(value.slice(0, MAX_OPTION_TEXT))).slice(0, MAX_OPTION_TEXT);
  }
  if (!Array.isArray(value)) return null;
  const words = value.slice(0, MAX_OPTION_TEXT).filter((word) => typeof word !== 'object');
  return plainValue(words.join(', '));
}
