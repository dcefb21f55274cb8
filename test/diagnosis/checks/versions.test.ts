/** Which releases run is told from what is sure; what fits what is seen stands before what does not. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { versions } from '../../../src/diagnosis/checks/versions.ts';
import { NO_BACKGROUND } from '../../../src/evidence/background.ts';
import {
  type AnswerFacts,
  blind,
  type Evidence,
  type ProcessFacts,
  seen,
} from '../../../src/evidence/evidence.ts';
import type { InstalledPackage, ProgramVersions } from '../../../src/evidence/versions-facts.ts';
import { INODE, saltApi } from '../situation.ts';
import { knownOf, type Part } from './known.ts';

const NOW = Date.UTC(2024, 4, 2, 3, 0, 0);
const HOUR = 3_600_000;
const ONEDIR = '/opt/saltstack/salt';

const child = saltApi({ pid: 20, ppid: 10, threads: 103, listens: [INODE] });
const PARTS: readonly Part[] = [
  { facts: saltApi({ pid: 10, ppid: 1 }), role: 'manager' },
  { facts: child, role: 'child', under: 10 },
];

function installed(name: InstalledPackage['name'], version: string, ageHours = 48, under = '/p') {
  const path = `${under}/${name}-${version}.dist-info`;
  return { name, version, path, changedAt: NOW - ageHours * HOUR };
}

interface Scene {
  readonly packages?: readonly InstalledPackage[];
  readonly program?: Partial<ProgramVersions>;
  readonly answer?: AnswerFacts;
  readonly parts?: readonly Part[];
  readonly others?: readonly ProcessFacts[];
  readonly evidence?: Partial<Evidence>;
}

const SILENT: AnswerFacts = { kind: 'no-reply', afterMs: 5_000, tls: false };

function judge(scene: Scene) {
  const {
    packages = [],
    program = {},
    answer = SILENT,
    parts = PARTS,
    others = [],
    evidence,
  } = scene;
  const one: ProgramVersions = {
    pid: child.pid,
    startTicks: child.startTicks,
    interpreter: '/usr/bin/python3.9',
    python: '3.9',
    replaced: [],
    packages,
    ...program,
  };
  const background = { ...NO_BACKGROUND, versions: seen({ programs: [one] }) };
  const known = knownOf({
    parts,
    others,
    daemon: 10,
    evidence: { background, answer: seen(answer), ...evidence },
  });
  return versions.judge(known);
}

describe('the releases that run', () => {
  it('are those that were there before the process, and of CherryPy the one that answers', () => {
    const { summary, evidence, status } = judge({
      packages: [installed('salt', '3006.28'), installed('cheroot', '11.1.3')],
      answer: { kind: 'answered', status: 200, afterMs: 4, tls: false, server: 'CherryPy/18.10.0' },
    });
    assert.equal(summary, 'Salt 3006.28, CherryPy 18.10.0, cheroot 11.1.3, Python 3.9');
    assert.deepEqual(evidence.releases?.cherrypy, { version: '18.10.0', from: 'answer' });
    assert.deepEqual(evidence.releases?.salt, { version: '3006.28', from: 'installed' });
    assert.equal(status, 'pass');
  });

  it('are the package’s of a onedir whose own can not be read, and nobody else’s', () => {
    const salt = [installed('salt', '3006.9')];
    const onedir = { interpreter: `${ONEDIR}/bin/python3.10`, python: '3.10' };
    assert.deepEqual(judge({ packages: salt, program: onedir }).evidence.releases?.cheroot, {
      version: '8.5.2',
      from: 'package',
    });
    assert.equal(judge({ packages: salt }).evidence.releases?.cheroot, null);
    const later = judge({ packages: [installed('salt', '3006.19')], program: onedir });
    assert.equal(later.evidence.releases?.cheroot, null);
    const updated = [...salt, installed('cheroot', '10.0.1', 0.5)];
    const since = judge({ packages: updated, program: onedir });
    assert.equal(since.evidence.releases?.cheroot, null, 'the package brought what was replaced');
  });

  it('are not known where two lie side by side, unless one goes before the other', () => {
    const twice = judge({
      packages: [installed('cheroot', '9.0.0', 48, '/a'), installed('cheroot', '10.0.1', 48, '/b')],
    });
    assert.equal(twice.evidence.releases?.cheroot, null);
    assert.match(twice.details.join('\n'), /cheroot is installed more than once: \/a.*\/b/);
    const local = judge({
      packages: [
        installed('cheroot', '10.0.1', 48, '/usr/local/lib/python3.9/dist-packages'),
        installed('cheroot', '9.0.0', 48, '/usr/lib/python3/dist-packages'),
      ],
    });
    assert.equal(local.evidence.releases?.cheroot?.version, '10.0.1');
    assert.doesNotMatch(local.details.join('\n'), /more than once/);
  });

  it('are not what a server says that is none of CherryPy’s', () => {
    const server = 'nginx (CherryPy/18.6.1)';
    const answer: AnswerFacts = { kind: 'answered', status: 200, afterMs: 4, tls: false, server };
    assert.equal(judge({ answer }).evidence.releases?.cherrypy, null);
  });

  it('are not what another program answers that has the port, nor is salt-api out of date by it', () => {
    const idle = saltApi({ pid: 20, ppid: 10 });
    const other = { ...saltApi({ pid: 99, ppid: 1, listens: [INODE] }), argv: ['python3', 'shop'] };
    const { evidence } = judge({
      parts: [{ facts: idle, role: 'manager' }],
      others: [other],
      packages: [installed('cherrypy', '18.10.0')],
      answer: { kind: 'answered', status: 200, afterMs: 4, tls: false, server: 'CherryPy/8.9.1' },
    });
    assert.equal(evidence.releases?.cherrypy?.version, '18.10.0');
    assert.equal(evidence.replaced, null);
  });

  it('are unknown, with the reason, where nothing told; and skipped where nobody looked', () => {
    const node = judge({ program: { interpreter: '/usr/bin/node', python: null } });
    assert.deepEqual([node.status, node.causes], ['unknown', []]);
    assert.match(node.summary, /process 20 runs \/usr\/bin\/node/);
    const background = { ...NO_BACKGROUND, versions: blind('timeout', 'too late\u001b[2J') };
    const late = judge({ evidence: { background } });
    assert.deepEqual([late.status, late.summary], ['unknown', 'too late']);
    assert.equal(judge({ evidence: { background: NO_BACKGROUND } }).status, 'skip');
  });
});

describe('an update without a restart', () => {
  it('is inferred from what came after the start: it is not what runs', () => {
    const { causes, evidence } = judge({ packages: [installed('salt', '3006.28', 0.5)] });
    assert.equal(evidence.releases?.salt, null);
    const [cause] = causes;
    assert.deepEqual([cause?.basis, cause?.weight], ['inferred', 60]);
    assert.match(
      cause?.summary ?? '',
      /process 20 started at 02:00:00; since then Salt 3006\.28 came to this host at 02:30:00/,
    );
    assert.deepEqual(evidence.defects, []);
  });

  it('is seen where files that are in use are gone, or another release answers', () => {
    const gone = judge({ program: { replaced: ['/p/zmq.so'] } }).causes[0];
    assert.deepEqual([gone?.basis, gone?.weight], ['seen', 60]);
    assert.match(gone?.summary ?? '', /it still uses \/p\/zmq\.so/);
    const other = judge({
      packages: [installed('cherrypy', '18.10.0')],
      answer: { kind: 'answered', status: 200, afterMs: 4, tls: false, server: 'CherryPy/18.6.1' },
    }).causes[0];
    assert.equal(other?.basis, 'seen');
    assert.match(other?.summary ?? '', /CherryPy 18\.6\.1 answers, 18\.10\.0 is installed/);
  });

  it('is not claimed where the installed release answers, or two are installed', () => {
    const server = 'CherryPy/18.6.1';
    const answer: AnswerFacts = { kind: 'answered', status: 200, afterMs: 4, tls: false, server };
    const same = judge({ packages: [installed('cherrypy', '18.6.1')], answer });
    assert.equal(same.evidence.replaced, null);
    const twice = [
      installed('cherrypy', '18.8.0', 0.5, '/a'),
      installed('cherrypy', '18.10.0', 48, '/b'),
    ];
    assert.equal(judge({ packages: twice, answer }).evidence.replaced, null);
  });

  it('is not claimed of what came within the second of the start', () => {
    const { evidence } = judge({ packages: [installed('salt', '3006.28', 1 - 2 / 3600)] });
    assert.equal(evidence.replaced, null);
    assert.equal(evidence.releases?.salt?.version, '3006.28');
  });
});

describe('a known defect', () => {
  const cheroot = [installed('cheroot', '9.0.0')];
  const found = (scene: Scene) =>
    judge(scene).causes.map(({ weight, summary }) => ({ weight, summary }));

  it('that fits what is seen weighs more than one that silence fits, or that merely applies', () => {
    const parts: Part[] = [
      ...PARTS.slice(0, 1),
      { facts: { ...child, threads: 12 }, role: 'child', under: 10 },
    ];
    const [died, silence] = judge({ packages: cheroot, parts }).causes;
    assert.deepEqual([died?.weight, died?.basis], [70, 'inferred']);
    assert.match(died?.summary ?? '', /^cheroot 9\.0\.0: .* end workers .*\(ch#365\)$/);
    assert.match(died?.details[0] ?? '', /process 20 has 12 threads for a pool of 100/);
    assert.match(died?.advice ?? '', /cheroot 10\.0\.1/);
    assert.equal(silence, undefined);
    const whole = found({ packages: cheroot });
    assert.deepEqual(
      whole.map(({ weight }) => weight),
      [40],
      'no worker died',
    );
    assert.match(whole[0]?.summary ?? '', /nothing is seen here/);
    const untimed = found({ packages: [installed('cherrypy', '18.8.0')] });
    assert.deepEqual(
      untimed.map(({ weight }) => weight),
      [55],
    );
    assert.match(untimed[0]?.summary ?? '', /^CherryPy 18\.8\.0: no request times out/);
    const answers: AnswerFacts = { kind: 'answered', status: 200, afterMs: 4, tls: false };
    assert.deepEqual(
      found({ packages: cheroot, answer: answers }).map(({ weight }) => weight),
      [40],
    );
  });

  it('of 2016.3 that leaves orphans is told where one is there', () => {
    const orphan: Part = { facts: saltApi({ pid: 5, ppid: 1 }), role: 'orphan' };
    const salt = [installed('salt', '2016.3.4')];
    const [first, second] = found({ packages: salt, parts: [...PARTS, orphan] });
    assert.match(first?.summary ?? '', /outlives a stop \(#38248\)/);
    assert.match(second?.summary ?? '', /leaves processes behind \(#35480\)/);
    assert.ok(found({ packages: salt }).every(({ weight }) => weight < 70));
  });

  it('that leaks is told where the files run out', () => {
    const limits = { pid: 20, startTicks: 1, moreOpen: false, residentBytes: null };
    const near = (openFiles: number) => ({
      background: {
        ...NO_BACKGROUND,
        settings: seen({ programs: [{ ...limits, openFiles, mostFiles: 1_000 }] }),
        versions: seen({
          programs: [
            {
              pid: 20,
              startTicks: child.startTicks,
              interpreter: null,
              python: null,
              replaced: [],
              packages: [installed('salt', '2017.7.2')],
            },
          ],
        }),
      },
    });
    assert.match(
      found({ evidence: near(800) })[0]?.summary ?? '',
      /^Salt 2017\.7\.2: sockets leak .*#46817/,
    );
    assert.ok(found({ evidence: near(799) }).every(({ weight }) => weight < 70));
  });

  it('of a start is told by the words of the log alone', () => {
    const packages = [installed('salt', '2017.7.2'), installed('cherrypy', '17.4.0')];
    const words = judge({ packages }).causes.flatMap(({ summary, details }) => [
      summary,
      ...details,
    ]);
    assert.doesNotMatch(words.join(' '), /44601|can not start/, 'it has started');
    const { apiLog } = knownOf({});
    assert.ok(apiLog.seen);
    const sample = "AttributeError: module 'cherrypy' has no attribute 'timeout_monitor'";
    const failed = seen({ ...apiLog.value, samples: [sample] });
    const [first] = found({
      packages,
      evidence: { ...evidenceBackground(packages), apiLog: failed },
    });
    assert.match(first?.summary ?? '', /^Salt 2017\.7\.2 with CherryPy 17\.4\.0: .*#44601/);
  });

  function evidenceBackground(packages: readonly InstalledPackage[]) {
    const one = { pid: 20, startTicks: child.startTicks, interpreter: null, python: null };
    const program = { ...one, replaced: [], packages };
    return { background: { ...NO_BACKGROUND, versions: seen({ programs: [program] }) } };
  }

  it('is one of few lines, however many an old release has; holes are told apart, as no cause', () => {
    const old = judge({
      packages: [installed('salt', '3002.0'), installed('cherrypy', '8.9.1')],
      parts: [...PARTS, { facts: saltApi({ pid: 5, ppid: 1 }), role: 'orphan' }],
    });
    assert.ok(old.causes.length <= 5, String(old.causes.length));
    assert.ok(old.evidence.defects.length > 6);
    assert.ok(old.evidence.vulnerabilities.includes('CVE-2020-16846'));
    assert.match(old.details.join('\n'), /holes .*CVE-2020-16846/);
    assert.doesNotMatch(old.causes.map(({ summary }) => summary).join(), /CVE-2020-16846/);
    for (const { summary } of old.causes) assert.match(summary, /^[^\n\u001b]{1,200}$/);
  });
});
