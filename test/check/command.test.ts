/** The command on a real salt-api: its line, its files, and what it makes of bad input. */
import assert from 'node:assert/strict';
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { type StagedIncident, stageIncident } from '../../src/drill/stage.ts';
import { AS_COMMAND, BUNDLE, type Ran, runCli } from '../cli/run.ts';
import { conforms } from '../report/conforms.ts';
import { SHELLS } from '../ssh/shells.ts';

let directory: string;
let healthy: StagedIncident;
before(async () => {
  directory = mkdtempSync(join(tmpdir(), 'salt-triage-check-'));
  healthy = await stageIncident({ stage: 'healthy' });
});
after(async () => {
  await healthy?.cleanup();
  rmSync(directory, { recursive: true, force: true });
});

function check(args: readonly string[], env: NodeJS.ProcessEnv = {}): Promise<Ran> {
  const command = [...AS_COMMAND, 'check', '--config', '/dev/null', ...args];
  return runCli([], { command, env });
}

function checkStaged(...args: readonly string[]): Promise<Ran> {
  const { port, configDirectory } = healthy;
  return check(['-p', `${port}`, '--salt-config-dir', configDirectory, ...args]);
}

describe('a check of a salt-api that serves', () => {
  it('is one line and 0, as the guidelines have it', async () => {
    const { stdout, stderr, code } = await checkStaged();
    const numbers = [
      ...['close_wait=0;4;19;0', 'unaccepted=0;;4;0', 'accept_queue=0;;;0', 'orphans=0;;0;0'],
      ...['failed_binds=0;;;0', 'threads=\\d+;;;0', 'answer_time=[\\d.]+s;;;0'],
    ];
    assert.match(
      stdout,
      new RegExp(`^SALT-API OK - healthy: [^|\\n]+ \\| ${numbers.join(' ')}\\n$`),
    );
    assert.deepEqual([stderr, code], ['', 0]);
  });

  it('says more with each v, in lines behind the first', async () => {
    for (const [more, steps, evidence, lookedFrom] of [
      ['-v', 5, false, false],
      ['-vv', 5, true, false],
      ['-vvv', 5, true, true],
    ] as const) {
      const { stdout, code } = await checkStaged(more);
      assert.equal(code, 0);
      const [first, ...others] = stdout.trimEnd().split('\n');
      assert.match(first ?? '', /^SALT-API OK - .* \| /);
      assert.ok(others.every((line) => !line.includes('|')));
      const isEvidence = (line: string) => line.startsWith('  ');
      const isWhence = (line: string) => line.startsWith('host ');
      const rest = others.filter((line) => !isEvidence(line) && !isWhence(line));
      assert.deepEqual(
        [rest.length, others.some(isEvidence), others.some(isWhence)],
        [steps, evidence, lookedFrom],
        more,
      );
    }
  });

  it('can be had as JSON, for Zabbix and for Checkmk', async () => {
    const json = JSON.parse((await checkStaged('--format', 'json')).stdout);
    conforms(json);
    assert.deepEqual([json.state, json.exitCode, json.verdict], ['ok', 0, 'healthy']);
    assert.deepEqual(json.readings.close_wait, {
      value: 0,
      unit: null,
      warning: '4',
      critical: '19',
    });
    const zabbix = JSON.parse((await checkStaged('--format', 'zabbix', '-t', '2')).stdout);
    conforms(zabbix);
    assert.deepEqual([zabbix.state, zabbix.orphans], [0, 0]);
    const checkmk = await checkStaged('--format', 'checkmk');
    assert.match(
      checkmk.stdout,
      /^0 "salt-api" close_wait=0;5;20\|unaccepted=0;;5\|\S+ healthy: [^\n]*\n$/,
    );
  });

  it('leaves out of Zabbix\u2019 line what it could not determine, and says null in JSON', async () => {
    const asked = ['--no-probe', '--format'];
    assert.equal(
      'answer_time' in JSON.parse((await checkStaged(...asked, 'zabbix')).stdout),
      false,
    );
    const json = JSON.parse((await checkStaged(...asked, 'json')).stdout);
    assert.equal(json.readings.answer_time.value, null);
  });
});

describe('an output that takes nothing', () => {
  const outputs = ['>/dev/full', '>&-'];
  const shells = SHELLS.map((shell) => shell.join(' '));
  const ways = outputs.flatMap((output) => shells.map((shell) => `${shell} "$0" "$@" ${output}`));
  for (const way of [...ways, 'node "$0" "$@" >/dev/full']) {
    it(`is not well: ${way}`, async () => {
      const { port, configDirectory } = healthy;
      const args = ['check', '--config', '/dev/null', '-p', `${port}`];
      const command = ['sh', '-c', way, BUNDLE, ...args, '--salt-config-dir', configDirectory];
      const { stdout, code } = await runCli([], { command });
      assert.deepEqual([stdout, code], ['', 3]);
    });
  }
});

