/** The printed configurations on the monitors themselves, in a guest whose salt-api has the incident. */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { bootGuest, type Guest, skipWithoutGuests, until } from '../inits/guest.ts';
import { fix, install, jam, serving, unit } from '../inits/salt-api.ts';
import { property } from '../inits/systemd.ts';
import { printed } from './printed.ts';

const DAEMONS = ['nagios4', 'icinga2', 'zabbix-agent', 'prometheus-node-exporter'];
const MAILS = '/var/log/mails';
/** As printed, but for the pace: a test is not to take minutes. */
const FASTER: readonly (readonly [RegExp, string])[] = [
  [/check -t 10/g, 'check -t 3'],
  [/"-t", "10"/g, '"-t", "3"'],
  [/_interval = (?:1m|30s)/g, '_interval = 1s'],
  [/TimeoutStartSec=30/g, 'TimeoutStartSec=5'],
];
const NAGIOS_HOST = `define host {
  use generic-host
  host_name localhost
  address 127.0.0.1
  check_command check-host-alive
  active_checks_enabled 0
  max_check_attempts 1
}
`;
const ICINGA_HOST = `object Host "localhost" {
  check_command = "dummy"
  vars.salt_api = true
}
`;

async function furnish(guest: Guest): Promise<void> {
  await install(guest, unit({ service: 'KillMode=process' }));
  for (const monitor of ['systemd', 'nagios', 'icinga', 'zabbix', 'prometheus']) {
    for (const [path, text] of await printed(monitor)) {
      if (!path.startsWith('/')) continue;
      const faster = FASTER.reduce((sum, [pattern, to]) => sum.replace(pattern, to), text);
      await guest.write(path, faster, path.includes('sudoers') ? '440' : '644');
    }
  }
  // Both Nagios and Icinga notify by mail(1) as Debian has configured them.
  await guest.write('/usr/bin/mail', `#!/bin/sh\n{ echo "$@"; cat; echo; } >>${MAILS}\n`, '755');
  await guest.write(MAILS, '', '666');
  await guest.write('/etc/nagios4/objects/localhost.cfg', NAGIOS_HOST);
  const unitLength = 's/^interval_length=60/interval_length=1/';
  await guest.must('sed', '-i', unitLength, '/etc/nagios4/nagios.cfg');
  await guest.write('/etc/icinga2/conf.d/hosts.conf', ICINGA_HOST);
  for (const file of ['services', 'apt']) await guest.write(`/etc/icinga2/conf.d/${file}.conf`, '');
  for (const daemon of DAEMONS) {
    await guest.run(['rm', '-f', `/etc/systemd/system/${daemon}.service`]);
  }
}

