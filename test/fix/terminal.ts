/** A real terminal (tmux) for a test: keys typed, the screen read. */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import type { TestContext } from 'node:test';
import { PROGRAM } from '../cli/run.ts';
import { type Staged, until } from './staged.ts';

/**
 * Opens a terminal that runs the command and then says its exit code.
 * @param options `columns`: 80 where unset; `more`: further options of the command; `term`: of which kind
 */
export function open(
  t: TestContext,
  staged: Pick<Staged, 'port' | 'target' | 'service'>,
  command: 'fix' | 'diagnose' = 'fix',
  options: {
    readonly columns?: number;
    readonly more?: readonly string[];
    readonly term?: string;
  } = {},
) {
  const name = `salt-triage-test-${process.pid}-${staged.port}`;
  const tmux = (...args: string[]) =>
    execFileSync('tmux', ['-L', name, ...args], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    });
  const target = staged.target.filter((word, index, all) => {
    const of = command === 'diagnose' ? ['--state-dir', '--wait'] : [];
    return !of.includes(word) && !of.includes(all[index - 1] ?? '');
  });
  const words = [...PROGRAM, command, ...target];
  if (command === 'fix') words.push(...staged.service);
  words.push(...(options.more ?? []));
  const line = words.map((word) => `'${word}'`).join(' ');
  tmux(
    ...[
      '-f',
      '/dev/null',
      'new-session',
      '-d',
      '-x',
      `${options.columns ?? 80}`,
      '-y',
      '120',
      '-s',
      'fix',
    ],
    `${options.term === undefined ? '' : `TERM=${options.term} `}LANG=C.UTF-8 ${line}; echo "exit code $?"; read line`,
  );
  const close = () => {
    try {
      tmux('kill-server');
    } catch {
      // It is gone already.
    }
  };
  t.after(close);
  const screen = () => tmux('capture-pane', '-p', '-t', 'fix').replace(/\n+$/, '\n');
  return {
    screen,
    /** Copies what it is sent from now on, control characters and all, to a file. */
    copyTo: (file: string) => tmux('pipe-pane', '-t', 'fix', `cat > '${file}'`),
    /** With its colours, as the terminal would be told them. */
    coloured: () => tmux('capture-pane', '-p', '-e', '-t', 'fix'),
    /** What was written, lines that ran past the edge in one piece. */
    unbroken: () => tmux('capture-pane', '-p', '-J', '-t', 'fix'),
    /** Of the command; the shell that the terminal runs is its parent. */
    pid(): number {
      const shell = tmux('display-message', '-p', '-t', 'fix', '#{pane_pid}').trim();
      return Number(readFileSync(`/proc/${shell}/task/${shell}/children`, 'utf8').trim());
    },
    close,
    press: (key: string) => tmux('send-keys', '-t', 'fix', key),
    /** Characters as they are, at once. */
    paste: (text: string) => tmux('send-keys', '-t', 'fix', '-l', text),
    type(text: string) {
      if (text !== '') tmux('send-keys', '-t', 'fix', '-l', text);
      tmux('send-keys', '-t', 'fix', 'Enter');
    },
    async shows(wanted: string | RegExp) {
      let last = '';
      try {
        await until(String(wanted), () => {
          last = screen();
          return typeof wanted === 'string' ? last.includes(wanted) : wanted.test(last);
        });
      } catch (error) {
        throw new Error(`not on the screen: ${wanted}\n${last}`, { cause: error });
      }
    },
  };
}

/** For `skip`: in CI nothing is skipped, so a missing tmux fails there. */
export function skipWithoutTmux(): string | false {
  try {
    execFileSync('tmux', ['-V'], { stdio: 'ignore' });
    return false;
  } catch {
    return process.env['CI'] ? false : 'needs tmux';
  }
}
