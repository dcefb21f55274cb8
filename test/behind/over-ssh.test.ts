/** The same over a real ssh, whose server allows few sessions at a time. */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { runCli } from '../cli/run.ts';
import { programs } from '../fix/staged.ts';
import { type Sshd, sshdMissing, startSshd } from '../ssh/sshd.ts';
import { receiving, stageBehind, suspend } from './staged.ts';

describe('what is behind a salt-api of a host behind ssh', { skip: sshdMissing() }, () => {
  let sshd: Sshd;
  before(async () => {
    sshd = await startSshd(['MaxSessions 5']);
  });
  after(() => sshd.stop());

  it('is told as of this host: a frozen master, and threads that wait for it', async (t) => {
    const staged = await stageBehind(t, { receivers: 6, silent: true, threadPool: 6 });
    const master = await staged.startMaster();
    const [, child = 0] = await staged.startApi();
    await receiving(child, 6);
    await suspend([...master, child]);
    const args = ['diagnose', '--host', 'master', '-c', staged.configDirectory, '--json'];
    const env = programs(sshd.directory, { ssh: `exec '${sshd.client}' "$@"` });
    const { stdout } = await runCli([...args, '--probe-timeout', '1s'], { env });
    const { causes } = JSON.parse(stdout);
    const told = causes.map(({ id, basis, summary }: Record<string, string>) => {
      return `${id} ${basis} ${summary}`;
    });
    const [frozen = '', waiting = ''] = told.filter((text: string) =>
      /^(master|workers) /.test(text),
    );
    assert.match(frozen, /^master seen the Salt master is frozen: 2 of its 2 processes suspended/);
    const threads = `^workers seen 6 threads of salt-api ${child} wait for 127.0.0.1:${staged.retPort}`;
    assert.match(waiting, new RegExp(threads));
  });
});
