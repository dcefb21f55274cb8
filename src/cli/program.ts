/** argv → one command: commander, made from the table of options. */
import { Command } from 'commander';
import { inLocale } from '../characters.ts';
import type { ExitCode } from '../errors.ts';
import { many, repeatable } from './option-kinds.ts';
import { COMMANDS, type Flags, type Option, readFlags } from './options.ts';

const EXIT_CODES = `
Exit codes:
   0 healthy, degraded, recovered    4 declined or needs --yes
   1 incident, still broken          5 refused for safety
   2 usage or configuration         75 another fix is running
   3 could not determine            77 not permitted     130 interrupted`;

/** The whole command line; the command that it names sets the exit code of the process. */
export function buildProgram(version: string): Command {
  const root = new Command('salt-triage')
    .description('Finds and mends what keeps salt-api from answering.')
    .version(version)
    .exitOverride()
    .configureOutput({ outputError: (text, write) => write(inLocale(text)) })
    .showSuggestionAfterError()
    .showHelpAfterError('  Add --help for what there is.')
    .addHelpText('after', EXIT_CODES);
  add(root, 'diagnose', async (flags) =>
    (await import('./commands/diagnose.ts')).diagnoseCommand(flags),
  ).description(
    'who holds the port, which children are orphans, CLOSE_WAIT, the API log; a verdict',
  );
  add(root, 'fix', async (flags) =>
    (await import('./commands/fix.ts')).fixCommand(flags),
  ).description('kill -9 what is proven an orphan, restart, verify; asks before each step');
  add(root, 'check', async (flags) =>
    (await import('./commands/check.ts')).checkCommand(flags),
  ).description(
    'one line and exit code for a monitor: Nagios, Icinga, Zabbix, Prometheus, Checkmk',
  );
  add(root, 'probe', async (flags) =>
    (await import('./commands/probe.ts')).probeCommand(flags),
  ).description('print the shell script that --host sends, to run by hand; see diagnose --from');
  add(root, 'history', async (flags, id) =>
    (await import('./commands/history.ts')).historyCommand(id, flags),
  )
    .argument('[id]', 'one incident: its id, a part that no other has, or latest')
    .description('the incidents that fixes have recorded, newest first, or one of them');
  add(root, 'drill', async (flags) =>
    (await import('./commands/drill.ts')).drillCommand(flags),
  ).description(
    'stage the incident on this machine, without touching a real salt-api, and practise',
  );
  return root;
}

function add<Name extends keyof typeof COMMANDS>(
  root: Command,
  name: Name,
  run: (flags: Flags<(typeof COMMANDS)[Name]>, argument?: string) => Promise<ExitCode>,
): Command {
  const command = root.command(name);
  const options: readonly Option[] = Object.values(COMMANDS[name]);
  for (const { flags, kind, help, default: standard, conflicts = [] } of options) {
    const shown = standard === undefined ? help : `${help} (default: ${standard})`;
    // The default itself is not for commander: the settings come first.
    const option = command.createOption(flags, shown).conflicts(conflicts);
    if (kind === many) option.argParser(gather);
    if (kind === repeatable) option.preset('').argParser(oneMore);
    command.addOption(option);
  }
  return command.action(async () => {
    process.exitCode = await run(readFlags(COMMANDS[name], command.opts()), command.args[0]);
  });
}

function oneMore(_word: string, before = 0): number {
  return before + 1;
}

function gather(word: string, before: readonly string[] = []): readonly string[] {
  return [...before, word];
}
