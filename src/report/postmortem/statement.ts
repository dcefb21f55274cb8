/** What a postmortem is made of: statements that say how they are known, and by which file. */
import { redactSecrets, stripControl } from '../../untrusted.ts';

/**
 * `seen`: read on the host or recorded by salt-triage. `inferred`: follows from what was seen, by what
 * is known of such hosts. `not known`: a question that somebody has to answer.
 */
export type Basis = 'seen' | 'inferred' | 'not known';

export interface Statement {
  readonly text: string;
  readonly basis: Basis;
  /** The file that it comes from, as the reader of the report finds it; null for a question. */
  readonly source: string | null;
  readonly details: readonly string[];
}

export function saw(source: string, text: string, details: readonly string[] = []): Statement {
  return { text: safe(text), basis: 'seen', source, details: details.map(safe) };
}

export function inferred(source: string, text: string, details: readonly string[] = []): Statement {
  return { text: safe(text), basis: 'inferred', source, details: details.map(safe) };
}

/** What the evidence can't answer, put as a question to fill in. */
export function open(question: string): Statement {
  return { text: safe(question), basis: 'not known', source: null, details: [] };
}

/** What a URL carries behind its path: tokens, names, whatever a client has put there. */
const QUERY = /(\/[^\s?"'<>]*)\?[^\s"'<>]+/g;

/** A stranger's text as a report may have it: one line, no secrets, no query strings. */
export function safe(text: string): string {
  return redactSecrets(stripControl(text)).replace(QUERY, '$1?***');
}
