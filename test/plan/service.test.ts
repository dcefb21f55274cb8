/** Which service a plan stops and starts, and when it refuses to: pure, from the evidence. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { resolveFixOptions } from '../../src/cli/fix-options.ts';
import { COMMANDS, readFlags } from '../../src/cli/options.ts';
import { diagnoseEvidence } from '../../src/diagnosis/diagnosis.ts';
import {
  type Evidence,
  type ProcessFacts,
  type RelatedUnit,
  type ServiceFacts,
  type SystemdUnitFacts,
  seen,
} from '../../src/evidence/evidence.ts';
import { leftoversOf, type Plan, planFix } from '../../src/plan/plan.ts';
import {
  chooseServiceManager,
  SERVICE_KINDS,
  type ServiceOptions,
} from '../../src/plan/service-manager.ts';
import { commandLine } from '../../src/shell-words.ts';
import { evidenceOf, saltApi, server, TITLED } from '../diagnosis/situation.ts';

const SILENT = {
  answer: { seen: true, value: { kind: 'no-reply', afterMs: 11_000, tls: true } },
} as const;
const OPTIONS: ServiceOptions = {
  service: 'auto',
  unit: 'salt-api',
  unitNamed: false,
  stopCommand: undefined,
  startCommand: undefined,
};
const daemon = saltApi({ pid: 100, ppid: 1, argv: TITLED, age: 60 });
const child = server({ pid: 101, ppid: 100, age: 55 });

interface Scene {
  readonly processes?: readonly ProcessFacts[];
  readonly unit?: Partial<SystemdUnitFacts>;
  readonly service?: Partial<ServiceFacts>;
  readonly options?: Partial<ServiceOptions>;
  readonly evidence?: Partial<Evidence>;
}

/** The plan for a salt-api that hangs, unless the scene says otherwise. */
function planned({ processes = [daemon, child], unit, options, ...scene }: Scene) {
  const plain = evidenceOf({
    processes,
    ...(unit === undefined ? {} : { unit: { mainPid: 100, ...unit } }),
    evidence: { ...SILENT, ...scene.evidence },
  });
  assert.ok(plain.service.seen);
  const evidence = { ...plain, service: seen({ ...plain.service.value, ...scene.service }) };
  const manager = chooseServiceManager(evidence.service, { ...OPTIONS, ...options });
  const diagnosis = diagnoseEvidence(evidence);
  const plan = planFix(diagnosis, manager, { only: undefined, restart: 'always' });
  return { plan, manager, diagnosis };
}

function refusal(plan: Plan): string {
  assert.ok(plan.kind === 'refused', JSON.stringify(plan));
  const { remedy } = plan;
  assert.ok(remedy !== null);
  const typed = remedy.kind === 'options' ? remedy.options.flat() : remedy.command;
  return `${plan.why} | ${commandLine(typed)} | ${remedy.note}`;
}

function commands(plan: Plan): string[] {
  assert.ok(plan.kind === 'fix', JSON.stringify(plan));
  return plan.steps.flatMap((step) => ('command' in step ? [step.command.join(' ')] : []));
}

function remarks(plan: Plan): string {
  assert.ok(plan.kind === 'fix', JSON.stringify(plan));
  return plan.remarks.join('\n');
}

