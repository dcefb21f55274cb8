/** The rows of many hosts: each once, worst first in the end, cut on a terminal alone. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it, type TestContext } from 'node:test';
import { PROGRAM, runCli } from '../cli/run.ts';
import { until } from '../fix/staged.ts';
import { skipWithoutTmux } from '../fix/terminal.ts';
import { sshdMissing } from '../ssh/sshd.ts';

/** Nothing listens on port 1 of this host, so ssh says so at once. */
const HOSTS = Array.from({ length: 20 }, (_, at) => {
  return `ssh://host-${String(at).padStart(2, '0')}@127.0.0.1:1`;
});

describe('rows of twenty hosts', { skip: sshdMissing() || skipWithoutTmux() }, () => {
  let directory: string;
  let args: readonly string[];
  before(() => {
    directory = mkdtempSync(join(tmpdir(), 'salt-rows-'));
    const list = join(directory, 'hosts');
    // The last first, so that they arrive in another order than they end in.
    writeFileSync(list, HOSTS.toReversed().join('\n'));
    args = ['diagnose', '--hosts-file', list, '--config', '/dev/null'];
  });
  after(() => rmSync(directory, { recursive: true }));

  /** @returns all that the terminal has shown, what has left its top included */
  async function onTerminal(t: TestContext, size: readonly string[], term = '') {
    const name = `salt-triage-rows-${process.pid}`;
    const tmux = (...words: string[]) =>
      execFileSync('tmux', ['-L', name, ...words], { encoding: 'utf8', stdio: 'pipe' });
    const line = [...PROGRAM, ...args].map((word) => `'${word}'`).join(' ');
    const command = `LANG=C.UTF-8 ${term} ${line}; echo "exit code $?"; read line`;
    tmux('-f', '/dev/null', 'new-session', '-d', ...size, '-s', 'rows', command);
    t.after(() => tmux('kill-server'));
    const shown = () => tmux('capture-pane', '-p', '-S', '-', '-t', 'rows').trimEnd();
    await until('the end', () => shown().includes('exit code'));
    const lines = shown().split('\n');
    return { lines, rows: lines.filter((one) => one.includes('unreachable')) };
  }
  const namesIn = (rows: readonly string[]) => rows.map((row) => row.split(/\s+/)[1] ?? '');
  const HEAD = '20 hosts, worst first: 0 with an incident, 20 not known, 0 well';

  it('off a terminal are the sorted ones alone, with nothing cut', async () => {
    const { code, stdout } = await runCli(args);
    assert.equal(code, 3);
    const [head, ...rows] = stdout.trimEnd().split('\n');
    assert.equal(head, HEAD);
    assert.deepEqual(namesIn(rows), HOSTS);
    assert.ok(
      rows.every((row) => /: the connection was refused \(ssh: .*Connection refused\)$/.test(row)),
      stdout,
    );
  });

  it('on a terminal are replaced by the sorted ones, also where they do not fit', async (t) => {
    const { lines, rows } = await onTerminal(t, ['-x', '64', '-y', '12']);
    assert.deepEqual(lines.slice(0, -1), [HEAD, ...rows]);
    assert.deepEqual(
      namesIn(rows),
      HOSTS.map((name) => (name.length > 26 ? `${name.slice(0, 23)}…` : name)),
    );
    assert.ok(rows.every((row) => row.length <= 64 && row.endsWith('…')));
  });

  it('stay as they came where no line can be taken back', async (t) => {
    const { lines, rows } = await onTerminal(t, ['-x', '80', '-y', '40'], 'TERM=dumb');
    assert.equal(rows.length, HOSTS.length);
    assert.equal(new Set(namesIn(rows)).size, HOSTS.length);
    assert.equal(lines.at(-2), '20 hosts: 0 with an incident, 20 not known, 0 well');
  });
});
