/** Where a report goes, and the list of who is who. */
import { inLocale } from '../characters.ts';
import { ExitCode, TriageError } from '../errors.ts';
import { requirePlainTarget, writePlainFile } from '../host/local/plain-file.ts';
import type { Postmortem } from '../report/postmortem/model.ts';
import { htmlReport, markdownReport } from '../report/postmortem/render.ts';
import { printable, stripControl } from '../untrusted.ts';
import { grouped } from '../words.ts';

/**
 * Writes a report to the file that is named, or to standard output; as Markdown unless the file ends
 * like one of HTML.
 * @throws TriageError (usage) where that can't be done
 */
export async function deliverReport(
  report: Postmortem,
  { format, output }: { readonly format?: 'html' | 'md'; readonly output?: string },
): Promise<void> {
  const chosen = format ?? (/\.html?$/i.test(output ?? '') ? 'html' : 'md');
  const text = chosen === 'html' ? htmlReport(report) : markdownReport(report);
  if (output === undefined) {
    process.stdout.write(chosen === 'html' ? text : inLocale(printable(text)));
    return;
  }
  await writeReportFile(output, text);
  tell(`written to ${output} (${grouped(Math.ceil(Buffer.byteLength(text) / 1000))} kB)`);
}

/** What is not the report itself goes to standard error. */
export function tell(what: string): void {
  process.stderr.write(inLocale(`salt-triage: ${stripControl(what)}\n`));
}

/** @throws TriageError (usage) where a file of that name could not be written as it stands */
export async function requireReportTarget(path: string): Promise<void> {
  await requirePlainTarget(path).catch((error: unknown) => {
    throw notWritten(path, error);
  });
}

/** Writes it whole or not at all, for its owner alone. @throws TriageError (usage) */
export async function writeReportFile(path: string, text: string): Promise<void> {
  await writePlainFile(path, text).catch((error: unknown) => {
    throw notWritten(path, error);
  });
}

function notWritten(path: string, cause: unknown): TriageError {
  return new TriageError(
    `can't write ${stripControl(path)}: ${(cause as Error).message}`,
    'Name a new file in a directory that you may write to.',
    ExitCode.usage,
    { cause },
  );
}
