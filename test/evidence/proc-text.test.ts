import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  parseBootTime,
  parseCommandLine,
  parseControlGroup,
  parseEffectiveUid,
  parseProcessStat,
  parseSocketLink,
} from '../../src/evidence/proc-text.ts';

test('a stat line of a real salt-api', () => {
  const text =
    '37 (salt-api) S 13 12 12 0 -1 4194368 6407 0 25 0 153 41 0 0 20 0 103 0 277573 1956646912 14187 18446744073709551615 4321280 6972397 140727023184896 0 0 0 0 16781312 16899 0 0 0 17 1 0 0 0 0 0\n';
  assert.deepEqual(parseProcessStat(text), {
    pid: 37,
    comm: 'salt-api',
    state: 'S',
    ppid: 13,
    processGroup: 12,
    session: 12,
    cpuTicks: 194,
    threads: 103,
    kernel: false,
    startTicks: 277_573,
  });
});

test('our own stat line', () => {
  const stat = parseProcessStat(readFileSync('/proc/self/stat', 'utf8'));
  assert.equal(stat?.pid, process.pid);
  assert.equal(stat?.ppid, process.ppid);
});

test('a name can hold anything, the fields stand behind its last parenthesis', () => {
  // The kernel lets through whatever prctl(PR_SET_NAME) was given (proc_pid_stat(5)).
  const nasty = fc.oneof(
    fc.string({ unit: 'binary', maxLength: 15 }),
    fc.constantFrom(') (', ') S 1 1 1 (', '/usr/bin/python', ')', '(', '((', ' ', '', 'a) R 7'),
  );
  const number = fc.nat(4_000_000_000);
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 4_194_304 }),
      nasty,
      fc.constantFrom('R', 'S', 'D', 'T', 't', 'Z', 'X', 'I'),
      fc.tuple(number, number, number, number, number, number, number),
      (pid, comm, state, [ppid, group, session, user, system, threads, start]) => {
        const line = `${pid} (${comm}) ${state} ${ppid} ${group} ${session} 0 -1 4194560 1 2 3 4 ${user} ${system} 0 0 20 0 ${threads} 0 ${start} 1 2 18446744073709551615 0\n`;
        assert.deepEqual(parseProcessStat(line), {
          pid,
          comm,
          state,
          ppid,
          processGroup: group,
          session,
          cpuTicks: user + system,
          threads,
          kernel: false,
          startTicks: start,
        });
      },
    ),
  );
});

test('what is no stat line is null', () => {
  const whole =
    '37 (salt-api) S 13 12 12 0 -1 4194368 6407 0 25 0 153 41 0 0 20 0 103 0 277573 1956646912';
  for (const text of [
    '',
    '()',
    '37 salt-api S 13',
    '(salt-api) S 13 12 12',
    whole.replace(' S ', ' 5 '),
    whole.replace('277573', '27757x'),
    whole.replace('277573', '99999999999999999999'),
    whole.slice(0, 70),
  ]) {
    assert.equal(parseProcessStat(text), null, text);
  }
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (text) => {
      parseProcessStat(text);
    }),
  );
});

test('a command line is split at NUL, and the padding of setproctitle dropped', () => {
  assert.deepEqual(parseCommandLine('/usr/bin/python3\0/usr/bin/salt-api\0-d\0'), [
    '/usr/bin/python3',
    '/usr/bin/salt-api',
    '-d',
  ]);
  const title = '/usr/bin/python3 /usr/bin/salt-api -d NetAPIProcessManager';
  assert.deepEqual(parseCommandLine(`${title}\0`), [title]);
  assert.deepEqual(parseCommandLine(`${title}${'\0'.repeat(900)}`), [title]);
  assert.deepEqual(parseCommandLine('a\0\0b\0'), ['a', '', 'b']);
  assert.deepEqual(parseCommandLine(''), []);
  assert.deepEqual(parseCommandLine('\0\0'), []);
});

test('a padding of a million NULs is dropped in no time', () => {
  const started = performance.now();
  assert.deepEqual(parseCommandLine(`a${'\0'.repeat(1_000_000)}b`).length, 1_000_001);
  assert.ok(performance.now() - started < 2_000);
});

test('the effective uid is the second of four', () => {
  assert.equal(parseEffectiveUid('Name:\tx\nUid:\t0\t4505\t0\t0\nGid:\t1\t1\t1\t1\n'), 4505);
  assert.equal(parseEffectiveUid('Uid:\t0\t4294967294\t0\t0\n'), 4_294_967_294);
  assert.equal(parseEffectiveUid('Name:\tUid: 1 2 3 4\n'), null);
  assert.equal(parseEffectiveUid(''), null);
});

test('the control group of cgroup v2, of v1 and of a hybrid host', () => {
  const unit = '/system.slice/salt-api.service';
  assert.equal(parseControlGroup(`0::${unit}\n`), unit);
  assert.equal(parseControlGroup(`4:memory:/x\n1:name=systemd:${unit}\n0::/\n`), unit);
  assert.equal(parseControlGroup(`12:cpu,cpuacct:/\n1:name=systemd:/\n0::${unit}\n`), unit);
  assert.equal(parseControlGroup('0::/\n'), '/');
  assert.equal(parseControlGroup('0::/a:b/c\n'), '/a:b/c');
  assert.equal(parseControlGroup(''), null);
});

test('only a socket link has an inode', () => {
  assert.equal(parseSocketLink('socket:[70463]'), 70_463);
  for (const other of ['pipe:[70463]', 'socket:[x]', 'socket:[]', '/tmp/socket:[1]', 'socket:[1']) {
    assert.equal(parseSocketLink(other), null);
  }
});

test('the boot time is in ms', () => {
  assert.equal(parseBootTime('cpu 1 2\nbtime 1795503204\nprocesses 1\n'), 1_795_503_204_000);
  assert.equal(parseBootTime('cpu 1 2\n'), null);
});

test('a thread of the kernel is told by its flag, and not by pid 2, which a container may give out', () => {
  const line = (pid: number, flags: number) =>
    `${pid} (salt-api) S 1 12 12 0 -1 ${flags} 0 0 0 0 7 1 0 0 20 0 1 0 500 0 0`;
  // PF_KTHREAD | PF_FORKNOEXEC, as of kthreadd; then the flags of the recorded manager.
  assert.equal(parseProcessStat(line(2, 0x20_0000 + 0x40))?.kernel, true);
  assert.equal(parseProcessStat(line(2, 4_194_368))?.kernel, false);
});
