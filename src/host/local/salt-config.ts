import { readdir, stat } from 'node:fs/promises';
import { posix } from 'node:path';
import type { Look, SaltConfigFacts } from '../../evidence/evidence.ts';
import {
  isGlob,
  matchesGlobSegment,
  type SaltConfigFile,
  type SaltConfigLocation,
  type SaltConfigSource,
  saltConfigFromSource,
  withUserId,
} from '../../evidence/salt-config.ts';
import { NotPlain, openPlain } from './plain-file.ts';
import { codeOrText, tryReadKernelFile } from './proc-files.ts';

/** A stock master config has 60 KB; beyond this it is something else. */
const MAX_FILE_BYTES = 8 * 1024 * 1024;

const DEFAULT_DIRECTORY = '/etc/salt';

/**
 * Reads the Salt master configuration of this host; see `saltConfigFromSource` for what is read
 * and how it is merged. `directory` is `-c DIR`; the environment's `SALT_CONFIG_DIR` and
 * `SALT_MASTER_CONFIG` count where it is unset. `home` is what `~` means in an include.
 * Never rejects: what could not be read is in the result.
 */
export async function readSaltConfig(options: {
  readonly directory?: string | undefined;
  readonly environment?: NodeJS.ProcessEnv;
  readonly home?: string;
}): Promise<Look<SaltConfigFacts>> {
  const { directory, environment = process.env, home } = options;
  const location = await locate(directory, environment);
  const from = home === undefined ? location : { ...location, home };
  return withUserId(await saltConfigFromSource(from, localFiles), uidOf);
}

/** The uid of a user of passwd(5); one that only a directory service knows is unknown here. */
function uidOf(name: string): number | null {
  const table = tryReadKernelFile('/etc/passwd') ?? '';
  const entry = table.split('\n').find((line) => line.startsWith(`${name}:`));
  const uid = entry?.split(':')[2] ?? '';
  return /^\d{1,10}$/.test(uid) ? Number(uid) : null;
}

/**
 * As salt-api has it: SALT_CONFIG_DIR is the default of `-c`, and SALT_MASTER_CONFIG replaces the
 * main file alone, and only that of the default directory (salt/utils/parsers ConfigDirMixIn,
 * salt/config load_config).
 */
async function locate(
  option: string | undefined,
  environment: NodeJS.ProcessEnv,
): Promise<SaltConfigLocation> {
  const directory = posix.resolve(option ?? (environment['SALT_CONFIG_DIR'] || DEFAULT_DIRECTORY));
  const mainFile = environment['SALT_MASTER_CONFIG'];
  if (directory !== DEFAULT_DIRECTORY || !mainFile || !(await isFile(mainFile))) {
    return { directory };
  }
  return { directory, mainFile: posix.resolve(mainFile) };
}

const localFiles: SaltConfigSource = {
  read: readFile,
  readMatching: async (glob, most) => {
    const { paths, hidden } = await expand(glob);
    const files: SaltConfigFile[] = [...hidden];
    // One after the other: a glob may match half a disk.
    for (const path of paths.sort().slice(0, most)) files.push(await readFile(path));
    return files;
  },
};

async function readFile(path: string): Promise<SaltConfigFile> {
  try {
    const { file, status } = await openPlain(path);
    try {
      if (status.size > MAX_FILE_BYTES) return { path, error: 'is larger than 8 MiB' };
      return { path, text: await file.readFile('utf8') };
    } finally {
      await file.close();
    }
  } catch (error) {
    if (!(error instanceof NotPlain)) return { path, error: codeOrText(error) };
    return { path, error: error.kind === 'a directory' ? 'EISDIR' : 'is not a regular file' };
  }
}

async function expand(glob: string): Promise<{ paths: string[]; hidden: SaltConfigFile[] }> {
  const hidden: SaltConfigFile[] = [];
  let paths = ['/'];
  for (const segment of glob.split('/').filter((part) => part !== '')) {
    const next: string[][] = [];
    for (const parent of paths) {
      const names = isGlob(segment) ? await namesIn(parent, hidden) : [segment];
      const matching = names.filter((name) => matchesGlobSegment(segment, name));
      next.push(matching.map((name) => posix.join(parent, name)));
    }
    paths = next.flat();
  }
  return { paths, hidden };
}

/** @param hidden takes the directory where it does not show what is in it */
async function namesIn(directory: string, hidden: SaltConfigFile[]): Promise<string[]> {
  try {
    return await readdir(directory);
  } catch (error) {
    const code = codeOrText(error);
    if (code !== 'ENOENT' && code !== 'ENOTDIR') hidden.push({ path: directory, error: code });
    return [];
  }
}

async function isFile(path: string): Promise<boolean> {
  try {
    return (await stat(path)).isFile();
  } catch {
    return false;
  }
}
