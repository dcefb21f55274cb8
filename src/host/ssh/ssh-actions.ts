import { randomBytes } from 'node:crypto';
import { TriageError } from '../../errors.ts';
import { blind, type Look } from '../../evidence/evidence.ts';
import { parseCommandLine } from '../../evidence/proc-text.ts';
import type { PythonStacks, StackTool } from '../../evidence/python-stacks.ts';
import { recordedArgv, recordedText, redactSecrets, stripControl } from '../../untrusted.ts';
import type { CommandOutcome, HostActions, KillOutcome, KillTarget } from '../host.ts';
import { judgeKill, refuseTarget, whyNoStacks } from '../kill-guard.ts';
import { PROCESS_FILES, PROCESS_TABLE, parsePsRow, processTable } from '../recordings.ts';
import { stacksByAnyTool, type ToolRun } from '../stack-tools.ts';
import {
  actionMarks,
  commandEndScript,
  commandScript,
  killScript,
  linesBetweenMarks,
  momentScript,
  parseMoment,
  programScript,
  recordScript,
  tableScript,
  uidScript,
} from './action-scripts.ts';
import type { SshConnection } from './ssh-connection.ts';
import { ConnectionFailure } from './ssh-failure.ts';
import { parseStacksAnswer, stacksScript } from './stacks-script.ts';

const ANSWER_BYTES = 8 * 1024 * 1024;
/** What a script may take beyond the time that it was given, ms. */
const GRACE_MS = 15_000;
/** What a look at one process may take, ms. */
const LOOK_MS = 5_000;
/** The files that {@link recordScript} prints. */
const RECORDS = [...PROCESS_FILES, 'fds', 'cmdline'] as const;
/** How often a target is looked at anew that has changed between judgement and signal. */
const KILL_ROUNDS = 3;
/** Of the time for stacks, what the way there and back may take, ms. */
const STACKS_WAY_MS = 2_000;

/** What actions need of a connection. */
export type ScriptRunner = Pick<SshConnection, 'run' | 'runRepeatable'>;

/** Changes a host behind ssh; one script for each action. */
export class SshActions implements HostActions {
  readonly #connection: ScriptRunner;

  constructor(connection: ScriptRunner) {
    this.#connection = connection;
  }

