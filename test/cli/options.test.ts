/** The table of options, and what is made from it or must agree with it. */
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { many } from '../../src/cli/option-kinds.ts';
import { COMMANDS, defaultsOf, longName, type Option, SETTINGS } from '../../src/cli/options.ts';
import { buildProgram } from '../../src/cli/program.ts';
import { loadSettings } from '../../src/cli/settings.ts';
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
  const words = ['7', 'kill', 'if-needed', 'sysv', '8000', 'critical', 'json', 'zabbix'];
  const word = words.find((one) => {
    try {
      return kind.fromText?.(one, '') !== undefined || kind === many;
    } catch {
      return false;
    }
  });
  assert.ok(word !== undefined, flags);
  return [word];
}

describe('the table of options', () => {
  it('has defaults that are of their kind', () => {
    for (const [name, option] of [...ALL, ...Object.entries(SETTINGS)]) {
      if (option.default === undefined) continue;
      assert.notEqual(option.kind.fromText?.(option.default, name), undefined, name);
    }
  });

  it('names each option as commander does, and each setting as its option', () => {
    for (const command of buildProgram('1').commands) {
      const options = Object.keys(COMMANDS[command.name() as keyof typeof COMMANDS]);
      assert.deepEqual(
        command.options.map((option) => option.attributeName()),
        options,
      );
    }
  });

  it('makes the help: each option, what it is for, its default', () => {
    for (const command of buildProgram('1').commands) {
      const help = command.helpInformation().replace(/\s+/g, ' ');
      const options: readonly Option[] = Object.values(
        COMMANDS[command.name() as keyof typeof COMMANDS],
      );
      for (const option of options) {
        const standard = option.default === undefined ? '' : ` (default: ${option.default})`;
        assert.ok(help.includes(` ${option.flags} ${option.help}${standard} `), option.flags);
      }
    }
  });
});

describe('--from', () => {
  const input = writeEvidence(evidenceOf({ processes: [] }));
  /** What bears on judging, on what is shown, or, as `--no-probe`, holds anyway. */
  const MEANT = [
    ...['closeWaitWarn', 'closeWaitFail', 'probe', 'config'],
    ...['json', 'save', 'from', 'strict', 'verbose', 'quiet', 'color', 'ascii', 'debug'],
  ];
  for (const [name, option] of Object.entries(COMMANDS.diagnose)) {
    if (MEANT.includes(name)) continue;
    it(`refuses ${longName(option)}`, async () => {
      const args = ['diagnose', '--from', '-', longName(option), ...sample(option)];
      const ran = await runCli(args, { input });
      assert.deepEqual([ran.code, ran.stdout], [2, '']);
      const refusal = `${longName(option)} (means nothing|is for a host)|--from and --host`;
      assert.match(ran.stderr, new RegExp(`^salt-triage: (${refusal})`));
    });
  }

  it('takes limits, and refuses a settings file that is not there', async () => {
    const judged = ['--close-wait-warn', '7', '--close-wait-fail', '7', '--no-probe', '-q'];
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
    const { debug: _, ...options } = COMMANDS.probe;
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

describe('the README', () => {
  /** Those of `check` are in its help alone. */
  const { check: _, ...others } = COMMANDS;
  const told: readonly (readonly [string, Option])[] = Object.values(others).flatMap((options) =>
    Object.entries(options),
  );

  it('names every option', () => {
    for (const [name, option] of told) {
      const short = /^-\w/.exec(option.flags)?.[0] ?? longName(option);
      const named = new RegExp(`(^|[ \`])(${longName(option)}|${short})\\b`, 'm');
      assert.ok(name in SETTINGS || named.test(README), option.flags);
    }
  });

  it('has every settings key, each with its default', async () => {
    const section = /^## Settings\n[\s\S]*?\n((?: {4}.*\n)+)/m.exec(README)?.[1] ?? '';
    const settings = await loadSettings(fileOf('readme.yaml', section));
    assert.deepEqual(Object.keys(settings).sort(), Object.keys(SETTINGS).sort());
    const standard = Object.entries(defaultsOf(SETTINGS)).filter(
      ([, value]) => value !== undefined,
    );
    assert.deepEqual({ ...settings, ...Object.fromEntries(standard) }, settings);
  });

  it('has the default of every option that is no setting', () => {
    for (const [name, option] of told) {
      if (option.default === undefined || name in SETTINGS) continue;
      assert.ok(README.includes(`\`${longName(option)} ${option.default}\``), option.flags);
    }
  });
});
