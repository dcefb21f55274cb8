/** What is kept for the trail, by both ways: the same names, the same columns. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { describe, it } from 'node:test';
import { LocalActions } from '../../src/host/local/local-actions.ts';
import { parsePsRow, processTable } from '../../src/host/recordings.ts';
import { type ScriptRunner, SshActions } from '../../src/host/ssh/ssh-actions.ts';
import { runnerIn, SHELLS } from '../ssh/shells.ts';

const HEADER = 'pid\tppid\tuid\t%cpu\t%mem\tstarted\tcommand';

describe('the process table', () => {
  for (const [name, actions] of [
    ['from here', new LocalActions()],
    ...SHELLS.map((shell) => [shell.join(' '), new SshActions(runnerIn(shell))] as const),
  ] as const) {
    it(`has one name and one form: ${name}`, async (t) => {
      const child = spawn('sleep', ['60'], { stdio: 'ignore' });
      t.after(() => child.kill('SIGKILL'));
      await once(child, 'spawn');
      const record = await actions.recordHost();
      assert.deepEqual([...record.keys()], ['processes.tsv']);
      const [header, ...rows] = (record.get('processes.tsv') ?? '').trimEnd().split('\n');
      assert.equal(header, HEADER);
      const row = rows.map((line) => line.split('\t')).find(([pid]) => pid === `${child.pid}`);
      const [, ppid, uid, , , started = '', command] = row ?? [];
      assert.deepEqual(
        [ppid, uid, command],
        [`${process.pid}`, `${process.getuid?.()}`, 'sleep 60'],
      );
      assert.ok(Math.abs(Date.parse(started) - Date.now()) < 10_000, started);
    });
  }

  it('has what busybox knows, and says what it does not', () => {
    assert.deepEqual(parsePsRow('   12     1 /usr/bin/python3 /usr/bin/salt-api -d', 0), {
      pid: 12,
      ppid: 1,
      uid: null,
      cpuPercent: null,
      memoryPercent: null,
      startedAt: null,
      command: '/usr/bin/python3 /usr/bin/salt-api -d',
    });
    assert.equal(parsePsRow('PID   PPID  COMMAND', 0), null);
  });

  it('bears a time that is none', () => {
    for (const elapsed of ['213503982334-14:25:00', '-', '::']) {
      const row = parsePsRow(`7 1 0 0.0 0.1 ${elapsed} sh`, 1_000_000_000_000);
      assert.match(row === null ? '' : processTable([row]), /\n7\t1\t.*\t\?\t/, elapsed);
    }
  });

  it('reads the time since a start in each of its forms', () => {
    const started = (elapsed: string) =>
      parsePsRow(`1 0 0 0.0 0.1 ${elapsed} init`, 1_000_000_000_000)?.startedAt;
    assert.equal(started('00:05'), 1_000_000_000_000 - 5_000);
    assert.equal(started('01:00:05'), 1_000_000_000_000 - 3_605_000);
    assert.equal(started('2-01:00:05'), 1_000_000_000_000 - 176_405_000);
  });
});

it('names no file of the trail by what the far side says', async () => {
  const lines = ['|status Name: x', '|evil y', '|../../etc/cron.d/x y', '|journal.jsonl {}'];
  const run: ScriptRunner['run'] = async (_script, { beginMark, endMark }) => ({
    stdout: Buffer.from([beginMark, ...lines, endMark].join('\n')),
    again: false,
  });
  const actions = new SshActions({ run, runRepeatable: run });
  assert.deepEqual([...(await actions.recordProcess(1)).keys()], ['status']);
  assert.deepEqual([...(await actions.recordHost()).keys()], ['processes.tsv']);
});
