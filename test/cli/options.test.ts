/** The table of options, and what is made from it or must agree with it. */
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { Command } from 'commander';
import { TOPICS } from '../../src/cli/help/topics.ts';
import { COMMANDS, longName, type Option, SETTINGS } from '../../src/cli/options.ts';
import { addOptions } from '../../src/cli/program.ts';
import { loadSettings, settingKey } from '../../src/cli/settings.ts';
import { writeEvidence } from '../../src/evidence/evidence-file.ts';
import { evidenceOf } from '../diagnosis/situation.ts';
import { runCli } from './run.ts';

const README = readFileSync(new URL('../../README.md', import.meta.url), 'utf8');
const ALL: readonly (readonly [string, Option])[] = Object.values(COMMANDS).flatMap((options) =>
  Object.entries(options),
);

const directory = mkdtempSync(join(tmpdir(), 'salt-triage-options-'));
after(() => rmSync(directory, { recursive: true }));

function fileOf(name: string, text: string): string {
  const file = join(directory, name);
  writeFileSync(file, text, { mode: 0o600 });
  return file;
}

/** A word that an option takes, other than its default; none where it stands alone. */
function sample({ flags, kind }: Option): string[] {
  if (!/[<[]/.test(flags)) return [];
  if (flags.includes('<file>')) {
    return [fileOf('hosts', flags.startsWith('--roster') ? 'salt: 192.0.2.1\n' : '192.0.2.1\n')];
  }
  const words = [
    '7',
    '7s',
    'kill',
    'if-needed',
    'sysv',
    '8000',
    'critical',
    'json',
    'systemd',
    'never',
    'md',
  ];
  const word = words.find((one) => {
    try {
      return kind.fromText(one, '') !== undefined;
    } catch {
      return false;
    }
  });
  assert.ok(word !== undefined, flags);
  return [word];
}

const COMMANDS_OF_PROGRAM = (Object.keys(COMMANDS) as (keyof typeof COMMANDS)[]).map((name) =>
  addOptions(new Command(name), name),
);

describe('the table of options', () => {
  it('has defaults that are of their kind', () => {
    for (const [name, option] of [...ALL, ...Object.entries(SETTINGS)]) {
      if (option.default === undefined) continue;
      assert.notEqual(option.kind.fromText(option.default, name), undefined, name);
    }
  });

  it('names each option as commander does, and each setting as its option', () => {
    for (const command of COMMANDS_OF_PROGRAM) {
      const options = Object.keys(COMMANDS[command.name() as keyof typeof COMMANDS]);
      assert.deepEqual(
        command.options.map((option) => option.attributeName()),
        options,
      );
    }
  });

  it('makes the help: each option, what it is for, its default', () => {
    for (const command of COMMANDS_OF_PROGRAM) {
      const help = command.helpInformation().replace(/\s+/g, ' ');
      const options: readonly Option[] = Object.values(
        COMMANDS[command.name() as keyof typeof COMMANDS],
      );
      for (const option of options) {
        if (option.refused === true) continue;
        const standard = option.default === undefined ? '' : ` (default: ${option.default})`;
        assert.ok(help.includes(` ${option.flags} ${option.help}${standard} `), option.flags);
      }
    }
  });
});

describe('--from', () => {
  const input = writeEvidence(evidenceOf({ processes: [] }));
  /** What bears on judging or on what is shown. */
  const MEANT = [
    ...['closeWaitWarn', 'closeWaitFail', 'config'],
    ...['json', 'save', 'from', 'strict', 'verbose', 'quiet', 'color', 'ascii', 'debug'],
  ];
  for (const [name, option] of Object.entries(COMMANDS.diagnose)) {
    if (MEANT.includes(name)) continue;
    it(`refuses ${longName(option)}`, async () => {
      const args = ['diagnose', '--from', '-', longName(option), ...sample(option)];
      const ran = await runCli(args, { input });
      assert.deepEqual([ran.code, ran.stdout], [2, '']);
      const refusal = `${longName(option)} (means nothing|is for a host)|--from judges saved`;
      assert.match(ran.stderr, new RegExp(`^salt-triage: (${refusal})`));
    });
  }

  it('takes limits, and refuses a settings file that is not there', async () => {
    const judged = ['--close-wait-warn', '7', '--close-wait-fail', '7', '-q'];
    const ran = await runCli(['diagnose', '--from', '-', ...judged], { input });
    assert.deepEqual([ran.code, ran.stderr], [1, '']);
    const lost = await runCli(['diagnose', '--from', '-', '--config', '/nonexistent'], { input });
    assert.deepEqual([lost.code, /no such file/.test(lost.stderr)], [2, true]);
  });
});

describe('probe', () => {
  it('prints another script for each of its options', async () => {
    const settings = fileOf('since.yaml', 'since: 5d\n');
    const plain = await runCli(['probe', '--config', '/dev/null']);
    const { debug: _, color: __, ...options } = COMMANDS.probe;
    for (const [name, option] of Object.entries(options)) {
      const word = name === 'config' ? settings : sample(option)[0];
      const ran = await runCli(['probe', '--config', '/dev/null', longName(option), word ?? '']);
      assert.deepEqual([ran.code, ran.stdout === plain.stdout], [0, false], name);
    }
  });

  const foreign = new Map(
    ALL.filter(([name]) => !(name in COMMANDS.probe)).map(([, one]) => [longName(one), one]),
  );
  for (const [long, option] of foreign) {
    it(`knows no ${long}`, async () => {
      const ran = await runCli(['probe', long, ...sample(option)]);
      assert.deepEqual([ran.code, ran.stdout], [2, '']);
      assert.match(ran.stderr, new RegExp(`unknown option '${long}'`));
    });
  }
});

describe('the manual: README, topics and help', () => {
  const manual = async () => {
    const topics = await Promise.all(Object.values(TOPICS).map(({ read }) => read()));
    const help = COMMANDS_OF_PROGRAM.map((command) => command.helpInformation());
    return [README, ...topics, ...help].join('\n').replace(/\s+/g, ' ');
  };

  it('names every option, and the default of each', async () => {
    const text = await manual();
    for (const [, option] of ALL) {
      const short = /^-\w/.exec(option.flags)?.[0] ?? longName(option);
      assert.match(text, new RegExp(`[ \`](${longName(option)}|${short})\\b`), option.flags);
      if (option.default === undefined) continue;
      const told = [`${longName(option)} ${option.default}\``, `(default: ${option.default})`];
      assert.ok(
        told.some((words) => text.includes(words)),
        option.flags,
      );
    }
  });

  it('has every settings key, and examples that are settings', async () => {
    const topic = (await TOPICS['settings']?.read()) ?? '';
    for (const name of Object.keys(SETTINGS)) {
      assert.match(topic, new RegExp(`^  ${settingKey(name)} `, 'm'));
    }
    const example = /^ {2}since: [\s\S]*/m.exec(topic)?.[0] ?? '';
    const settings = await loadSettings(fileOf('topic.yaml', example));
    assert.deepEqual(settings.stopCmd, ['supervisorctl', 'stop', 'salt-api']);
  });
});
