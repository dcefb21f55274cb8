import { hostname, userInfo } from 'node:os';
import { ExitCode, TriageError } from '../../errors.ts';
import { anonymize } from '../../report/postmortem/anonymize/anonymize.ts';
import { knownNames } from '../../report/postmortem/anonymize/known-names.ts';
import type { PostmortemCase } from '../../report/postmortem/case.ts';
import { type Postmortem, writePostmortem } from '../../report/postmortem/model.ts';
import { findIncident, recordedIncidents } from '../find-incident.ts';
import type { COMMANDS, Flags } from '../options.ts';
import { caseOfEvidence, caseOfIncident } from '../postmortem-case.ts';
import { deliverReport, requireReportTarget, tell, writeReportFile } from '../report-files.ts';

type ReportFlags = Flags<typeof COMMANDS.report>;

/**
 * `salt-triage report [INCIDENT]`: the draft of a postmortem.
 * @param id as of `history`; the latest where undefined
 * @returns the exit code
 * @throws TriageError (usage) for an incident that is not there, evidence that is none, and files that
 *   can't be written
 */
export async function reportCommand(id: string | undefined, given: ReportFlags): Promise<ExitCode> {
  const flags: ReportFlags = given.output === '-' ? toStandardOutput(given) : given;
  const names = namesFile(flags);
  for (const path of [flags.output, names]) if (path !== undefined) await requireReportTarget(path);
  const about = await caseOf(id, flags);
  const report = writePostmortem(about);
  if (names === undefined) await deliverReport(report, flags);
  else await deliverAnonymized(report, about, flags, names);
  return ExitCode.ok;
}

/** `-o -` is standard output, as elsewhere. */
function toStandardOutput({ output: _, ...others }: ReportFlags): ReportFlags {
  return others;
}

async function caseOf(id: string | undefined, flags: ReportFlags): Promise<PostmortemCase> {
  if (flags.from === undefined) {
    const { incidents } = await recordedIncidents(flags);
    return caseOfIncident(findIncident(id ?? 'latest', incidents), incidents);
  }
  if (id !== undefined) {
    throw new TriageError(
      '--from is of saved evidence, and an incident is named',
      'Leave one of them out.',
      ExitCode.usage,
    );
  }
  return caseOfEvidence(flags.from, flags.stateDir);
}

/** Where the list of names goes; undefined where nothing is anonymised. */
function namesFile({ anonymize: asked, names, output }: ReportFlags): string | undefined {
  if (asked !== true) {
    if (names === undefined) return undefined;
    throw new TriageError(
      '--names is for --anonymize',
      'Give --anonymize, too, or leave --names out.',
      ExitCode.usage,
    );
  }
  if (names !== undefined) return names;
  if (output !== undefined) return `${output}.names.json`;
  throw new TriageError(
    '--anonymize needs a file for the list of who is who',
    'Give -o FILE, and it goes beside that; or --names FILE.',
    ExitCode.usage,
  );
}

async function deliverAnonymized(
  report: Postmortem,
  about: PostmortemCase,
  flags: ReportFlags,
  path: string,
): Promise<void> {
  const own = { hosts: [hostname()], users: [ownUser()] };
  const { value, names } = anonymize(report, knownNames(about, own));
  await deliverReport(value, flags);
  await writeReportFile(path, `${JSON.stringify(names, null, 2)}\n`);
  tell(`who is who: ${path}; keep it to yourself, and read the report before you show it`);
}

function ownUser(): string {
  try {
    return userInfo().username;
  } catch {
    return '';
  }
}