describe('-o', () => {
  it('writes a file that the collector may read, whatever the umask, and says the line', async () => {
    const file = join(directory, 'salt-api.prom');
    const { port, configDirectory } = healthy;
    const args = ['-p', `${port}`, '--salt-config-dir', configDirectory, '--format', 'prometheus'];
    const command = ['sh', '-c', 'umask 077; exec sh "$0" "$@"', BUNDLE, 'check', ...args];
    const { stdout, code } = await runCli([...['--config', '/dev/null'], '-o', file], { command });
    assert.match(stdout, /^SALT-API OK - /);
    assert.equal(code, 0);
    assert.match(readFileSync(file, 'utf8'), /^salt_triage_state\{port="\d+"\} 0$/m);
    assert.equal(statSync(file).mode & 0o777, 0o644);
  });

  it('of two at once leaves one whole file and nothing else', async () => {
    const own = join(directory, 'two');
    mkdirSync(own);
    const args = ['--format', 'json', '-o', join(own, 'out')];
    const ends = await Promise.all([checkStaged(...args), checkStaged(...args)]);
    assert.deepEqual(
      ends.map(({ code }) => code),
      [0, 0],
    );
    assert.deepEqual(readdirSync(own), ['out']);
    assert.equal(JSON.parse(readFileSync(join(own, 'out'), 'utf8')).state, 'ok');
  });

  it('that cannot be written is unknown, with all that was found, and what is there stays', async () => {
    const link = join(directory, 'link');
    symlinkSync('/dev/null', link);
    for (const file of [join(directory, 'no/such'), '/dev/full', link, directory]) {
      const { stdout, code } = await checkStaged('-o', file);
      assert.match(
        stdout,
        /^SALT-API UNKNOWN - healthy: .*; can't write .* \| close_wait=0;/,
        file,
      );
      assert.equal(code, 3);
    }
    assert.ok(statSync('/dev/full').isCharacterDevice());
  });
});

describe('--growth', () => {
  const last = () => join(directory, 'state', `check-${healthy.port}.json`);
  const growth = (...args: readonly string[]) =>
    checkStaged('--growth', '--state-dir', join(directory, 'state'), ...args);

  it('has no rate at first, then one, and is judged by it', async () => {
    const first = await growth('-w', 'close_wait_rate=1');
    assert.match(first.stdout, /^SALT-API OK .* close_wait_rate=U\n$/);
    const second = await growth('-w', 'close_wait_rate=1');
    assert.match(second.stdout, /^SALT-API OK .* close_wait_rate=0;1;\n$/);
    // As if there had been 600 a minute ago: there are none now, and the range ends at 0.
    const look = JSON.parse(readFileSync(last(), 'utf8'));
    writeFileSync(last(), JSON.stringify({ ...look, at: look.at - 60_000, closeWait: 600 }));
    const third = await growth('-w', 'close_wait_rate=0:');
    assert.match(
      third.stdout,
      /^SALT-API WARNING - .*; close_wait_rate -\d+[\d.]* \(warning 0:\) \| /,
    );
    assert.equal(third.code, 1);
    assert.deepEqual(readdirSync(join(directory, 'state')), [`check-${healthy.port}.json`]);
  });

  it('takes a clock set back and a half-written file for no look before', async () => {
    const look = JSON.parse(readFileSync(last(), 'utf8'));
    for (const text of [JSON.stringify({ ...look, at: look.at + 600_000 }), '{"at":12', '']) {
      writeFileSync(last(), text);
      const { stdout, code } = await growth();
      assert.match(stdout, / close_wait_rate=U\n$/);
      assert.equal(code, 0);
    }
  });

  it('that cannot keep a look is unknown and says so', async () => {
    chmodSync(join(directory, 'state'), 0o777);
    const { stdout, code } = await growth();
    assert.match(
      stdout,
      /^SALT-API UNKNOWN - healthy: .*; the last look can't be kept in .*: others may write to it \| close_wait=0;/,
    );
    assert.equal(code, 3);
  });

  it('without it nothing is kept', async () => {
    const { code } = await checkStaged('--state-dir', join(directory, 'none'));
    assert.equal(code, 0);
    assert.equal(readdirSync(directory).includes('none'), false);
  });
});

describe('what it can do nothing with', () => {
  const bad: readonly (readonly [args: readonly string[], words: RegExp])[] = [
    [['-w', 'close_wait=20:10'], /close_wait=20:10: no range/],
    [['-w', 'close_wait'], /not NAME=RANGE/],
    [['-c', 'no_such=1'], /not NAME=RANGE with one of close_wait, /],
    [['-w', 'close_wait_rate=1'], /--growth/],
    [['-w', 'close_wait=9', '-c', 'close_wait=3'], /below/],
    [['--format', 'xml'], /--format/],
    [['-t', '0'], /--timeout/],
    [['-t', 'soon'], /--timeout/],
    [['--unknown-is', 'ok'], /--unknown-is/],
    [['--no-such-option'], /unknown option '--no-such-option'/],
    [['-H', 'a', '-H', 'b'], /one host/],
    [['--sudo'], /--sudo/],
    [['--config', '/no/such/file'], /no such file/],
  ];
  for (const [args, words] of bad) {
    it(`${args.join(' ')} is a line and 3`, async () => {
      const { stdout, code } = await check(['--unknown-is', 'critical', ...args]);
      assert.match(stdout, /^SALT-API UNKNOWN - [^\n]+ \| close_wait=U [^\n]*\n$/);
      assert.match(stdout, words);
      assert.equal(code, 3);
    });
  }

  it('help is no result', async () => {
    const { stdout, code } = await check(['--help']);
    assert.match(stdout, /^Usage: salt-triage check/);
    assert.equal(code, 3);
  });

  it('a host that cannot be reached is unknown in time, and critical where that was asked for', async () => {
    // Nobody answers at a documentation address (RFC 5737); a name that does not resolve fails at once.
    const began = performance.now();
    const { stdout, code } = await check([
      '-H',
      'salt.invalid',
      '-t',
      '3',
      '--unknown-is',
      'critical',
    ]);
    assert.match(stdout, /^SALT-API CRITICAL - [^|]+ \| close_wait=U /);
    assert.equal(code, 2);
    assert.ok(performance.now() - began < 3_200);
  });
});
