/** The table of known defects: its shape, and for every row who has it and who has it no more. */
import assert from 'node:assert/strict';
import { describe, it, test } from 'node:test';
import fc from 'fast-check';
import {
  cureOf,
  matchDefects,
  trapsBetween,
  vulnerabilitiesOf,
} from '../../../src/diagnosis/releases/known-defect-match.ts';
import {
  KNOWN_DEFECTS,
  KNOWN_VULNERABILITIES,
  type KnownDefect,
  mendedPart,
  ONEDIR_RELEASES,
  UPGRADE_TRAPS,
} from '../../../src/diagnosis/releases/known-defects.ts';
import {
  compareReleases,
  isWithin,
  saltLine,
} from '../../../src/diagnosis/releases/release-numbers.ts';
import type { RunningReleases } from '../../../src/diagnosis/releases/running-releases.ts';
import { type Evidence, seen } from '../../../src/evidence/evidence.ts';
import { evidenceOf } from '../situation.ts';

const NOTHING: RunningReleases = { salt: null, cherrypy: null, cheroot: null, python: null };
type Versions = Partial<Record<keyof RunningReleases, string>>;

function running(versions: Versions): RunningReleases {
  const entries = Object.entries(versions).map(([part, version]) => [
    part,
    { version, from: 'installed' },
  ]);
  return { ...NOTHING, ...Object.fromEntries(entries) };
}

/** Everything that makes a defect show is set. */
const basis = evidenceOf({ processes: [] });
const config = basis.config.seen ? basis.config.value : assert.fail();
const EXPOSED: Evidence = {
  ...basis,
  config: seen({ ...config, options: { transport: 'tcp', external_auth: 'pam, rest' } }),
};

const idsOf = (versions: Versions, evidence = EXPOSED) =>
  matchDefects(running(versions), evidence, new Map()).map(({ defect }) => defect.id);

/**
 * Who has a defect and who has not, as salt-advice §2 tells it: the first and last of each range,
 * and those beside them.
 */
const ROWS: readonly (readonly [id: string, has: readonly Versions[], not: readonly Versions[]])[] =
  [
    [
      '#46817',
      salts('2014.7.0', '2017.7.5', '2018.3.0'),
      salts('2014.1', '2017.7.6', '2018.3.1', '2019.2.0'),
    ],
    ['#29817', salts('2015.8.3', '2015.8.8'), salts('2015.8.2', '2015.8.9', '2016.3.0')],
    [
      '#38248',
      salts('2016.3.0', '2016.3.4', '2016.11.0', '2016.11.1'),
      salts('2015.8.13', '2016.3.5', '2016.11.2'),
    ],
    ['#35480', salts('2014.7.0', '2016.3.4'), salts('2016.3.5', '2016.11.0')],
    [
      '#44601',
      [
        { salt: '2016.11.8', cherrypy: '12.0.0' },
        { salt: '2017.7.2', cherrypy: '18.6.1' },
      ],
      [
        { salt: '2016.11.9', cherrypy: '12.0.0' },
        { salt: '2017.7.3', cherrypy: '12.0.0' },
        { salt: '2017.7.2', cherrypy: '11.3.0' },
        { salt: '2017.7.2' },
      ],
    ],
    ['#56274', salts('2019.2.8', '3000.9'), salts('3001', '3001.5')],
    ['#60955', salts('3004.2'), salts('3005')],
    [
      '#70123',
      [
        { salt: '3006.27', python: '3.10' },
        { salt: '3008.2', python: '3.11' },
        { salt: '3007.1', python: '3.10' },
      ],
      [
        { salt: '3006.27', python: '3.9' },
        { salt: '3006.28', python: '3.10' },
        { salt: '3008.3', python: '3.10' },
        { salt: '3006.27' },
      ],
    ],
    ['CVE-2023-20897', salts('3005.1', '3006.0', '3006.1'), salts('3005.2', '3006.2', '3007.0')],
    ['#65114', salts('3006.4'), salts('3006.5')],
    ['#66061', salts('3006.5', '3006.6'), salts('3006.4', '3006.7')],
    ['#66249', salts('3006.9'), salts('3006.10')],
    ['CVE-2025-22242', salts('3006.11', '3007.0', '3007.3'), salts('3006.12', '3007.4')],
    ['#68136', salts('3006.9', '3007.7'), salts('3007.8')],
    ['#68151', salts('3006.13', '3006.14'), salts('3006.12', '3006.15')],
    ['#68637', salts('3006.16', '3006.24'), salts('3006.15', '3006.25', '3007.8')],
    ['#68660', salts('3006.16', '3006.28', '3007.8', '3008.0'), salts('3006.15', '3007.7')],
    ['#65709', salts('3006.25'), salts('3006.26')],
    ['#66282', salts('3006.26'), salts('3006.27')],
    ['#70127', salts('3006.27'), salts('3006.26', '3006.28')],
    ['#69986', salts('3006.27'), salts('3006.28')],
    ['#69857', salts('3008.0', '3008.2'), salts('3007.15', '3008.3')],
    ['#69958', salts('3008.2'), salts('3008.1', '3008.3')],
    ['cp#1298', cherrypys('3.2.5', '3.7.0'), cherrypys('3.2.3', '3.8.0')],
    ['cp#1625', cherrypys('12.0.0', '18.10.0'), cherrypys('11.3.0')],
    ['cp#1206', cheroots('6.5.8'), cheroots('6.6.0')],
    ['cp#1206-own-server', cherrypys('3.2.0', '8.9.1'), cherrypys('3.1.2', '9.0.0')],
    ['ch#91', cheroots('8.0.0'), cheroots('8.1.0')],
    ['ch#91-own-server', cherrypys('3.2.0', '8.9.1'), cherrypys('3.1.2', '9.0.0')],
    ['ch#358', cheroots('8.1.0', '8.5.1'), cheroots('8.0.0', '8.5.2')],
    ['ch#365', cheroots('8.5.2', '9.0.0+ds1', '10.0.0'), cheroots('10.0.1')],
    [
      'ch#769',
      [
        { cheroot: '11.0.0', python: '3.12' },
        { cheroot: '11.1.1', python: '3.9' },
      ],
      [
        { cheroot: '10.0.1', python: '3.12' },
        { cheroot: '11.1.2', python: '3.12' },
        { cheroot: '11.1.1', python: '3.13' },
      ],
    ],
    ['ch#748', cheroots('8.5.2', '11.1.2'), cheroots('11.1.3')],
  ];

