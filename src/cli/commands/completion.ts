import type { Command } from 'commander';
import { ExitCode, TriageError } from '../../errors.ts';
import { stateDirectories } from '../../trail/directory.ts';
import { listIncidents } from '../../trail/retention.ts';
import { stripControl } from '../../untrusted.ts';
import { FOUND, type Found, SHELLS, type Shell } from '../completion/typeable.ts';
import type { COMMANDS, Flags } from '../options.ts';

type CompletionFlags = Flags<typeof COMMANDS.completion>;

/**
 * `salt-triage completion SHELL`: prints the completion of a shell. That asks for what it can't
 * know beforehand in the same way: `salt-triage completion hosts`, or `incidents`, one a line, of
 * characters that mean nothing to a shell.
 * @param wholeProgram every command with all of its options
 * @throws TriageError (usage) for another word
 */
export async function completionCommand(
  wanted: string | undefined,
  flags: CompletionFlags,
  wholeProgram: () => Command,
): Promise<ExitCode> {
  const found = FOUND.find((word) => word === wanted);
  if (found !== undefined) {
    // In the middle of a line that is being typed nothing is to be told but the words.
    const words = await find(found, flags).catch(() => []);
    process.stdout.write(words.map((word) => `${word}\n`).join(''));
    return ExitCode.ok;
  }
  const shell = SHELLS.find((word) => word === wanted);
  if (shell === undefined) {
    const shown = stripControl(JSON.stringify(wanted ?? ''));
    throw new TriageError(
      `there is no completion for ${shown}`,
      `Give one of ${SHELLS.join(', ')}.`,
      ExitCode.usage,
    );
  }
  process.stdout.write(await completionOf(shell, wholeProgram()));
  return ExitCode.ok;
}

/** The text that a shell reads. */
async function completionOf(shell: Shell, program: Command): Promise<string> {
  const { typeable } = await import('../completion/typeable.ts');
  switch (shell) {
    case 'bash':
      return (await import('../completion/bash.ts')).bashCompletion(typeable(program));
    case 'zsh':
      return (await import('../completion/zsh.ts')).zshCompletion(typeable(program));
    case 'fish':
      return (await import('../completion/fish.ts')).fishCompletion(typeable(program));
  }
}

async function find(found: Found, flags: CompletionFlags): Promise<string[]> {
  if (found === 'hosts') {
    return (await import('../completion/ssh-host-names.ts')).sshHostNames();
  }
  const { loadSettings } = await import('../settings.ts');
  const asked = flags.stateDir ?? (await loadSettings(flags.config)).stateDir;
  const listed = await Promise.all(
    stateDirectories(asked).map((directory) => listIncidents(directory).catch(() => [])),
  );
  const ids = listed.flat().sort().reverse();
  return ids.length === 0 ? [] : ['latest', ...ids];
}
