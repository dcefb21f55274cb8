/** The completion of fish, 3.0 and later. */
import fish from './fish.txt';
import type { TypeableCommand, TypeableOption, Value } from './typeable.ts';

/** @returns a script for fish to read, or to lie as `salt-triage.fish` in ~/.config/fish/completions */
export function fishCompletion(root: TypeableCommand): string {
  const lines = [
    ...root.options.map((option) => optionLine('__salt_triage_at', option)),
    ...root.commands.flatMap((command) => [
      '',
      offer('__salt_triage_at', command.name, command.help),
      ...linesOf(command),
    ]),
  ];
  return `${HEAD}\n${fish}\n${COMPLETE} -f\n${lines.join('\n')}\n`;
}

const HEAD = `# Completion of salt-triage for fish, made by \`salt-triage completion fish\`.
`;
const COMPLETE = 'complete -c salt-triage';

function linesOf({ name, options, argument, commands }: TypeableCommand): string[] {
  const here = `__salt_triage_at ${name}`;
  return [
    ...options.map((option) => optionLine(here, option)),
    ...commands.map((below) => offer(here, below.name, below.help)),
    ...(argument === null
      ? []
      : [`${COMPLETE} -n ${quoted(here)}${takenBy(argument.value)}`.replace(' -x', '')]),
  ];
}

function offer(where: string, word: string, help: string): string {
  return `${COMPLETE} -n ${quoted(where)} -a ${word} -d ${quoted(help)}`;
}

function optionLine(where: string, { names, help, value, optional }: TypeableOption): string {
  const spelled = names.map((name) =>
    name.startsWith('--') ? ` -l ${name.slice(2)}` : ` -s ${name.slice(1)}`,
  );
  const taken = value === null || optional ? '' : takenBy(value);
  return `${COMPLETE} -n ${quoted(where)}${spelled.join('')}${taken} -d ${quoted(help)}`;
}

function takenBy(value: Value): string {
  switch (value.kind) {
    case 'words':
      return ` -x -a ${quoted(value.words.join(' '))}`;
    case 'file':
      return ' -r -F';
    case 'directory':
      return " -x -a '(__fish_complete_directories)'";
    case 'hosts':
      return " -x -a '(__salt_triage_hosts)'";
    case 'incidents':
      return " -x -k -a '(__salt_triage_incidents)'";
    case 'any':
      return ' -x';
  }
}

function quoted(text: string): string {
  return `'${text.replace(/[\\']/g, '\\$&')}'`;
}
