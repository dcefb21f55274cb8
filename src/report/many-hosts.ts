/** Many hosts as text: a row each, worst first. */
import type { Diagnosis } from '../diagnosis/diagnosis.ts';
import { VERDICT_CODES, type VerdictCode } from '../diagnosis/verdict.ts';
import { ExitCode, TriageError } from '../errors.ts';
import { stripControl } from '../untrusted.ts';
import { count } from '../words.ts';
import { standingOf } from './diagnosis-text.ts';
import type { Repeated } from './next-command.ts';
import { type Screen, wrap } from './screen.ts';

/** What became of one host. */
export interface HostOutcome {
  readonly name: string;
  readonly result: Diagnosis | TriageError;
  /** What the next command must repeat to mean it. */
  readonly repeated: Repeated;
  readonly exitCode: ExitCode;
}

/** Shows hosts as they are judged. */
export interface HostsReport {
  begin(): void;
  arrived(outcome: HostOutcome): void;
  end(): void;
}

const NAME_WIDTH = 26;

/**
 * A row for each host, once. On a terminal they show as they arrive, as many as fit, and in the end
 * the sorted list takes their place; where no line can be taken back they stay as they came. What
 * is piped is the sorted list, with nothing cut.
 * @param terminal its size; null where it is none
 */
export function hostsReport(
  screen: Screen,
  names: readonly string[],
  terminal: { readonly columns: number; readonly rows: number } | null,
): HostsReport {
  const outcomes: HostOutcome[] = [];
  const width = terminal === null ? Number.POSITIVE_INFINITY : terminal.columns;
  const longest = Math.max(...names.map((name) => stripControl(name).length));
  const nameWidth = terminal === null ? longest : Math.min(NAME_WIDTH, longest, width >> 1);
  const rowOf = (outcome: HostOutcome) => row(screen, outcome, nameWidth, width);
  const live = screen.interactive && terminal !== null;
  const room = live ? Math.max(1, terminal.rows - 3) : 0;
  const waiting = () => {
    if (live) screen.write(`  ${outcomes.length} of ${count(names.length, 'host')} …`);
  };
  return {
    begin: waiting,
    arrived(outcome) {
      outcomes.push(outcome);
      if (live) {
        screen.clearLine();
        // The oldest row makes way, as none may leave the screen: it could not be taken back.
        if (outcomes.length > room) {
          screen.clearLines(room);
          screen.write(outcomes.slice(-room, -1).map(rowOf).join(''));
        }
      }
      if (terminal !== null) screen.write(rowOf(outcome));
      waiting();
    },
    end() {
      if (live) {
        screen.clearLine();
        screen.clearLines(Math.min(room, outcomes.length));
      }
      const sorted = live || terminal === null;
      const rows = sorted ? worstFirst(outcomes).map(rowOf).join('') : '';
      const head = wrap(totals(outcomes, sorted), screen.columns, 0);
      screen.write(`${screen.chalk.bold(head)}\n${rows}`);
    },
  };
}

function row(screen: Screen, outcome: HostOutcome, nameWidth: number, width: number): string {
  const { name, result } = outcome;
  const failed = result instanceof TriageError;
  const code = failed ? 'unreachable' : result.verdict.code;
  // A failure's message begins with the name, which the row has already.
  const text = failed ? result.message.replace(`${name}: `, '') : result.verdict.summary;
  const standing = failed ? 'unknown' : standingOf(result.verdict.code);
  const left = fit(name, nameWidth).padEnd(nameWidth);
  const told = fit(`${code}: ${text}`, Math.max(3, width - screen.markWidth - nameWidth - 2));
  const verdict = screen.paint(standing, told.slice(0, code.length));
  return `${screen.mark(standing)} ${left} ${verdict}${told.slice(code.length)}\n`;
}

function totals(outcomes: readonly HostOutcome[], sorted: boolean): string {
  const number = (code: ExitCode) => outcomes.filter(({ exitCode }) => exitCode === code).length;
  const parts = [
    `${number(ExitCode.incident)} with an incident`,
    `${number(ExitCode.unknown)} not known`,
    `${number(ExitCode.ok)} well`,
  ];
  const head = `${count(outcomes.length, 'host')}${sorted ? ', worst first' : ''}`;
  return `${head}: ${parts.join(', ')}`;
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

/** Cut at the width, with an ellipsis; three columns are left for it, as it is `...` in ASCII. */
function fit(text: string, width: number): string {
  const clean = stripControl(text);
  return clean.length <= width ? clean : `${clean.slice(0, width - 3)}…`;
}
