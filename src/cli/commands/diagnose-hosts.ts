/** `diagnose` on many hosts: each by itself, none in the way of another. */
import { DECIDING } from '../../diagnosis/checks/checks.ts';
import { diagnoseHost } from '../../diagnosis/diagnose.ts';
import { verdictExitCode } from '../../diagnosis/verdict.ts';
import { ExitCode, TriageError } from '../../errors.ts';
import type { SshConnection } from '../../host/ssh/ssh-connection.ts';
import { SshHost } from '../../host/ssh/ssh-host.ts';
import { jsonDiagnosis, jsonHostError } from '../../report/diagnosis-json.ts';
import type { JsonDocument } from '../../report/json-documents.ts';
import { jsonLine } from '../../report/json-line.ts';
import { type HostOutcome, type HostsReport, hostsReport } from '../../report/many-hosts.ts';
import { onHost } from '../../report/next-command.ts';
import { type ScreenOptions, screenOn } from '../../report/screen.ts';
import type { RepeatedLook } from '../fix-options.ts';
import { hostError, hostsAtOnce, worstOf } from '../hosts-at-once.ts';
import type { SshHosts } from '../ssh-options.ts';

/**
 * Looks at every host, so many at once; a host that can't be looked at is a row with its reason.
 *
 * @returns 1 where any host has an incident, else 3 where any could not be judged, else 0
 */
export async function diagnoseHosts(
  hosts: SshHosts,
  options: RepeatedLook,
  flags: ScreenOptions & { readonly json?: boolean; readonly strict?: boolean },
): Promise<ExitCode> {
  const report = flags.json ? documents() : rows(hosts, flags);
  const codes: ExitCode[] = [];
  report.begin();
  await hostsAtOnce(hosts.connections, hosts.concurrency, async (connection) => {
    const outcome = await diagnoseOne(connection, hosts, options, flags);
    codes.push(outcome.exitCode);
    report.arrived(outcome);
  });
  report.end();
  return worstOf(codes, [ExitCode.incident, ExitCode.unknown]);
}

/** A document for each as soon as it is judged. */
function documents(): HostsReport {
  return {
    begin: () => undefined,
    arrived: (outcome) => process.stdout.write(jsonLine(jsonOutcome(outcome))),
    end: () => undefined,
  };
}

function rows({ connections }: SshHosts, options: ScreenOptions): HostsReport {
  const { isTTY, columns = 0, rows = 0 } = process.stdout;
  const screen = screenOn(process.stdout, options);
  // A terminal that was never told its size says 0.
  const size = { columns: columns || screen.columns, rows: rows || 24 };
  const names = connections.map(({ name }) => name);
  return hostsReport(screen, names, isTTY ? size : null);
}

async function diagnoseOne(
  connection: SshConnection,
  hosts: SshHosts,
  options: RepeatedLook,
  { json, strict }: { readonly json?: boolean; readonly strict?: boolean },
): Promise<HostOutcome> {
  const { name } = connection;
  const { connectTimeoutMs } = hosts;
  const host = new SshHost(connection, { unit: options.unit, connectTimeoutMs });
  const repeated = onHost(options.repeated, hosts.repeated(name));
  try {
    const until = json ? 'record' : 'verdict';
    // Why is a matter of one host: it takes as many looks again, and a row has no room for it.
    const request = { ...options.request, background: DECIDING };
    const result = await diagnoseHost(host, request, options.policy, {}, until);
    const exitCode = verdictExitCode(result.verdict.code, strict === true);
    return { name, result, repeated, exitCode };
  } catch (error) {
    return { name, result: hostError(name, error), repeated, exitCode: ExitCode.unknown };
  } finally {
    await connection.close();
  }
}

/** The document of a single host, with the name it was given; an error in place of a verdict. */
function jsonOutcome({ name, result, repeated, exitCode }: HostOutcome): JsonDocument {
  if (result instanceof TriageError) return jsonHostError(name, result, exitCode);
  return { target: name, ...jsonDiagnosis(result, repeated, exitCode) };
}
