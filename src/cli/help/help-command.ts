/** `salt-triage help [TOPIC]`: each topic and each command is a command of its own to commander. */
import type { Command } from 'commander';
import { TOPICS } from './topics.ts';

type OnCommand<T> = (command: Command) => T;

/** @param throwing makes a command throw usage errors as all of ours are */
export function addHelpCommand(root: Command, throwing: OnCommand<Command>): Command {
  return throwing(root.helpCommand(false).command('help'))
    .usage('[TOPIC or COMMAND]')
    .description('Show help for a topic or a command')
    .helpGroup('More commands:')
    .helpCommand(false);
}

/**
 * What there is help about.
 * @param complete gives a command its options
 */
export function addTopics(
  help: Command,
  root: Command,
  throwing: OnCommand<Command>,
  complete: OnCommand<void>,
): void {
  for (const [name, { summary, read }] of Object.entries(TOPICS)) {
    const topic = throwing(help.command(name)).description(summary).helpGroup('Topics:');
    if (name === 'json') topic.option('--schema', 'print the JSON Schema of the documents');
    topic.action(async ({ schema }: { readonly schema?: boolean }) => {
      process.stdout.write(schema === true ? await schemaText() : await read());
    });
  }
  for (const command of root.commands) {
    // "settings" is a topic, too, which says more.
    if (command === help || command.name() in TOPICS) continue;
    throwing(help.command(command.name()))
      .description(command.description())
      .action(() => {
        complete(command);
        command.help();
      });
  }
}

async function schemaText(): Promise<string> {
  const { jsonSchema } = await import('../../report/json-schema.ts');
  return `${JSON.stringify(jsonSchema(), null, 2)}\n`;
}

/** What follows the commands in the help of all. */
export function topicList(): string {
  const width = Math.max(...Object.keys(TOPICS).map(({ length }) => length));
  return [
    '\nTopics (salt-triage help TOPIC):',
    ...Object.entries(TOPICS).map(([name, { summary }]) => `  ${name.padEnd(width)}  ${summary}`),
    '\nSee `salt-triage COMMAND --help` for its options, examples and exit codes.',
  ].join('\n');
}
