/** What the program tells of itself: the help of each command, the topics, and how it says what went wrong. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { parse } from 'yaml';
import { COMMAND_HELP, exitCodesOf } from '../../src/cli/help/commands.ts';
import { TOPICS } from '../../src/cli/help/topics.ts';
import type { COMMANDS } from '../../src/cli/options.ts';
import { buildProgram } from '../../src/cli/program.ts';
import { ExitCode } from '../../src/errors.ts';
import { jsonSchema } from '../../src/report/json-schema.ts';
import { runCli } from './run.ts';

const NAMES = Object.keys(COMMAND_HELP) as (keyof typeof COMMANDS)[];

function assertFits(text: string, what: string): void {
  for (const line of text.split('\n')) {
    assert.ok(line.length <= 80, `${what}: ${line}`);
    assert.match(line, /^[ -~]*$/, what);
  }
}

/** What the program prints for these words. */
async function printed(...args: string[]): Promise<string> {
  const program = buildProgram('1');
  let text = '';
  for (const command of [program, ...program.commands]) {
    command.configureOutput({
      writeOut: (part) => {
        text += part;
      },
    });
  }
  await assert.rejects(program.parseAsync(args, { from: 'user' }), /outputHelp/);
  return text;
}

describe('the help', () => {
  for (const name of NAMES) {
    it(`of ${name} has groups, examples and exit codes in 80 columns`, async () => {
      const help = await printed(name, '--help');
      assertFits(help, name);
      assert.match(help, /^salt-triage itself:$[\s\S]*^Examples:$[\s\S]*^Exit codes:$/m);
      assert.doesNotMatch(help, /^Options:$/m);
      for (const [exitCode, meaning] of exitCodesOf(name)) {
        assert.match(help, new RegExp(`^ +${exitCode}  ${meaning}$`, 'm'));
      }
      assert.equal(name in TOPICS || (await printed('help', name)), name in TOPICS || help);
    });
  }

  it('has examples of options that there are', async () => {
    for (const [line] of Object.values(COMMAND_HELP).flatMap(({ examples }) => examples)) {
      const [name = '', ...words] = line.split(' | ')[0]?.split(' ') ?? [];
      const help = await printed(name, '--help');
      for (const word of words.filter((one) => one.startsWith('-'))) {
        assert.ok(help.includes(` ${word}`), line);
      }
    }
  });

  it('of all names the commands and the topics, also for no command and for help', async () => {
    const { code, stdout } = await runCli([]);
    assert.equal(code, 0);
    assertFits(stdout, 'all');
    for (const name of [...NAMES, ...Object.keys(TOPICS)]) {
      assert.match(stdout, new RegExp(`^  ${name} `, 'm'));
    }
    assert.equal((await runCli(['help'])).stdout, stdout);
    assert.equal((await runCli(['--help'])).stdout, stdout);
  });

  it('shows no option of fix that fix refuses', async () => {
    assert.doesNotMatch(await printed('fix', '--help'), /--no-probe/);
    const ran = await runCli(['fix', '--no-probe', '--yes']);
    assert.deepEqual([ran.code, ran.stdout], [2, '']);
    assert.match(ran.stderr, /fix asks the API with GET \/ whether it serves again/);
  });
});

