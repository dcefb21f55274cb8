import { type Option, SETTINGS, SETTINGS_FILE } from '../../src/cli/options.ts';
import { settingKey } from '../../src/cli/settings.ts';

/** What stands for a key whose default is not one value; in YAML. */
const EXAMPLES: Readonly<Record<string, string>> = {
  port: '443',
  saltConfigDir: '/etc/salt',
  log: '/var/log/salt/api',
  probe: 'true',
  stopCmd: '[supervisorctl, stop, salt-api]',
  startCmd: '[supervisorctl, start, salt-api]',
  stateDir: '/var/log/salt-triage',
};

const HEAD = `# Settings of salt-triage for this host. Every key is optional; those below are commented out, with
# their default or an example. salt-triage settings shows what is in force, and
# salt-triage help settings has the rest.
#
# Root's, and nobody else's to write: ${SETTINGS_FILE} is refused otherwise.
`;

/** The settings file that a package brings: every key, commented out, from the table of options. */
export function settingsFile(): string {
  const rows = Object.entries<Option>(SETTINGS).map(([name, option]) => {
    const value = option.default ?? EXAMPLES[name];
    if (value === undefined) throw new Error(`${name} has neither a default nor an example`);
    return `\n# ${meaningOf(name, option)}\n#${settingKey(name)}: ${value}\n`;
  });
  return HEAD + rows.join('');
}

/** Of --no-probe the key says what is done, not what is left out. */
function meaningOf(name: string, { help, default: standard }: Option): string {
  const meaning = name === 'probe' ? 'whether GET / is sent to the API' : help;
  const said = meaning.includes('(default: ');
  if (said || name === 'probe') return meaning;
  return standard === undefined ? `${meaning} (an example)` : meaning;
}
