/** Recognises why a start of salt-api failed for another reason than a port that is held. */
import { EXCEPTION_LINE } from './api-log-wordings.ts';
import type { StartFailureKind } from './evidence.ts';

/** What one line, or the end of a traceback, says of a start that failed. */
export interface StartFailureLine {
  readonly kind: StartFailureKind;
  /** Null where it names none. */
  readonly port: number | null;
  /** `rest_cherrypy`, …; null where it names none. */
  readonly module: string | null;
}

const EXCEPTION = new RegExp(EXCEPTION_LINE);
const MODULE = /'(?:[\w.]{1,100}\.)?(\w{1,40})'\. /;
/** Messages that one line tells whole (salt-facts §3, §10). */
const SINGLE_LINES: readonly (readonly [RegExp, StartFailureKind])[] = [
  [/^Not loading '[\w.]{1,140}'\. 'port' not specified in config/, 'no-port'],
  [/^Not loading '[\w.]{1,140}'\. Error loading CherryPy: /, 'import'],
  [/^Not starting '[^']{1,140}'\. Options 'ssl_crt' and 'ssl_key' are required/, 'tls-options'],
  [/^Did not find any netapi configurations, nothing to start/, 'no-netapi'],
];
/** Of `No socket could be created`: one address that failed. */
const FAILED_ADDRESS = /\(u?'[^']{0,256}', (\d{1,5})[^)]{0,64}\): \[Errno (\d{1,4})\]/g;
const IN_USE = /\[Errno (?:98|48)\]|Port u?'?\d{1,5}'? not free on /;

/** True for the line that ends a traceback: the exception and its message. */
export function isExceptionLine(message: string): boolean {
  return EXCEPTION.test(message);
}

/** True for an exception that is told as a failed bind of a held port. */
export function saysPortIsHeld(message: string): boolean {
  return IN_USE.test(message);
}

/**
 * What a whole message says of a failed start; null for any other, a held port included.
 * @param message of a line that opens a record
 */
export function recogniseStartFailure(message: string): StartFailureLine | null {
  const kind = SINGLE_LINES.find(([wording]) => wording.test(message))?.[1];
  if (kind === undefined) return null;
  const module = MODULE.exec(message)?.[1] ?? null;
  return { kind, port: null, module };
}

/**
 * True for a message that opens a record whose traceback ends in the reason of a failed start.
 * Other children than RunNetapi log the second wording as well: each salt-ssh call is one.
 */
export function opensStartTraceback(message: string): boolean {
  return (
    /Error in 'start' listener/.test(message) ||
    /^An un-handled exception from the multiprocessing process 'RunNetapi/.test(message)
  );
}

/**
 * What the exception that ended a start says of the reason; null where the port was held, which is
 * counted as a failed bind.
 * @param line the last line of the traceback
 */
export function startFailureOf(line: string): StartFailureLine | null {
  if (saysPortIsHeld(line)) return null;
  const found = (kind: StartFailureKind, port: number | null = null): StartFailureLine => {
    return { kind, port, module: null };
  };
  if (/: Could not find a certificate/.test(line)) return found('certificate');
  if (/^(?:\w+\.)*SSLError: /.test(line)) return found('certificate');
  for (const [, port, errno] of line.matchAll(FAILED_ADDRESS)) {
    if (errno === '13') return found('bind-permission', Number(port));
    if (errno === '99') return found('bind-address', Number(port));
  }
  if (/\[Errno 99\]|^(?:\w+\.)*gaierror: /.test(line)) return found('bind-address');
  if (/^(?:ImportError|ModuleNotFoundError): /.test(line)) return found('import');
  if (/\[Errno 13\]/.test(line)) return found('permission');
  return found('exception');
}
