/** Fifty hosts at once, five of them dead: all are the one behind the test's sshd. */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { runCli } from '../cli/run.ts';
import { programs, stage } from '../fix/staged.ts';
import { type Sshd, sshdMissing, startSshd } from '../ssh/sshd.ts';

const ALIVE = 45;
const DEAD = 5;

describe('fifty hosts, five of them dead', { skip: sshdMissing() }, () => {
  let sshd: Sshd;
  before(async () => {
    sshd = await startSshd();
  });
  after(() => sshd.stop());

  it('are a document each, none in the way of another, and the exit is the worst', async (t) => {
    const staged = await stage(t, 'orphan');
    const alive = Array.from({ length: ALIVE }, (_, index) => `salt-${index}`);
    const dead = Array.from({ length: DEAD }, (_, index) => `ssh://root@dead-${index}:1`);
    // The dead ones first: who waits for them must not keep the others waiting.
    const input = [...dead, ...alive].map((host) => `${host}\n`).join('');
    const args = [
      'diagnose',
      '--hosts-file',
      '-',
      '--json',
      '--no-probe',
      '--connect-timeout',
      '5s',
    ];
    const began = performance.now();
    const ran = await runCli([...args, ...staged.target.slice(0, 4)], {
      input,
      env: programs(sshd.directory, { ssh: `exec '${sshd.client}' "$@"` }),
    });
    t.diagnostic(`${ALIVE + DEAD} hosts in ${Math.round(performance.now() - began)} ms`);
    assert.equal(ran.code, 1, ran.stderr);
    const documents = ran.stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));
    assert.equal(new Set(documents.map(({ target }) => target)).size, ALIVE + DEAD);
    const failed = documents.filter(({ error }) => error !== undefined);
    assert.deepEqual(failed.map(({ target }) => target).toSorted(), dead);
    for (const { error, exitCode } of failed) {
      assert.match(error.message, /the connection was refused/);
      assert.equal(exitCode, 3);
    }
    const seen = documents.filter(({ error }) => error === undefined);
    assert.ok(seen.every(({ verdict }) => verdict.code === 'orphan-holds-port'));
    // Why is asked of one host: it would be as many scripts again on each of fifty.
    assert.ok(seen.every(({ causes }) => causes.length === 0));
  });
});
