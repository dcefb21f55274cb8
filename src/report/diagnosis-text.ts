import type { Step } from '../diagnosis/checks/checks.ts';
import { describePortOrigin } from '../diagnosis/checks/port-holder.ts';
import type { DiagnosisObserver } from '../diagnosis/diagnose.ts';
import type { Diagnosis } from '../diagnosis/diagnosis.ts';
import type { VerdictCode } from '../diagnosis/verdict.ts';
import { stripControl } from '../untrusted.ts';
import { describeMoment } from '../words.ts';
import type { Next } from './next-command.ts';
import { LABEL, nextLines } from './next-lines.ts';
import { type Screen, type Standing, wrap } from './screen.ts';
import { waitingOn } from './waiting.ts';
import { whyLines } from './why-lines.ts';

/** Columns of a step's name, behind its mark. */
const NAME = 14;

/** `-q` the verdict line alone, `-v` everything that was seen. */
export type Verbosity = 'quiet' | 'normal' | 'verbose';

/**
 * A diagnosis as text, printed step by step.
 * @param nextOf what to do next
 * @param recordedIn the file that is judged in place of a host
 */
export function textReport(
  screen: Screen,
  verbosity: Verbosity,
  nextOf: (diagnosis: Diagnosis) => Next,
  recordedIn?: string,
): DiagnosisObserver {
  if (verbosity === 'quiet') {
    return {
      end: ({ verdict }) => screen.write(`${verdict.code}: ${stripControl(verdict.summary)}\n`),
    };
  }
  const { chalk } = screen;
  const verbose = verbosity === 'verbose';
  const waiting = waitingOn(screen);
  return {
    begin({ host, port }) {
      const left = `salt-api triage on ${stripControl(host.name)}, port ${port.number}`;
      const right = describeMoment(host.now, host);
      const gap = Math.max(2, screen.columns - left.length - right.length);
      const fits = left.length + right.length + 2 <= screen.columns;
      screen.write(`${chalk.bold(left)}${fits ? ' '.repeat(gap) : '\n'}${right}\n`);
      if (recordedIn !== undefined) {
        const text = `as recorded in ${stripControl(recordedIn)}: no host was looked at now`;
        screen.write(`${screen.paint('warn', wrap(text, screen.columns, 2))}\n`);
      }
      if (port.origin.kind !== 'option') {
        screen.write(`${wrap(`port ${describePortOrigin(port)}`, screen.columns, 2)}\n`);
      }
    },
    waiting: waiting.begin,
    step(step) {
      waiting.end();
      screen.write(stepLines(screen, step, verbose));
    },
    end(diagnosis) {
      waiting.end();
      screen.write(`\n${verdictLines(screen, diagnosis, nextOf(diagnosis), verbose)}`);
    },
    completed(step) {
      waiting.end();
      screen.write(`\n${stepLines(screen, step, verbose)}`);
    },
    explained(diagnosis) {
      waiting.end();
      const lines = whyLines(screen, diagnosis, verbose);
      if (lines.length > 0) screen.write(`\n${lines.join('\n')}\n`);
    },
  };
}

function stepLines(screen: Screen, step: Step, verbose: boolean): string {
  const { columns } = screen;
  const indent = screen.markWidth + 1 + NAME;
  const head = `${screen.mark(step.status)} ${step.title.padEnd(NAME)}`;
  const lines = [`${head}${wrap(step.summary, columns, indent)}`];
  if (verbose) {
    for (const detail of step.details) {
      lines.push(`${' '.repeat(indent)}${wrap(detail, columns, indent + 2)}`);
    }
  }
  return `${lines.join('\n')}\n`;
}

/** The verdict block: what it is, what to do next, and with `-v` why. */
function verdictLines(screen: Screen, diagnosis: Diagnosis, next: Next, verbose: boolean): string {
  const { chalk, columns } = screen;
  const { verdict } = diagnosis;
  const text = wrap(`${verdict.code}: ${verdict.summary}`, columns, LABEL);
  const code = screen.paint(standingOf(verdict.code), verdict.code);
  const lines = [
    `${chalk.bold('Verdict'.padEnd(LABEL))}${code}${chalk.bold(text.slice(verdict.code.length))}`,
  ];
  if (verbose) {
    for (const reason of [...reasonsOf(diagnosis), `would change it: ${verdict.wouldChange}`]) {
      lines.push(`${' '.repeat(LABEL)}${wrap(reason, columns, LABEL + 2)}`);
    }
  }
  lines.push(...nextLines(screen, next));
  return `${lines.join('\n')}\n`;
}

/** The steps that the verdict goes by, whose lines stand above, and what it goes by beside them. */
function reasonsOf({ steps, verdict }: Diagnosis): string[] {
  const titles = new Map(steps.map(({ title, summary }) => [`${title}: ${summary}`, title]));
  const by = verdict.evidence.flatMap((reason) => titles.get(reason) ?? []);
  const beside = verdict.evidence.filter((reason) => !titles.has(reason));
  return [...(by.length > 0 ? [`judged by: ${by.join(', ')}`] : []), ...beside];
}

/** How a host stands by its verdict. */
export function standingOf(code: VerdictCode): Standing {
  if (code === 'healthy') return 'pass';
  return code === 'degraded' ? 'warn' : code === 'unknown' ? 'unknown' : 'fail';
}
