/** The man page: what it tells, and that mandoc and man have nothing to say against it. */
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { before, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { variableOf } from '../src/cli/environment.ts';
import { COMMAND_HELP, exitCodesOf } from '../src/cli/help/commands.ts';
import { TOPICS } from '../src/cli/help/topics.ts';
import { COMMANDS, longName, type Option } from '../src/cli/options.ts';

const PROGRAM = fileURLToPath(new URL('../bin/man-page.mjs', import.meta.url));
const NAMES = Object.keys(COMMANDS) as (keyof typeof COMMANDS)[];

function skipWithoutMandoc(): string | false {
  if (process.env['CI'] || spawnSync('mandoc', ['-h']).error === undefined) return false;
  return 'needs mandoc';
}

describe('the man page', { skip: skipWithoutMandoc() }, () => {
  let page: string;
  /** As it is read in a terminal of 80 columns, its lines joined. */
  let text: string;
  const run = (program: string, ...args: string[]) =>
    execFileSync(program, args, { input: page, encoding: 'utf8' });
  before(() => {
    const env = { ...process.env, SOURCE_DATE_EPOCH: '1531445590' };
    page = execFileSync(process.execPath, [PROGRAM], { env, encoding: 'utf8' });
    text = run('mandoc', '-T', 'ascii', '-O', 'width=80').replace(/.\x08/g, '');
  });

  it('is mdoc without a warning', () => {
    const { status, stdout } = spawnSync('mandoc', ['-T', 'lint', '-W', 'warning'], {
      input: page,
      encoding: 'utf8',
    });
    assert.deepEqual([stdout, status], ['', 0]);
  });

  it('fits a terminal of 80 columns, and has its date from SOURCE_DATE_EPOCH', () => {
    for (const line of text.split('\n')) assert.ok(line.length <= 80, line);
    assert.match(text, /^salt-triage \d+\.\d+\.\d+ +July 13, 2018 /m);
  });

  it('names every command with its exit codes and examples', () => {
    const [, status = ''] = /^EXIT STATUS\n([\s\S]*)^EXAMPLES/m.exec(text) ?? [];
    for (const name of NAMES) {
      assert.match(text, new RegExp(`^     salt-triage ${name}\\b`, 'm'));
      const [, codes = ''] = new RegExp(`^   ${name}\\n((?:     .*\\n)+)`, 'm').exec(status) ?? [];
      for (const [code, meaning] of exitCodesOf(name)) {
        assert.match(codes, new RegExp(`^ {5}${code} +${meaning.split(' ', 3).join(' ')}`, 'm'));
      }
      for (const [line] of COMMAND_HELP[name].examples) {
        assert.ok(text.includes(`     salt-triage ${line}`), line);
      }
    }
  });

  it('names every option as it is typed, and the variable that sets it', () => {
    const options = NAMES.flatMap((name) => Object.entries<Option>(COMMANDS[name]));
    for (const [name, option] of options) {
      if (option.refused === true) continue;
      assert.match(text, new RegExp(`^ +(?:-\\w, )?${longName(option)}\\b`, 'm'));
      if (option.typedOnly !== true) assert.match(text, new RegExp(`^ +${variableOf(name)} `, 'm'));
    }
  });

  it('has the words of each topic, but for the playbook, which is to be saved to a file', async () => {
    const words = (from: string) => from.match(/[\w.$/-]+/g) ?? [];
    const told = new Set(words(text));
    for (const [name, { read }] of Object.entries(TOPICS)) {
      const [title = '', ...rest] = (await read()).split('\n');
      assert.ok(title);
      const missing = words(rest.join('\n')).filter((word) => !told.has(word));
      assert.deepEqual(name === 'ansible' ? [] : missing, [], name);
    }
  });
});
