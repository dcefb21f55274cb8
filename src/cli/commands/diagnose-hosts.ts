/** `diagnose` on many hosts: each by itself, none in the way of another. */
import { diagnoseHost } from '../../diagnosis/diagnose.ts';
import type { Diagnosis } from '../../diagnosis/diagnosis.ts';
import { VERDICT_CODES, type VerdictCode, verdictExitCode } from '../../diagnosis/verdict.ts';
import { ExitCode, TriageError } from '../../errors.ts';
import type { SshConnection } from '../../host/ssh/ssh-connection.ts';
import { SshHost } from '../../host/ssh/ssh-host.ts';
import { jsonDiagnosis, jsonHostError } from '../../report/diagnosis-json.ts';
import { jsonLine } from '../../report/json-line.ts';
import { type Screen, screenOn } from '../../report/screen.ts';
import { stripControl } from '../../untrusted.ts';
import { hostError, hostsAtOnce, worstOf } from '../hosts-at-once.ts';
import type { LookOptions } from '../look-options.ts';
import type { SshHosts } from '../ssh-options.ts';

/** What became of one host. */
export interface HostOutcome {
  readonly name: string;
  readonly result: Diagnosis | TriageError;
  /** Options that name it, for the next command. */
  readonly flags: readonly string[];
  readonly exitCode: ExitCode;
}

const HOST_WIDTH = 26;

/**
 * Looks at every host, so many at once; a host that can't be looked at is a row with its reason.
 *
 * @returns 1 where any host has an incident, else 3 where any could not be judged, else 0
 */
export async function diagnoseHosts(
  hosts: SshHosts,
  options: LookOptions,
  flags: { readonly json?: boolean; readonly strict?: boolean; readonly color: boolean },
): Promise<ExitCode> {
  const screen = screenOn(process.stdout, flags.color);
  const outcomes: HostOutcome[] = [];
  const report = (outcome: HostOutcome): void => {
    outcomes.push(outcome);
    if (flags.json) process.stdout.write(jsonLine(jsonOutcome(outcome)));
    else screen.write(row(screen, outcome));
  };
  await hostsAtOnce(hosts.connections, hosts.concurrency, async (connection) => {
    report(await diagnoseOne(connection, hosts, options, flags));
  });
  if (!flags.json) screen.write(summary(screen, outcomes));
  const codes = outcomes.map(({ exitCode }) => exitCode);
  return worstOf(codes, [ExitCode.incident, ExitCode.unknown]);
}

async function diagnoseOne(
  connection: SshConnection,
  hosts: SshHosts,
  options: LookOptions,
  { json, strict }: { readonly json?: boolean; readonly strict?: boolean },
): Promise<HostOutcome> {
  const { name } = connection;
  const { connectTimeoutMs } = hosts;
  const host = new SshHost(connection, { unit: options.unit, connectTimeoutMs });
  const flags = [...hosts.repeated(name), ...options.repeated];
  try {
    const until = json ? 'record' : 'verdict';
    const result = await diagnoseHost(host, options.request, options.policy, {}, until);
    const exitCode = verdictExitCode(result.verdict.code, strict === true);
    return { name, result, flags, exitCode };
  } catch (error) {
    return { name, result: hostError(name, error), flags, exitCode: ExitCode.unknown };
  } finally {
    await connection.close();
  }
}

/** The document of a single host, with the name it was given; an error in place of a verdict. */
function jsonOutcome({ name, result, flags, exitCode }: HostOutcome): object {
  if (result instanceof TriageError) return jsonHostError(name, result, exitCode);
  return { target: name, ...jsonDiagnosis(result, flags, exitCode) };
}

function row(screen: Screen, outcome: HostOutcome): string {
  const { name, result, exitCode } = outcome;
  const failed = result instanceof TriageError;
  const code = failed ? 'unreachable' : result.verdict.code;
  // A failure's message begins with the name, which the row has already.
  const text = failed ? result.message.replace(`${name}: `, '') : result.verdict.summary;
  const symbol = failed ? '?' : screen.symbols[exitCode === 0 ? 'pass' : 'fail'];
  const paint =
    exitCode === 0 ? screen.chalk.green : failed ? screen.chalk.yellow : screen.chalk.red;
  const left = `${fit(name, HOST_WIDTH).padEnd(HOST_WIDTH)} `;
  const verdict = `${code}: `;
  const room = screen.columns - left.length - 2 - verdict.length;
  return `${paint(symbol)} ${left}${paint(verdict)}${fit(text, Math.max(10, room))}\n`;
}

function summary(screen: Screen, outcomes: readonly HostOutcome[]): string {
  const count = (code: ExitCode) => outcomes.filter(({ exitCode }) => exitCode === code).length;
  const totals = [
    `${count(ExitCode.incident)} with an incident`,
    `${count(ExitCode.unknown)} not known`,
    `${count(ExitCode.ok)} well`,
  ];
  const head = `${outcomes.length} hosts, worst first: ${totals.join(', ')}`;
  return `\n${screen.chalk.bold(head)}\n${worstFirst(outcomes)
    .map((one) => row(screen, one))
    .join('')}`;
}

/** Incidents, then what could not be told, then what is well; the plainest case of each first. */
export function worstFirst(outcomes: readonly HostOutcome[]): HostOutcome[] {
  return outcomes.toSorted((a, b) => severity(a) - severity(b) || (a.name < b.name ? -1 : 1));
}

function severity({ result, exitCode }: HostOutcome): number {
  const group = [ExitCode.incident, ExitCode.unknown, ExitCode.ok].map(Number).indexOf(exitCode);
  const within = result instanceof TriageError ? 0 : rank(result.verdict.code);
  return group * 100 + within;
}

/** In the order of the codes, which goes from the plain case to the unclear one. */
function rank(code: VerdictCode): number {
  return code === 'degraded' ? 0 : 1 + VERDICT_CODES.indexOf(code);
}

function fit(text: string, width: number): string {
  const clean = stripControl(text);
  return clean.length <= width ? clean : `${clean.slice(0, width - 1)}…`;
}
