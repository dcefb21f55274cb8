import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { PROGRAM, runCli } from '../cli/run.ts';
import { bootGuest, type Guest, SALT_MASTER, skipWithoutGuests, until } from './guest.ts';
import {
  type Diagnosis,
  documentOf,
  type Fix,
  freeze,
  holders,
  install,
  killed,
  orphans,
  saltApis,
  serving,
  step,
  unit,
} from './salt-api.ts';
import { noRights } from './systemd.ts';

const options = { skip: skipWithoutGuests() };
const KEYS = '/etc/guest-ssh';

/** sshd with keys of its own, reached from the guest's network; `watcher` is an ordinary user. */
async function furnishSsh(guest: Guest): Promise<void> {
  await guest.must('mkdir', '-p', KEYS);
  for (const name of ['host', 'client']) {
    await guest.must('ssh-keygen', '-q', '-t', 'ed25519', '-N', '', '-f', `${KEYS}/${name}`);
  }
  // No password, and yet no locked account, which sshd lets nobody into.
  await guest.must('useradd', '--create-home', '--shell', '/bin/sh', '--password', '*', 'watcher');
  await guest.write(
    `${KEYS}/sshd_config`,
    [
      'ListenAddress 127.0.0.1',
      `HostKey ${KEYS}/host`,
      `AuthorizedKeysFile ${KEYS}/client.pub`,
      'StrictModes no',
      'UsePAM no',
      'PasswordAuthentication no',
      'PermitRootLogin yes',
      'PrintMotd no',
      '',
    ].join('\n'),
  );
  const service = `Type=exec\nRuntimeDirectory=sshd\nExecStart=/usr/sbin/sshd -D -f ${KEYS}/sshd_config`;
  await install(guest, `[Service]\n${service}\n`, 'guest-sshd');
  await guest.write(
    `${KEYS}/bin/ssh`,
    `#!/bin/sh\nexec /usr/bin/ssh -F ${guest.fromOutside(`${KEYS}/ssh_config`)} "$@"\n`,
    '755',
  );
  await guest.write(
    `${KEYS}/ssh_config`,
    [
      'Host *',
      '  HostName 127.0.0.1',
      `  IdentityFile ${guest.fromOutside(`${KEYS}/client`)}`,
      '  IdentitiesOnly yes',
      '  StrictHostKeyChecking no',
      '  UserKnownHostsFile /dev/null',
      '  LogLevel ERROR',
      '',
    ].join('\n'),
  );
}

/** salt-triage of this machine, of which nothing is used in the guest. */
async function over<Document extends { readonly exitCode: number }>(
  guest: Guest,
  login: string,
  ...args: readonly string[]
): Promise<Document> {
  return documentOf<Document>(
    await runCli(
      [...args, '--json', '--probe-timeout', '1s', '--timeout', '60s', '--host', `${login}@guest`],
      {
        command: [...guest.outside, ...PROGRAM],
        env: { PATH: `${guest.fromOutside(`${KEYS}/bin`)}:${process.env['PATH']}` },
      },
    ),
  );
}

describe('agentless, over ssh into systemd with a journal and no log file', options, () => {
  it('tells the whole incident and mends it', async (t) => {
    const guest = await bootGuest({ init: 'systemd' }, async (bare) => {
      const master = SALT_MASTER.filter((line) => !line.startsWith('api_logfile'));
      await bare.write('/etc/salt/master', `${master.join('\n')}\n`);
      await install(bare, unit({ service: 'KillMode=process' }));
      await furnishSsh(bare);
    });
    t.after(() => guest.end());
    await serving(guest);
    const healthy = await over<Diagnosis>(guest, 'root', 'diagnose');
    assert.equal(healthy.verdict.code, 'healthy');
    const [child] = holders(healthy);
    const blind = await over<Diagnosis>(guest, 'watcher', 'diagnose');
    assert.equal(blind.exitCode, 3);
    noRights(step(blind, 'api-log'));

    await freeze(guest, child ?? 0);
    await guest.must('systemctl', 'restart', 'salt-api');
    const orphaned = await until('failed binds in the journal', async () => {
      const diagnosis = await over<Diagnosis>(guest, 'root', 'diagnose');
      return (step(diagnosis, 'api-log').evidence.events ?? 0) > 0 ? diagnosis : null;
    });
    assert.equal(orphaned.verdict.code, 'orphan-holds-port');
    assert.deepEqual(orphans(orphaned), [child]);
    assert.equal(step(orphaned, 'api-log').evidence.path, 'journal:salt-api');

    const state = guest.fromOutside('/var/lib/salt-triage-trail');
    const fixed = await over<Fix>(guest, 'root', 'fix', '--yes', '--state-dir', state);
    assert.equal(fixed.result, 'recovered', JSON.stringify(fixed.steps));
    assert.deepEqual(
      killed(fixed).map(({ pid, role }) => [pid, role]),
      [[child, 'orphan']],
    );
    assert.equal(fixed.after?.verdict.code, 'healthy');
    assert.equal((await saltApis(guest)).length, 2);
  });
});
