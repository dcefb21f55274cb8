/** What a report says, and that it says nothing that is not on record. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { diagnoseEvidence } from '../../src/diagnosis/diagnosis.ts';
import {
  type AnswerFacts,
  type ApiLogFacts,
  blind,
  type Evidence,
  seen,
} from '../../src/evidence/evidence.ts';
import type { PostmortemCase } from '../../src/report/postmortem/case.ts';
import { type Postmortem, writePostmortem } from '../../src/report/postmortem/model.ts';
import { htmlReport, markdownReport } from '../../src/report/postmortem/render.ts';
import type { Statement } from '../../src/report/postmortem/statement.ts';
import { incident2018, STAGES, stageEvidence } from '../recorded/captures.ts';
import { BUSY, HOST, incidentCase, incidentEvidence } from './incident.ts';

const FILES = { before: 'evidence-before.json', after: 'evidence-after.json' };

function ofEvidence(evidence: Evidence): PostmortemCase {
  const before = diagnoseEvidence(evidence);
  return {
    incident: null,
    earlier: [],
    before,
    after: null,
    stacks: [],
    looks: null,
    files: FILES,
  };
}

function statements({ summary, impact, questions, factors }: Postmortem): Statement[] {
  return [...summary, ...impact, ...questions.flatMap(({ answers }) => answers), ...factors];
}

function texts(some: readonly Statement[]): string {
  return some.map(({ text, basis }) => `${basis}: ${text}`).join('\n');
}

describe('a report of the whole incident', () => {
  const report = writePostmortem(incidentCase());
  const answers = (about: RegExp) =>
    texts(report.questions.find(({ question }) => about.test(question))?.answers ?? []);

  it('dates it by what checks have kept, and says how long it went unheeded', () => {
    const impact = texts(report.impact);
    assert.match(
      impact,
      /^seen: At 2018-07-13 02:05:00 it gave no service: a check found it hung\.$/m,
    );
    assert.match(impact, /^seen: Seen to serve until 2018-07-13 02:00:00/m);
    assert.match(impact, /^seen: Served again at 2018-07-13 09:34:21\.$/m);
    assert.match(impact, /^seen: From then until the fix began: 7 h 54 min\.$/m);
    assert.match(impact, /^seen: Time to recover: 21 s from the beginning of the fix\.$/m);
  });

  it('is drawn where the journal is of a clock that is a day behind', () => {
    const about = incidentCase();
    const behind = (time: string) => new Date(Date.parse(time) - 86_400_000).toISOString();
    const incident = about.incident && {
      ...about.incident,
      beganAt: behind(about.incident.beganAt),
      journal: about.incident.journal.map((line) => ({ ...line, time: behind(line.time) })),
    };
    const apart = writePostmortem({ ...about, incident });
    assert.match(markdownReport(apart), /\^ fix/);
    assert.match(htmlReport(apart), />fix</);
  });

  it('is the same once checks have gone on', () => {
    const about = incidentCase();
    const later = { at: Date.parse('2018-07-13T09:40:00+08:00'), closeWait: 0 };
    const looks = [...(about.looks?.looks ?? []), { ...later, verdict: 'healthy' as const }];
    const again = writePostmortem({ ...about, looks: { file: 'check-443.json', looks } });
    assert.deepEqual(
      [again.impact, again.timeline, again.questions],
      [report.impact, report.timeline, report.questions],
    );
  });

  it('tells in order what happened, each line with the file that says so', () => {
    const told = report.timeline.map(({ moment, text, source }) => `${moment} ${text} ${source}`);
    const order = [
      /^2018-07-12 22:40:00 10\.2\.3\.4 \(cmdb\/2\.1\) rose .* evidence-before\.json$/,
      /^2018-07-13 01:40:00 a check counted 6 in CLOSE_WAIT check-443\.json$/,
      /^2018-07-13 01:58:00 its log tells of no more requests evidence-before\.json$/,
      /^2018-07-13 02:05:00 a check found it hung check-443\.json$/,
      /^2018-07-13 09:27:57 "Port 443 not free" in the log evidence-before\.json$/,
      /^2018-07-13 09:33:10 orphan-holds-port: /,
      /^2018-07-13 09:34:05 kill -9 17502: gone: 17502 is dead journal\.jsonl$/,
      /^2018-07-13 09:34:15 start the service: exit 0 journal\.jsonl$/,
      /^2018-07-13 09:34:21 the fix ended: recovered journal\.jsonl$/,
    ];
    const places = order.map((line) => told.findIndex((text) => line.test(text)));
    assert.ok(!places.includes(-1), told.join('\n'));
    assert.deepEqual(
      places,
      places.toSorted((a, b) => a - b),
    );
  });

  it('has the processes as they were, the orphan first and marked', () => {
    const rows = report.processes.map(({ pid, role, isOrphan, killed }) => [
      pid,
      role,
      isOrphan,
      killed,
    ]);
    assert.deepEqual(rows, [
      [17_502, 'orphan', true, true],
      [12_603, 'manager', false, false],
      [16_825, 'child', false, false],
    ]);
  });

  it('answers the five questions from evidence', () => {
    assert.equal(report.questions.length, 5);
    assert.match(answers(/Why salt-api/), /^inferred: orphan-holds-port: /m);
    assert.match(answers(/not noticed/), /^seen: TCP told: 1,284 sockets in CLOSE_WAIT/m);
    assert.match(answers(/restart fail/), /^seen: 1 start failed, at 09:27:57; the log is /m);
    assert.match(
      answers(/restart fail/),
      /^seen: The stop .* "exit 0" and left 1 process running: 17248\.$/m,
    );
    assert.match(answers(/hang/), /^seen: Where 103 threads of 17502 stood/m);
    assert.match(answers(/hang/), /^(?:seen|inferred): 10\.2\.3\.4 \(cmdb\/2\.1\) rose 5\.1×/m);
    assert.match(
      answers(/no alarm/),
      /^seen: A check told of it 88 times, first at 2018-07-13 02:05:00/m,
    );
  });

  it('draws the rates with the step, CLOSE_WAIT, who owns it, and what threads were at', () => {
    assert.deepEqual(
      report.pictures.map(({ id }) => id),
      ['calls', 'close-wait', 'peers', 'stacks-17502'],
    );
    const [calls, waiting] = report.pictures;
    assert.ok(calls?.kind === 'lines' && waiting?.kind === 'lines');
    assert.deepEqual(
      calls.marks.map(({ label }) => label),
      ['2018-07-12 22:40 5.1×', 'silent'],
    );
    assert.equal(calls.series[0]?.name, `${BUSY} (cmdb/2.1)`);
    const counts = waiting.series[0]?.points.map(({ value }) => value) ?? [];
    assert.deepEqual([counts[0], Math.max(...counts)], [0, 1284]);
    for (const { table } of report.pictures) {
      assert.ok(table.rows.length > 1 && table.rows.length <= 16);
      for (const row of table.rows) assert.equal(row.length, table.head.length);
    }
  });

  it('draws the census of threads, equal waits together', () => {
    const about = incidentCase();
    const waits = [
      { threads: 80, call: 'recvfrom', on: [{ kind: 'called', address: '127.0.0.1', port: 4506 }] },
      { threads: 8, call: 'recvfrom', on: [{ kind: 'called', address: '127.0.0.1', port: 4506 }] },
      { threads: 15, call: null, on: [] },
    ];
    const evidence = { threadPool: 100, processes: [{ pid: 17_502, threads: 103, waits }] };
    const before = structuredClone(about.before);
    Object.assign(before?.explanations.workers ?? {}, { evidence });
    const { pictures } = writePostmortem({ ...about, before });
    const census = pictures.find(({ id }) => id === 'threads-17502');
    assert.ok(census?.kind === 'bars');
    assert.deepEqual(census.bars, [
      { label: 'recvfrom, called 127.0.0.1:4506', value: 88 },
      { label: 'call not readable', value: 15 },
    ]);
  });

  it('has the advice of each cause once, and no monitor where one has kept looks', () => {
    assert.match(report.actions[0]?.text ?? '', /local_async/);
    assert.ok(report.actions.every(({ command }) => command === null));
    const without = writePostmortem({ ...incidentCase(), looks: null });
    assert.equal(without.actions.at(-1)?.command, 'salt-triage check --example nagios');
  });

  it('names nobody who was there', () => {
    const all = JSON.stringify(report);
    for (const person of ['alice', 'pts/3', '10.7.7.7']) assert.ok(!all.includes(person), person);
  });
});

describe('a report', () => {
  const recorded = [
    ...STAGES.map((stage) => [stage, stageEvidence(stage)] as const),
    ['2018', incident2018('after-restart', { listener: null, pidFile: null })] as const,
  ];
  for (const [name, evidence] of recorded) {
    it(`of ${name} has a source for all that it says, and asks where it has none`, () => {
      const report = writePostmortem(ofEvidence(evidence));
      for (const { basis, source, text } of statements(report)) {
        assert.equal(source === null, basis === 'not known', text);
        if (basis === 'not known') assert.match(text, /\?/);
        else assert.doesNotMatch(text, /undefined|null|NaN|\?$/);
      }
      for (const { text, moment } of report.timeline) {
        assert.doesNotMatch(`${moment} ${text}`, /undefined|null|NaN|Invalid/);
      }
      for (const text of [htmlReport(report), markdownReport(report)]) {
        assert.doesNotMatch(text, /undefined|NaN|Infinity|\[object/);
      }
    });
  }

  it('asks when it began where nothing is on record but the look', () => {
    const { impact, questions } = writePostmortem(ofEvidence(stageEvidence('stopped/orphan')));
    assert.match(texts(impact), /^not known: It was silent by then; since when\?/m);
    assert.match(
      texts(impact),
      /^not known: When did it serve again\? No fix is on record here\.$/m,
    );
    const why = questions.find(({ question }) => question === 'Why did it hang?');
    assert.match(texts(why?.answers ?? []), /^not known: /m);
  });

  it('of an incident without evidence has the journal, and questions for the rest', () => {
    const { incident } = incidentCase();
    const report = writePostmortem({ ...incidentCase(), before: null, stacks: [], looks: null });
    assert.match(report.title, new RegExp(incident?.host ?? 'no host'));
    assert.match(texts(report.summary), /^not known: What was found before anything was done\?/m);
    assert.ok(report.timeline.every(({ source }) => source === 'journal.jsonl'));
    assert.deepEqual([report.processes, report.pictures], [[], []]);
    assert.match(report.timeline[0]?.moment ?? '', /^2018-07-13 09:34:00$/);
  });

  it('asks of a section that could not be seen', () => {
    const evidence = incidentEvidence();
    const background = {
      ...evidence.background,
      clients: blind('permission', 'the log is not ours'),
    };
    const { questions, pictures } = writePostmortem(ofEvidence({ ...evidence, background }));
    const why = questions.find(({ question }) => question === 'Why did it hang?');
    assert.match(texts(why?.answers ?? []), /^not known: clients: .*the log is not ours/m);
    assert.ok(pictures.every(({ id }) => id !== 'calls'));
  });

  const lookedAt = (answer: AnswerFacts, logged: Partial<ApiLogFacts> = {}) => {
    const evidence = incidentEvidence();
    const { apiLog } = evidence;
    assert.ok(apiLog.seen);
    const told = {
      ...evidence,
      answer: seen(answer),
      apiLog: seen({ ...apiLog.value, ...logged }),
    };
    return writePostmortem(ofEvidence(told));
  };
  const unnoticed = ({ questions }: Postmortem) =>
    texts(questions.find(({ question }) => /not noticed/.test(question))?.answers ?? []);
  const REPLIES: AnswerFacts = { kind: 'answered', status: 200, afterMs: 4, tls: true };
  const SILENT: AnswerFacts = { kind: 'no-reply', afterMs: 5_000, tls: true };
  const FULL: AnswerFacts = { kind: 'no-connection', afterMs: 5_000 };

  it('does not say of an orphan that answers that it gave no service', () => {
    const { impact, timeline } = lookedAt(REPLIES);
    assert.doesNotMatch(texts(impact), /gave no service/);
    assert.match(
      texts(impact),
      /^seen: GET \/ was still answered at 2018-07-13 09:33:10: HTTP 200/m,
    );
    assert.ok(timeline.some(({ text }) => text.startsWith('orphan-holds-port: ')));
    assert.match(
      texts(lookedAt(SILENT).impact),
      /^seen: At 2018-07-13 09:33:10 it gave no service/m,
    );
    const unasked = writePostmortem(
      ofEvidence({ ...incidentEvidence(), answer: blind('not-asked', 'not asked') }),
    );
    assert.match(texts(unasked.impact), /^inferred: At 2018-07-13 09:33:10 it gave no service/m);
  });

  it('says of a check what a verdict without a look at the answer tells, as inferred', () => {
    const looks = [
      {
        at: Date.parse('2018-07-13T09:00:00+08:00'),
        closeWait: 0,
        verdict: 'orphan-stray' as const,
      },
      {
        at: Date.parse('2018-07-13T09:05:00+08:00'),
        closeWait: 0,
        verdict: 'restart-loop' as const,
      },
    ];
    const { impact } = writePostmortem({ ...incidentCase(), looks: { file: 'check.json', looks } });
    assert.match(
      texts(impact),
      /^inferred: At 2018-07-13 09:05:00 it gave no service: .*restart-loop/m,
    );
    assert.doesNotMatch(texts(impact), /Seen to serve until/, 'nobody may have had the port');
  });

  it('says that it took connections only where one was made', () => {
    assert.match(unnoticed(lookedAt(SILENT)), /was open .*, and took connections/);
    assert.doesNotMatch(unnoticed(lookedAt(FULL)), /took connections/);
  });

  it('takes no failed start of before the server for a sign, and quotes what the log has', () => {
    const before = Date.parse('2018-07-12T18:00:00+08:00');
    const signs = (logged: Partial<ApiLogFacts>) =>
      lookedAt(SILENT, logged)
        .timeline.map(({ text }) => text)
        .filter((text) => text.endsWith(' in the log'));
    assert.deepEqual(signs({ firstAt: before, lastAt: before, times: [before] }), []);
    assert.deepEqual(signs({ wordings: { 'address-in-use': 1 } }), [
      '"Address already in use" in the log',
    ]);
  });

  it('says where the clock of the journal is another than that of the host', () => {
    const about = incidentCase();
    const { before, incident } = about;
    assert.ok(before !== null && incident !== null);
    const clocks = (beganAt: string) =>
      writePostmortem({ ...about, incident: { ...incident, beganAt } }).about.find(
        ([name]) => name === 'Clocks',
      )?.[1];
    assert.equal(clocks('2018-07-13T09:33:20.000+08:00'), undefined);
    assert.equal(clocks('2018-07-13T09:32:10.000+08:00'), "the journal's is at least 1 min behind");
    assert.equal(clocks('2018-07-13T10:33:10.000+08:00'), "the journal's seems 1 h ahead");
  });

  it('tells of a fix that was ended early when it was seen to serve all the same', () => {
    const about = incidentCase();
    assert.ok(about.incident !== null);
    const incident = { ...about.incident, result: 'not recovered, aborted' };
    const after = diagnoseEvidence(stageEvidence('stopped/healthy'));
    const impact = texts(writePostmortem({ ...about, incident, after }).impact);
    assert.match(impact, /^seen: The fix on record ended with: not recovered, aborted\.$/m);
    assert.match(impact, /^seen: Served again at /m);
    assert.doesNotMatch(impact, /When did it serve again|Time to recover/);
    const silent = { ...about, incident, after: about.before };
    assert.match(texts(writePostmortem(silent).impact), /^not known: When did it serve again/m);
  });

  it('counts from the fix before that did not mend it, and from none that an earlier one mended', () => {
    const about = incidentCase();
    const { incident } = about;
    assert.ok(incident !== null);
    const at = (time: string, result: string) => ({
      ...incident,
      id: `20180713T${time}`,
      beganAt: `2018-07-13T${time}+08:00`,
      endedAt: `2018-07-13T${time}+08:00`,
      result,
    });
    const told = (...earlier: readonly ReturnType<typeof at>[]) => {
      const report = writePostmortem({ ...about, looks: null, earlier });
      return { report, impact: texts(report.impact), files: report.files.join(' ') };
    };
    assert.match(told().impact, /at least 7 h 35 min, from .* it was found orphan-holds-port/);
    const tried = told(at('09:28:10', 'not recovered, completed'));
    assert.match(tried.impact, /at least 7 h 30 min, from .*: another fix began, for orphan-holds/);
    assert.ok(
      tried.report.timeline.some(({ text }) =>
        /another fix.*; it ended: not recovered$/.test(text),
      ),
    );
    assert.match(tried.files, /20180713T09:28:10\/journal\.jsonl/);
    const mended = told(at('09:28:10', 'recovered'));
    assert.doesNotMatch(mended.impact, /Time to detect: at least|another fix/);
    assert.doesNotMatch(mended.files, /20180713T09/);
  });

  it('is of the host in its title, and says whose time it has', () => {
    const report = writePostmortem(incidentCase());
    assert.equal(report.title, `salt-api on ${HOST}, 2018-07-13`);
    assert.ok(report.about.some(([name, text]) => name === 'Times' && text.endsWith('UTC+8')));
  });
});
