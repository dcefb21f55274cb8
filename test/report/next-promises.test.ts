/** Over random situations: where the next command is a fix, that fix would not be refused. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { resolveFixOptions } from '../../src/cli/fix-options.ts';
import { COMMANDS, readFlags } from '../../src/cli/options.ts';
import { diagnoseEvidence } from '../../src/diagnosis/diagnosis.ts';
import { planFix } from '../../src/plan/plan.ts';
import { wantsRoot } from '../../src/plan/rights.ts';
import { chooseServiceManager, type ServiceOptions } from '../../src/plan/service-manager.ts';
import { nextCommand } from '../../src/report/next-command.ts';
import { evidenceOf, type Situation, saltApi, server } from '../diagnosis/situation.ts';
import { repeated } from './repeated.ts';

const SYSTEM_UNIT = '/system.slice/my-api.service';
const USER_UNIT = '/user.slice/user-1000.slice/user@1000.service/app.slice/salt-api.service';

/** Some of the processes that one host may have, each with traits that matter to a plan. */
const processes = fc
  .record({
    uid: fc.constantFrom(0, 0, 1000),
    cgroup: fc.constantFrom(null, null, SYSTEM_UNIT, USER_UNIT),
    keeper: fc.constantFrom(1, 1, 90),
    elsewhere: fc.boolean(),
    there: fc.subarray(['daemon', 'child', 'orphan', 'stray', 'keeper']),
  })
  .map(({ uid, cgroup, keeper, elsewhere, there }) => {
    const own = { uid, cgroup, ...(elsewhere ? { rootDirectory: 'other' as const } : {}) };
    const all = {
      daemon: saltApi({ ...own, pid: 100, ppid: keeper, age: 60 }),
      child: server({ ...own, pid: 101, ppid: 100, age: 55 }),
      orphan: server({ uid, pid: 37, ppid: 1, session: 12, age: 9_000 }),
      stray: saltApi({ uid, pid: 38, ppid: 1, session: 13, age: 9_000, portConnections: 4 }),
      keeper: saltApi({ pid: 90, ppid: 1, argv: ['/usr/bin/supervisord'], comm: 'supervisord' }),
    };
    return there.map((name) => all[name as keyof typeof all]);
  });

const situations: fc.Arbitrary<Situation> = fc
  .record({
    processes,
    loadState: fc.constantFrom(null, 'loaded', 'masked', 'not-found', 'bad-setting'),
    mainPid: fc.constantFrom(0, 100, 37),
    pidFile: fc.constantFrom(null, 100),
    silent: fc.boolean(),
  })
  .map(({ loadState, mainPid, silent, ...rest }) => ({
    ...rest,
    ...(loadState === null ? {} : { unit: { loadState, mainPid } }),
    ...(silent
      ? {
          evidence: {
            answer: { seen: true, value: { kind: 'no-reply', afterMs: 11_000, tls: true } },
          },
        }
      : {}),
  }));

const options = fc.record({
  service: fc.constantFrom('auto', 'auto', 'systemd', 'sysv', 'openrc'),
  unitNamed: fc.boolean(),
  given: fc.boolean(),
});

test('a next fix has a plan, with the rights that it takes', () => {
  const seen = { fix: 0, other: 0 };
  fc.assert(
    fc.property(
      situations,
      options,
      fc.constantFrom(0, 1000),
      ({ ...situation }, { service, unitNamed, given }, uid) => {
        const plain = evidenceOf(situation);
        const diagnosis = diagnoseEvidence({ ...plain, host: { ...plain.host, uid } });
        const asked: ServiceOptions = {
          ...{ service, unit: 'salt-api', unitNamed },
          stopCommand: given ? ['stop'] : undefined,
          startCommand: given ? ['start'] : undefined,
        };
        const { next } = nextCommand(diagnosis, repeated([], { service: asked }));
        const [, sudo, words] = /^(sudo )?salt-triage fix ?(.*)$/.exec(next) ?? [];
        if (words === undefined || words.startsWith('--dry-run')) {
          seen.other += 1;
          return;
        }
        seen.fix += 1;
        const flags = flagsOf(words);
        const typed = resolveFixOptions(flags, {});
        const manager = chooseServiceManager(diagnosis.evidence.service, {
          service,
          stopCommand: typed.stopCommand ?? asked.stopCommand,
          startCommand: typed.startCommand ?? asked.startCommand,
          unit: flags.unit ?? asked.unit,
          unitNamed: unitNamed || flags.unit !== undefined,
        });
        const plan = planFix(diagnosis, manager, { only: typed.only, restart: 'always' });
        assert.ok(plan.kind === 'fix', `${next}: ${JSON.stringify(plan)}`);
        assert.equal(wantsRoot(plan, diagnosis, manager), sudo !== undefined, next);
      },
    ),
    { numRuns: 1_500 },
  );
  for (const [kind, times] of Object.entries(seen)) assert.ok(times > 100, `${kind}: ${times}`);
});

/** The options as a shell would hand them on. */
function flagsOf(words: string) {
  const argv = (words.match(/'[^']*'|\S+/g) ?? []).map((word) => word.replaceAll("'", ''));
  const names = {
    '--only': 'only',
    '--unit': 'unit',
    '--stop-cmd': 'stopCmd',
    '--start-cmd': 'startCmd',
  };
  const given = argv.flatMap((word, at) => {
    const name = names[word as keyof typeof names];
    return name === undefined ? [] : [[name, argv[at + 1]]];
  });
  return readFlags(COMMANDS.fix, Object.fromEntries(given));
}
