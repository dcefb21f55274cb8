import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { diagnoseEvidence } from '../../src/diagnosis/diagnosis.ts';
import { TriageError } from '../../src/errors.ts';
import {
  BLIND_CAUSES,
  type BlindCause,
  blind,
  type Evidence,
} from '../../src/evidence/evidence.ts';
import { parseEvidence, writeEvidence } from '../../src/evidence/evidence-file.ts';
import { incident2018, STAGES, stageEvidence } from '../recorded/captures.ts';
import { saltApi } from './situation.ts';

interface Recording {
  readonly name: string;
  readonly evidence: Evidence;
}

const RECORDINGS: readonly Recording[] = [
  ...STAGES.map((stage) => ({ name: stage, evidence: stageEvidence(stage) })),
  {
    name: '2018 after the restart',
    evidence: incident2018('after-restart', { listener: 17_502, pidFile: 12_603 }),
  },
  {
    name: '2018 after the stop',
    evidence: incident2018('after-stop', { listener: 17_248, pidFile: 12_603 }),
  },
];
const HEALTHY = RECORDINGS.filter(({ evidence }) => codeOf(evidence) === 'healthy');
const INCIDENTS = RECORDINGS.filter(({ evidence }) => codeOf(evidence) !== 'healthy');

const SECTIONS = ['config', 'sockets', 'processes', 'service', 'apiLog', 'answer'] as const;

function codeOf(evidence: Evidence): string {
  return diagnoseEvidence(evidence).verdict.code;
}

/** Evidence without a section; a port that came from the config is then only a guess. */
function blinded(
  evidence: Evidence,
  section: (typeof SECTIONS)[number],
  cause: BlindCause,
): Evidence {
  const port: Evidence['port'] = { number: 443, origin: { kind: 'default', why: 'config unread' } };
  return {
    ...evidence,
    ...(section === 'config' ? { port } : {}),
    [section]: blind(cause, 'blinded by the test'),
  };
}

test('the recordings hold healthy hosts and incidents', () => {
  assert.equal(HEALTHY.length, 3);
  assert.equal(INCIDENTS.length, 11);
});

test('neither the order of what was seen nor unrelated processes change the verdict', () => {
  const strangers = fc.uniqueArray(
    fc.record({
      pid: fc.integer({ min: 100_000, max: 4_000_000 }),
      ppid: fc.constantFrom(0, 1, 2, 100_001),
      age: fc.integer({ min: 0, max: 86_400 }),
      session: fc.constantFrom(0, 1, 12, 99),
      threads: fc.constantFrom(1, 200),
      state: fc.constantFrom('S', 'R', 'D', 'Z', 'T'),
      argv: fc.constantFrom(
        [],
        ['/sbin/init'],
        ['tail', '-f', '/var/log/salt/api'],
        ['vim', 'salt-api.conf'],
        ['/bin/sh', '/etc/init.d/salt-api', 'restart'],
        ['/usr/bin/python3 /usr/bin/salt-master -d ProcessManager'],
        ['/usr/bin/python3', '/usr/bin/salt-api', '--versions-report'],
      ),
    }),
    { selector: ({ pid }) => pid, maxLength: 8 },
  );
  for (const { name, evidence } of RECORDINGS) {
    const { processes, sockets, service } = evidence;
    assert.ok(processes.seen && sockets.seen && service.seen);
    const { peers, listeners } = sockets.value;
    const { pidFiles } = service.value;
    const before = diagnoseEvidence(evidence).verdict;
    const mixed = strangers.chain((others) =>
      fc.tuple(
        shuffled([...processes.value.processes, ...others.map((sketch) => saltApi(sketch))]),
        shuffled(peers),
        shuffled(listeners),
        shuffled([...pidFiles, { path: '/run/other.pid', pid: null, modifiedAt: 0 }]),
      ),
    );
    fc.assert(
      fc.property(mixed, ([table, peerRows, listenerRows, files]) => {
        const after = diagnoseEvidence({
          ...evidence,
          processes: { seen: true, value: { ...processes.value, processes: table } },
          sockets: {
            seen: true,
            value: { ...sockets.value, peers: peerRows, listeners: listenerRows },
          },
          service: { seen: true, value: { ...service.value, pidFiles: files } },
        }).verdict;
        assert.equal(after.code, before.code, name);
        assert.equal(after.summary, before.summary, name);
      }),
      { numRuns: 60 },
    );
  }
});

