import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { seen } from '../../src/evidence/evidence.ts';
import {
  chooseUnit,
  dropInPaths,
  parseSystemctlShow,
  readRelatedUnits,
  serviceOfCgroup,
  tellingSettings,
  unitFailure,
  unitsBeside,
  unitTroubles,
} from '../../src/evidence/systemd-unit.ts';

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

describe('the ports of a socket unit', () => {
  for (const [since, line] of [
    ['systemd 220', 'Listen=[::]:8000 (Stream)'],
    ['the first', 'ListenStream=0.0.0.0:8000'],
  ]) {
    it(`are read as systemd says them since ${since}`, () => {
      const text = `LoadState=loaded\n${line}\nListen=/run/salt.sock (Stream)\nListen=53 (Datagram)`;
      const look = parseSystemctlShow('salt-api.socket', text);
      assert.deepEqual(look.seen && look.value?.ports, [8000]);
    });
  }
});

describe('the program of a unit', () => {
  const cases: readonly [string, boolean][] = [
    ['{ path=/usr/bin/salt-api ; argv[]=/usr/bin/salt-api ; ignore_errors=no ; pid=12 }', true],
    ['{ path=/usr/bin/python3 ; argv[]=/usr/bin/python3 /usr/bin/salt-api -d ; x=no }', true],
    ['{ path=/usr/bin/salt-minion ; argv[]=/usr/bin/salt-minion ; ignore_errors=no }', false],
    ['{ path=/bin/tail ; argv[]=/bin/tail -f /var/log/salt-api ; ignore_errors=no }', false],
    ['', false],
  ];
  for (const [execStart, expected] of cases) {
    it(`${expected ? 'is' : 'is not'} salt-api: ${execStart}`, () => {
      const look = parseSystemctlShow('x', `LoadState=loaded\nExecStart=${execStart}`);
      assert.equal(look.seen && look.value?.startsSaltApi, expected);
    });
  }
});

describe('the service of a cgroup', () => {
  const cases: readonly [string, string | null, number | null][] = [
    ['/system.slice/my-rest-api.service', 'my-rest-api.service', null],
    ['/system.slice/system-salt.slice/salt@a.service', 'salt@a.service', null],
    // A group of its own below, and a container's own systemd without a namespace of its own.
    ['/system.slice/salt-api.service/worker', 'salt-api.service', null],
    ['/docker/0123abcd/system.slice/salt-api.service', 'salt-api.service', null],
    ['/system.slice/_cpu.service', 'cpu.service', null],
    [
      '/user.slice/user-1000.slice/user@1000.service/app.slice/salt-api.service',
      'salt-api.service',
      1000,
    ],
    ['/user.slice/user-0.slice/session-3.scope', null, null],
    ['/system.slice/docker-0123.scope', null, null],
    ['/system.slice/-x.service --force.service', null, null],
    ['/', null, null],
  ];
  for (const [path, unit, user] of cases) {
    it(`${path}: ${unit ?? 'none'}${user === null ? '' : ` of user ${user}`}`, () => {
      assert.deepEqual(serviceOfCgroup(path), unit === null ? null : { unit, user });
    });
  }
});

describe('the unit that is salt-api', () => {
  const mine = { ...FACTS, unit: 'my-rest-api.service', mainPid: 100 };
  const inMine = [{ pid: 100, service: { unit: 'my-rest-api.service', user: null } }];

  it('is looked for beside the usual one alone, and among the units of the system', () => {
    const members = [
      ...inMine,
      { pid: 101, service: { unit: 'my-rest-api.service', user: null } },
      { pid: 102, service: { unit: 'salt-api.service', user: null } },
      { pid: 103, service: { unit: 'own.service', user: 1000 } },
    ];
    assert.deepEqual(unitsBeside('salt-api', members), ['my-rest-api.service']);
    assert.deepEqual(unitsBeside('other', members), []);
  });

  it('is the one whose main process is a salt-api of this instance', () => {
    assert.equal(chooseUnit(null, [mine], inMine), mine);
    const idle = { ...FACTS, mainPid: 0 };
    assert.equal(chooseUnit(idle, [mine], inMine), mine);
    const neighbours = { ...FACTS, mainPid: 900 };
    assert.equal(chooseUnit(neighbours, [mine], inMine), mine);
  });

  it('stays the asked one where that is the main process of it', () => {
    const asked = { ...FACTS, mainPid: 100 };
    assert.equal(chooseUnit(asked, [mine], inMine), asked);
  });

  it('is known by its program where the daemon is dead, and no unit of the usual name is there', () => {
    const dead = { ...mine, mainPid: 0 };
    assert.equal(chooseUnit(null, [dead], inMine), dead);
    const idle = { ...FACTS, mainPid: 0 };
    assert.equal(chooseUnit(idle, [dead], inMine), idle);
  });

  it('is never one that has only a salt-api in its cgroup, such as the minion that started it', () => {
    const minion = { ...FACTS, unit: 'salt-minion.service', mainPid: 5, startsSaltApi: false };
    assert.equal(chooseUnit(null, [minion], inMine), null);
  });

  it('is none of two, and none that is masked', () => {
    const other = { ...mine, unit: 'old-rest-api.service', mainPid: 200 };
    const both = [...inMine, { pid: 200, service: { unit: other.unit, user: null } }];
    assert.equal(chooseUnit(null, [mine, other], both), null);
    assert.equal(chooseUnit(null, [{ ...mine, loadState: 'masked' }], inMine), null);
  });
});

