/** The incident with a real CherryPy: on port 443 of a network namespace where root allows. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { skipWithoutCherryPy, startCherryPy } from '../cherrypy/incident.ts';
import { BUNDLE } from '../cli/run.ts';
import { fix } from './fix-document.ts';

describe('fix --yes on a real CherryPy', { skip: skipWithoutCherryPy() }, () => {
  for (const [era, tls] of [
    ['2017', false],
    ['3006', true],
  ] as const) {
    it(`recovers from the whole incident, titles as of ${era}${tls ? ', TLS' : ''}`, async (t) => {
      const incident = await startCherryPy({ era, tls });
      t.after(() => incident.cleanup());
      await incident.jam();
      const orphan = incident.childPid();
      await incident.killManager();
      await incident.restart();
      const { code, document } = await fix(
        [
          ...['-c', incident.configDirectory, '--probe-timeout', '1s', '--wait', '20s'],
          ...['--state-dir', join(incident.directory, 'trail')],
          ...['--start-cmd', incident.startCommand.join(' ')],
          ...['--stop-cmd', `sh -c "kill $(cat ${incident.pidFile})"`],
        ],
        { command: [...incident.enter, process.execPath, BUNDLE] },
      );
      assert.equal(code, 0, JSON.stringify(document.steps));
      assert.equal(document.before.verdict.code, 'orphan-holds-port');
      assert.equal(document.after?.verdict.code, 'healthy');
      assert.equal(document.steps.find(({ kind }) => kind === 'kill')?.pid, orphan);
      const manager = incident.managerPid();
      assert.ok(incident.processes().some(({ pid }) => pid === manager));
      assert.ok(!incident.processes().some(({ pid }) => pid === orphan));
    });
  }
});
