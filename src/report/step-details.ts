import type { Diagnosis } from '../diagnosis/diagnosis.ts';
import type { PlanStep } from '../plan/plan.ts';
import { redactSecrets, stripControl } from '../untrusted.ts';
import { stepFacts } from './fix-text.ts';

const MOST_LINES = 60;
const MOST_ENTRIES = 12;
/** Of what the trail records, the files that help a person to decide. */
const SHOWN_FILES = ['fds', 'wchan', 'stack'] as const;

/**
 * What a person gets for "details": all that is known of the step, made safe to print.
 * @param record what `/proc` says of the process now, file name to text
 */
export function stepDetails(
  step: PlanStep,
  { evidence, findings }: Diagnosis,
  record: ReadonlyMap<string, string>,
): string[] {
  const lines = [...stepFacts(step)];
  if (step.kind === 'kill') {
    const { pid, startTicks, bootId } = step.target.identity;
    const facts = evidence.processes.seen
      ? evidence.processes.value.processes.find((one) => one.pid === pid)
      : undefined;
    lines.push(
      `command: kill -9 ${pid}, only while its start tick is ${startTicks} (boot ${bootId})`,
      `parent ${facts?.ppid ?? 'unknown'}, session ${facts?.session ?? 'unknown'}, cgroup ${facts?.cgroup ?? 'unknown'}`,
    );
    for (const name of SHOWN_FILES) {
      const content = (record.get(name) ?? '').trim().split('\n').filter(Boolean);
      if (content.length === 0) continue;
      const rest =
        content.length > MOST_ENTRIES ? ` and ${content.length - MOST_ENTRIES} more` : '';
      lines.push(`${name}: ${content.slice(0, MOST_ENTRIES).join('; ')}${rest}`);
    }
  }
  lines.push(...findings['api-log'].evidence.samples.map((sample) => `log: ${sample}`));
  return lines.slice(0, MOST_LINES).map((line) => redactSecrets(stripControl(line)).slice(0, 400));
}