function salts(...versions: string[]): Versions[] {
  return versions.map((salt) => ({ salt }));
}
function cherrypys(...versions: string[]): Versions[] {
  return versions.map((cherrypy) => ({ cherrypy }));
}
function cheroots(...versions: string[]): Versions[] {
  return versions.map((cheroot) => ({ cheroot }));
}

describe('a known defect', () => {
  for (const [id, has, not] of ROWS) {
    it(`${id} is of the releases that have it, and of no other`, () => {
      for (const versions of has) assert.ok(idsOf(versions).includes(id), JSON.stringify(versions));
      for (const versions of not)
        assert.ok(!idsOf(versions).includes(id), JSON.stringify(versions));
    });
  }

  it('is in the table above: each of them, once', () => {
    assert.deepEqual(
      KNOWN_DEFECTS.map(({ id }) => id),
      ROWS.map(([id]) => id),
    );
  });

  it('that shows over TLS, tcp or eauth: rest alone is not told of a host without these', () => {
    const plain = { ...basis, answer: seen({ kind: 'no-reply', afterMs: 1, tls: false } as const) };
    assert.ok(!idsOf({ cheroot: '11.1.2' }, plain).includes('ch#748'));
    assert.ok(!idsOf({ salt: '3007.7' }, plain).includes('#68136'));
    assert.ok(!idsOf({ salt: '3004' }, plain).includes('#60955'));
    const rest = { ...basis, config: seen({ ...config, options: { external_auth: 'restless' } }) };
    assert.ok(!idsOf({ salt: '3004' }, rest).includes('#60955'));
  });
});

/** What a defect's own range says of a release. */
const stillHas = (defect: KnownDefect, release: string) =>
  isWithin(release, defect.affects[mendedPart(defect)] ?? []);