describe('the units that a stop takes along', () => {
  it('are followed to the last, each once, the socket units among them', async () => {
    const unit = (name: string, stopsAlso: readonly string[]) => ({
      ...FACTS,
      unit: name,
      sockets: [],
      stopsAlso,
    });
    const there = [
      unit('salt-api.socket', []),
      unit('a.service', ['b.service', 'salt-api.service']),
      unit('b.service', ['a.service', 'c.service']),
      unit('c.service', []),
    ];
    const asked: string[] = [];
    const salt = {
      ...FACTS,
      sockets: ['salt-api.socket'],
      stopsAlso: ['a.service', 'gone.service'],
    };
    const related = await readRelatedUnits(salt, async (names) => {
      asked.push(...names);
      return names.flatMap((name) => there.find((one) => one.unit === name) ?? []);
    });
    assert.deepEqual(
      related.map((one) => one.unit),
      ['salt-api.socket', 'a.service', 'b.service', 'c.service'],
    );
    assert.equal(new Set(asked).size, asked.length);
  });
});

describe('what is wrong with a unit', () => {
  const sound = { ...FACTS, restarts: 0 };
  const cases: readonly [string, Partial<typeof FACTS>, readonly RegExp[]][] = [
    ['nothing', {}, []],
    ['masked', { loadState: 'masked' }, [/masked: systemd refuses/]],
    ['bad', { loadState: 'bad-setting' }, [/can't load salt-api: bad-setting/]],
    [
      'stopping',
      { activeState: 'deactivating', subState: 'stop-sigterm' },
      [/stopping .*\(stop-sigterm\)/],
    ],
    ['about to start', { activeState: 'activating', subState: 'auto-restart' }, [/about to start/]],
    ['a start limit, by its result', { result: 'start-limit-hit' }, [/given up/]],
    ['a start limit of systemd 215', { result: 'start-limit' }, [/given up/]],
    [
      'a start limit that keeps the result of the last run',
      { activeState: 'failed', result: 'exit-code', restarts: 3 },
      [/given up/, /Result=exit-code, status 1; it last said "Serving requests"/],
    ],
    ['a failed run', { activeState: 'failed', result: 'timeout' }, [/Result=timeout/]],
  ];
  for (const [name, facts, expected] of cases) {
    it(name, () => {
      const troubles = unitTroubles({ ...sound, ...facts });
      assert.equal(troubles.length, expected.length, troubles.join('\n'));
      for (const [index, pattern] of expected.entries())
        assert.match(troubles[index] ?? '', pattern);
    });
  }
});

describe('why a unit has failed', () => {
  it('is one line with what systemd and the service say', () => {
    const text = 'Result=exit-code\nExecMainStatus=3\nStatusText=no \u001b[31mcertificate\n';
    assert.deepEqual(unitFailure(text), [
      'systemd: Result=exit-code, ExecMainStatus=3; it last said "no certificate"',
    ]);
  });

  it('is none where systemd gives no reason', () => {
    assert.deepEqual(unitFailure('Result=success\nExecMainStatus=0\nStatusText=\n'), []);
    assert.deepEqual(unitFailure(''), []);
  });
});

describe('drop-ins', () => {
  it('are those that systemctl names, and tell the settings that a stop depends on by name alone', () => {
    assert.deepEqual(dropInPaths('A=b\nDropInPaths=/etc/a.conf /run/b.conf\n'), [
      '/etc/a.conf',
      '/run/b.conf',
    ]);
    assert.deepEqual(dropInPaths('LoadState=loaded'), []);
    const text =
      '[Service]\nEnvironment=TOKEN=KillMode=none\n KillMode = none\n#Type=simple\nUser=x\n';
    assert.deepEqual(tellingSettings(text), ['KillMode', 'User']);
  });
});