describe('the service of another salt-api', () => {
  const instance = {
    configDirectory: '/srv/salt2',
    defaultConfigured: true,
    origin: 'option',
  } as const;
  const argv = ['/usr/bin/python3', '/usr/bin/salt-api', '-c', '/srv/salt2'];
  const ours = [
    { ...daemon, argv },
    { ...child, argv },
  ];
  const neighbour = saltApi({ pid: 900, ppid: 1, argv: TITLED, age: 90_000 / 10 });

  it('is not stopped where systemd names a process of that one as its main process', () => {
    const scene = {
      processes: [...ours, neighbour],
      unit: { mainPid: 900 },
      evidence: { instance },
    };
    assert.match(refusal(planned(scene).plan), /may be that of another salt-api, 900.*--unit NAME/);
    const named = planned({ ...scene, options: { unitNamed: true } }).plan;
    assert.equal(named.kind, 'fix');
  });

  it('is not stopped where it is unnamed, no unit tells, and the default instance runs', () => {
    const sysv = { initScript: true };
    const scene = { processes: [...ours, neighbour], service: sysv, evidence: { instance } };
    assert.match(refusal(planned(scene).plan), /may be that of another salt-api, 900/);
    assert.equal(planned({ ...scene, processes: ours }).plan.kind, 'fix');
  });

  it('is no matter to the default instance itself, nor is what a container runs', () => {
    const other = { ...neighbour, argv };
    const inside = { ...neighbour, pid: 901, pidNamespace: 'other' as const };
    const processes = [daemon, child, other, inside];
    assert.equal(planned({ processes, service: { initScript: true } }).plan.kind, 'fix');
  });

  it('has no part in what a stop of ours leaves', () => {
    const { diagnosis } = planned({
      processes: [...ours, neighbour],
      unit: {},
      evidence: { instance },
    });
    assert.deepEqual(
      leftoversOf(diagnosis).map(({ facts }) => facts.pid),
      [100, 101],
    );
  });
});

describe('a unit that can not be started', () => {
  it('is refused where it is masked, with the command that unmasks it', () => {
    const { plan } = planned({ unit: { loadState: 'masked' } });
    assert.match(refusal(plan), /masked.*systemctl unmask salt-api\.service/);
  });

  it('is refused where its file is wrong', () => {
    const { plan } = planned({ unit: { loadState: 'bad-setting' } });
    assert.match(refusal(plan), /LoadState=bad-setting.*systemctl status/);
  });

  it('is no matter where nothing is started', () => {
    const stray = saltApi({ pid: 37, ppid: 1, session: 12, age: 9_000, portConnections: 4 });
    const { plan } = planned({
      processes: [stray, daemon, child],
      unit: { loadState: 'masked' },
      evidence: { answer: seen({ kind: 'answered', status: 200, afterMs: 3, tls: true }) },
    });
    assert.equal(plan.kind, 'fix');
  });

  it('is refused where systemd does not know it, with the unit that salt-api is in', () => {
    const cgroup = '/system.slice/my-rest-api.service';
    const scene = {
      processes: [{ ...daemon, cgroup }, child],
      service: { systemdRuns: true },
    };
    for (const options of [
      { service: 'systemd' },
      { unit: 'salt-apii', unitNamed: true },
    ] as const) {
      assert.match(
        refusal(planned({ ...scene, options }).plan),
        /systemd has no unit salt-api.* \| --unit my-rest-api \| salt-api 100 is in my-rest-api\.service/,
      );
    }
    assert.match(
      refusal(planned(scene).plan),
      /found no service manager .*salt-api 100 is in my-rest-api\.service .*--stop-cmd/,
    );
    // Nobody knows whether it is there where systemctl does not answer.
    const blind = { systemd: { seen: false, cause: 'timeout', why: 'late' } } as const;
    const { plan } = planned({ ...scene, service: { systemdRuns: true, ...blind } });
    assert.equal(plan.kind, 'fix');
  });
});

describe('a unit that systemd made of an init script', () => {
  it('is stopped before it is started: active (exited), it would ignore a start', () => {
    const { plan } = planned({
      processes: [],
      unit: { mainPid: 0, activeState: 'active', subState: 'exited' },
      evidence: { answer: seen({ kind: 'refused' }) },
    });
    assert.deepEqual(commands(plan), [
      'systemctl stop salt-api.service',
      'systemctl start salt-api.service',
    ]);
  });
});