test('no row contradicts itself: who is said to be mended has it no more', () => {
  for (const defect of KNOWN_DEFECTS) {
    for (const fix of defect.fixedIn) assert.ok(!stillHas(defect, fix), `${defect.id} ${fix}`);
    for (const ranges of Object.values(defect.affects)) {
      for (const { from, before } of ranges) {
        assert.ok(from !== undefined || before !== undefined, defect.id);
        if (from === undefined || before === undefined) continue;
        assert.ok(compareReleases(from, before) < 0, defect.id);
      }
    }
    assert.match(defect.effect, /^[^\n]{10,110}$/, defect.id);
    assert.match(defect.source, /^(?:(?:cp|ch)?#\d+|CVE-\d{4}-\d+)/, defect.id);
    assert.equal(defect.words !== undefined, defect.symptoms.includes('start'), defect.id);
  }
});

test('every cure is newer than what runs, and of its own line where that has one', () => {
  const cure = (id: string, versions: Versions) => {
    const defect = KNOWN_DEFECTS.find((one) => one.id === id) ?? assert.fail(id);
    return cureOf(defect, running(versions));
  };
  assert.match(cure('#46817', { salt: '2018.3.0' }) ?? '', /^upgrade to Salt 2018\.3\.1 or later$/);
  assert.match(
    cure('#46817', { salt: '2016.11.3' }) ?? '',
    /^upgrade to Salt 2017\.7\.6 or later$/,
  );
  assert.match(cure('CVE-2025-22242', { salt: '3007.1' }) ?? '', /^upgrade to Salt 3007\.4 /);
  assert.match(cure('#66249', { salt: '3002.6' }) ?? '', /Salt 3006\.10 .*netapi_enable_clients/);
  assert.match(cure('ch#365', { cheroot: '8.5.2' }) ?? '', /cheroot 10\.0\.1 .*salt-pip install/);
  assert.equal(cure('cp#1625', { cherrypy: '18.8.0' }), null);
});

test('the traps of an upgrade are those that lie on its way', () => {
  const traps = (from: string, to: string) =>
    trapsBetween('salt', from, to).map((words) =>
      UPGRADE_TRAPS.findIndex((one) => one.words === words),
    );
  assert.deepEqual(traps('3005.1', '3006.5'), [0]);
  assert.deepEqual(traps('3006.1', '3006.16'), []);
  assert.deepEqual(traps('3006.1', '3006.17'), [1]);
  assert.deepEqual(traps('3006.17', '3006.28'), [2, 3]);
  assert.deepEqual(traps('2018.3.0', '2018.3.1'), []);
  assert.deepEqual(traps('3007.0', '3008.3'), [1, 3]);
  assert.deepEqual(traps('3006.27', '3008.3'), [], 'it asks for them already');
});

describe('a vulnerability', () => {
  it('is of the releases before the fix of their line, and of all lines before', () => {
    const has = (id: string, salt: string) => vulnerabilitiesOf(salt).includes(id);
    const id = 'CVE-2020-16846';
    for (const salt of ['2017.7.8', '2018.3.5', '2019.2.5', '3000.3', '3001.1', '3002']) {
      assert.ok(has(id, salt), salt);
    }
    for (const salt of ['2019.2.6', '3000.4', '3001.2', '3002.1', '3003', '3006.1']) {
      assert.ok(!has(id, salt), salt);
    }
    for (const old of ['2015.5.3', '2016.3.4', '2016.11.1']) assert.ok(has('CVE-2017-5192', old));
    for (const fix of ['2016.3.5', '2016.11.2']) assert.ok(!has('CVE-2017-5200', fix), fix);
    assert.deepEqual(vulnerabilitiesOf('3006.12'), []);
    assert.deepEqual(vulnerabilitiesOf('3007.3'), ['CVE-2024-38825']);
    assert.deepEqual(vulnerabilitiesOf('unknown'), []);
  });

  it('names each line once, in their order', () => {
    for (const { id, fixedIn } of KNOWN_VULNERABILITIES) {
      assert.match(id, /^CVE-\d{4}-\d{4,5}$/);
      assert.deepEqual(fixedIn, fixedIn.toSorted(compareReleases), id);
      assert.equal(new Set(fixedIn.map(saltLine)).size, fixedIn.length, id);
    }
  });
});

test('what a onedir package brings is told of the releases that were looked at alone', () => {
  const brings = (salt: string) => {
    const row = ONEDIR_RELEASES.find((range) => isWithin(salt, [range]));
    return row === undefined ? null : `${row.cherrypy} ${row.cheroot}`;
  };
  assert.equal(brings('3003.5'), null);
  assert.equal(brings('3004'), '18.6.1 8.5.2');
  assert.equal(brings('3006.13'), '18.6.1 8.5.2');
  assert.equal(brings('3006.14'), '18.10.0 8.5.2');
  assert.equal(brings('3006.18'), '18.10.0 8.5.2');
  assert.equal(brings('3006.19'), null);
  assert.equal(brings('3007.10'), '18.8.0 10.0.0');
  assert.equal(brings('3007.11'), null);
  assert.equal(brings('3008.0'), null);
});

test('releases of all three schemes are in the order in which they came', () => {
  const order = [
    '2014.7.0',
    '2014.7.9',
    '2015.5.0',
    '2015.8.13',
    '2016.11.10',
    '2019.2.8',
    '3000',
    '3000.1',
    '3001',
    '3005.5',
    '3006.0',
    '3006.2',
    '3006.16',
    '3007.0',
  ];
  for (const [at, one] of order.entries()) {
    for (const [other, two] of order.entries()) {
      assert.equal(Math.sign(compareReleases(one, two)), Math.sign(at - other), `${one} ${two}`);
    }
  }
  assert.equal(compareReleases('3006', '3006.0'), 0);
  assert.equal(compareReleases('9.0.0+ds1', '9.0.0'), 0);
  assert.deepEqual(['2018.3.1', '3001.5', '3006.16'].map(saltLine), ['2018.3', '3001', '3006']);
});

test('comparing is total and unmoved by what is no release', () => {
  const release = fc.oneof(
    fc.array(fc.nat(9_999), { minLength: 1, maxLength: 4 }).map((parts) => parts.join('.')),
    fc.string(),
  );
  fc.assert(
    fc.property(release, release, release, (a, b, c) => {
      const ab = compareReleases(a, b);
      assert.equal(Math.sign(ab), -Math.sign(compareReleases(b, a)) || 0);
      if (ab <= 0 && compareReleases(b, c) <= 0) assert.ok(compareReleases(a, c) <= 0);
    }),
  );
  for (const none of ['', 'rc1', 'v3006.1', '../..']) assert.ok(!isWithin(none, [{ before: '9' }]));
});
