/** Names that stand in what a report is written from, found before it is anonymised. */
import type { PostmortemCase } from '../case.ts';
import { EMAIL, hostNamesIn } from './host-names.ts';

/** The names themselves, without those that say nothing of anybody. */
export interface KnownNames {
  /** Host names without their domain. */
  readonly hosts: ReadonlySet<string>;
  readonly domains: ReadonlySet<string>;
  readonly users: ReadonlySet<string>;
}

/** Every Salt master may be called so; they are words of every report, too. */
const NOBODYS = new Set([
  ...['salt', 'salt-api', 'salt-master', 'salt-minion', 'saltmaster', 'master', 'minion', 'api'],
  ...['localhost', 'localdomain', 'host', 'server', 'root', 'daemon', 'nobody', 'saltapi', 'admin'],
  ...['user', 'www-data', 'username', 'test', 'home', 'null', 'true', 'false'],
]);

/** Whether a name says nothing of anybody. @param name in lower case */
export function isNobodys(name: string): boolean {
  return name.length < 2 || !/[a-z]/.test(name) || NOBODYS.has(name);
}

/** Where a person's name stands: a home directory, `user=` and `~name`. */
const USER = [
  /\/(?:home|Users)\/([\w.-]+)/g,
  /\buser(?:name)?["']?\s{0,4}[=:]\s{0,4}["']?([\w.-]+)/gi,
  /(?:^|[\s"'=:])~([a-z_][\w-]*)/g,
];

/**
 * @param about what the report is written from: all of it is searched, also what the report leaves out
 * @param own names of the machine that writes it
 */
export function knownNames(
  about: PostmortemCase,
  own: { readonly hosts: readonly string[]; readonly users: readonly string[] },
): KnownNames {
  const { incident, before, after } = about;
  const texts = [incident, before?.evidence, after?.evidence, about.stacks, about.looks?.file];
  const all = texts.map((part) => JSON.stringify(part ?? '')).join('\n');
  const hosts = [
    ...own.hosts,
    ...[before, after].flatMap((found) => (found === null ? [] : [found.evidence.host.name])),
    ...(incident === null ? [] : [incident.host]),
    ...hostOfLooks(about.looks?.file ?? ''),
    ...hostNamesIn(all),
  ];
  const clients = before?.evidence.background.clients;
  const config = before?.evidence.config;
  const users = [
    ...own.users,
    ...(config?.seen && config.value.user ? [config.value.user.name] : []),
    ...(clients?.seen ? clients.value.logins.map(({ user }) => user) : []),
    ...(incident === null ? [] : [incident.who.user, incident.who.sudoUser]),
    ...USER.flatMap((pattern) => [...all.matchAll(pattern)].map(([, name]) => name)),
    ...[...all.matchAll(EMAIL)].map(([, name]) => name),
  ];
  const labels = hosts.map((name) => name.split('.')[0] ?? '');
  const domains = hosts.map((name) => name.split('.').slice(1).join('.'));
  return {
    hosts: tellingOf(labels),
    // A single label, such as lan, is anybody's.
    domains: new Set(
      domains.filter((name) => name.includes('.')).map((name) => name.toLowerCase()),
    ),
    users: tellingOf(users),
  };
}

/** Checks of hosts behind ssh name their files by them: `check-root%40web01-443.json`. */
function hostOfLooks(file: string): string[] {
  const [, encoded] = /^check-(.+)-\d+\.json$/.exec(file) ?? [];
  if (encoded === undefined) return [];
  try {
    return [decodeURIComponent(encoded).replace(/^.*@/, '')];
  } catch {
    return [encoded];
  }
}

function tellingOf(names: readonly (string | null | undefined)[]): ReadonlySet<string> {
  const telling = names.flatMap((name) => {
    const plain = name?.toLowerCase() ?? '';
    return isNobodys(plain) ? [] : [plain];
  });
  return new Set(telling);
}
