import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { type Screen, screenOn } from '../../src/report/screen.ts';
import { waitingOn } from '../../src/report/waiting.ts';

/** A terminal of 30 columns that keeps what its last line says. */
function terminal() {
  let line = '';
  const screen: Screen = {
    ...screenOn(process.stdout, { color: false }),
    columns: 30,
    interactive: true,
    write: (text) => {
      line += text;
      return true;
    },
    clearLine: () => {
      line = '';
      return true;
    },
  };
  return { screen, line: () => line };
}

test('a terminal shows what is waited for, then the seconds of how many, then nothing', async () => {
  const { screen, line } = terminal();
  const waiting = waitingOn(screen);
  waiting.begin('API answers', 4_001);
  assert.equal(line(), '  API answers …');
  await delay(1_100);
  assert.equal(line(), '  API answers … 1 s of 5');
  waiting.begin('API log');
  assert.equal(line(), '  API log …', 'one wait has the place of the one before');
  waiting.end();
  assert.equal(line(), '');
  await delay(1_100);
  assert.equal(line(), '', 'what is over does not come back');
});

test('a wait stays on one line, which can be taken back, and a title of a stranger does no harm', () => {
  const { screen, line } = terminal();
  waitingOn(screen).begin(`\u001b[2J${'long '.repeat(20)}`);
  assert.ok(line().length < 30, line());
  assert.ok(!line().includes('\u001b'));
});

test('a wait that is told again in other words goes on from where it is', async () => {
  const { screen, line } = terminal();
  const waiting = waitingOn(screen);
  const began = performance.now() - 2_100;
  waiting.begin('port is held', 9_000, began);
  waiting.begin('port is free', 9_000, began);
  assert.equal(line(), '  port is free … 2 s of 9');
  waiting.end();
});
