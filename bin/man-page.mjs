// Prints the man page, made from the definitions of the command line and the help topics:
// `node bin/man-page.mjs > salt-triage.8`. SOURCE_DATE_EPOCH, seconds, is its date where set.
import { readFileSync } from 'node:fs';
import { register } from 'tsx/esm/api';
import { mdocArguments, mdocList, mdocProse, mdocText, mdocTopic } from './mdoc.mjs';

register();
const { buildProgram, whole } = await import('../src/cli/program.ts');
const { COMMAND_HELP } = await import('../src/cli/help/commands.ts');
const { COMMANDS, OWN, SETTINGS_FILE } = await import('../src/cli/options.ts');
const { TOPICS } = await import('../src/cli/help/topics.ts');
const { ROOTS_STATE_DIRECTORY } = await import('../src/trail/directory.ts');

const { version } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8'));
const root = whole(buildProgram(version));
const help = root.createHelp();
const commands = help.visibleCommands(root);

/** Topics by what the page calls them; others go by their own names. */
const TITLES = {
  checks: 'WHAT DIAGNOSE LOOKS AT',
  verdicts: 'VERDICTS',
  repair: 'WHAT FIX DOES',
  safety: 'WHAT IS NEVER KILLED',
  trail: 'WHAT IS RECORDED',
  ssh: 'OTHER HOSTS',
};
/** Those that have a place of their own, and the playbook, which is to be saved to a file. */
const PLACED = ['environment', 'exit-codes', 'ansible'];

const SECTIONS = [
  ['NAME', ['.Nm salt-triage', '.Nd find out why salt\\-api is not answering, and mend it']],
  ['SYNOPSIS', commands.flatMap((command) => ['.Nm', `.Cm ${command.name()}`, ...usage(command)])],
  ['DESCRIPTION', description()],
  [
    'COMMANDS',
    mdocList(commands.map((one) => ({ term: one.name(), text: `${one.description()}.` }))),
  ],
  ['OPTIONS', options()],
  ...(await Promise.all(
    Object.keys(TOPICS)
      .filter((name) => !PLACED.includes(name))
      .map(async (name) => [TITLES[name] ?? name.toUpperCase(), await topic(name)]),
  )),
  ['ENVIRONMENT', await topic('environment')],
  ['FILES', files()],
  ['EXIT STATUS', await topic('exit-codes')],
  ['EXAMPLES', examples()],
  ['SEE ALSO', ['.Xr curl 1 ,', '.Xr salt\\-api 1 ,', '.Xr ssh 1 ,', '.Xr proc 5 ,', '.Xr ss 8']],
];

const page = [
  '.\\" Made by bin/man-page.mjs from the help of salt-triage.',
  `.Dd ${date()}`,
  '.Dt SALT-TRIAGE 8',
  `.Os salt\\-triage ${version}`,
  ...SECTIONS.flatMap(([title, lines]) => [`.Sh ${title}`, ...lines]),
];
process.stdout.write(`${page.join('\n')}\n`);

function date() {
  const seconds = process.env.SOURCE_DATE_EPOCH;
  const day = seconds === undefined ? new Date() : new Date(Number(seconds) * 1000);
  return day.toLocaleDateString('en-US', { dateStyle: 'long', timeZone: 'UTC' });
}

/** What follows a command: its options and its argument. */
function usage(command) {
  const [argument] = command.registeredArguments;
  const words = command.name() === 'help' ? ['.Op Ar topic | command'] : ['.Op Ar options'];
  if (argument === undefined) return words;
  return [...words, argument.required ? `.Ar ${argument.name()}` : `.Op Ar ${argument.name()}`];
}

function description() {
  return [
    ...mdocProse(root.description()),
    '.Pp',
    '.Cm diagnose',
    ...mdocProse(
      'looks at what holds the port, at salt-api processes whose parent has died, at sockets in CLOSE_WAIT, at the API log, and at whether the API answers. It changes nothing.',
    ),
    '.Cm fix',
    ...mdocProse(
      'shows a plan, asks before each step, kills what is proven an orphan, restarts, and verifies that the API serves again.',
    ),
    '.Cm check',
    ...mdocProse('is the same diagnosis as one line for a monitor.'),
    '.Pp',
    ...mdocProse('What this page tells of each topic, the tool itself tells as well:'),
    ...mdocList(
      Object.entries(TOPICS).map(([name, { summary }]) => ({
        term: `salt-triage help ${name}`,
        text: summary,
      })),
    ),
  ];
}

/** Each option once, under its heading, with the commands that take it unless all do. */
function options() {
  const groups = new Map();
  for (const command of [root, ...commands]) {
    for (const option of help.visibleOptions(command)) {
      const heading = option.helpGroupHeading ?? OWN;
      const rows = groups.get(heading) ?? new Map();
      groups.set(heading, rows);
      const key = `${option.flags}\n${option.description}`;
      rows.set(key, { option, names: [...(rows.get(key)?.names ?? []), command.name()] });
    }
  }
  // What they have in common comes last, as in the help of each.
  for (const heading of ['Output:', OWN]) {
    const rows = groups.get(heading);
    groups.delete(heading);
    groups.set(heading, rows);
  }
  return [...groups].flatMap(([heading, rows]) => [
    `.Ss ${mdocArguments(heading.replace(/:$/, ''))}`,
    '.Bl -tag -width Ds -compact',
    ...[...rows.values()].flatMap(optionLines),
    '.El',
  ]);
}

function optionLines({ option, names }) {
  const some = names[0] !== root.name() && names.length < Object.keys(COMMANDS).length;
  return [
    `.It ${spelled(option)}`,
    ...mdocProse(option.description),
    ...(some ? [`.Pq Cm ${names.join(' , ')}`] : []),
  ];
}

/** `-p, --port <number>` */
function spelled({ short, long, flags }) {
  const names = [short, long].filter(Boolean).map((name) => `Fl ${mdocText(name.slice(1))}`);
  const [, optional, value] = /([<[])(.+)[\]>]/.exec(flags) ?? [];
  const argument = value
    ?.split('=')
    .map((word) => `Ar ${mdocText(word)}`)
    .join(' Ns = Ns ');
  const shown = argument === undefined ? '' : ` ${optional === '[' ? `Op ${argument}` : argument}`;
  return `${names.join(' , ')}${shown}`;
}

async function topic(name) {
  return mdocTopic(await TOPICS[name].read());
}

function files() {
  return mdocList([
    { term: SETTINGS_FILE, text: 'settings of the host' },
    { term: '~/.config/salt-triage.yaml', text: 'your own settings, or below $XDG_CONFIG_HOME' },
    { term: ROOTS_STATE_DIRECTORY, text: 'what fixes of root have recorded' },
    { term: '~/.local/state/salt-triage', text: 'those of other users, or below $XDG_STATE_HOME' },
  ]);
}

function examples() {
  return commands.flatMap((command) => {
    const rows = COMMAND_HELP[command.name()]?.examples ?? [];
    return rows.length === 0
      ? []
      : mdocList(rows.map(([line, text]) => ({ term: `salt-triage ${line}`, text })));
  });
}
