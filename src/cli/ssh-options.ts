/** From options to the hosts behind ssh that are meant. */
import { readFile } from 'node:fs/promises';
import { userInfo } from 'node:os';
import * as v from 'valibot';
import { ExitCode, TriageError } from '../errors.ts';
import { SshConnection, type SshTarget } from '../host/ssh/ssh-connection.ts';
import { quoteForShell } from '../shell-words.ts';
import { stripControl } from '../untrusted.ts';
import { personIsThere } from './ask.ts';
import { defaultsOf, SSH } from './options.ts';
import type { SshFlags } from './ssh-flags.ts';

export interface SshHosts {
  readonly connections: readonly SshConnection[];
  readonly concurrency: number;
  readonly connectTimeoutMs: number;
  /** Options that the next command must repeat to mean one of these hosts. */
  repeated(name: string): readonly string[];
}

const MAX_HOSTS = 10_000;

/**
 * The hosts of `--host`, `--hosts-file` and `--roster`, each once, none of them connected yet.
 * @param patienceMs how long a lost connection is made anew, ms: a fix must not stop in its middle
 * @throws TriageError `usage` for files that can't be read and names that are none
 */
export async function resolveSshHosts(flags: SshFlags, patienceMs = 0): Promise<SshHosts> {
  const sudo = flags.sudo === true;
  const named = (flags.host ?? []).map((destination): SshTarget => ({ destination, sudo }));
  const listed = flags.hostsFile === undefined ? [] : await hostsFile(flags.hostsFile, sudo);
  const roster = flags.roster === undefined ? [] : await rosterFile(flags.roster, sudo);
  const targets = new Map<string, SshTarget>();
  for (const target of [...named, ...listed, ...roster]) {
    targets.set(target.label ?? target.destination, target);
  }
  if (targets.size === 0 || targets.size > MAX_HOSTS) {
    throw new TriageError(
      targets.size === 0 ? 'no host is named' : `more than ${MAX_HOSTS} hosts are named`,
      'Give --host HOST, or a file with one host a line.',
      ExitCode.usage,
    );
  }
  const { connectTimeout: connectTimeoutMs, concurrency } = { ...defaultsOf(SSH), ...flags };
  const mayAsk = targets.size === 1 && personIsThere();
  return {
    connections: [...targets.values()].map((target) => {
      return new SshConnection(target, { connectTimeoutMs, mayAsk, patienceMs });
    }),
    concurrency,
    connectTimeoutMs,
    repeated: (name) => {
      const target = targets.get(name);
      const named = target === undefined ? name : asDestination(target);
      return ['--host', quoteForShell(named), ...(target?.sudo ? ['--sudo'] : [])];
    },
  };
}

/** One host of a roster as `--host` takes it: the whole roster would be every host. */
function asDestination({ destination, user, port }: SshTarget): string {
  if (user === undefined && port === undefined) return destination;
  return `ssh://${user === undefined ? '' : `${user}@`}${destination}${port === undefined ? '' : `:${port}`}`;
}

/** One host a line; blank lines and what follows a `#` don't count. */
async function hostsFile(path: string, sudo: boolean): Promise<SshTarget[]> {
  const text = await readText(path, '--hosts-file');
  return text
    .split('\n')
    .map((line) => line.replace(/(^|\s)#.*$/, '').trim())
    .filter((line) => line !== '')
    .map((destination): SshTarget => ({ destination, sudo }));
}

const rosterPort = v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(65_535));
/** The keys of a salt-ssh roster that bear on a login; `passwd` is left to ssh, never to argv. */
const rosterEntry = v.looseObject({
  host: v.string(),
  user: v.optional(v.string()),
  port: v.optional(rosterPort),
  sudo: v.optional(v.boolean()),
  priv: v.optional(v.string()),
});
const rosterSchema = v.record(v.string(), v.union([v.string(), rosterEntry]));

/** A salt-ssh roster of the flat kind: `id: host`, or `id:` with `host`, `user`, `port`, … */
async function rosterFile(path: string, sudo: boolean): Promise<SshTarget[]> {
  const text = await readText(path, '--roster');
  const { parse } = await import('yaml');
  let value: unknown;
  try {
    value = parse(text, { version: '1.1', logLevel: 'error' });
  } catch (error) {
    throw badRoster(path, error instanceof Error ? error.message : String(error));
  }
  const result = v.safeParse(rosterSchema, value);
  if (!result.success) {
    const issue = result.issues[0];
    throw badRoster(path, `${v.getDotPath(issue) ?? 'it'} is not as expected`);
  }
  return Object.entries(result.output).map(([id, entry]): SshTarget => {
    const { host, user, port, priv, ...rest } = typeof entry === 'string' ? { host: entry } : entry;
    return {
      label: stripControl(id),
      destination: host,
      sudo: sudo || ('sudo' in rest && rest.sudo === true),
      // salt-ssh logs in as root where the roster is silent, and not as the user's ssh says.
      user: checkUser(user ?? 'root', path),
      ...(port === undefined ? {} : { port }),
      ...(priv === undefined || priv === 'agent-forwarding' ? {} : { identityFile: home(priv) }),
    };
  });
}

function checkUser(user: string, path: string): string {
  if (/^[A-Za-z0-9_.][A-Za-z0-9_.@\\-]{0,255}\$?$/.test(user)) return user;
  throw badRoster(path, `${JSON.stringify(stripControl(user))} is not a user name`);
}

function home(path: string): string {
  return path.startsWith('~/') ? `${userInfo().homedir}${path.slice(1)}` : path;
}

function badRoster(path: string, why: string): TriageError {
  return new TriageError(
    stripControl(`${path} is not a salt-ssh roster: ${why.split('\n')[0] ?? ''}`),
    'Give a roster of plain YAML: render a templated one first, or list its hosts in --hosts-file.',
    ExitCode.usage,
  );
}

async function readText(path: string, option: string): Promise<string> {
  try {
    if (path !== '-') return await readFile(path, 'utf8');
    const chunks: Buffer[] = [];
    for await (const chunk of process.stdin) chunks.push(Buffer.from(chunk));
    return Buffer.concat(chunks).toString('utf8');
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new TriageError(
      stripControl(`${option}: ${why}`),
      'Give a file that exists and can be read.',
      ExitCode.usage,
      { cause: error },
    );
  }
}
