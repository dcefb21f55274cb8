/** Every command of the README, run on staged incidents as it stands there. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { chmodSync, copyFileSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { BUNDLE } from './cli/run.ts';
import { isAlive, type Staged, stage, until } from './fix/staged.ts';
import { sshdMissing, startSshd } from './ssh/sshd.ts';

const read = (path: string) => readFileSync(new URL(path, import.meta.url), 'utf8');
const README = read('../README.md');

/** The commands under a heading, each without the words beside it. */
function commandsUnder(heading: string): string[] {
  const section = README.split(/^## /m).find((text) => text.startsWith(`${heading}\n`)) ?? '';
  const lines = section.split('\n').filter((line) => /^ {4}\S/.test(line));
  return lines.map((line) => (line.trim().split(/ {3,}/)[0] ?? '').trim());
}

/** A place where the commands mean the staged salt-api, on a master that is this machine. */
async function workplace(t: TestContext, staged: Staged) {
  const directory = join(staged.directory, 'clone');
  const bin = join(directory, 'programs');
  const trail = join(directory, 'trail');
  for (const made of [join(directory, 'bin'), bin]) mkdirSync(made, { recursive: true });
  copyFileSync(BUNDLE, join(directory, 'bin/salt-triage.cjs'));
  const program = (name: string, text: string) => {
    writeFileSync(join(bin, name), `#!/bin/sh\n${text}\n`);
    chmodSync(join(bin, name), 0o755);
  };
  program('node', `exec ${process.execPath} "$@"`);
  const verbs = `start) exec ${staged.startCommand.join(' ')} ;; stop) exec ${staged.stopCommand.join(' ')} ;;`;
  program('service', `case $2 in ${verbs} esac`);
  const env = {
    PATH: `${bin}:${process.env['PATH']}`,
    HOME: directory,
    LANG: 'C.UTF-8',
    SALT_TRIAGE_PORT: `${staged.port}`,
    SALT_TRIAGE_SALT_CONFIG_DIR: staged.configDirectory,
    SALT_TRIAGE_STATE_DIR: trail,
    SALT_TRIAGE_START_CMD: staged.startCommand.join(' '),
    SALT_TRIAGE_STOP_CMD: staged.stopCommand.join(' '),
    SALT_TRIAGE_PROBE_TIMEOUT: '1s',
  };
  const given = Object.entries(env).map(([name, value]) => `"${name}=${value}"`);
  const sshd = await startSshd([`SetEnv ${given.join(' ')}`]);
  t.after(() => sshd.stop());
  program('ssh', `exec ${sshd.client} "$@"`);
  const here = (command: string) =>
    command
      .replaceAll('/usr/local/bin', bin)
      .replaceAll(':443', `:${staged.port}`)
      .replaceAll('17502', `${staged.orphanPid}`)
      .replace('https://', 'http://');
  return async (command: string) => {
    const child = spawn('sh', ['-c', here(command)], { cwd: directory, env, stdio: 'pipe' });
    child.stdin.end();
    const output = { stdout: '', stderr: '' };
    for (const name of ['stdout', 'stderr'] as const) {
      child[name].setEncoding('utf8').on('data', (text: string) => {
        output[name] += text;
      });
    }
    const code = await new Promise<number | null>((resolve) => child.once('close', resolve));
    return { ...output, code };
  };
}

const skip = sshdMissing();

test('three ways to a verdict: each command gives the same one', { skip }, async (t) => {
  const staged = await stage(t, 'restarted');
  const run = await workplace(t, staged);
  const quiet = ['install -m', 'salt-triage probe', 'sh probe.sh'];
  const commands = commandsUnder('Three ways to a verdict');
  assert.equal(commands.length, 7);
  for (const command of commands) {
    const { stdout, stderr, code } = await run(command);
    const silent = quiet.some((start) => command.startsWith(start));
    if (silent) assert.deepEqual([stdout, code], ['', 0], `${command}: ${stderr}`);
    else {
      assert.match(stdout, /^Verdict {2}orphan-holds-port/m, `${command}: ${stderr}`);
      assert.equal(code, 1, command);
    }
  }
});

test('the same by hand: eight commands end the staged incident', { skip }, async (t) => {
  const staged = await stage(t, 'restarted');
  const run = await workplace(t, staged);
  const commands = commandsUnder('The same by hand, with no tool at all');
  assert.equal(commands.length, 8);
  const [
    listens = '',
    child = '',
    age = '',
    kill = '',
    stop = '',
    again = '',
    start = '',
    ask = '',
  ] = commands;
  assert.match((await run(listens)).stdout, new RegExp(`pid=${staged.orphanPid}\\b`));
  assert.match((await run(child)).stdout, new RegExp(`^ *${staged.orphanPid} +1 .*salt-api`, 'm'));
  assert.match((await run(age)).stdout, /^\w{3} \w{3} +\d+ [\d:]+ \d{4} +[\d:]+ +\w/m);
  assert.equal((await run(kill)).code, 0);
  await until('the end of the orphan', () => !isAlive(staged.orphanPid));
  await run(stop);
  // A dead one may stay in the list until its parent asks for it.
  const left = (await run(again)).stdout.split('\n').filter((line) => !line.includes('<defunct>'));
  assert.deepEqual(
    left.filter((line) => line.trim().startsWith(`${staged.orphanPid} `)),
    [],
  );
  assert.equal((await run(start)).code, 0);
  let told = '';
  const deadline = Date.now() + 20_000;
  while (!/^[1-5]\d\d/.test(told) && Date.now() < deadline) told = (await run(ask)).stdout;
  assert.match(told, /^[1-5]\d\d\n$/);
});

test('fix: refused without a person, planned, done, listed, and told in a report', {
  skip,
}, async (t) => {
  const staged = await stage(t, 'restarted');
  const run = await workplace(t, staged);
  const commands = commandsUnder('Fix');
  const exits: Record<string, number> = {
    'salt-triage fix': 4,
    'salt-triage fix --dry-run': 0,
    'salt-triage fix --yes': 0,
    'salt-triage fix --host root@salt': 4,
  };
  assert.deepEqual(commands.toSorted(), Object.keys(exits).toSorted());
  await run('install -m 755 bin/salt-triage.cjs /usr/local/bin/salt-triage');
  for (const [command, code] of Object.entries(exits)) {
    const ran = await run(command);
    assert.equal(ran.code, code, `${command}: ${ran.stdout}${ran.stderr}`);
  }
  assert.ok(!isAlive(staged.orphanPid));
  assert.match((await run('salt-triage history')).stdout, /recovered/);

  const reports = commandsUnder('Why it happened').filter((line) => line.startsWith('salt-triage'));
  assert.equal(reports.length, 3);
  for (const command of reports) {
    const { stdout, stderr, code } = await run(command);
    assert.equal(code, 0, `${command}: ${stderr}`);
    assert.match(stdout + stderr, /^# salt-api on |incident\.html/m);
  }
});

test('check: the line is critical, and each monitor gets its set', { skip }, async (t) => {
  const staged = await stage(t, 'restarted');
  const run = await workplace(t, staged);
  await run('install -m 755 bin/salt-triage.cjs /usr/local/bin/salt-triage');
  const [check = '', , ...examples] = commandsUnder('Never again unnoticed');
  const ran = await run(check.replace(/^\$ /, ''));
  assert.match(ran.stdout, /^SALT-API CRITICAL - orphan-holds-port: .* \| close_wait=\d+;4;19;0 /);
  assert.equal(ran.code, 2);
  assert.equal(examples.length, 6);
  for (const example of examples) assert.equal((await run(example)).code, 0, example);
});

test('the two commands are npm scripts, and every help topic named is there', async () => {
  const { scripts } = JSON.parse(read('../package.json'));
  assert.deepEqual(commandsUnder('Two commands'), [
    'npm install && npm run drill',
    'npm install && npm test',
  ]);
  assert.ok('drill' in scripts && 'test' in scripts);
  // CI runs both as they stand.
  const gate = read('../.ci/run');
  for (const command of commandsUnder('Two commands')) assert.ok(gate.includes(command), command);
  const named = [...README.matchAll(/`?salt-triage help ([\w-]+)/g)].map(
    ([, topic]) => topic ?? '',
  );
  for (const topic of new Set(named)) {
    const child = spawn(process.execPath, [BUNDLE, 'help', topic], { stdio: 'ignore' });
    assert.equal(await new Promise((resolve) => child.once('close', resolve)), 0, topic);
  }
});

test('no line is wider than a page, and there are fewer than 200', () => {
  const lines = README.trimEnd().split('\n');
  assert.ok(lines.length < 200, `${lines.length}`);
  assert.deepEqual(
    lines.filter((line) => line.length > 105),
    [],
  );
});
