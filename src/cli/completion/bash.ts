/** The completion of bash, from 3.2 on (macOS), with and without the package bash-completion. */
import bash from './bash.txt';
import type { TypeableCommand, TypeableOption, Value } from './typeable.ts';

/** @returns a script for bash to read; no word in it comes from elsewhere than the definitions */
export function bashCompletion(root: TypeableCommand): string {
  const commands = root.commands.map(({ name }) => name);
  const cases = root.commands.map(({ name, options, argument, commands: below }) => {
    const value: Value | undefined =
      below.length > 0 ? { kind: 'words', words: below.map((one) => one.name) } : argument?.value;
    return [
      `    ${name})`,
      `      options='${namesOf(options).join(' ')}'`,
      ...(value === undefined ? [] : [`      argument='${described(value)}'`]),
      ...takes(options),
      '      ;;',
    ].join('\n');
  });
  return `${HEAD}
_salt_triage_known() {
  options='' argument='' takes=''
  case $1 in
    '')
      options='${namesOf(root.options).join(' ')}'
      argument='words ${commands.join(' ')}'
      ;;
${cases.join('\n')}
  esac
}

${bash}`;
}

const HEAD = `# Completion of salt-triage for bash, made by \`salt-triage completion bash\`.
# shellcheck shell=bash

# What can follow a command ($1, empty before there is one): its options, what stands for its
# argument, and what the option $2 takes: nothing where it stands alone.`;

function namesOf(options: readonly TypeableOption[]): string[] {
  return options.flatMap(({ names }) => names);
}

/** A case of the options that take something, those that take the same in one line. */
function takes(options: readonly TypeableOption[]): string[] {
  const rows = new Map<string, string[]>();
  for (const { names, value, optional } of options) {
    if (value === null || optional) continue;
    const what = described(value);
    rows.set(what, [...(rows.get(what) ?? []), ...names]);
  }
  if (rows.size === 0) return [];
  const lines = [...rows].map(
    ([what, names]) => `        ${names.join(' | ')}) takes='${what}' ;;`,
  );
  return ['      case $2 in', ...lines, '      esac'];
}

/** Its kind, then its words. */
function described(value: Value): string {
  if (value.kind !== 'words') return value.kind;
  return [value.open === true ? 'open' : 'words', ...value.words].join(' ');
}
