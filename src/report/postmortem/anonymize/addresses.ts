import { isIPv6 } from 'node:net';

/** An address in a text: of its network, and by which spelling it is the same as another. */
export interface Address {
  readonly network: string;
  readonly whole: string;
  /** What stays in front: `::ffff:` of an IPv4 address in IPv6's clothes. */
  readonly prefix: string;
}

/** Also with hyphens and underscores, as names have them: `dhcp-192-168-0-66`. */
const IPV4 = /(?<![\d.])(\d{1,3})([._-])(\d{1,3})\2(\d{1,3})\2(\d{1,3})(?!\d|\.\d)/g;
const IPV6 = /(?<![\w:.])(?:[0-9a-f]{0,4}:){2,7}[0-9a-f:.]{0,40}/gi;
const MAC = /(?<![\w:-])[0-9a-f]{2}(?:([:-])[0-9a-f]{2})(?:\1[0-9a-f]{2}){4}(?![\w:-])/gi;

/**
 * Replaces each address of a host. What means every host, or this one, stays: `0.0.0.0`, `127.0.0.1`,
 * `::`, `::1`.
 */
export function replaceAddresses(
  text: string,
  by: { readonly ip: (address: Address) => string; readonly mac: (address: string) => string },
): string {
  return text
    .replace(MAC, (mac) => by.mac(mac.toLowerCase().replaceAll('-', ':')))
    .replace(IPV6, (found) => {
      const address = found.replace(/[:.]$/, (end) => (found.endsWith('::') ? end : ''));
      const read = readIPv6(address);
      return read === null ? found : read.prefix + by.ip(read) + found.slice(address.length);
    })
    .replace(IPV4, (found, a: string, _separator: string, b: string, c: string, d: string) => {
      const read = readIPv4([a, b, c, d].map(Number));
      return read === null ? found : by.ip(read);
    });
}

function readIPv4(octets: readonly number[]): Address | null {
  const [first = 0] = octets;
  const whole = octets.join('.');
  if (octets.some((octet) => octet > 255) || first === 127) return null;
  if (whole === '0.0.0.0' || whole === '255.255.255.255') return null;
  return { network: octets.slice(0, 3).join('.'), whole, prefix: '' };
}

function readIPv6(text: string): Address | null {
  if (!isIPv6(text)) return null;
  const mapped = /^(::ffff:)(\d+)\.(\d+)\.(\d+)\.(\d+)$/i.exec(text);
  if (mapped !== null) {
    const [, prefix = '', ...octets] = mapped;
    const read = readIPv4(octets.map(Number));
    return read === null ? null : { ...read, prefix };
  }
  const groups = groupsOf(text);
  const whole = groups.join(':');
  const upper = groups.slice(0, 7).every((group) => group === '0');
  if (upper && (groups[7] === '0' || groups[7] === '1')) return null;
  return { network: groups.slice(0, 4).join(':'), whole, prefix: '' };
}

/** Eight groups without leading zeros (RFC 4291 §2.2). */
function groupsOf(text: string): string[] {
  const [head = '', tail] = text.toLowerCase().split('::');
  const split = (part: string) => (part === '' ? [] : part.split(':').flatMap(hexOf));
  const [first, last] = [split(head), split(tail ?? '')];
  const zeros = new Array<string>(Math.max(0, 8 - first.length - last.length)).fill('0');
  return [...first, ...(tail === undefined ? [] : zeros), ...last].map((group) =>
    group.replace(/^0+(?=.)/, ''),
  );
}

/** Dotted decimals at the end are two groups. */
function hexOf(part: string): string[] {
  const octets = part.split('.').map(Number);
  if (octets.length !== 4) return [part];
  const [a = 0, b = 0, c = 0, d = 0] = octets;
  return [(a * 256 + b).toString(16), (c * 256 + d).toString(16)];
}
