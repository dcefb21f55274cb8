/** argv → one command: commander, made from the table of options. */
import { Command, type CommanderError } from 'commander';
import { inLocale } from '../characters.ts';
import { ExitCode, TriageError } from '../errors.ts';
import { stripControl } from '../untrusted.ts';
import { readEnvironment, strangeVariables } from './environment.ts';
import { COMMAND_HELP, helpAfterOptions } from './help/commands.ts';
import { addHelpCommand, addTopics, topicList } from './help/help-command.ts';
import { many, repeatable } from './option-kinds.ts';
import { COMMANDS, type Flags, type Option, OWN, readFlags, type Values } from './options.ts';

type Name = keyof typeof COMMANDS;

/** What commander throws once it has shown what was asked for. */
const SHOWN = ['commander.help', 'commander.helpDisplayed', 'commander.version'];

/** No wider than this, however wide the terminal: prose is read badly beyond. */
const HELP_COLUMNS = 80;

/** The whole command line; the command that it names sets the exit code of the process. */
export function buildProgram(version: string): Command {
  const root = new Command('salt-triage')
    .usage('COMMAND [options]')
    .description("Finds out why salt-api isn't answering, and makes it answer again.")
    .version(version, '-V, --version', 'show the version')
    .helpOption('-h, --help', 'show this help')
    .configureHelp({
      subcommandTerm: (command) => [command.name(), ...argumentsOf(command)].join(' '),
    })
    .configureOutput({
      // What went wrong is told in one place, in one style.
      outputError: () => undefined,
      getOutHelpWidth: () => Math.min(HELP_COLUMNS, process.stdout.columns || HELP_COLUMNS),
    })
    .addHelpText('after', topicList);
  throwing(root);
  add(root, 'diagnose', async (flags, { typed }) =>
    (await import('./commands/diagnose.ts')).diagnoseCommand(flags, typed),
  );
  add(root, 'fix', async (flags, { typed }) =>
    (await import('./commands/fix.ts')).fixCommand(flags, typed),
  );
  add(root, 'check', async (flags, { typed }) =>
    (await import('./commands/check.ts')).checkCommand(flags, typed),
  );
  add(root, 'history', async (flags, { argument }) =>
    (await import('./commands/history.ts')).historyCommand(argument, flags),
  ).argument('[id]', 'one incident: its id, a part that no other has, or latest');
  add(root, 'report', async (flags, { argument }) =>
    (await import('./commands/report.ts')).reportCommand(argument, flags),
  ).argument('[id]', 'an incident: its id, a part that no other has, or latest (the default)');
  add(root, 'probe', async (flags) => (await import('./commands/probe.ts')).probeCommand(flags));
  add(root, 'settings', async (flags, { words }) =>
    (await import('./commands/settings.ts')).settingsCommand(flags, words),
  );
  add(root, 'completion', async (flags, { argument }) =>
    (await import('./commands/completion.ts')).completionCommand(argument, flags, () =>
      whole(root),
    ),
  ).argument('<shell>', 'bash, zsh or fish');
  add(root, 'drill', async (flags) => (await import('./commands/drill.ts')).drillCommand(flags));
  const help = addHelpCommand(root, throwing);
  completed.set(help, () => addTopics(help, root, throwing, complete));
  return root.hook('preSubcommand', (_root, command) => complete(command));
}

/** What the command line alone says. */
interface Given<O> {
  readonly argument: string | undefined;
  readonly typed: Values<O>;
  /** The same, as commander has gathered it. */
  readonly words: Readonly<Record<string, unknown>>;
}

function add<N extends Name>(
  root: Command,
  name: N,
  run: (
    flags: Flags<(typeof COMMANDS)[N]>,
    given: Given<(typeof COMMANDS)[N]>,
  ) => Promise<ExitCode>,
): Command {
  const { description, group } = COMMAND_HELP[name];
  const command = throwing(root.command(name)).description(description).helpGroup(group);
  completed.set(command, () => addOptions(command, name));
  return command.action(async () => {
    const { flags, given } = readOptions(name, command);
    for (const variable of strangeVariables(process.env)) {
      process.stderr.write(
        inLocale(
          `salt-triage: ${stripControl(variable)} sets nothing; see \`salt-triage help environment\`\n`,
        ),
      );
    }
    process.exitCode = await run(flags, given);
  });
}