describe('a guest with salt-api, watched by every monitor', { skip: skipWithoutGuests() }, () => {
  let guest: Guest;
  before(async () => {
    guest = await bootGuest({ init: 'systemd', cgroups: 'unified' }, furnish);
    await serving(guest);
    await guest.must('systemctl', 'start', ...DAEMONS);
  });
  after(() => guest?.end());

  /** What Nagios has logged from a state on, and what both have sent since. */
  async function notified(state: string, words: RegExp): Promise<void> {
    await until(`${state} in the log of Nagios`, async () => {
      const log = await guest.must('cat', '/var/log/nagios4/nagios.log');
      const alerts = log
        .split('\n')
        .filter((line) => line.includes('SERVICE ALERT: localhost;salt-api;'));
      const last = alerts.at(-1) ?? '';
      return (last.includes(`;${state};HARD;`) && words.test(last)) || null;
    });
    await until(`mails of ${state} from both`, async () => {
      const mails = await guest.must('cat', MAILS);
      const icinga = new RegExp(`\\[(?:PROBLEM|RECOVERY)\\] salt-api on localhost is ${state}!`);
      const nagios = new RegExp(`Service Alert: localhost/salt-api is ${state}`);
      return (icinga.test(mails) && nagios.test(mails) && words.test(mails)) || null;
    });
    await guest.must('truncate', '--size=0', MAILS);
  }

  /** What Zabbix gets, within its 3 s. */
  async function zabbix(): Promise<{ readonly state: number; readonly [name: string]: unknown }> {
    const began = performance.now();
    const { stdout } = await guest.run(['zabbix_get', '-s', '127.0.0.1', '-k', 'salt.api']);
    const took = performance.now() - began;
    assert.ok(took < 3_000, `${Math.round(took)} ms`);
    return JSON.parse(stdout);
  }

  /** The metrics as node_exporter serves them after another run of the unit. */
  async function metrics(): Promise<Map<string, string>> {
    await guest.must('systemctl', 'start', 'salt-api-metrics');
    const fetched = `fetch('http://127.0.0.1:9100/metrics').then((r) => r.text()).then((t) => process.stdout.write(t))`;
    const text = await guest.must('node', '-e', fetched);
    assert.match(text, /^node_textfile_scrape_error 0$/m);
    const lines = text.split('\n').filter((line) => line.startsWith('salt_triage_'));
    return new Map(
      lines.map((line) => [line.slice(0, line.indexOf(' ')), line.slice(line.indexOf(' ') + 1)]),
    );
  }

  /** How the unit of the systemd set ends, and the line that it logged. */
  async function unitRun(): Promise<readonly [result: string, line: string]> {
    await guest.run(['systemctl', 'start', 'salt-api-check']);
    const log = await guest.must('journalctl', '-u', 'salt-api-check', '-o', 'cat', '--no-pager');
    const line = log.split('\n').findLast((text) => text.startsWith('SALT-API ')) ?? '';
    return [await property(guest, 'Result', 'salt-api-check'), line];
  }

  it('the files pass the checks of their own programs', async () => {
    const units = 'cd /etc/systemd/system && systemd-analyze verify salt-api-*';
    const verified = await guest.run(['sh', '-c', units]);
    assert.equal(verified.code, 0, verified.stderr);
    assert.doesNotMatch(verified.stderr, /salt-api-/);
    await guest.must('visudo', '-c');
    await guest.must('nagios4', '-v', '/etc/nagios4/nagios.cfg');
    await guest.must('icinga2', 'daemon', '-C');
  });

  it('healthy: every one says so', async () => {
    await until('OK in Nagios', async () => {
      const status = await guest.run(['cat', '/var/lib/nagios4/status.dat']);
      return status.stdout.includes('SALT-API OK - healthy') || null;
    });
    const { state, verdict, close_wait } = await zabbix();
    assert.deepEqual([state, verdict, close_wait], [0, 'healthy', 0]);
    const found = await metrics();
    assert.equal(found.get('salt_triage_state{port="443"}'), '0');
    assert.equal(found.get('salt_triage_verdict{port="443",verdict="healthy"}'), '1');
    const [result, line] = await unitRun();
    // Without root: the holder is salt-api's of root, so this takes both capabilities.
    assert.match(line, /^SALT-API OK - healthy: salt-api \d+ holds port 443 and answers \|/);
    assert.equal(result, 'success');
  });

  it('a check that is stopped in its middle: unknown, in time', async () => {
    const stop =
      'while [ -e /run/stopping ]; do pkill -STOP -f "^node /usr/local/bin/salt-triage check"; sleep 0.02; done';
    await guest.must('touch', '/run/stopping');
    const stopping = guest.run(['sh', '-c', stop]);
    const [result, line] = await unitRun();
    assert.equal((await zabbix()).state, 3);
    await notified('UNKNOWN', /no result within 3 s/);
    await guest.must('rm', '/run/stopping');
    await stopping;
    assert.match(line, /^SALT-API UNKNOWN - no result within 3 s/);
    assert.equal(result, 'exit-code');
    await until(
      'a failure that is told',
      async () =>
        (
          await guest.run(['journalctl', '-t', 'salt-api-check', '-o', 'cat', '--no-pager'])
        ).stdout.includes('salt-api-check.service has failed') || null,
    );
    await notified('OK', /healthy/);
  });

  it('all of a check stopped: systemd ends it, and the next one runs', async () => {
    const stopAll = `systemctl start --no-block salt-api-check && cd /sys/fs/cgroup/system.slice/salt-api-check.service &&
      for round in 1 2 3; do for pid in $(cat cgroup.procs); do kill -STOP $pid; done; done && [ -n "$(cat cgroup.procs)" ]`;
    await until('a check that stands still', async () =>
      (await guest.run(['sh', '-c', stopAll])).code === 0 ? true : null,
    );
    await until('its end', async () =>
      (await property(guest, 'Result', 'salt-api-check')) === 'timeout' ? true : null,
    );
    assert.equal((await unitRun())[0], 'success');
  });

  it('jammed: critical', async () => {
    await jam(guest);
    const { state, answer_time } = await zabbix();
    assert.deepEqual([state, answer_time], [2, undefined]);
    const found = await metrics();
    assert.equal(found.get('salt_triage_verdict{port="443",verdict="hung"}'), '1');
    assert.equal(found.get('salt_triage_answer_time_seconds{port="443"}'), 'NaN');
    assert.equal((await unitRun())[0], 'exit-code');
    await notified('CRITICAL', /hung: /);
  });

  it('orphaned: critical, by its name', async () => {
    await guest.must('systemctl', 'restart', 'salt-api');
    const { verdict, orphans } = await zabbix();
    assert.deepEqual([verdict, orphans], ['orphan-holds-port', 1]);
    assert.equal((await metrics()).get('salt_triage_state{port="443"}'), '2');
    const [, line] = await unitRun();
    assert.match(line, /^SALT-API CRITICAL - orphan-holds-port: .* orphans=1;;0;0 /);
  });

  it('mended: well again', async () => {
    assert.equal((await fix(guest)).result, 'recovered');
    await notified('OK', /healthy/);
    assert.equal((await zabbix()).state, 0);
  });

  it('a check that is missing: never well', async () => {
    await guest.must('umount', '--lazy', '/usr/local/bin/salt-triage');
    await guest.must('rm', '/usr/local/bin/salt-triage');
    await guest.run(['systemctl', 'start', 'salt-api-check']);
    assert.equal(await property(guest, 'Result', 'salt-api-check'), 'exit-code');
    const { stdout } = await guest.run(['zabbix_get', '-s', '127.0.0.1', '-k', 'salt.api']);
    assert.doesNotMatch(stdout, /"state":0/);
    await until('mails from both', async () => {
      const mails = await guest.must('cat', MAILS);
      const icinga = /\[PROBLEM\] salt-api on localhost is (?!OK)/;
      return (
        (icinga.test(mails) && /Service Alert: localhost\/salt-api is (?!OK)/.test(mails)) || null
      );
    });
  });
});
