/** The guided fix as a person has it: a real terminal (tmux), keys typed, the screen read. */
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { isAlive, journal, stage, until } from './staged.ts';
import { open, skipWithoutTmux } from './terminal.ts';

describe('the guided fix in a terminal', { skip: skipWithoutTmux() }, () => {
  it('asks before each step and mends what is agreed to', async (t) => {
    const staged = await stage(t, 'restarted');
    const terminal = open(t, staged);
    await terminal.shows(`? kill -9 ${staged.orphanPid} (orphan)? (y/S/d/a, Enter)`);
    assert.ok(isAlive(staged.orphanPid));
    terminal.type('d');
    await terminal.shows(`command: kill -9 ${staged.orphanPid}, only while its start tick is`);
    assert.ok(isAlive(staged.orphanPid));
    terminal.type('y');
    await terminal.shows('? stop the service? (y/S/d/a, Enter)');
    assert.ok(!isAlive(staged.orphanPid));
    terminal.type('y');
    await terminal.shows('? start the service? (y/S/d/a, Enter)');
    terminal.type('y');
    await terminal.shows('exit code 0');
    assert.match(terminal.screen(), /Recovered: the API serves again/);
    const answers = journal(staged.trail).filter(({ action }) => action.startsWith('kill -9'));
    assert.equal(answers.length, 2);
  });

  it('skips on Enter alone, and aborts on a, with exit 4', async (t) => {
    const staged = await stage(t, 'restarted');
    const terminal = open(t, staged);
    await terminal.shows(`? kill -9 ${staged.orphanPid} (orphan)? (y/S/d/a, Enter)`);
    terminal.type('');
    await terminal.shows('? stop the service? (y/S/d/a, Enter)');
    assert.ok(isAlive(staged.orphanPid));
    terminal.type('a');
    await terminal.shows('exit code 4');
    assert.ok(isAlive(staged.orphanPid) && isAlive(staged.managerPid));
    const screen = terminal.unbroken();
    assert.match(
      screen,
      /^Now {6}nothing was changed; as first seen: orphan \d+ still holds\s+port/m,
    );
    assert.match(screen, /^Next {5}salt-triage fix --port \d+ .*--stop-cmd '/m);
  });

  it('takes words in either case, asks again for anything else, and keeps what was asked', async (t) => {
    const staged = await stage(t, 'orphan');
    const terminal = open(t, staged, 'fix', { more: ['--no-color'] });
    const question = `? kill -9 ${staged.orphanPid} (orphan)? (y/S/d/a, Enter)`;
    await terminal.shows(question);
    terminal.type('yess');
    await terminal.shows('type y, s, d or a, then Enter');
    assert.ok(isAlive(staged.orphanPid));
    assert.doesNotMatch(terminal.coloured(), /\x1b\[[1-9]/);
    terminal.type('YES');
    await terminal.shows('? stop the service? (y/S/d/a, Enter)');
    assert.ok(!isAlive(staged.orphanPid));
    terminal.type('Q');
    await terminal.shows('exit code 4');
    assert.ok(terminal.screen().includes(`${question} yes`));
    assert.match(terminal.screen(), /^Now {6}salt-api is stopped: nothing listens on port \d+$/m);
    assert.match(terminal.screen(), /^ +start; asks before each step$/m);
  });

  it('asks the same on a dumb terminal, and sends it no control character', async (t) => {
    const staged = await stage(t, 'orphan');
    const terminal = open(t, staged, 'fix', { term: 'dumb' });
    const sent = join(staged.directory, 'sent');
    terminal.copyTo(sent);
    const question = `? kill -9 ${staged.orphanPid} (orphan)? (y/S/d/a, Enter)`;
    await terminal.shows(question);
    // Of what is pasted only the first line was typed behind the question.
    terminal.paste('yess\ry\r');
    await terminal.shows('type y, s, d or a, then Enter');
    terminal.type('');
    await terminal.shows('? stop the service?');
    assert.ok(isAlive(staged.orphanPid));
    // One key is one letter, at the second question too.
    terminal.type('q');
    await terminal.shows('exit code 4');
    assert.ok(isAlive(staged.orphanPid));
    const text = readFileSync(sent, 'utf8');
    assert.ok(text.includes(question));
    assert.doesNotMatch(text, /[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]/);
  });

  for (const term of ['tmux', 'dumb']) {
    it(`takes no answer from what stands behind another line of a paste (${term})`, async (t) => {
      const staged = await stage(t, 'orphan');
      const terminal = open(t, staged, 'fix', { term });
      await terminal.shows(`? kill -9 ${staged.orphanPid} (orphan)? (y/S/d/a, Enter)`);
      terminal.paste('of a log\ry\r');
      await terminal.shows('type y, s, d or a, then Enter');
      terminal.paste('d\ry\r');
      await terminal.shows(`command: kill -9 ${staged.orphanPid}`);
      terminal.press('C-d');
      await terminal.shows('exit code 4');
      assert.ok(isAlive(staged.orphanPid));
    });
  }

  it('takes what no person can have typed for no consent, and ends', async (t) => {
    const staged = await stage(t, 'orphan');
    const terminal = open(t, staged);
    terminal.paste('y\r'.repeat(20));
    await terminal.shows('that came faster than a person types, so it is not consent: use');
    await terminal.shows('exit code 4');
    assert.ok(isAlive(staged.orphanPid));
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
      // What follows has a line of its own.
      assert.match(terminal.screen(), /\(y\/S\/d\/a, Enter\)\s*\n +- (?:aborted|interrupted)\n/);
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
    await terminal.shows(/has ended by itself|had ended before the signal|not salt-api any more/);
  });

  it('offers the guided fix at the end of diagnose, No by default', async (t) => {
    const staged = await stage(t, 'orphan');
    const settings = join(staged.directory, 'settings.yaml');
    writeFileSync(settings, `start-cmd: ${JSON.stringify(staged.startCommand)}\n`);
    const terminal = open(t, staged, 'diagnose', { more: ['--config', settings] });
    await terminal.shows(/\n\s*\n\S* ?\? .*Start the guided fix now\?.* \(y\/N, Enter\)/);
    terminal.type('');
    await terminal.shows('exit code 1');
    assert.ok(isAlive(staged.orphanPid));
  });

  it('offers none that would be refused: nothing could start salt-api again', async (t) => {
    const staged = await stage(t, 'orphan');
    const terminal = open(t, staged, 'diagnose');
    await terminal.shows('exit code 1');
    assert.doesNotMatch(terminal.screen(), /guided fix/);
    assert.match(terminal.unbroken(), /^Next {5}salt-triage fix --port .*--only kill/m);
  });
});
