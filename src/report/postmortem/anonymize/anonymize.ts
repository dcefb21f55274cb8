/**
 * Puts other names in the place of addresses, hosts and users, the same for the same everywhere, so that
 * who is who and which are of one network stays to be seen.
 */
import { type Address, replaceAddresses } from './addresses.ts';
import { EMAIL, hostPartOf, replaceHostNames } from './host-names.ts';
import { isNobodys, type KnownNames } from './known-names.ts';

export interface Anonymized<T> {
  readonly value: T;
  /** What stands for what, for the owner alone. */
  readonly names: Readonly<Record<string, string>>;
}

/** What is said by us, and goes by whatever its reader has to tell apart. */
const OWN_WORDS = new Set(['kind', 'basis', 'id']);
/** From this length on a name is replaced within longer words, too. */
const WITHIN_WORDS = 5;

/** Anonymises every text of a report. A name that no list and no form gives away stays. */
export function anonymize<T>(report: T, known: KnownNames): Anonymized<T> {
  const pseudonyms = new Pseudonyms();
  const replaceNames = namesReplaced(known, pseudonyms);
  const host = (name: string) => {
    const plain = name.toLowerCase();
    if (known.domains.has(plain)) return pseudonyms.of('domain', plain);
    const [label = '', ...rest] = plain.split('.');
    const first = isNobodys(label) ? label : pseudonyms.of('host', label);
    return `${first}.${pseudonyms.of('domain', rest.join('.'))}`;
  };
  const user = (name: string) => (isNobodys(name) ? name : pseudonyms.of('user', name));
  const replace = (text: string) => {
    let clean = decoded(text.replace(PRIVATE_USE, ''));
    clean = clean.replace(EMAIL, (all, name: string, at: string) => {
      const part = hostPartOf(at);
      if (part === null) return all;
      return `${user(name.toLowerCase())}@${host(part)}${at.slice(part.length)}`;
    });
    clean = replaceNames(replaceHostNames(clean, host));
    clean = replaceAddresses(clean, {
      ip: (address) => pseudonyms.ofAddress(address),
      mac: (address) => pseudonyms.of('mac', address),
    });
    return pseudonyms.shown(clean);
  };
  const value = inEveryText(report, replace) as T;
  return { value, names: pseudonyms.map() };
}

/** All known names in one pass, the longest first. */
function namesReplaced(
  { hosts, domains, users }: KnownNames,
  pseudonyms: Pseudonyms,
): (text: string) => string {
  const kinds = new Map([
    ...[...users].map((name) => [name, 'user'] as const),
    ...[...hosts].map((name) => [name, 'host'] as const),
    ...[...domains].map((name) => [name, 'domain'] as const),
  ]);
  if (kinds.size === 0) return (text) => text;
  const words = [...kinds.keys()]
    .sort((a, b) => b.length - a.length)
    .map((name) => {
      const word = name.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
      return name.length >= WITHIN_WORDS ? word : `(?<![a-z0-9])${word}(?![a-z0-9])`;
    });
  const pattern = new RegExp(words.join('|'), 'gi');
  return (text) =>
    text.replace(pattern, (found) => {
      const name = found.toLowerCase();
      return pseudonyms.of(kinds.get(name) ?? 'host', name);
    });
}

function inEveryText(value: unknown, replace: (text: string) => string): unknown {
  if (typeof value === 'string') return replace(value);
  if (Array.isArray(value)) return value.map((item) => inEveryText(item, replace));
  if (typeof value !== 'object' || value === null) return value;
  const entries = Object.entries(value).map(([key, item]) => {
    return [key, OWN_WORDS.has(key) ? item : inEveryText(item, replace)];
  });
  return Object.fromEntries(entries);
}

/** What a file's name has encoded. */
function decoded(text: string): string {
  return text.replace(/%([2-7][0-9a-f])/gi, (_all, hex: string) =>
    String.fromCharCode(Number.parseInt(hex, 16)),
  );
}

/** While a text is worked on, what was put in stands as characters that no name and no pattern has. */
const PRIVATE_USE = /[\ue000-\uf8ff]/g;
const FIRST = 0xe000;
const RADIX = 64;

class Pseudonyms {
  readonly #byName = new Map<string, number>();
  readonly #shown: { readonly pseudonym: string; readonly name: string }[] = [];
  readonly #networks = new Map<string, number>();
  readonly #counts = new Map<string, number>();

  /** @returns the place of what stands for a name, as {@link shown} reads it */
  of(kind: string, name: string): string {
    const key = `${kind} ${name}`;
    const known = this.#byName.get(key);
    if (known !== undefined) return encode(known);
    return this.#add(key, `${kind}-${this.#next(kind)}`, name);
  }

  /** Numbered within its network. */
  ofAddress({ network, whole }: Address): string {
    const key = `ip ${whole}`;
    const known = this.#byName.get(key);
    if (known !== undefined) return encode(known);
    const number = this.#networks.get(network) ?? this.#next('net');
    this.#networks.set(network, number);
    return this.#add(key, `net-${number}-ip-${this.#next(`net ${number}`)}`, whole);
  }

  /** A text with all pseudonyms in their places. */
  shown(text: string): string {
    return text.replace(/[\ue100-\ue13f]{2}[\ue200-\ue23f]/g, (code) => {
      return this.#shown[decode(code)]?.pseudonym ?? '';
    });
  }

  map(): Record<string, string> {
    return Object.fromEntries(this.#shown.map(({ pseudonym, name }) => [pseudonym, name]));
  }

  #add(key: string, pseudonym: string, name: string): string {
    const index = this.#shown.push({ pseudonym, name }) - 1;
    this.#byName.set(key, index);
    return encode(index);
  }

  #next(kind: string): number {
    const number = (this.#counts.get(kind) ?? 0) + 1;
    this.#counts.set(kind, number);
    return number;
  }
}

/** Three characters: no code begins within another. */
function encode(index: number): string {
  return String.fromCharCode(
    FIRST + 0x100 + (Math.floor(index / RADIX / RADIX) % RADIX),
    FIRST + 0x100 + (Math.floor(index / RADIX) % RADIX),
    FIRST + 0x200 + (index % RADIX),
  );
}

function decode(code: string): number {
  const [high = 0, middle = 0, low = 0] = [...code].map((one) => one.charCodeAt(0));
  const [top, rest] = [high - FIRST - 0x100, middle - FIRST - 0x100];
  return (top * RADIX + rest) * RADIX + (low - FIRST - 0x200);
}
