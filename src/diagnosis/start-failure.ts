/** Starts that failed for another reason than a held port: which one stands, and what helps. */
import type {
  ApiLogFacts,
  Evidence,
  HostFacts,
  StartFailureFacts,
  StartFailureKind,
} from '../evidence/evidence.ts';
import { configuredNetapis } from '../evidence/instance-ports.ts';
import { quoteForShell } from '../shell-words.ts';
import { redactSecrets, stripControl } from '../untrusted.ts';
import { describeRecent } from '../words.ts';

/**
 * The newest failed start that bears on a port. One of a module that the config gives another port
 * is that port's; old releases log one for rest_tornado although nobody has configured it
 * (salt-facts §10).
 *
 * @param since epoch ms before which a start is history; null where none is
 */
export function standingStartFailure(
  { startFailures = [] }: Pick<ApiLogFacts, 'startFailures'>,
  { config, port }: Pick<Evidence, 'config' | 'port'>,
  since: number | null,
): StartFailureFacts | null {
  const module = configuredNetapis(config).find((netapi) => netapi.port === port.number)?.module;
  const standing = startFailures
    .filter((failure) => failure.port === null || failure.port === port.number)
    .filter((failure) => {
      return failure.module === null || module === undefined || failure.module === module;
    })
    .filter(({ lastAt }) => since === null || lastAt === null || lastAt >= since);
  return standing.toSorted((a, b) => (a.lastAt ?? 0) - (b.lastAt ?? 0)).at(-1) ?? null;
}

/**
 * The line of the log that says that a start has failed since a moment, with what helps; null
 * where it says nothing of the kind.
 *
 * @param startedAt when the start began, epoch ms of the host's clock; null where none was made
 */
export function startFailedSince(evidence: Evidence, startedAt: number | null): string | null {
  const { apiLog } = evidence;
  if (startedAt === null || !apiLog.seen) return null;
  // A log may tell whole seconds.
  const since = Math.floor(startedAt / 1000) * 1000;
  const failure = standingStartFailure(apiLog.value, evidence, since);
  if (failure === null || failure.lastAt === null) return null;
  return `the start failed: ${reasonInWords(failure)}\n${startAdvice(failure, evidence).note}`;
}

/** `a start failed at 07:39:35: Could not find a certificate: …` */
export function describeStartFailure(failure: StartFailureFacts, host: HostFacts): string {
  const what =
    failure.kind === 'exception' ? 'the API child ended with an error' : 'a start failed';
  const when = failure.lastAt === null ? '' : ` at ${describeRecent(failure.lastAt, host)}`;
  return `${what}${when}: ${reasonInWords(failure)}`;
}

/** The reason as the log words it, safe to print. */
export function reasonInWords({ sample }: StartFailureFacts): string {
  return redactSecrets(stripControl(sample)).replace(/^(?:Exception|OSError|IOError): /, '');
}

/** What to look at, and what mends it, in place of a restart. */
export function startAdvice(
  failure: StartFailureFacts,
  { instance, apiLog }: Pick<Evidence, 'instance' | 'apiLog'>,
): { readonly command: string; readonly note: string } {
  const { configDirectory } = instance;
  const settings = (pattern: string) =>
    `grep -rnE ${quoteForShell(pattern)} ${quoteForShell(`${configDirectory}/master`)} ${quoteForShell(`${configDirectory}/master.d`)}`;
  const named = /certificate(?: key)?: (\/\S+)/.exec(failure.sample)?.[1];
  const log = apiLog.seen && apiLog.value.source.kind === 'file' ? apiLog.value.source.path : null;
  const commands: Record<StartFailureKind, string> = {
    'bind-permission': settings('^user:|port:'),
    'bind-address': settings('host:|address:'),
    certificate: named === undefined ? settings('ssl_') : `ls -l ${quoteForShell(named)}`,
    permission: settings('^user:|ssl_'),
    'tls-options': settings('ssl'),
    'no-port': settings('rest_|port:'),
    'no-netapi': settings('rest_|port:'),
    import: 'salt-api --versions-report',
    exception: log === null ? 'journalctl -u salt-api -n 50' : `tail -n 50 ${quoteForShell(log)}`,
  };
  return { command: commands[failure.kind], note: ADVICE[failure.kind] };
}

const ADVICE: Record<StartFailureKind, string> = {
  'bind-permission':
    'its user may not bind a port below 1024: start it as root, give the unit AmbientCapabilities=CAP_NET_BIND_SERVICE, or take a higher port; a restart alone does not help',
  'bind-address':
    'the address in the Salt config is not one of this host: correct `host`, then restart',
  certificate:
    'the certificate or its key is missing or unusable: install it, or correct ssl_crt and ssl_key; a restart alone does not help',
  permission:
    'its user may not read a file that it needs, such as the key: let it read that file; a restart alone does not help',
  'tls-options': 'set ssl_crt and ssl_key, or disable_ssl: True, then restart',
  'no-port': 'set a port for the module in the master config, then restart',
  'no-netapi': 'no API module is configured with a port: set rest_cherrypy.port, then restart',
  import:
    'the Python that runs salt-api lacks a module: install CherryPy for that Python, then restart',
  exception: 'read the error in the log; a restart alone may not help',
};
