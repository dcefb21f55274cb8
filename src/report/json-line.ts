import { printable } from '../untrusted.ts';

/**
 * The one way out for a JSON document: a line of it. Control characters are gone from every string
 * but for line breaks, since `jq -r` and the like print them as they are.
 */
export function jsonLine(document: object): string {
  return `${JSON.stringify(document, printableString)}\n`;
}

function printableString(_key: string, value: unknown): unknown {
  return typeof value === 'string' ? printable(value) : value;
}
