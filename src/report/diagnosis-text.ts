import type { Step } from '../diagnosis/checks/checks.ts';
import type { StepStatus } from '../diagnosis/checks/finding.ts';
import { describePortOrigin } from '../diagnosis/checks/port-holder.ts';
import type { DiagnosisObserver } from '../diagnosis/diagnose.ts';
import type { Diagnosis } from '../diagnosis/diagnosis.ts';
import type { VerdictCode } from '../diagnosis/verdict.ts';
import { stripControl } from '../untrusted.ts';
import { describeMoment } from '../words.ts';
import { type Next, nextCommand } from './next-command.ts';
import { type Screen, wrap } from './screen.ts';
import { waitingOn } from './waiting.ts';

const INDENT = 16;
const LABEL = 9;

/** `-q` the verdict line alone, `-v` everything that was seen. */
export type Verbosity = 'quiet' | 'normal' | 'verbose';

/**
 * A diagnosis as text, printed step by step.
 * @param flags options that the next command must repeat
 * @param recordedIn the file that is judged in place of a host
 */
export function textReport(
  screen: Screen,
  verbosity: Verbosity,
  flags: readonly string[],
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
      screen.write(`${chalk.bold(left)}${fits ? ' '.repeat(gap) : '\n'}${chalk.dim(right)}\n`);
      if (recordedIn !== undefined) {
        const text = `as recorded in ${stripControl(recordedIn)}: no host was looked at now`;
        screen.write(`${chalk.yellow(wrap(text, screen.columns, 2))}\n`);
      }
      if (port.origin.kind !== 'option') {
        screen.write(`${chalk.dim(wrap(`port ${describePortOrigin(port)}`, screen.columns, 2))}\n`);
      }
    },
    waiting: waiting.begin,
    step(step) {
      waiting.end();
      screen.write(stepLines(screen, step, verbose));
    },
    end(diagnosis) {
      waiting.end();
      screen.write(`\n${verdictLines(screen, diagnosis, { flags, verbose })}`);
    },
    completed(step) {
      waiting.end();
      screen.write(`\n${stepLines(screen, step, verbose)}`);
    },
  };
}

function stepLines(screen: Screen, step: Step, verbose: boolean): string {
  const { chalk } = screen;
  const paint = painterOf(screen, step.status);
  const head = `${paint(screen.symbols[step.status])} ${step.title.padEnd(INDENT - 2)}`;
  const lines = [`${head}${wrap(step.summary, screen.columns, INDENT)}`];
  if (verbose) {
    for (const detail of step.details) {
      lines.push(`${' '.repeat(INDENT)}${chalk.dim(wrap(detail, screen.columns, INDENT + 2))}`);
    }
  }
  return `${lines.join('\n')}\n`;
}

/** The verdict block: what it is, what to do next, and with `-v` why. */
function verdictLines(
  screen: Screen,
  diagnosis: Diagnosis,
  { flags, verbose }: { readonly flags: readonly string[]; readonly verbose: boolean },
): string {
  const { chalk, columns } = screen;
  const { verdict } = diagnosis;
  const paint = verdictPainter(screen, verdict.code);
  const label = (name: string) => chalk.bold(name.padEnd(LABEL));
  const text = wrap(`${verdict.code}: ${verdict.summary}`, columns, LABEL);
  const lines = [`${label('Verdict')}${paint(text)}`];
  if (verbose) {
    for (const reason of verdict.evidence) {
      lines.push(`${' '.repeat(LABEL)}${chalk.dim(wrap(reason, columns, LABEL + 2))}`);
    }
    const would = wrap(`would change it: ${verdict.wouldChange}`, columns, LABEL + 2);
    lines.push(`${' '.repeat(LABEL)}${chalk.dim(would)}`);
  }
  lines.push(...nextLines(screen, nextCommand(diagnosis, flags)));
  return `${lines.join('\n')}\n`;
}

/** The next command stays whole, so that it can be copied; its note goes beside or below it. */
function nextLines({ chalk, columns }: Screen, { next, nextNote }: Next): string[] {
  if (next === '') return [];
  const label = chalk.bold('Next'.padEnd(LABEL));
  const beside = LABEL + next.length + 4 + nextNote.length <= columns;
  if (beside) return [`${label}${next}    ${chalk.dim(nextNote)}`];
  return [`${label}${next}`, `${' '.repeat(LABEL)}${chalk.dim(wrap(nextNote, columns, LABEL))}`];
}

function painterOf({ chalk }: Screen, status: StepStatus): (text: string) => string {
  if (status === 'pass') return chalk.green;
  if (status === 'fail') return chalk.red;
  return status === 'skip' ? chalk.dim : chalk.yellow;
}

function verdictPainter({ chalk }: Screen, code: VerdictCode): (text: string) => string {
  if (code === 'healthy') return chalk.green;
  return code === 'degraded' || code === 'unknown' ? chalk.yellow : chalk.red;
}