describe('a unit of another name', () => {
  const cgroup = '/system.slice/my-rest-api.service';
  const own = { unit: 'my-rest-api.service', controlGroup: cgroup };
  const processes = [
    { ...daemon, cgroup },
    { ...child, cgroup },
  ];

  it('is stopped and started by its name, which is said', () => {
    const { plan, manager } = planned({ processes, unit: own });
    assert.deepEqual(commands(plan), [
      'systemctl stop my-rest-api.service',
      'systemctl start my-rest-api.service',
    ]);
    assert.equal(manager?.label, 'systemd (unit my-rest-api.service)');
    assert.match(remarks(plan), /salt-api runs in my-rest-api\.service here, not in salt-api/);
  });

  it('gives way to the one that was named, with a word that a stop does not reach the daemon', () => {
    const plain = evidenceOf({ processes: [], unit: { unit: 'salt-api', mainPid: 0 } }).service;
    assert.ok(plain.seen && plain.value.systemd.seen && plain.value.systemd.value !== null);
    const { plan } = planned({
      processes,
      unit: own,
      service: { otherUnits: [plain.value.systemd.value] },
      options: { unitNamed: true },
    });
    assert.deepEqual(commands(plan), ['systemctl stop salt-api', 'systemctl start salt-api']);
    assert.match(
      remarks(plan),
      /the daemon 100 is in my-rest-api\.service, which a stop of salt-api/,
    );
  });
});

describe('what else a stop takes along', () => {
  const related = (unit: string, activeState: string): RelatedUnit => ({
    unit,
    activeState,
    ports: [],
  });

  it('is started again after salt-api, if it runs, each unit by a step of its own', () => {
    const { plan } = planned({
      unit: { stopsAlso: ['dep.service', 'idle.service'] },
      service: {
        relatedUnits: [related('dep.service', 'active'), related('idle.service', 'inactive')],
      },
    });
    assert.deepEqual(commands(plan), [
      'systemctl stop salt-api.service',
      'systemctl start salt-api.service',
      'systemctl start dep.service',
    ]);
    assert.match(remarks(plan), /also stops dep\.service, idle\.service/);
  });

  it('is not started where nothing is stopped', () => {
    const { plan } = planned({
      processes: [],
      unit: { mainPid: 0, activeState: 'inactive', stopsAlso: ['dep.service'] },
      service: { relatedUnits: [related('dep.service', 'active')] },
      evidence: { answer: seen({ kind: 'refused' }) },
    });
    assert.deepEqual(commands(plan), ['systemctl start salt-api.service']);
  });

  it('includes the socket unit, which is stopped and started in one with the service', () => {
    const { plan } = planned({
      unit: { sockets: ['salt-api.socket', 'off.socket'] },
      service: {
        relatedUnits: [related('salt-api.socket', 'active'), related('off.socket', 'inactive')],
      },
    });
    assert.deepEqual(commands(plan), [
      'systemctl stop salt-api.socket salt-api.service',
      'systemctl start salt-api.socket salt-api.service',
    ]);
    assert.match(remarks(plan), /systemd itself holds the listening socket for salt-api\.socket/);
  });

  it('is said of the unit that takes salt-api along, and of drop-ins that change a stop', () => {
    const { plan } = planned({
      unit: {
        partOf: ['salt-master.service'],
        dropIns: [{ path: '/etc/systemd/system/salt-api.service.d/k.conf', sets: ['KillMode'] }],
      },
    });
    assert.match(remarks(plan), /part of salt-master\.service/);
    assert.match(remarks(plan), /k\.conf sets KillMode/);
  });

  it('comes with what is wrong with the unit', () => {
    const { plan } = planned({ unit: { activeState: 'deactivating', subState: 'stop-sigterm' } });
    assert.match(remarks(plan), /stopping salt-api\.service at the moment \(stop-sigterm\)/);
  });
});