function shuffled<T>(items: readonly T[]): fc.Arbitrary<T[]> {
  return fc.shuffledSubarray([...items], { minLength: items.length });
}

test('a healthy host with a section unseen is not healthy, but for an answer not asked for', () => {
  for (const { name, evidence } of HEALTHY) {
    for (const section of SECTIONS) {
      for (const cause of BLIND_CAUSES) {
        // No config at all is a fact, and 443 is then Salt's own business.
        if (section === 'config' && cause === 'missing') continue;
        const expected = section === 'answer' && cause === 'not-asked' ? 'healthy' : 'unknown';
        const what = `${name} without ${section} (${cause})`;
        assert.equal(codeOf(blinded(evidence, section, cause)), expected, what);
      }
    }
  }
});

test('no section that goes unseen turns an incident into a healthy or degraded host', () => {
  const choice = fc.tuple(
    fc.constantFrom(...INCIDENTS),
    fc.subarray([...SECTIONS], { minLength: 1 }),
    fc.constantFrom(...BLIND_CAUSES),
  );
  fc.assert(
    fc.property(choice, ([{ name, evidence }, sections, cause]) => {
      const left = sections.reduce((rest, section) => blinded(rest, section, cause), evidence);
      const code = codeOf(left);
      assert.ok(!['healthy', 'degraded'].includes(code), `${name} without ${sections}: ${code}`);
    }),
    { numRuns: 1500 },
  );
});

/** Every place in a JSON value, as the keys that lead to it. */
function places(value: unknown, path: readonly string[] = []): (readonly string[])[] {
  if (typeof value !== 'object' || value === null) return [path];
  const inner = Object.entries(value).flatMap(([key, each]) => places(each, [...path, key]));
  return [path, ...inner];
}

/** A copy with the place removed (undefined) or replaced. */
function changed(value: unknown, path: readonly string[], replacement: unknown): unknown {
  const [key, ...rest] = path;
  if (key === undefined) return replacement;
  if (Array.isArray(value)) {
    const items: unknown[] = [...value];
    const index = Number(key);
    if (rest.length === 0 && replacement === undefined) items.splice(index, 1);
    else items[index] = changed(items[index], rest, replacement);
    return items;
  }
  const entries = Object.entries(value as object).flatMap(([name, each]) => {
    if (name !== key) return [[name, each]];
    const next = changed(each, rest, replacement);
    return next === undefined ? [] : [[name, next]];
  });
  return Object.fromEntries(entries);
}

const REPLACEMENT = fc.oneof(
  fc.constantFrom(undefined, null, true, false, 0, -1, 1, 0.5, 1e20, 4_194_304, '', '443'),
  fc.constantFrom([], {}, 'healthy', 'S', 'Z', 'ours', { seen: true }, { seen: false }),
  fc.jsonValue({ maxDepth: 2 }),
);

for (const { name, evidence } of RECORDINGS) {
  const all = places(evidence).slice(1);
  const mutation = fc.tuple(fc.constantFrom(...all), REPLACEMENT);

  test(`${name}: a damaged or forged evidence file is refused or judged, and nothing breaks`, () => {
    const before = codeOf(evidence);
    const file: unknown = JSON.parse(writeEvidence(evidence));
    fc.assert(
      fc.property(mutation, ([path, replacement]) => {
        let forged: Evidence;
        try {
          forged = parseEvidence(JSON.stringify(changed(file, ['evidence', ...path], replacement)));
        } catch (error) {
          assert.ok(error instanceof TriageError, String(error));
          return;
        }
        const code = codeOf(forged);
        assert.ok(before === 'healthy' || code !== 'healthy', `${path.join('.')} → ${code}`);
      }),
      { numRuns: 300 },
    );
  });
}
