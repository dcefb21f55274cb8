import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

const runFile = promisify(execFile);

/**
 * Runs a program without a shell, in an environment that says nothing of this machine.
 * @returns what it printed
 * @throws Error with what it printed on standard error, where it fails or isn't there
 */
export async function run(
  command: readonly [string, ...string[]],
  { cwd, env = {} }: { readonly cwd?: string; readonly env?: Record<string, string> } = {},
): Promise<string> {
  const [program, ...args] = command;
  const plain = { PATH: process.env['PATH'], HOME: process.env['HOME'], LC_ALL: 'C', TZ: 'UTC' };
  const { stdout } = await runFile(program, args, {
    cwd,
    env: { ...plain, ...env },
    maxBuffer: 64 * 1024 * 1024,
  });
  return stdout;
}
