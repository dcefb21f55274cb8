/** The shells that a host may have, and scripts run in them without an ssh. */
import { spawn, spawnSync } from 'node:child_process';
import type { ScriptRunner } from '../../src/host/ssh/ssh-actions.ts';

/** Those that are here. */
export const SHELLS: readonly (readonly string[])[] = [
  ['dash'],
  ['bash', '--posix'],
  ['busybox', 'sh'],
].filter(([program = '', ...args]) => spawnSync(program, [...args, '-c', 'true']).status === 0);

export interface RunnerOptions {
  /** Put before the shell: `unshare …`. */
  readonly wrapper?: readonly string[];
  /** Script put before what is sent, with functions in place of programs. */
  readonly before?: (script: string) => string | Promise<string>;
  readonly uid?: number;
}

/** Runs scripts as a connection does, in a shell of this machine. */
export function runnerIn(
  shell: readonly string[],
  { wrapper = [], before = () => '', uid }: RunnerOptions = {},
): ScriptRunner {
  const run = async (script: string) => {
    const head = await before(script);
    const [program = '', ...args] = [...wrapper, ...shell, '-s'];
    const child = spawn(program, args, {
      env: { PATH: process.env['PATH'] },
      stdio: ['pipe', 'pipe', 'inherit'],
      ...(uid === undefined ? {} : { uid }),
    });
    child.stdin.end(head + script);
    const chunks: Buffer[] = [];
    for await (const chunk of child.stdout) chunks.push(chunk as Buffer);
    return { stdout: Buffer.concat(chunks), again: false };
  };
  return { run, runRepeatable: run };
}
