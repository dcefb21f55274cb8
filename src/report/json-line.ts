import { printable } from '../untrusted.ts';
import type { JsonDocument } from './json-documents.ts';

/**
 * The one way out for a JSON document: a line of it. Control characters are gone from every string
 * but for line breaks, since `jq -r` and the like print them as they are. All of it is ASCII, so that
 * no locale stands between it and its reader.
 */
export function jsonLine(document: JsonDocument): string {
  return `${JSON.stringify(document, printableString).replace(/[^\x00-\x7f]/g, escaped)}\n`;
}

function printableString(_key: string, value: unknown): unknown {
  return typeof value === 'string' ? printable(value) : value;
}

function escaped(unit: string): string {
  return `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`;
}
