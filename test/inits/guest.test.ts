import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { bootGuest, skipWithoutGuests, until } from './guest.ts';

const options = { skip: skipWithoutGuests() };

/** What there is of guests of the process `pid`, by the name that all of it carries. */
function traces(pid: number | undefined): string[] {
  const name = `salt-triage-guest-${pid}-`;
  const processes = readdirSync('/proc')
    .filter((entry) => /^\d+$/.test(entry))
    .filter((entry) => {
      try {
        return readFileSync(`/proc/${entry}/cmdline`, 'utf8').includes(name);
      } catch {
        return false;
      }
    })
    .map((entry) => `process ${entry}`);
  const directories = readdirSync(tmpdir()).filter((entry) => entry.startsWith(name));
  const mounts = readFileSync('/proc/self/mountinfo', 'utf8')
    .split('\n')
    .filter((line) => line.includes(name));
  return [...processes, ...directories, ...mounts, ...cgroups(name)];
}

function cgroups(name: string): string[] {
  return readFileSync('/proc/self/mountinfo', 'utf8')
    .split('\n')
    .filter((line) => / - cgroup2? /.test(line))
    .map((line) => line.split(' ')[4] ?? '')
    .flatMap((mount) =>
      readdirSync(mount)
        .filter((entry) => entry.startsWith(name))
        .map((entry) => `${mount}/${entry}`),
    );
}

describe('a guest', options, () => {
  it('leaves nothing behind, and writes nothing to the machine itself', async () => {
    const guest = await bootGuest({ init: 'systemd' });
    assert.notDeepEqual(traces(process.pid), []);
    await guest.write('/var/run/salt-triage-guest-was-here', '');
    await guest.write('/sbin/salt-triage-guest-was-here', '');
    await guest.end();
    await guest.end();
    assert.deepEqual(traces(process.pid), []);
    for (const directory of ['/run', '/sbin', '/usr/sbin']) {
      assert.ok(!existsSync(`${directory}/salt-triage-guest-was-here`));
    }
  });

  it('leaves nothing behind when the test is killed', async () => {
    const program = `
      const { bootGuest } = await import('./guest.ts');
      const guest = await bootGuest({ init: 'systemd' });
      await guest.must('systemctl', '--version');
      console.log('booted');
      setInterval(() => {}, 1000);`;
    const test = spawn(
      process.execPath,
      ['--import', 'tsx', '--input-type=module', '-e', program],
      {
        cwd: fileURLToPath(new URL('.', import.meta.url)),
        stdio: ['ignore', 'pipe', 'inherit'],
      },
    );
    const ended = once(test, 'exit');
    await once(test.stdout, 'data');
    assert.notDeepEqual(traces(test.pid), []);
    test.kill('SIGKILL');
    await ended;
    await until('the end of every trace', () => (traces(test.pid).length === 0 ? true : null));
  });
});
