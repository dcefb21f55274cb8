import { wrap } from '../../report/screen.ts';
import { type Option, SETTINGS, SETTINGS_FILE } from '../options.ts';
import { settingKey } from '../settings.ts';

/** The files, and every key with what it is for and its default. */
export function settingsTopic(): string {
  const rows: readonly (readonly [string, Option])[] = Object.entries(SETTINGS);
  const keys = rows.map(([name, { help, default: standard }]) => {
    // Of --no-probe the key says what is done, not what is left out.
    const meaning = name === 'probe' ? 'whether GET / is sent: true or false' : help;
    const shown = standard === undefined ? meaning : `${meaning} (default: ${standard})`;
    return `  ${settingKey(name).padEnd(18)}${wrap(shown, 80, 20)}\n`;
  });
  return `${HEAD}${keys.join('')}${TAIL}`;
}

const HEAD = `Settings

Two files are read, both YAML, neither need exist:

  ${SETTINGS_FILE}
      of the host
  $XDG_CONFIG_HOME/salt-triage.yaml, else ~/.config/salt-triage.yaml
      your own; wins over the host's, key by key

--config FILE is read in place of both; --config /dev/null goes without. The
environment wins over the files (help environment), the command line over all.
salt-triage settings shows each value in force and where it came from.

Every key is optional, unknown keys are refused, and --yes can't be set. A file
is refused whole where it belongs to neither root nor you, or where others than
you, your group and root's may write to it. With sudo your own file is root's.

Keys:
`;

const TAIL = `
Durations need a unit: 500ms, 90s, 5m, 24h, 7d. Paths are absolute. stop-cmd and
start-cmd are lists of words:

  since: 24h
  close-wait-fail: 20
  stop-cmd: [supervisorctl, stop, salt-api]
  start-cmd: [supervisorctl, start, salt-api]
`;
