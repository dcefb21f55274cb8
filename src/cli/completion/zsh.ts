/** The completion of zsh, for its own completion system (compinit). */
import type { TypeableCommand, TypeableOption, Value } from './typeable.ts';
import zsh from './zsh.txt';

/** @returns a script for zsh to read, or to lie as `_salt-triage` in a directory of $fpath */
export function zshCompletion(root: TypeableCommand): string {
  return `${HEAD}
${zsh}
${listOf('_salt_triage_commands', 'command', root.commands)}
_salt_triage() {
  local curcontext=$curcontext state
  local -a line
  local -A opt_args
  _arguments -C -S \\
${specs(root.options)}
    '1: :_salt_triage_commands' \\
    '*:: :->arguments' && return
  [[ $state == arguments ]] || return 1
  curcontext=\${curcontext%:*}-$line[1]:
  case $line[1] in
${root.commands.map(caseOf).join('\n')}
  esac
}

${root.commands
  .filter(({ commands }) => commands.length > 0)
  .map(({ name, commands }) => listOf(`_salt_triage_below_${name}`, 'topic', commands))
  .join('\n')}
${TAIL}`;
}

const HEAD = `#compdef salt-triage
# Completion of salt-triage for zsh, made by \`salt-triage completion zsh\`.
`;

// Read as a function of $fpath it completes at once; read by \`source\` it says what for.
const TAIL = `if [[ $funcstack[1] == _salt-triage ]]; then
  _salt_triage "$@"
else
  compdef _salt_triage salt-triage
fi
`;

function caseOf({ name, options, argument, commands }: TypeableCommand): string {
  const last =
    commands.length > 0
      ? [`        '1: :_salt_triage_below_${name}'`]
      : argument === null
        ? []
        : [`        ${quoted(`1:${argument.name}:${actionOf(argument.value)}`)}`];
  const lines = [specs(options, 8).replace(last.length === 0 ? / \\$/ : /$^/, ''), ...last];
  return `    ${name})\n      _arguments -s -S \\\n${lines.join('\n')}\n      ;;`;
}

/** A function that offers commands, each with what it is for. */
function listOf(name: string, tag: string, commands: readonly TypeableCommand[]): string {
  const rows = commands.map((one) => `    ${quoted(`${escaped(one.name)}:${one.help}`)}`);
  return `${name}() {\n  local -a rows=(\n${rows.join('\n')}\n  )\n  _describe -t ${tag}s ${tag} rows\n}\n`;
}

/** Options as _arguments takes them (zshcompsys(1)), a line for each name. */
function specs(options: readonly TypeableOption[], indent = 4): string {
  return options
    .flatMap((option) => option.names.map((name) => spec(name, option)))
    .map((text) => `${' '.repeat(indent)}${quoted(text)} \\`)
    .join('\n');
}

function spec(
  name: string,
  { names, help, value, optional, repeatable, placeholder }: TypeableOption,
): string {
  const once = repeatable
    ? '*'
    : `(${name === '--help' || name === '-h' ? '- *' : names.join(' ')})`;
  if (value === null) return `${once}${name}[${escaped(help)}]`;
  const joined = name.startsWith('--') ? '=' : '+';
  const message = `${optional ? ':' : ''}:${placeholder}:${actionOf(value)}`;
  return `${once}${name}${optional ? '=-' : joined}[${escaped(help)}]${message}`;
}

function actionOf(value: Value): string {
  switch (value.kind) {
    case 'words':
      return value.open === true
        ? `_salt_triage_open ${value.words.join(' ')}`
        : `(${value.words.join(' ')})`;
    case 'file':
      return '_files';
    case 'directory':
      return '_files -/';
    case 'hosts':
      return '_salt_triage_hosts';
    case 'incidents':
      return '_salt_triage_incidents';
    case 'any':
      return ' ';
  }
}

function escaped(text: string): string {
  return text.replace(/[[\]:\\]/g, '\\$&');
}

function quoted(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}
