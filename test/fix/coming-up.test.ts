import assert from 'node:assert/strict';
import { it } from 'node:test';
import { type FixObserver, fix } from '../../src/fix/fix.ts';
import { LocalActions } from '../../src/host/local/local-actions.ts';
import { RecordedHost } from '../../src/host/recorded-host.ts';
import { fixReport } from '../../src/report/fix-text.ts';
import { screenOn } from '../../src/report/screen.ts';
import { evidenceOf, saltApi, TITLED } from '../diagnosis/situation.ts';
import { LOOK_REQUEST } from '../host/look-request.ts';
import { repeated } from '../report/repeated.ts';

it('a salt-api on its way up gets the time for that, and whoever waits is told why', async () => {
  const manager = saltApi({ pid: 100, ppid: 1, argv: TITLED, age: 19 });
  const evidence = evidenceOf({ processes: [manager], pidFile: 100 });
  const request = { ...LOOK_REQUEST, probeTimeoutMs: 100, lookTimeoutMs: 1_000 };
  const shown: string[] = [];
  const screen = {
    ...screenOn(process.stderr, { color: false }),
    interactive: false,
    write: (text: string) => shown.push(text),
  };
  const report = fixReport(screen, { brief: true, repeated: repeated() });
  const told: string[] = [];
  const observer: FixObserver = {
    ...report,
    look: {
      ...report.look,
      end: (diagnosis) => {
        told.push(diagnosis.verdict.code);
        report.look?.end?.(diagnosis);
      },
    },
    waitsForStart: () => {
      told.push('waits');
      report.waitsForStart?.();
    },
  };
  const result = await fix(
    { host: new RecordedHost(evidence), actions: new LocalActions() },
    { request, policy: evidence.policy, unit: 'salt-api', unitNamed: false },
    {
      only: undefined,
      restart: 'always',
      dryRun: true,
      service: 'auto',
      stopCommand: undefined,
      startCommand: undefined,
      stateDirectory: undefined,
      keepIncidents: undefined,
      keepMebibytes: undefined,
      waitMs: 1_000,
      commandTimeoutMs: 1_000,
      stacks: 'auto',
    },
    { observer, asRoot: '', attend: () => assert.fail('nothing is to be done') },
  );
  assert.equal(result.kind, 'refused');
  assert.deepEqual(told, ['unknown', 'waits', 'unknown']);
  assert.match(shown.join(''), /salt-api is still starting/);
});
