/** The hosts that a user's ssh knows by name. */
import { readdir } from 'node:fs/promises';
import { homedir } from 'node:os';
import { isAbsolute, join } from 'node:path';
import { readPlainFile } from '../../host/local/plain-file.ts';

/** Of one file, bytes. */
const MOST = 4 * 1024 * 1024;
/** As ssh itself stops (READCONF_MAX_DEPTH of OpenSSH's readconf.h). */
const DEEPEST = 16;
/** Files that are read at most, however many an Include names. */
const MOST_FILES = 256;

/** What a shell, and ssh, may be given as it is; a key of known_hosts or a Host line may say anything. */
const PLAIN_NAME = /^[A-Za-z0-9_][\w.:+-]{0,254}$/;

/**
 * The names in ssh's configuration (ssh_config(5), Host) and in known_hosts (sshd(8)), each once,
 * the user's own before the host's. Left out are patterns, hashed names, names with a port of their
 * own, and whatever is more than a plain name. What can't be read names none.
 */
export async function sshHostNames(home = homedir(), etc = '/etc/ssh'): Promise<string[]> {
  const own = join(home, '.ssh');
  const configs: readonly Config[] = [
    { path: join(own, 'config'), base: own, home, depth: 0 },
    { path: join(etc, 'ssh_config'), base: etc, home, depth: 0 },
  ];
  const found: string[] = [];
  const budget = { files: MOST_FILES };
  for (const config of configs) found.push(...(await hostsOfConfig(config, budget)));
  for (const file of [join(own, 'known_hosts'), join(etc, 'ssh_known_hosts')]) {
    for (const [hosts = '', second = ''] of wordsOfLines(await readText(file))) {
      // A revoked key is no host to look at.
      if (hosts === '@revoked') continue;
      found.push(...(hosts.startsWith('@') ? second : hosts).split(','));
    }
  }
  return [...new Set(found)].filter((name) => PLAIN_NAME.test(name));
}

/** A file of ssh's configuration. */
interface Config {
  readonly path: string;
  /** Where an Include begins that is no absolute path. */
  readonly base: string;
  readonly home: string;
  /** How many Includes led to it. */
  readonly depth: number;
}

/** What stands behind Host in a file and in those that it includes. */
async function hostsOfConfig(config: Config, budget: { files: number }): Promise<string[]> {
  budget.files -= 1;
  if (budget.files < 0 || config.depth > DEEPEST) return [];
  const hosts: string[] = [];
  for (const [keyword = '', ...values] of wordsOfLines(await readText(config.path))) {
    if (keyword.toLowerCase() === 'host') hosts.push(...values);
    if (keyword.toLowerCase() !== 'include') continue;
    for (const path of (await Promise.all(values.map((value) => included(value, config)))).flat()) {
      hosts.push(...(await hostsOfConfig({ ...config, path, depth: config.depth + 1 }, budget)));
    }
  }
  return hosts;
}

async function readText(path: string): Promise<string> {
  return (await readPlainFile(path, MOST).catch(() => Buffer.alloc(0))).toString('utf8');
}

/** The words of each line that is no comment; a keyword may be parted from its value by `=`. */
function* wordsOfLines(text: string): Generator<string[]> {
  for (const line of text.split('\n')) {
    const plain = line.trim().replace(/^(\w+)\s{0,8}=/, '$1 ');
    if (plain === '' || plain.startsWith('#')) continue;
    yield (plain.match(/"[^"]*"|\S+/g) ?? []).map((word) => word.replace(/^"|"$/g, ''));
  }
}

/** The files that a value of Include names. */
function included(value: string, { home, base }: Config): Promise<string[]> {
  if (value.startsWith('~/')) return expand(join(home, value.slice(2)));
  return expand(isAbsolute(value) ? value : join(base, value));
}

/** The files that a pattern with `*` and `?` names, in order (glob(7)); a path without any is itself. */
async function expand(pattern: string): Promise<string[]> {
  let paths = ['/'];
  for (const part of pattern.split('/').filter((segment) => segment !== '')) {
    const wild = /[*?]/.test(part) ? wildcard(part) : null;
    const next: string[] = [];
    for (const path of paths) {
      const entries = wild === null ? [part] : await readdir(path).catch(() => []);
      next.push(
        ...entries
          .filter((entry) => wild === null || wild.test(entry))
          .map((entry) => join(path, entry)),
      );
    }
    paths = next.sort().slice(0, MOST_FILES);
  }
  return paths;
}

/** Of one part of a path; like glob(7) it takes no name with a leading dot for `*`. */
function wildcard(part: string): RegExp {
  const body = part
    .replace(/[.+^${}()|[\]\\]/g, '\\$&')
    .replace(/\*+/g, '.*')
    .replaceAll('?', '.');
  return new RegExp(`^${/^[*?]/.test(part) ? '(?!\\.)' : ''}${body}$`);
}
