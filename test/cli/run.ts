/** Runs the built CLI as a user does: the one file, its own process, pipes instead of a terminal. */
import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { conforms } from '../report/conforms.ts';

export const BUNDLE = fileURLToPath(new URL('../../bin/salt-triage.cjs', import.meta.url));

/** A single executable (bin/package), to run the tests with it in place of node and the one file. */
const EXECUTABLE = process.env['TRIAGE_EXECUTABLE'];
/** What every command is run with. */
export const PROGRAM: readonly [string, ...string[]] =
  EXECUTABLE === undefined ? [process.execPath, BUNDLE] : [EXECUTABLE];
/** The same as a program of its own, as monitors start it: its shell script finds node. */
export const AS_COMMAND: readonly [string, ...string[]] =
  EXECUTABLE === undefined ? ['/bin/sh', BUNDLE] : [EXECUTABLE];

export interface Ran {
  readonly stdout: string;
  readonly stderr: string;
  readonly code: number | null;
}

/**
 * @param options `input`: text on standard input, which is closed otherwise; `env`: added to a
 *   plain environment with a UTF-8 locale
 * @throws where a document of `--json` is not as the JSON Schema has it
 */
export function runCli(
  args: readonly string[],
  options: {
    readonly input?: string | Buffer;
    readonly env?: NodeJS.ProcessEnv;
    readonly cwd?: string;
    readonly uid?: number;
    readonly command?: readonly string[];
  } = {},
): Promise<Ran> {
  const [program = process.execPath, ...rest] = options.command ?? PROGRAM;
  return new Promise((resolve, reject) => {
    const child = spawn(program, [...rest, ...args], {
      env: { PATH: process.env['PATH'], HOME: '/nonexistent', LANG: 'C.UTF-8', ...options.env },
      stdio: 'pipe',
      ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
      ...(options.uid === undefined ? {} : { uid: options.uid, gid: options.uid }),
    });
    let stdout = '';
    let stderr = '';
    child.stdout.setEncoding('utf8').on('data', (text) => {
      stdout += text;
    });
    child.stderr.setEncoding('utf8').on('data', (text) => {
      stderr += text;
    });
    child.stdin.on('error', () => undefined);
    child.stdin.end(options.input ?? '');
    child.once('error', reject);
    child.once('close', (code) => {
      try {
        if (args.includes('--json')) documentsOf(stdout).forEach(conforms);
        resolve({ stdout, stderr, code });
      } catch (error) {
        reject(error);
      }
    });
  });
}

function documentsOf(stdout: string): unknown[] {
  return stdout
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line));
}
