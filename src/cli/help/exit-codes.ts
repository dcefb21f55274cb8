import type { COMMANDS } from '../options.ts';
import { COMMAND_HELP, exitCodesOf } from './commands.ts';

/** Every command with its exit codes, as its own help has them. */
export function exitCodesTopic(): string {
  const names = Object.keys(COMMAND_HELP) as (keyof typeof COMMANDS)[];
  const commands = names.map((name) => {
    const codes = exitCodesOf(name).map(
      ([code, meaning]) => `  ${String(code).padStart(3)}  ${meaning}\n`,
    );
    return `${name}\n${codes.join('')}`;
  });
  return `Exit codes\n\n${commands.join('\n')}${NOTES}`;
}

const NOTES = `
Of many hosts the code is 1 if any has an incident, else 3 if any could not be
determined, else 0.

Where you start the guided fix from diagnose, the code is that of fix.

On Node before 22.15 a read of /proc that hangs for ever leaves no way to end
but SIGKILL: the code is then 137, after everything is printed.
`;
