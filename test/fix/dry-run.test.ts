/** A dry run as the kernel sees it: strace(1) shows every call that could change something. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { PROGRAM, runCli } from '../cli/run.ts';
import { isAlive, stage } from './staged.ts';

const SIGNALS = ['kill', 'tkill', 'tgkill', 'rt_sigqueueinfo', 'pidfd_send_signal'];
const CHANGES = [
  ...['unlink', 'unlinkat', 'rename', 'renameat', 'renameat2', 'mkdir', 'mkdirat', 'rmdir'],
  ...['link', 'linkat', 'symlink', 'symlinkat', 'chmod', 'fchmod', 'fchmodat', 'chown', 'fchown'],
  ...['truncate', 'ftruncate', 'creat', 'mknodat', 'mount', 'umount2', 'bind', 'listen'],
];
/** Itself, and what shows a unit and its log; a host without systemd has neither. */
const LOOKING = /^"[^"]*\/(?:node|salt-triage-linux-\w+|systemctl|journalctl)"/;

describe('fix --dry-run', { skip: skipWithoutStrace() }, () => {
  for (const upTo of ['healthy', 'hung', 'restarted'] as const) {
    it(`sends no signal, writes no file, runs no command (${upTo})`, async (t) => {
      const staged = await stage(t, upTo);
      const log = join(staged.directory, 'strace');
      const calls = ['execve', 'open', 'openat', ...SIGNALS, ...CHANGES];
      const traced = ['strace', '-f', '-qq', '-o', log, '-e', `trace=${calls.map(ifKnown)}`];
      const ran = await runCli(['fix', '--dry-run', ...staged.target, ...staged.service], {
        command: [...traced, ...PROGRAM],
      });
      assert.equal(ran.code, 0, ran.stderr);
      const lines = readFileSync(log, 'utf8').split('\n');
      assert.ok(
        lines.some((line) => line.includes('/proc/')),
        'the trace has its reading',
      );
      assert.deepEqual(lines.filter(changesSomething), []);
      assert.ok(isAlive(staged.orphanPid) && isAlive(staged.managerPid));
    });
  }
});

/** `?` has strace pass over a call that this architecture does not have. */
function ifKnown(call: string): string {
  return `?${call}`;
}

function changesSomething(line: string): boolean {
  const [, call = '', rest = ''] = /^\d+ +(\w+)\((.*)$/.exec(line) ?? [];
  if (call === 'execve') return !LOOKING.test(rest) && !/= -1 ENOENT/.test(rest);
  if (call === 'open' || call === 'openat') {
    return /O_WRONLY|O_RDWR|O_CREAT|O_TRUNC/.test(rest) && !rest.includes('"/dev/');
  }
  return call !== '';
}

function skipWithoutStrace(): string | false {
  if (spawnSync('strace', ['-o', '/dev/null', 'true']).status === 0) return false;
  return process.env['CI'] ? false : 'needs strace, and the right to trace';
}
