/** A fix of a salt-api whose master is frozen: what it says before it starts, and what it does not say after. */
import assert from 'node:assert/strict';
import { chmodSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { runCli } from '../cli/run.ts';
import { journal } from '../fix/staged.ts';
import { stageBehind, suspend } from './staged.ts';

const SALT_API = fileURLToPath(new URL('salt-api', import.meta.url));

it('says that the master is frozen before the first step, and in place of "serves again"', async (t) => {
  const staged = await stageBehind(t, { receivers: 4, silent: true, threadPool: 4 });
  const master = await staged.startMaster();
  const [, child = 0] = await staged.startApi();
  // A silence is asked about for longer where nothing else tells of a hang; this one is seen at once.
  await suspend([...master, child]);
  // What is started anew answers, and hands its calls to nobody.
  staged.configure({ idle: 4, threadPool: 4 });
  const script = (name: string, text: string) => {
    const path = join(staged.directory, name);
    writeFileSync(path, `#!/bin/sh\n${text}\n`);
    chmodSync(path, 0o755);
    return path;
  };
  const start = `setsid /usr/bin/python3 '${SALT_API}' -c '${staged.configDirectory}' -d`;
  const trail = join(staged.directory, 'trail');
  const args = [
    ...[
      '-c',
      staged.configDirectory,
      '--state-dir',
      trail,
      '--wait',
      '60s',
      '--probe-timeout',
      '1s',
    ],
    ...[
      '--stop-cmd',
      script('stop', `pkill -9 -f '${SALT_API} -c ${staged.configDirectory}'; exit 0`),
    ],
    ...['--start-cmd', script('start', `${start} < /dev/null > /dev/null 2>&1 &`)],
  ];
  const { code, stdout } = await runCli(['fix', '--yes', '--json', ...args]);
  const document = JSON.parse(stdout);
  const frozen = /the Salt master is frozen: 2 of its 2 processes suspended \(state T\)/;
  assert.match(document.plan.remarks.join('\n'), frozen);
  assert.match(
    document.plan.remarks.join('\n'),
    /a restart of salt-api alone lasts until .* jam it/,
  );
  const verified = document.steps.at(-1);
  assert.equal(verified.status, 'done', JSON.stringify(document.steps));
  assert.match(verified.detail, /^the API answers GET \/; the master does not: the Salt master is/);
  // What is proven is that the API serves: that is the result, and the document says the rest.
  assert.deepEqual([code, document.result], [0, 'recovered']);
  assert.equal(document.after.verdict.code, 'degraded');
  assert.match(document.after.verdict.summary, frozen);
  assert.ok(
    journal(trail).some(({ action, result }) => action === 'master' && frozen.test(result ?? '')),
  );
});
