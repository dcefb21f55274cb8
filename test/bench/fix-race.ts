/** How long salt-api stays down until a fix has it serve again, against a script that finds out nothing. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { get } from 'node:http';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { type StagedIncident, stageIncident } from '../../src/drill/stage.ts';
import { type Comparison, comparison } from './measure.ts';

/** As Salt's own manager waits: the daemon must not recover by itself first. */
const RESTART_AFTER_MS = 10_000;
const DEADLINE_MS = 60_000;

export interface Race {
  readonly name: string;
  /** The stop of 2018 says OK and leaves the manager; the drill's own ends it. */
  readonly stopLeavesManager: boolean;
}

export const RACES: readonly Race[] = [
  { name: 'fix --yes, until 200 / kill, stop, start', stopLeavesManager: false },
  { name: 'the same where the stop leaves the manager', stopLeavesManager: true },
];

/**
 * Runs both in turn, each on an incident of its own, after one of each that is not counted.
 * @param builds the CLI, and an older one in place of the script
 */
export async function race(
  { stopLeavesManager }: Race,
  builds: { readonly cli: string; readonly against: string | undefined },
  pairs: number,
): Promise<Comparison> {
  const { cli, against } = builds;
  const stopOf = ({ stopCommand }: StagedIncident) =>
    stopLeavesManager ? 'echo OK' : stopCommand.join(' ');
  const byFix = (bundle: string) => {
    return time((staged) => [
      ...[process.execPath, bundle, 'fix', '--yes', '--json', '--port', `${staged.port}`],
      ...['-c', staged.configDirectory, '--state-dir', join(staged.directory, 'trail')],
      ...['--stop-cmd', stopOf(staged), '--start-cmd', staged.startCommand.join(' ')],
    ]);
  };
  const byScript = () => {
    return time((staged) => {
      const { orphanPid, managerPid, startCommand } = staged;
      const pids = stopLeavesManager ? [orphanPid, managerPid] : [orphanPid];
      const script = [`kill -9 ${pids.join(' ')}`, stopOf(staged), startCommand.join(' ')];
      return ['sh', '-c', script.join('; ')];
    });
  };
  const other = () => (against === undefined ? byScript() : byFix(against));
  const taken: [number, number][] = [];
  for (let pair = 0; pair <= pairs; pair += 1) taken.push([await byFix(cli), await other()]);
  return comparison(taken.slice(1));
}

/** From the start of a command to the first 200 of the server that it brings back, ms. */
async function time(commandFor: (staged: StagedIncident) => readonly string[]): Promise<number> {
  const staged = await stageIncident({ restartAfterMs: RESTART_AFTER_MS });
  try {
    const [program = '', ...args] = commandFor(staged);
    const began = performance.now();
    const run = spawn(program, args, { stdio: 'ignore' });
    const ended = once(run, 'exit');
    while (!(await serves(staged))) {
      assert.ok(performance.now() - began < DEADLINE_MS, `${program} brought nothing back`);
      await delay(10);
    }
    const took = performance.now() - began;
    await ended;
    assert.equal(run.exitCode, 0, args.join(' '));
    return took;
  } finally {
    await staged.cleanup();
  }
}

/** The orphan answers nothing: it is not asked, or its queue would grow by what the bench does. */
async function serves({ orphanPid, port }: StagedIncident): Promise<boolean> {
  const stat = `/proc/${orphanPid}/stat`;
  if (existsSync(stat) && !/\) Z /.test(readFileSync(stat, 'latin1'))) return false;
  return new Promise((resolve) => {
    const request = get({ host: '127.0.0.1', port, path: '/', agent: false }, (answer) => {
      answer.resume();
      resolve(answer.statusCode === 200);
    });
    request.once('error', () => resolve(false));
  });
}
