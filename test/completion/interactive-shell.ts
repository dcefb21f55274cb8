/** A shell in a real terminal (tmux) that has read its completion: lines typed, TAB pressed. */
import { execFileSync } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import type { TestContext } from 'node:test';
import { BUNDLE } from '../cli/run.ts';
import { until } from '../fix/staged.ts';

const PROMPT = '>';

/** How each shell is started, and the files in its home that make it read the completion there. */
const SHELLS = {
  bash: {
    printed: 'bash',
    command: 'bash --noprofile -i',
    completion: 'completion',
    files: { '.bashrc': `PS1='${PROMPT} '\nsource ~/completion\n` },
  },
  'bash with bash-completion': {
    printed: 'bash',
    command: 'bash --noprofile -i',
    // Found there when it is first needed.
    completion: '.local/share/bash-completion/completions/salt-triage',
    files: {
      '.bashrc': `PS1='${PROMPT} '\nsource /usr/share/bash-completion/bash_completion\n`,
    },
  },
  zsh: {
    printed: 'zsh',
    command: 'zsh -d -i',
    completion: 'functions/_salt-triage',
    files: {
      '.zshrc': `PS1='${PROMPT} '\nfpath=(~/functions $fpath)\nautoload -Uz compinit\ncompinit -u -D\n`,
    },
  },
  'zsh by source': {
    printed: 'zsh',
    command: 'zsh -d -i',
    completion: 'completion',
    files: {
      '.zshrc': `PS1='${PROMPT} '\nautoload -Uz compinit\ncompinit -u -D\nsource ~/completion\n`,
    },
  },
  fish: {
    printed: 'fish',
    command: 'fish',
    completion: '.config/fish/completions/salt-triage.fish',
    files: {
      // What it makes of all man pages in the background would outlive the test.
      '.local/share/fish/generated_completions/none': '',
      '.config/fish/config.fish': `function fish_prompt\n  echo '${PROMPT} '\nend\nset -g fish_autosuggestion_enabled 0\nset -g fish_greeting\n`,
    },
  },
} as const;

export type ShellName = keyof typeof SHELLS;
export const SHELL_NAMES = Object.keys(SHELLS) as ShellName[];

let started = 0;

/**
 * Starts a shell in a home of its own, which is gone after the test.
 * @param files of the home, beside its own
 * @param saltTriage what runs by that name, for sh; the built one file where unset
 */
export async function interactiveShell(
  t: TestContext,
  name: ShellName,
  files: Readonly<Record<string, string>>,
  saltTriage = `exec '${process.execPath}' '${BUNDLE}' "$@"`,
) {
  const { printed, command, completion, files: own } = SHELLS[name];
  const text = execFileSync(process.execPath, [BUNDLE, 'completion', printed], {
    encoding: 'utf8',
  });
  const program = `#!/bin/sh\n${saltTriage}\n`;
  const home = mkdtempSync(join(tmpdir(), 'salt-triage-tab-'));
  const all = { ...own, ...files, [completion]: text, 'bin/salt-triage': program };
  for (const [path, content] of Object.entries(all)) {
    mkdirSync(join(home, dirname(path)), { recursive: true });
    writeFileSync(join(home, path), content);
  }
  chmodSync(join(home, 'bin/salt-triage'), 0o755);
  started += 1;
  const server = `salt-triage-tab-${process.pid}-${started}`;
  const tmux = (...args: string[]) =>
    execFileSync('tmux', ['-L', server, ...args], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    });
  const path = `${home}/bin:/usr/bin:/bin`;
  const line = `cd '${home}' && exec env -i HOME='${home}' PATH='${path}' TERM="$TERM" LANG=C.UTF-8 ${command}`;
  tmux('-f', '/dev/null', 'new-session', '-d', '-x', '150', '-y', '50', '-s', 'shell', line);
  const pid = tmux('display-message', '-p', '-t', 'shell', '#{pane_pid}').trim();
  t.after(async () => {
    tmux('kill-server');
    // It writes its history as it ends.
    await until(`the end of ${name}`, () => hasEnded(`/proc/${pid}/cmdline`));
    rmSync(home, { recursive: true });
  });
  const screen = () => tmux('capture-pane', '-p', '-J', '-t', 'shell').trim();
  const shows = async (what: string, wanted: (shown: string) => boolean) => {
    let last = '';
    await until(what, () => {
      last = screen();
      return wanted(last);
    }).catch((cause) => {
      throw new Error(`${name} does not show: ${what}\n${last}`, { cause });
    });
  };
  const press = (...keys: string[]) => tmux('send-keys', '-t', 'shell', ...keys);
  await shows('its prompt', (shown) => shown === PROMPT);
  return {
    home,
    press,
    /** Types at an empty prompt. */
    async type(typed: string) {
      press('C-u', 'C-l');
      await shows('an empty prompt', (shown) => shown === PROMPT);
      tmux('send-keys', '-t', 'shell', '-l', typed);
      await shows(typed, (shown) => shown === `${PROMPT} ${typed}`.trim());
    },
    /** Waits until this is all that is shown. */
    line: (wanted: string) => shows(wanted, (shown) => shown === `${PROMPT} ${wanted}`.trim()),
    /** Waits until each of these words is shown. */
    words: (...wanted: string[]) =>
      shows(wanted.join(' '), (shown) => {
        const words = shown.split(/\s+/);
        return wanted.every((word) => words.includes(word));
      }),
    shows,
  };
}

/** A process that has ended but is not yet waited for has no words left. */
function hasEnded(cmdline: string): boolean {
  try {
    return readFileSync(cmdline, 'utf8') === '';
  } catch {
    return true;
  }
}

/** For `skip`: in CI nothing is skipped, so what is missing fails there. */
export function skipWithoutShells(): string | false {
  const programs = ['tmux', 'zsh', 'fish', '/usr/share/bash-completion/bash_completion'];
  const missing = programs.filter((program) => {
    try {
      execFileSync('sh', ['-c', 'command -v "$1" || test -e "$1"', 'sh', program]);
      return false;
    } catch {
      return true;
    }
  });
  return missing.length === 0 || process.env['CI'] ? false : `needs ${missing.join(', ')}`;
}
