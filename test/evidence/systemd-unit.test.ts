import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { seen } from '../../src/evidence/evidence.ts';
import { parseSystemctlShow } from '../../src/evidence/systemd-unit.ts';

const RUNNING = [
  'MainPID=12603',
  'NRestarts=2',
  'Result=success',
  'PartOf=salt-master.service other.service',
  'ConsistsOf=salt-master.service',
  'BoundBy=salt-master.service',
  'LoadState=loaded',
  'ActiveState=active',
  'SubState=running',
  'ControlGroup=/system.slice/salt-api.service',
  'KillMode=process',
  'ExecMainStatus=1',
  'StatusText=Serving \u001b[2Jrequests',
  'TriggeredBy=salt-api.socket salt-api.timer',
  'DropInPaths=/etc/systemd/system/salt-api.service.d/kill.conf',
  'ExecStart={ path=/usr/bin/salt-api ; argv[]=/usr/bin/salt-api -d ; ignore_errors=no ; pid=0 }',
  'drop-in KillMode,User /etc/systemd/system/salt-api.service.d/kill.conf',
];

const FACTS = {
  unit: 'salt-api',
  loadState: 'loaded',
  activeState: 'active',
  subState: 'running',
  mainPid: 12_603,
  controlGroup: '/system.slice/salt-api.service',
  killMode: 'process',
  restarts: 2,
  partOf: ['salt-master.service', 'other.service'],
  stopsAlso: ['salt-master.service'],
  result: 'success',
  exitStatus: 1,
  statusText: 'Serving requests',
  sockets: ['salt-api.socket'],
  dropIns: [
    { path: '/etc/systemd/system/salt-api.service.d/kill.conf', sets: ['KillMode', 'User'] },
  ],
  startsSaltApi: true,
  ports: [],
};

describe('parseSystemctlShow', () => {
  it('reads the properties in any order', () => {
    fc.assert(
      fc.property(fc.shuffledSubarray(RUNNING, { minLength: RUNNING.length }), (lines) => {
        assert.deepEqual(parseSystemctlShow('salt-api', `${lines.join('\n')}\n`), seen(FACTS));
      }),
    );
  });

  it('is null for a unit that does not exist', () => {
    const text = 'MainPID=0\nLoadState=not-found\nActiveState=inactive\n';
    assert.deepEqual(parseSystemctlShow('salt-api', text), seen(null));
  });

  it('takes what an old systemd does not know as 0 or empty', () => {
    const look = parseSystemctlShow('salt-api', 'LoadState=loaded\nActiveState=failed\n');
    assert.ok(look.seen && look.value !== null);
    assert.deepEqual(
      [look.value.restarts, look.value.mainPid, look.value.partOf, look.value.controlGroup],
      [0, 0, [], ''],
    );
  });

  it('is malformed without a LoadState', () => {
    const look = parseSystemctlShow('salt-api', 'Hello\n');
    assert.equal(!look.seen && look.cause, 'malformed');
  });
});
