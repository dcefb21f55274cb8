/** Options in the environment: below the command line, above the settings files. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { readEnvironment, strangeVariables, variableOf } from '../../src/cli/environment.ts';
import { COMMANDS, type Option, readFlags } from '../../src/cli/options.ts';
import { writeEvidence } from '../../src/evidence/evidence-file.ts';
import { evidenceOf } from '../diagnosis/situation.ts';
import { runCli } from './run.ts';

const { diagnose, fix } = COMMANDS;
const directory = mkdtempSync(join(tmpdir(), 'salt-triage-environment-'));
after(() => rmSync(directory, { recursive: true }));

function fits({ kind }: Option, word: string): boolean {
  try {
    kind.fromText(word, '');
    return true;
  } catch {
    return false;
  }
}

function usageError(message: RegExp): object {
  return { name: 'TriageError', exitCode: 2, message };
}

describe('readEnvironment', () => {
  const WORDS = [
    '1',
    '7s',
    'kill',
    'if-needed',
    'sysv',
    '/x',
    '8000',
    'critical',
    'json',
    'systemd',
    'never',
    'md',
  ];
  for (const [name, options] of Object.entries<Readonly<Record<string, Option>>>(COMMANDS)) {
    it(`sets every option of ${name} as the command line does, but for --yes`, () => {
      for (const [key, option] of Object.entries(options)) {
        if (key === 'yes') continue;
        const word = WORDS.find((one) => fits(option, one));
        assert.ok(word !== undefined, key);
        const values = readEnvironment(options, {}, { [variableOf(key)]: word });
        const typed = readFlags(options, { [key]: word });
        assert.deepEqual(values, option.typedOnly === true ? {} : typed, key);
      }
    });
  }

  it('names an option as its variable', () => {
    assert.equal(variableOf('closeWaitFail'), 'SALT_TRIAGE_CLOSE_WAIT_FAIL');
    assert.equal(variableOf('port'), 'SALT_TRIAGE_PORT');
  });

  it('takes true, false, 1 and 0 for what stands alone, and turns --no-x round', () => {
    const read = (word: string) => readEnvironment(diagnose, {}, { SALT_TRIAGE_PROBE: word });
    for (const word of ['true', 'TRUE', '1']) assert.deepEqual(read(word), { probe: true });
    for (const word of ['false', '0']) assert.deepEqual(read(word), { probe: false });
    for (const word of ['no', 'yes', '2', ' ', 'constructor']) {
      assert.throws(() => read(word), usageError(/^SALT_TRIAGE_PROBE .*must be true or false/));
    }
  });

  it('takes several hosts with blanks between them', () => {
    const env = { SALT_TRIAGE_HOST: ' a  root@b\tc ' };
    assert.deepEqual(readEnvironment(diagnose, {}, env), { host: ['a', 'root@b', 'c'] });
  });

  it('is named in an error, with a value that fits', () => {
    assert.throws(
      () => readEnvironment(diagnose, {}, { SALT_TRIAGE_PORT: 'x' }),
      usageError(/^SALT_TRIAGE_PORT "x": must be a whole number/),
    );
    assert.throws(
      () => readEnvironment(fix, {}, { SALT_TRIAGE_WAIT: '5' }),
      usageError(/^SALT_TRIAGE_WAIT: invalid duration "5"/),
    );
  });

  it('takes an empty variable for none, and reads none of other commands', () => {
    assert.deepEqual(readEnvironment(diagnose, {}, { SALT_TRIAGE_PORT: '' }), {});
    assert.deepEqual(readEnvironment(diagnose, {}, { SALT_TRIAGE_WAIT: 'x' }), {});
  });

  it('refuses consent in fix, whatever it says, and has no say in a drill', () => {
    for (const word of ['1', 'true', '0', 'x']) {
      assert.throws(
        () => readEnvironment(fix, {}, { SALT_TRIAGE_YES: word }),
        usageError(/^SALT_TRIAGE_YES can't be set: consent is given each time/),
      );
    }
    assert.deepEqual(readEnvironment(diagnose, {}, { SALT_TRIAGE_YES: '1' }), {});
    assert.deepEqual(readEnvironment(COMMANDS.drill, {}, { SALT_TRIAGE_PORT: '443' }), {});
  });

  it('stands back behind what is typed of the same matter', () => {
    const env = { SALT_TRIAGE_HOST: 'a', SALT_TRIAGE_ROSTER: '/r', SALT_TRIAGE_VERBOSE: '1' };
    assert.deepEqual(readEnvironment(diagnose, { host: ['b'] }, env), { verbose: true });
    assert.deepEqual(readEnvironment(diagnose, { hostsFile: '/f', quiet: true }, env), {});
    assert.deepEqual(readEnvironment(diagnose, { from: '-', quiet: true }, env), {});
  });
});

describe('strangeVariables', () => {
  it('finds those that set nothing', () => {
    const env = { SALT_TRIAGE_PROT: '1', SALT_TRIAGE_PORT: '1', PORT: '1', SALT_TRIAGE_YES: '1' };
    assert.deepEqual(strangeVariables(env), ['SALT_TRIAGE_PROT']);
  });
});

describe('the built program', () => {
  const config = join(directory, 'salt-triage.yaml');
  writeFileSync(config, 'port: 1111\nprobe: false\nsince: 7d\n', { mode: 0o600 });

  it('has the command line before the environment before the settings', async () => {
    const inForce = async (args: readonly string[], env: NodeJS.ProcessEnv) => {
      const ran = await runCli(['settings', '--json', '--config', config, ...args], { env });
      assert.deepEqual([ran.code, ran.stderr], [0, '']);
      const { settings } = JSON.parse(ran.stdout) as {
        settings: { key: string; value: string | null }[];
      };
      return Object.fromEntries(settings.map(({ key, ...rest }) => [key, rest]));
    };
    const env = { SALT_TRIAGE_PORT: '2222', SALT_TRIAGE_PROBE: 'true' };
    const told = await inForce(['--no-probe', '--wait', '9s'], env);
    assert.deepEqual(told['probe'], {
      ...{ value: 'false', origin: 'command-line', source: '--no-probe' },
    });
    assert.deepEqual(told['wait'], { value: '9s', origin: 'command-line', source: '--wait' });
    const source = 'SALT_TRIAGE_PORT';
    assert.deepEqual(told['port'], { value: '2222', origin: 'environment', source });
    assert.deepEqual(told['since'], { value: '7d', origin: 'file', source: config });
    assert.deepEqual(told['unit'], { value: 'salt-api', origin: 'default', source: null });
    assert.deepEqual(told['log'], { value: null, origin: 'default', source: null });
    assert.equal((await inForce([], env))['probe']?.value, 'true');
    assert.equal((await inForce([], {}))['probe']?.value, 'false');
  });

  it('shows the settings with their origin as text, in lines that stand for themselves', async () => {
    const env = { SALT_TRIAGE_STOP_CMD: 'a "b c"' };
    const { code, stdout } = await runCli(['settings', '--config', config], { env });
    assert.equal(code, 0);
    assert.match(stdout, /^port +1111 +\/.*salt-triage\.yaml$/m);
    assert.match(stdout, /^stop-cmd +a "b c" +SALT_TRIAGE_STOP_CMD$/m);
    assert.match(stdout, /^wait +30s +default$/m);
    assert.match(stdout, /^log +- +default: of the process or the Salt\s+config$/m);
    assert.match(stdout, new RegExp(`^Files: ${config}$`, 'm'));
  });

  it('asks GET / where the environment says so, although the settings say not to', async () => {
    const args = ['diagnose', '--json', '--config', config, '--port', '1'];
    const status = async (env: NodeJS.ProcessEnv, ...more: string[]) =>
      JSON.parse((await runCli([...args, ...more], { env })).stdout).steps[4].status;
    assert.equal(await status({}), 'skip');
    assert.notEqual(await status({ SALT_TRIAGE_PROBE: '1' }), 'skip');
    assert.equal(await status({ SALT_TRIAGE_PROBE: '1' }, '--no-probe'), 'skip');
  });

  it('repeats what is not typed in the command that it suggests', async () => {
    const own = join(directory, 'config');
    rmSync(own, { recursive: true, force: true });
    const env = { SALT_TRIAGE_PORT: '8443', XDG_CONFIG_HOME: directory };
    writeFileSync(join(directory, 'salt-triage.yaml'), 'unit: blue\nport: 1111\n', { mode: 0o600 });
    const ran = await runCli(['fix', '-c', '/srv'], { env });
    assert.equal(ran.code, 4);
    assert.match(ran.stderr, /salt-triage fix -c \/srv --port 8443 --unit blue --yes/);
  });

  it('says on standard error which variable sets nothing', async () => {
    const ran = await runCli(['probe', '--config', '/dev/null'], {
      env: { SALT_TRIAGE_PROT: '1' },
    });
    assert.equal(ran.code, 0);
    assert.equal(
      ran.stderr,
      'salt-triage: SALT_TRIAGE_PROT sets nothing; see `salt-triage help environment`\n',
    );
  });

  it('says so without what a terminal would act on in its name', async () => {
    const name = 'SALT_TRIAGE_\x1b]0;x\x07\x9b31mé';
    const ran = await runCli(['probe', '--config', '/dev/null'], {
      env: { [name]: '1', LANG: 'C' },
    });
    assert.equal(
      ran.stderr,
      'salt-triage: SALT_TRIAGE_? sets nothing; see `salt-triage help environment`\n',
    );
  });

  it('has one -v for diagnose and check', () => {
    for (const [word, times] of Object.entries({ true: 1, '1': 1, FALSE: 0, '0': 0 })) {
      const env = { SALT_TRIAGE_VERBOSE: word };
      assert.deepEqual(readEnvironment(COMMANDS.diagnose, {}, env), { verbose: times === 1 });
      assert.deepEqual(readEnvironment(COMMANDS.check, {}, env), { verbose: times });
    }
  });

  it('passes over what a command neither takes nor leads to', async () => {
    const ran = await runCli(['probe', '--config', '/dev/null'], {
      env: { SALT_TRIAGE_WAIT: 'x' },
    });
    assert.equal(ran.code, 0, ran.stderr);
  });

  it('judges saved evidence by what is typed alone', async () => {
    const env = {
      ...{ SALT_TRIAGE_HOST: 'nohost', SALT_TRIAGE_SINCE: '1h', SALT_TRIAGE_PORT: '7' },
      ...{ SALT_TRIAGE_CLOSE_WAIT_WARN: '1', SALT_TRIAGE_SUDO: '1', SALT_TRIAGE_TIMEOUT: '1s' },
    };
    const input = writeEvidence(evidenceOf({ processes: [] }));
    const plain = await runCli(['diagnose', '--json', '--from', '-'], { input });
    assert.deepEqual(await runCli(['diagnose', '--json', '--from', '-'], { input, env }), plain);
    assert.equal(plain.stderr, '');
  });

  it('judges what a probe has printed by what is typed alone, on whatever machine', async () => {
    const probe = await runCli(['probe', '--port', '1']);
    const { stdout: input } = await runCli(['-s'], { command: ['/bin/sh'], input: probe.stdout });
    const judged = async (env: Record<string, string>) => {
      const ran = await runCli(['diagnose', '--json', '--from', '-'], { input, env });
      const { port, steps } = JSON.parse(ran.stdout);
      return [port, steps[2].evidence.thresholds];
    };
    const here = mkdtempSync(join(tmpdir(), 'salt-triage-'));
    const settings = join(here, 'salt-triage.yaml');
    writeFileSync(settings, 'port: 8443\nclose-wait-fail: 7\n', { mode: 0o600 });
    try {
      const told = [1, { warn: 5, fail: 20 }];
      assert.deepEqual(await judged({}), told);
      assert.deepEqual(
        await judged({ SALT_TRIAGE_PORT: '7', SALT_TRIAGE_CLOSE_WAIT_WARN: '1' }),
        told,
      );
      assert.deepEqual(await judged({ XDG_CONFIG_HOME: here }), told);
    } finally {
      rmSync(here, { recursive: true });
    }
  });
});
