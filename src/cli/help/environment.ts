import { variableOf } from '../environment.ts';
import { COMMANDS, type Option } from '../options.ts';

/** Every variable that is read, with the option that it sets. */
export function environmentTopic(): string {
  const rows = new Map<string, string>();
  for (const options of Object.values(COMMANDS)) {
    for (const [name, { flags, typedOnly }] of Object.entries<Option>(options)) {
      if (typedOnly !== true) rows.set(variableOf(name), flags);
    }
  }
  const width = Math.max(...[...rows.keys()].map(({ length }) => length));
  const variables = [...rows].map(([name, flags]) => `  ${name.padEnd(width)}  ${flags}\n`);
  return `${HEAD}${variables.join('')}${TAIL}`;
}

const HEAD = `Environment

Every option can be set in the environment, below the command line and above the
settings files. A value is written as on the command line. An option without a
value takes true or false, 1 or 0; one that begins with --no- is set by false:
SALT_TRIAGE_PROBE=false is --no-probe. SALT_TRIAGE_HOST takes several hosts,
separated by blanks. An empty variable counts as unset.

  SALT_TRIAGE_PORT=8443 salt-triage diagnose

`;

const TAIL = `
--yes can't be set: consent is given each time. fix refuses to run while
SALT_TRIAGE_YES is set. The port and the report of drill, the timeout of check,
and the format and the files of report are typed only. A variable with this
prefix that sets nothing, such as a misspelt one, is named on standard error. A
command ignores variables of options that it does not have, but diagnose heeds
those of the fix that it suggests. --from ignores those that could change the
verdict: the same evidence gets the same one on every machine.

sudo clears the environment, and with it these variables, so a user can't change
what root does with them; commands that salt-triage suggests repeat what they
need. Let sudoers keep them (env_keep) only for people who may run anything as
root.

Also read: NO_COLOR and FORCE_COLOR, TERM, LC_ALL, LC_CTYPE and LANG (whether
marks may be other than ASCII), SALT_CONFIG_DIR (the Salt config, as Salt reads
it), XDG_CONFIG_HOME and XDG_STATE_HOME.
`;
