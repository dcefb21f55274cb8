/** Which salt-api of a host a look is about, and where that one's files are: pure decisions. */
import { posix } from 'node:path';
import type { InstanceFacts, Listener, Look, SaltConfigFacts } from '../evidence/evidence.ts';
import { isDrillDirectory, type SaltApiArgv } from '../evidence/salt-api-argv.ts';
import type { LookRequest } from './host.ts';

const DEFAULT_CONFIG_DIRECTORY = '/etc/salt';
const DEFAULT_LOG = '/var/log/salt/api';

/**
 * `-c`; the environment; what the running salt-api name, if all name the same; of several, what
 * the holder of the asked port names; `/etc/salt`. A drill's processes name nothing for others.
 *
 * @param argvs the salt-api processes of our network namespace
 * @param environment the host's SALT_CONFIG_DIR
 * @param holding of these, the ones that hold the port that was asked for
 */
export function chooseInstance(
  request: LookRequest,
  argvs: readonly SaltApiArgv[],
  environment: string | undefined,
  holding: readonly SaltApiArgv[] = [],
): InstanceFacts {
  if (request.configDirectory !== undefined) {
    return { configDirectory: posix.resolve(request.configDirectory), origin: 'option' };
  }
  if (environment) return { configDirectory: posix.resolve(environment), origin: 'environment' };
  const only = onlyDirectory(argvs) ?? onlyDirectory(holding);
  return only === undefined
    ? { configDirectory: DEFAULT_CONFIG_DIRECTORY, origin: 'default' }
    : { configDirectory: only, origin: 'argv' };
}

function onlyDirectory(argvs: readonly SaltApiArgv[]): string | undefined {
  const named = new Set(
    argvs
      .map(({ configDirectory }) => configDirectory)
      .filter((directory) => directory === null || !isDrillDirectory(directory)),
  );
  const [only] = named;
  return named.size === 1 && only?.startsWith('/') ? posix.resolve(only) : undefined;
}

/** Whether a running process's own options may say where this instance's files are. */
export function belongsTo({ configDirectory }: SaltApiArgv, instance: InstanceFacts): boolean {
  const theirs = configDirectory ?? DEFAULT_CONFIG_DIRECTORY;
  if (instance.origin === 'default') return !isDrillDirectory(theirs);
  return configDirectory === null
    ? !isDrillDirectory(instance.configDirectory)
    : posix.resolve(theirs) === instance.configDirectory;
}

/** `--log`, what the running process names, the config, Salt's default. */
export function chooseLog(
  { log }: LookRequest,
  {
    config,
    argvs,
  }: { readonly config: Look<SaltConfigFacts>; readonly argvs: readonly SaltApiArgv[] },
): { path: string; origin: 'option' | 'argv' | 'config' | 'default' } {
  if (log !== undefined) return { path: posix.resolve(log), origin: 'option' };
  const fromArgv = argvs.find(({ logFile }) => logFile?.startsWith('/'))?.logFile;
  if (fromArgv != null) return { path: fromArgv, origin: 'argv' };
  const fromConfig = config.seen ? config.value.apiLogFile : null;
  if (fromConfig !== null) return { path: fromConfig, origin: 'config' };
  return { path: DEFAULT_LOG, origin: 'default' };
}

/** Where to knock: the configured address if somebody listens there, else any listener's. */
export function chooseAddress(listeners: readonly Listener[], configured: string | null): string {
  const addresses = listeners.map(({ address }) => address);
  if (configured !== null && addresses.includes(configured)) return configured;
  return addresses[0] ?? configured ?? '127.0.0.1';
}