describe('the topics', () => {
  for (const [name, { read }] of Object.entries(TOPICS)) {
    it(`tell ${name} in 80 columns of ASCII`, async () => {
      const text = await read();
      assertFits(text, name);
      assert.match(text, /[^\n]\n$/);
    });
  }

  it('are printed by the one file', async () => {
    const stdout = await TOPICS['environment']?.read();
    assert.deepEqual(await runCli(['help', 'environment']), { code: 0, stderr: '', stdout });
  });

  it('tell every exit code', async () => {
    const text = (await TOPICS['exit-codes']?.read()) ?? '';
    for (const code of Object.values(ExitCode)) assert.match(text, new RegExp(`^ +${code}  `, 'm'));
  });

  it('print the JSON Schema with json --schema, and with nothing else', async () => {
    const { code, stdout } = await runCli(['help', 'json', '--schema']);
    assert.equal(code, 0);
    assert.deepEqual(JSON.parse(stdout), jsonSchema());
    const wrong = buildProgram('1').parseAsync(['help', 'ssh', '--schema'], { from: 'user' });
    await assert.rejects(wrong, { message: "unknown option '--schema'" });
  });

  it('tell every field of each JSON document', async () => {
    const text = (await TOPICS['json']?.read()) ?? '';
    const { anyOf, $defs } = JSON.parse(JSON.stringify(jsonSchema()));
    const told = new Set(text.match(/\w+/g));
    for (const { $ref } of anyOf) {
      const { properties } = $defs[$ref.replace('#/$defs/', '')];
      const fields = [
        ...Object.keys(properties),
        ...Object.keys(properties.error?.properties ?? {}),
      ];
      assert.deepEqual(
        fields.filter((field) => !told.has(field)),
        [],
        $ref,
      );
    }
  });

  it('print the playbook as YAML that can be saved and run', async () => {
    const [play] = parse((await TOPICS['ansible']?.read()) ?? '');
    assert.equal(play.hosts, 'salt_masters');
  });
});

describe('what was typed wrong', () => {
  const wrong: readonly (readonly [args: readonly string[], message: string, advice: string])[] = [
    [
      ['diagnoze'],
      "unknown command 'diagnoze'",
      'Did you mean diagnose? See `salt-triage --help`.',
    ],
    [['xyzzy'], "unknown command 'xyzzy'", 'See `salt-triage --help`.'],
    [['help', 'nosuch'], "unknown help topic 'nosuch'", 'See `salt-triage help`.'],
    [
      ['help', 'verdict'],
      "unknown help topic 'verdict'",
      'Did you mean verdicts? See `salt-triage help`.',
    ],
    [
      ['fix', '--prot', '1'],
      "unknown option '--prot'",
      'Did you mean --port? See `salt-triage fix --help`.',
    ],
    [
      ['fix', '-p'],
      "option '-p, --port <number>' argument missing",
      'See `salt-triage fix --help`.',
    ],
    [['history', 'x', 'y'], "unexpected argument 'y'", 'See `salt-triage history --help`.'],
    [
      ['fix', '--wait', 'soon'],
      '--wait: invalid duration "soon": use 90s, 5m, 24h',
      'See `salt-triage fix --help`.',
    ],
    [
      ['diagnose', '--since', '24'],
      '--since: invalid duration "24": use 90s, 5m, 24h',
      'A number needs its unit: 24s is seconds, 24h hours.',
    ],
    [
      ['diagnose', '--port', '0'],
      '--port "0": must be a whole number from 1 to 65535',
      'Example: --port 443',
    ],
    [
      ['diagnose', '--connect-timeout', '5s'],
      '--connect-timeout is for a host behind ssh, and none is named',
      'Give --host HOST, or leave --connect-timeout out.',
    ],
    [
      ['fix', '--concurrency', '5'],
      "unknown option '--concurrency'",
      'See `salt-triage fix --help`.',
    ],
  ];
  for (const [args, message, advice] of wrong) {
    it(`is told in one style: ${args.join(' ')}`, async () => {
      const error = { name: 'TriageError', message, advice, exitCode: ExitCode.usage };
      await assert.rejects(buildProgram('1').parseAsync(args, { from: 'user' }), error);
    });
  }

  it('is printed on standard error alone, advice below what is wrong', async () => {
    const stderr =
      "salt-triage: unknown command 'diagnoze'\n  Did you mean diagnose? See `salt-triage --help`.\n";
    assert.deepEqual(await runCli(['diagnoze']), { code: 2, stdout: '', stderr });
  });

  it('is found out before settings, terminal and host are looked at', async () => {
    const ran = await runCli([
      'fix',
      '--config',
      '/nonexistent',
      '--wait',
      '5',
      '--host',
      'nohost',
    ]);
    assert.equal(ran.code, 2);
    assert.match(ran.stderr, /^salt-triage: --wait: invalid duration/);
  });
});