/** Completes a command once it is the one that is meant: all of all would take as long as a look. */
const completed = new WeakMap<Command, () => void>();

function complete(command: Command): void {
  completed.get(command)?.();
  completed.delete(command);
}

/** Completes every command of a program, for what tells of all of them. */
export function whole(root: Command): Command {
  root.commands.forEach(complete);
  return root;
}

/** Gives a command the options of the table, with their help and what follows it. */
export function addOptions(command: Command, name: Name): Command {
  const options: readonly Option[] = Object.values(COMMANDS[name]);
  for (const { flags, kind, help, default: standard, refused, ...row } of options) {
    const shown = standard === undefined ? help : `${help} (default: ${standard})`;
    // The default itself is not for commander: the environment and the settings come first.
    const option = command.createOption(flags, shown).conflicts(row.conflicts ?? []);
    if (row.group !== undefined) option.helpGroup(row.group);
    option.hideHelp(refused === true);
    if (kind === many) option.argParser(gather);
    if (kind === repeatable) option.preset('').argParser(oneMore);
    command.addOption(option);
  }
  return command
    .addHelpOption(command.createOption('-h, --help', 'show this help').helpGroup(OWN))
    .addHelpText('after', () => helpAfterOptions(name));
}

/**
 * What a command is given, each word read as its kind.
 * @throws TriageError (usage)
 */
function readOptions<N extends Name>(name: N, command: Command) {
  type O = (typeof COMMANDS)[N];
  const options: O = COMMANDS[name];
  // Commander has `true` for an option such as --no-probe that is not typed.
  const words = Object.fromEntries(
    Object.entries(command.opts()).filter(([key]) => command.getOptionValueSource(key) === 'cli'),
  );
  try {
    const typed = readFlags(options, words);
    const flags = { color: true, ...readEnvironment(options, typed, process.env), ...typed };
    const given: Given<O> = { argument: command.args[0], typed, words };
    return { flags: flags as Flags<O>, given };
  } catch (error) {
    if (!(error instanceof TriageError) || error.advice !== '') throw error;
    throw new TriageError(error.message, seeHelpOf(command), error.exitCode, { cause: error });
  }
}

function oneMore(_word: string, before = 0): number {
  return before + 1;
}

function gather(word: string, before: readonly string[] = []): readonly string[] {
  return [...before, word];
}

/** Makes a command throw usage errors as all of ours are, in place of commander's own. */
function throwing(command: Command): Command {
  return command.exitOverride((error: CommanderError) => {
    if (SHOWN.includes(error.code)) throw error;
    const [message = '', nearest = ''] = messageOf(error, command)
      .replace(/^error: /, '')
      .replace(/^unknown command/, command.name() === 'help' ? 'unknown help topic' : '$&')
      .split('\n');
    const suggestion = nearest.replace(/^\((.*)\)$/, '$1 ');
    throw new TriageError(message, suggestion + seeHelpOf(command), ExitCode.usage, {
      cause: error,
    });
  });
}

function messageOf({ code, message }: CommanderError, command: Command): string {
  if (code !== 'commander.excessArguments') return message;
  return `unexpected argument '${command.args[command.registeredArguments.length] ?? ''}'`;
}

function seeHelpOf(command: Command): string {
  const words = [...ancestorsOf(command), command.name()];
  return `See \`${[...words, ...(words.includes('help') ? [] : ['--help'])].join(' ')}\`.`;
}

function ancestorsOf({ parent }: Command): string[] {
  return parent === null ? [] : [...ancestorsOf(parent), parent.name()];
}

function argumentsOf({ registeredArguments }: Command): string[] {
  return registeredArguments.map((argument) =>
    argument.required ? `<${argument.name()}>` : `[${argument.name()}]`,
  );
}
