/** What the help says of each command, beside its options. */
import { ExitCode } from '../../errors.ts';
import type { COMMANDS } from '../options.ts';

export interface CommandHelp {
  readonly description: string;
  /** The heading that the list of commands has it under. */
  readonly group: string;
  /** A command line without `salt-triage`, and what it does. */
  readonly examples: readonly (readonly [line: string, what: string])[];
  /** Those that mean something here, beside `ALWAYS`. */
  readonly exitCodes: Readonly<Partial<Record<keyof typeof ExitCode, string>>>;
}

const INCIDENT = 'In an incident:';
const BESIDE = 'More commands:';

/** What every command can exit with. */
const ALWAYS = { usage: 'wrong usage or settings' } as const;

export const COMMAND_HELP: Readonly<Record<keyof typeof COMMANDS, CommandHelp>> = {
  diagnose: {
    description: "Find out why salt-api isn't answering (changes nothing)",
    group: INCIDENT,
    examples: [
      ['diagnose', 'this host; run it as root'],
      ['diagnose --host root@salt', 'another host, nothing installed there'],
      ['diagnose --save FILE', 'keep what was seen, for --from'],
    ],
    exitCodes: {
      ok: 'healthy, or degraded without --strict',
      incident: 'an incident',
      unknown: 'could not be determined',
      interrupted: 'Ctrl-C',
    },
  },
  fix: {
    description: 'Kill proven orphans, restart, verify; confirms each step',
    group: INCIDENT,
    examples: [
      ['fix --dry-run', 'the plan, with its pids and commands'],
      ['fix', 'carry it out, step by step'],
      ['fix --yes --json --wait 60s', 'in a runbook; asks nothing'],
    ],
    exitCodes: {
      ok: 'recovered, nothing to do, or a plan with --dry-run',
      incident: 'still broken',
      unknown: 'could not be determined',
      declined: 'declined, or --yes needed',
      refused: 'refused for safety',
      busy: 'another fix is running',
      notPermitted: 'not permitted; nothing was changed',
      interrupted: 'interrupted; prints what is done and what is not',
    },
  },
  check: {
    description: 'Print one line and an exit code for a monitor, on time whatever hangs',
    group: BESIDE,
    examples: [
      ['check', 'for Nagios or Icinga'],
      ['check -w close_wait=4 -c threads=90', 'with limits of your own'],
      ['check --format zabbix -t 2', 'one JSON line, within 2 s'],
      ['check --example prometheus', 'a complete working set'],
    ],
    exitCodes: {
      ok: 'ok',
      incident: 'warning: it serves, with signs of trouble',
      usage: 'critical: it does not serve',
      unknown: 'unknown: a look failed, or wrong usage; also --help',
    },
  },
  probe: {
    description: 'Print the shell script that --host sends, to run it by hand',
    group: BESIDE,
    examples: [
      ['probe | ssh root@salt sh > seen', 'look where you can only paste'],
      ['diagnose --from seen', 'judge here what it printed'],
    ],
    exitCodes: { ok: 'printed' },
  },
  history: {
    description: 'List the fixes that were recorded, newest first, or show one',
    group: INCIDENT,
    examples: [
      ['history', 'all of them'],
      ['history latest', 'the last one: its plan and each action'],
      ['history 3f9a1c', 'the one whose id has this part'],
    ],
    exitCodes: { ok: 'shown', notPermitted: 'the records belong to another user' },
  },
  report: {
    description: 'Write the draft of a postmortem, from what was recorded',
    group: INCIDENT,
    examples: [
      ['report', 'the last fix, as Markdown'],
      ['report 3f9a1c -o FILE.html', 'another, for a browser'],
      ['report --from FILE', 'of what diagnose --save has saved'],
      ['report -o FILE.html --anonymize', 'to show to others'],
    ],
    exitCodes: { ok: 'written', notPermitted: 'the records belong to another user' },
  },
  settings: {
    description: 'Show each value in force and where it came from',
    group: BESIDE,
    examples: [
      ['settings', 'what diagnose and fix go by'],
      ['settings --config ./new.yaml', 'check a file before it is installed'],
    ],
    exitCodes: { ok: 'shown' },
  },
  drill: {
    description: 'Stage the incident on this machine to practise; touches no real salt-api',
    group: BESIDE,
    examples: [
      ['drill', 'stage it, diagnose it, fix it, remove it'],
      ['drill --report', 'and leave the report of it, for a browser'],
      ['drill --keep 30m', 'leave it standing for you to fix'],
      ['drill --end', 'end what was left standing'],
    ],
    exitCodes: {
      ok: 'every part went as it should',
      incident: 'a part did not',
      interrupted: 'Ctrl-C',
    },
  },
  completion: {
    description: 'Print what makes bash, zsh or fish complete a line at TAB',
    group: BESIDE,
    examples: [
      ['completion bash > FILE', 'in ~/.bashrc: source FILE'],
      ['completion zsh > _salt-triage', 'in a directory of $fpath'],
      ['completion fish > salt-triage.fish', 'in ~/.config/fish/completions'],
    ],
    exitCodes: { ok: 'printed' },
  },
};

/** The exit codes of a command by number, each with its meaning. */
export function exitCodesOf(name: keyof typeof COMMANDS): [code: number, meaning: string][] {
  const names = Object.keys(ExitCode) as (keyof typeof ExitCode)[];
  const meanings: CommandHelp['exitCodes'] = { ...ALWAYS, ...COMMAND_HELP[name].exitCodes };
  return names.flatMap((code): [number, string][] => {
    const meaning = meanings[code];
    return meaning === undefined ? [] : [[ExitCode[code], meaning]];
  });
}

/** What follows the options in the help of a command. */
export function helpAfterOptions(name: keyof typeof COMMANDS): string {
  const { examples } = COMMAND_HELP[name];
  const width = Math.max(...examples.map(([line]) => line.length));
  return [
    '\nExamples:',
    ...examples.map(([line, what]) => `  salt-triage ${line.padEnd(width)}  ${what}`),
    '\nExit codes:',
    ...exitCodesOf(name).map(([code, meaning]) => `  ${String(code).padStart(3)}  ${meaning}`),
  ].join('\n');
}
