/** salt-triage under Ansible: the playbook that `help ansible` prints, really run. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { type StagedIncident, type StageOptions, stageIncident } from '../../src/drill/stage.ts';
import { PROGRAM, runCli } from '../cli/run.ts';

describe('the Ansible playbook', { skip: skipWithoutAnsible() }, () => {
  it('leaves a healthy host alone and mends the broken one', async (t) => {
    const healthy = await stage(t, 'healthy');
    const broken = await stage(t, 'restarted');
    const ran = await play(t, { healthy: targetOf(healthy), broken: targetOf(broken) });
    assert.equal(ran.code, 0, ran.stdout);
    assert.match(ran.stdout, /healthy +: ok=1 +changed=0 .*failed=0/);
    assert.match(ran.stdout, /broken +: ok=2 +changed=1 .*failed=0/);
    const args = ['diagnose', '-q', '--port', String(broken.port), '-c', broken.configDirectory];
    assert.match((await runCli(args)).stdout, /^healthy: /);
  });

  it('fails the host that can not be mended, kills nothing there, and goes no further', async (t) => {
    const stranger = createServer((_request, response) => response.end('not salt'));
    await new Promise<void>((resolve) => stranger.listen(0, '127.0.0.1', resolve));
    t.after(() => stranger.close());
    const { port } = stranger.address() as AddressInfo;
    const next = await stage(t, 'healthy');
    const ran = await play(t, {
      foreign: { options: ['--port', String(port)], fix: [] },
      next: targetOf(next),
    });
    assert.notEqual(ran.code, 0);
    assert.match(ran.stdout, /is held by a program that is not this salt-api/);
    assert.match(ran.stdout, /foreign +: .*failed=1/);
    assert.doesNotMatch(ran.stdout, /next +: ok=[1-9]/);
    assert.ok(stranger.listening);
  });
});

interface Target {
  readonly options: readonly string[];
  readonly fix: readonly string[];
}

async function stage(
  t: TestContext,
  upTo: NonNullable<StageOptions['stage']>,
): Promise<StagedIncident> {
  const staged = await stageIncident({ stage: upTo });
  t.after(() => staged.cleanup());
  return staged;
}

function targetOf(staged: StagedIncident): Target {
  return {
    options: ['--port', String(staged.port), '-c', staged.configDirectory],
    fix: [
      ...['--start-cmd', staged.startCommand.join(' ')],
      ...['--stop-cmd', staged.stopCommand.join(' ')],
      ...['--state-dir', join(staged.directory, 'trail')],
    ],
  };
}

/** Every host is this one, reached without ssh; what differs is the salt-api that is meant. */
async function play(t: TestContext, hosts: Readonly<Record<string, Target>>) {
  const directory = mkdtempSync(join(tmpdir(), 'salt-triage-ansible-'));
  t.after(() => rmSync(directory, { recursive: true }));
  const inventory = join(directory, 'inventory.json');
  const variables = Object.entries(hosts).map(([name, { options, fix }]) => [
    name,
    {
      ansible_connection: 'local',
      ansible_python_interpreter: '/usr/bin/python3',
      salt_triage: PROGRAM,
      salt_triage_options: options,
      salt_triage_fix_options: fix,
    },
  ]);
  writeFileSync(
    inventory,
    JSON.stringify({ salt_masters: { hosts: Object.fromEntries(variables) } }),
  );
  const playbook = join(directory, 'salt-triage.yml');
  writeFileSync(playbook, (await runCli(['help', 'ansible'])).stdout);
  return runCli(['-i', inventory, playbook], {
    command: ['ansible-playbook'],
    env: { HOME: directory, ANSIBLE_LOCAL_TEMP: directory, ANSIBLE_REMOTE_TEMP: directory },
  });
}

function skipWithoutAnsible(): string | false {
  try {
    execFileSync('ansible-playbook', ['--version'], { stdio: 'ignore' });
    return false;
  } catch {
    // In CI it must be there: the test then runs, and fails.
    return process.env['CI'] ? false : 'needs Debian’s ansible-core';
  }
}