  async kill(target: KillTarget, timeoutMs: number): Promise<KillOutcome> {
    // What needs no look is refused here; the rest is judged by what is read there.
    const refusal = refuseTarget(target);
    if (refusal !== null) return { kind: 'refused', why: refusal };
    const seconds = Math.max(1, Math.ceil(timeoutMs / 1000));
    const { identity } = target;
    // After a lost connection a script finds what the lost one has done.
    let signalled = false;
    for (let round = 0; round < KILL_ROUNDS; round += 1) {
      const look = (nonce: string) => momentScript(identity.pid, nonce);
      const moment = parseMoment((await this.#repeatable(look, LOOK_MS)).lines);
      if (moment === null) return { kind: 'refused', why: 'the host gave no clear answer' };
      const judged = judgeKill(target, moment.reading);
      if (judged?.kind === 'gone-before' && signalled) return { kind: 'gone' };
      if (judged !== null) return judged;
      const script = (nonce: string) => killScript(identity, moment.line, nonce, seconds);
      const { lines, again } = await this.#repeatable(script, timeoutMs);
      signalled ||= again;
      if (lines[0] === 'changed') continue;
      const outcome = killOutcome(lines[0] ?? '');
      return signalled && outcome.kind === 'gone-before' ? { kind: 'gone' } : outcome;
    }
    return { kind: 'refused', why: `${identity.pid} changes as often as it is looked at` };
  }

  async hasProgram(program: string): Promise<boolean> {
    const { lines } = await this.#repeatable((nonce) => programScript(program, nonce), 5_000);
    return lines[0] === 'there';
  }

  async run(argv: readonly string[], timeoutMs: number): Promise<CommandOutcome> {
    const began = performance.now();
    const seconds = Math.max(1, Math.ceil(timeoutMs / 1000));
    const token = randomBytes(16).toString('hex');
    const lines = await this.#command(argv, token, seconds);
    if (lines === null) {
      const durationMs = Math.round(performance.now() - began);
      const unknown = { exitCode: null, output: '', timedOut: false, failed: null, lost: true };
      return { argv, ...unknown, durationMs };
    }
    const output = lines
      .filter((line) => line.startsWith('output '))
      .map((line) => redactSecrets(stripControl(line.slice(7))))
      .join('\n');
    const failed = lines.find((line) => line.startsWith('failed '))?.slice(7) ?? null;
    const exit = /^exit (\d{1,3}) (late|in-time)$/.exec(lines.at(-1) ?? '');
    const timedOut = exit?.[2] === 'late';
    return {
      argv,
      exitCode: exit === null || timedOut ? null : Number(exit[1]),
      output,
      timedOut,
      failed: exit === null ? (failed ?? 'no answer') : null,
      lost: false,
      durationMs: Math.round(performance.now() - began),
    };
  }

  async recordProcess(pid: number): Promise<ReadonlyMap<string, string>> {
    const texts = new Map<string, string[]>();
    for (const line of await this.#recorded((nonce) => recordScript(pid, nonce))) {
      const blank = line.indexOf(' ');
      // Files of the trail are never named by the far side.
      const name = RECORDS.find((known) => known === line.slice(0, blank));
      if (name === undefined) continue;
      const text = texts.get(name) ?? [];
      text.push(line.slice(blank + 1));
      texts.set(name, text);
    }
    return new Map(
      [...texts].map(([name, text]) => [
        name,
        name === 'cmdline' ? recordedArgv(parseCommandLine(text.join('\0'))) : recordedText(text),
      ]),
    );
  }

  async readStacks(target: KillTarget, boundMs: number): Promise<Look<PythonStacks>> {
    const refusal = refuseTarget(target);
    if (refusal !== null) return blind('unsupported', refusal);
    const began = performance.now();
    const leftMs = () => boundMs - (performance.now() - began);
    // What holds of the process holds for every tool.
    let unfit: string | null = null;
    try {
      const look = await stacksByAnyTool(boundMs, async (tool): Promise<ToolRun> => {
        if (unfit !== null) return { kind: 'absent' };
        const ran = await this.#stacksBy(tool, target, leftMs);
        if ('kind' in ran) return ran;
        unfit = ran.unfit;
        return { kind: 'absent' };
      });
      return unfit === null ? look : blind('unsupported', unfit);
    } catch (error) {
      if (!(error instanceof TriageError)) throw error;
      return blind('timeout', error.message);
    }
  }

  async recordHost(): Promise<ReadonlyMap<string, string>> {
    const [clock = '', ...lines] = await this.#recorded(tableScript);
    const now = Number(/^now (\d+)$/.exec(clock)?.[1] ?? Number.NaN) * 1000;
    const rows = lines
      .filter((line) => line.startsWith('row '))
      .map((line) => parsePsRow(line.slice(4), now))
      .filter((row) => row !== null);
    const text = rows.length === 0 ? 'not recorded: no answer from ps there\n' : processTable(rows);
    return new Map([[PROCESS_TABLE, text]]);
  }

  async missingRights(uids: readonly number[]): Promise<string | null> {
    const {
      lines: [line = ''],
    } = await this.#repeatable(uidScript, 5_000);
    const own = Number(/^uid (\d+)$/.exec(line)?.[1] ?? Number.NaN);
    if (own === 0 || uids.every((uid) => uid === own)) return null;
    return `we are uid ${own} there; log in as root, or use --sudo`;
  }

  /** @throws ConnectionFailure where it was lost, or took longer than the time that was left */
  async #stacksBy(tool: StackTool, target: KillTarget, leftMs: () => number) {
    const { identity } = target;
    const look = (nonce: string) => momentScript(identity.pid, nonce);
    const moment = parseMoment((await this.#answer(look, leftMs(), 'in-time')).lines);
    if (moment === null) return { unfit: 'the host gave no clear answer' };
    const judged = judgeKill(target, moment.reading);
    if (judged !== null) return { unfit: whyNoStacks(judged) };
    const seconds = Math.max(1, Math.floor((leftMs() - STACKS_WAY_MS) / 1000));
    const token = randomBytes(16).toString('hex');
    const script = (nonce: string) =>
      stacksScript(tool, identity, moment.line, { token, nonce, seconds });
    return parseStacksAnswer((await this.#answer(script, leftMs(), 'in-time')).lines);
  }

  /** What a script for the trail alone says: it is not worth failing for. */
  async #recorded(script: (nonce: string) => string): Promise<readonly string[]> {
    const { lines } = await this.#repeatable(script, 10_000).catch(() => ({ lines: [] }));
    return lines;
  }

  /** What a command's script says; null where the connection was lost and the command has ended. */
  async #command(
    argv: readonly string[],
    token: string,
    seconds: number,
  ): Promise<readonly string[] | null> {
    const timeoutMs = seconds * 1000;
    try {
      const script = (nonce: string) => commandScript(argv, token, nonce, seconds);
      return (await this.#answer(script, timeoutMs, 'once')).lines;
    } catch (error) {
      if (!(error instanceof ConnectionFailure)) throw error;
      // It goes on there without us; neither a look nor a second command must come in between.
      await this.#repeatable((nonce) => commandEndScript(token, nonce, seconds), timeoutMs);
      return null;
    }
  }

  #repeatable(script: (nonce: string) => string, timeoutMs: number): Promise<ScriptAnswer> {
    return this.#answer(script, timeoutMs, 'repeatable');
  }

  /**
   * @param how `in-time`: once, and given up when its time is over
   * @throws ConnectionFailure where there is none
   */
  async #answer(
    script: (nonce: string) => string,
    timeoutMs: number,
    how: 'once' | 'repeatable' | 'in-time',
  ): Promise<ScriptAnswer> {
    const nonce = randomBytes(16).toString('hex');
    const { beginMark, endMark } = actionMarks(nonce);
    const maxBytes = ANSWER_BYTES;
    const graceMs = how === 'in-time' ? 0 : GRACE_MS;
    const limits = { timeoutMs: timeoutMs + graceMs, maxBytes, beginMark, endMark };
    const { stdout, again } =
      how === 'repeatable'
        ? await this.#connection.runRepeatable(script(nonce), limits)
        : await this.#connection.run(script(nonce), limits);
    return { lines: linesBetweenMarks(stdout, nonce), again };
  }
}

interface ScriptAnswer {
  /** What the script said, line by line. */
  readonly lines: readonly string[];
  readonly again: boolean;
}

function killOutcome(line: string): KillOutcome {
  const [word, rest = ''] = [line.split(' ')[0], stripControl(line.slice(line.indexOf(' ') + 1))];
  switch (word) {
    case 'gone':
    case 'gone-before':
    case 'not-permitted':
      return { kind: word };
    case 'zombie':
      return { kind: 'zombie', parent: Number(rest) };
    case 'uninterruptible':
      return { kind: 'uninterruptible', waitChannel: line === word ? null : rest };
    case 'still-there':
      return { kind: 'still-there', state: rest };
    default:
      return { kind: 'refused', why: 'the host gave no clear answer' };
  }
}