describe('a salt-api that another program keeps', () => {
  const keeper = (pid: number, argv: readonly string[]) =>
    saltApi({ pid, ppid: 1, argv, age: 9_000, comm: 'keeper', cgroup: '/system.slice/x.service' });
  const cases: readonly [readonly string[], RegExp][] = [
    [
      ['/usr/bin/python3', '/usr/bin/supervisord', '-n'],
      /supervisord 90 keeps salt-api 100.*--stop-cmd 'supervisorctl stop salt-api' --start-cmd 'supervisorctl start salt-api'/,
    ],
    [['runsv', 'rest-api'], /runsv 90 keeps.*'sv -w 30 stop rest-api'/],
    [['runsv', "x'; reboot"], /'sv -w 30 stop salt-api'/],
    [['s6-supervise', 'rest-api'], /s6-supervise 90 keeps.*s6-svc -wD -d \/run\/service\/rest-api/],
    [['supervise', 'rest-api'], /'svc -d \/service\/rest-api'/],
  ];
  for (const [argv, expected] of cases) {
    it(`is stopped through that: ${argv.join(' ')}`, () => {
      const processes = [{ ...daemon, ppid: 90, session: 90 }, child, keeper(90, argv)];
      assert.match(refusal(planned({ processes }).plan), expected);
      // A unit of the usual name that does not run it is not its service either.
      assert.match(refusal(planned({ processes, unit: { mainPid: 0 } }).plan), expected);
      const named = { options: { startCommand: ['start'], stopCommand: ['stop'] } };
      assert.equal(planned({ processes, ...named }).plan.kind, 'fix');
    });
  }

  it('is not what comes to a supervisor because that is pid 1, as in a container', () => {
    const lone = saltApi({ pid: 37, ppid: 1, session: 12, age: 9_000 });
    const init = keeper(1, ['/usr/bin/python3', '/usr/bin/supervisord']);
    const { plan } = planned({
      processes: [{ ...init, ppid: 0 }, lone],
      service: { initScript: true },
      evidence: { answer: seen({ kind: 'refused' }) },
    });
    assert.equal(plan.kind, 'fix');
  });

  it('is not one whose parent is only named alike', () => {
    for (const argv of [['tail', 'supervisord'], ['/opt/supervisord-logger']]) {
      const processes = [{ ...daemon, ppid: 90 }, child, keeper(90, argv)];
      assert.match(refusal(planned({ processes }).plan), /found no service manager/);
    }
  });

  it('is stopped with the unit where the unit runs the program and all that it keeps', () => {
    const cgroup = '/system.slice/salt-api.service';
    const processes = [
      { ...daemon, ppid: 90, cgroup },
      { ...child, cgroup },
      { ...keeper(90, ['/usr/bin/supervisord']), cgroup },
    ];
    assert.equal(planned({ processes, unit: { mainPid: 90 } }).plan.kind, 'fix');
  });

  it("is said to be a user's own unit, and how that is stopped", () => {
    const cgroup = '/user.slice/user-1000.slice/user@1000.service/app.slice/salt-api.service';
    const { plan } = planned({ processes: [{ ...daemon, cgroup }, child], unit: { mainPid: 0 } });
    assert.match(
      refusal(plan),
      /salt-api\.service of user 1000's own systemd.*'setpriv --reuid=1000 --clear-groups env XDG_RUNTIME_DIR=\/run\/user\/1000 systemctl --user stop salt-api\.service'/,
    );
  });
});

describe('the kinds of service managers', () => {
  for (const service of SERVICE_KINDS) {
    it(`${service} can be named, here and with --service, and says what it runs`, () => {
      assert.equal(resolveFixOptions({ service }, {}).service, service);
      const { manager } = planned({ options: { service } });
      assert.equal(manager?.kind, service);
      assert.ok(manager?.named && manager.stop?.includes('stop'));
      assert.ok(manager.start.includes('start') && manager.start.some((w) => /^salt-api/.test(w)));
    });
  }

  it('and no other', () => {
    assert.throws(
      () => readFlags(COMMANDS.fix, { service: 'runit' }),
      new RegExp(`must be one of auto, ${SERVICE_KINDS.join(', ')}`),
    );
  });
});
