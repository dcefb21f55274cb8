/** The guided fix as a person has it: a real terminal (tmux), keys typed, the screen read. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { isAlive, journal, stage, until } from './staged.ts';
import { open, skipWithoutTmux } from './terminal.ts';

describe('the guided fix in a terminal', { skip: skipWithoutTmux() }, () => {
  it('asks before each step and mends what is agreed to', async (t) => {
    const staged = await stage(t, 'restarted');
    const terminal = open(t, staged);
    await terminal.shows(`? kill -9 ${staged.orphanPid} (orphan)? (ySdah)`);
    assert.ok(isAlive(staged.orphanPid));
    terminal.type('d');
    await terminal.shows(`command: kill -9 ${staged.orphanPid}, only while its start tick is`);
    assert.ok(isAlive(staged.orphanPid));
    terminal.type('y');
    await terminal.shows('? stop the service? (ySdah)');
    assert.ok(!isAlive(staged.orphanPid));
    terminal.type('y');
    await terminal.shows('? start the service? (ySdah)');
    terminal.type('y');
    await terminal.shows('exit code 0');
    assert.match(terminal.screen(), /Recovered: the API serves again/);
    const answers = journal(staged.trail).filter(({ action }) => action.startsWith('kill -9'));
    assert.equal(answers.length, 2);
  });

  it('skips on Enter alone, and aborts on a, with exit 4', async (t) => {
    const staged = await stage(t, 'restarted');
    const terminal = open(t, staged);
    await terminal.shows(`? kill -9 ${staged.orphanPid} (orphan)? (ySdah)`);
    terminal.type('');
    await terminal.shows('? stop the service? (ySdah)');
    assert.ok(isAlive(staged.orphanPid));
    terminal.type('a');
    await terminal.shows('exit code 4');
    assert.ok(isAlive(staged.orphanPid) && isAlive(staged.managerPid));
  });

  for (const [key, code] of [
    ['C-c', 130],
    ['C-d', 4],
  ] as const) {
    it(`ends on ${key} with exit ${code} and kills nothing`, async (t) => {
      const staged = await stage(t, 'restarted');
      const terminal = open(t, staged);
      await terminal.shows(`? kill -9 ${staged.orphanPid} (orphan)?`);
      terminal.press(key);
      await terminal.shows(`exit code ${code}`);
      assert.ok(isAlive(staged.orphanPid));
    });
  }

  it('stops when the terminal is lost, and the journal says where', async (t) => {
    const staged = await stage(t, 'restarted');
    const terminal = open(t, staged);
    await terminal.shows(`? kill -9 ${staged.orphanPid} (orphan)?`);
    terminal.close();
    const last = await until('the end in the journal', () =>
      journal(staged.trail).find(({ action }) => action === 'end'),
    );
    assert.match(last.result ?? '', /not recovered, (?:aborted|interrupted)/);
    assert.ok(isAlive(staged.orphanPid));
  });

  it('kills no process that took the place of the target while the question was open', async (t) => {
    const staged = await stage(t, 'orphan');
    const terminal = open(t, staged);
    await terminal.shows(`? kill -9 ${staged.orphanPid} (orphan)?`);
    process.kill(staged.orphanPid, 'SIGKILL');
    await until('its end', () => !isAlive(staged.orphanPid));
    terminal.type('y');
    await terminal.shows(/has ended by itself|had ended before the signal|no salt-api any more/);
  });

  it('offers the guided fix at the end of diagnose, No by default', async (t) => {
    const staged = await stage(t, 'orphan');
    const terminal = open(t, staged, 'diagnose');
    await terminal.shows('? Start the guided fix now? (y/N)');
    terminal.type('');
    await terminal.shows('exit code 1');
    assert.ok(isAlive(staged.orphanPid));
  });
});
