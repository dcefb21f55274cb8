/** The printed alert rules and the metrics, as Prometheus' own tools judge them. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { failedCheck, judgeCheck } from '../../src/check/check.ts';
import { diagnoseEvidence } from '../../src/diagnosis/diagnosis.ts';
import { prometheusText } from '../../src/report/check-prometheus.ts';
import { STAGES, stageEvidence } from '../recorded/captures.ts';
import { printed } from './printed.ts';

/** In CI nothing is skipped: what is missing fails there. */
const skip = !process.env['CI'] && !existsSync('/usr/bin/promtool') && 'needs prometheus';

function promtool(args: readonly string[], input = ''): string {
  const { status, stdout, stderr } = spawnSync('promtool', args, { input, encoding: 'utf8' });
  assert.equal(status, 0, `promtool ${args.join(' ')}: ${stdout}${stderr}`);
  return stdout + stderr;
}

describe('the metrics', { skip }, () => {
  const results = [
    ...STAGES.map((stage) =>
      judgeCheck(diagnoseEvidence(stageEvidence(stage)), { warning: {}, critical: {} }, 1.5),
    ),
    failedCheck('nothing "of" it\\', true),
  ];

  it('pass promtool, of every stage of the incident and of a look that failed', () => {
    for (const result of results) {
      const labels = { port: '443', target: 'a "host"\\' };
      const text = prometheusText(result, labels, { endedAt: 1_543_000_000_000, durationMs: 12 });
      assert.equal(promtool(['check', 'metrics'], text), '', result.summary);
    }
  });

  it('are OpenMetrics as well, by the parser of its reference implementation', () => {
    const read = `import sys
from prometheus_client.openmetrics.parser import text_string_to_metric_families as families
print(len(list(families(sys.stdin.read()))))`;
    for (const result of results) {
      const text = prometheusText(result, { port: '443' }, { endedAt: 1, durationMs: 12 });
      const python = spawnSync('/usr/bin/python3', ['-c', read], { input: text, encoding: 'utf8' });
      assert.equal(python.stdout, '13\n', python.stderr);
    }
  });

  it('have the same comments in every file, since node_exporter refuses others', () => {
    const comments = (result: (typeof results)[number]) =>
      prometheusText(result, { port: '443' }, { endedAt: 1, durationMs: 1 })
        .split('\n')
        .filter((line) => line.startsWith('#'));
    const [first, ...others] = results.map(comments);
    for (const other of others) assert.deepEqual(other, first);
  });
});

/** A case of `promtool test rules`: series of one host, and the alerts that fire at a time. */
interface Case {
  readonly name: string;
  readonly series: Readonly<Record<string, string>>;
  readonly at: string;
  readonly fires: readonly string[];
}

const HOST = 'instance="a:9100",job="salt-api"';
const METRIC = `{${HOST},port="443"}`;
/** The other host is well all the time: what befalls one must not need all of them to be gone. */
const OTHER = {
  'up{instance="b:9100",job="salt-api"}': '1+0x60',
  'salt_triage_state{instance="b:9100",job="salt-api",port="443"}': '0+0x60',
  'salt_triage_last_run_timestamp_seconds{instance="b:9100",job="salt-api",port="443"}': '0+60x60',
};
const UP = { [`up{${HOST}}`]: '1+0x60' };
const FRESH = { [`salt_triage_last_run_timestamp_seconds${METRIC}`]: '0+60x60' };

const CASES: readonly Case[] = [
  {
    name: 'well',
    series: { ...UP, ...FRESH, [`salt_triage_state${METRIC}`]: '0+0x60' },
    at: '30m',
    fires: [],
  },
  {
    name: 'critical, once two scrapes have seen it',
    series: {
      ...UP,
      ...FRESH,
      [`salt_triage_state${METRIC}`]: '0x10 2+0x50',
      [`salt_triage_verdict{${HOST},port="443",verdict="hung"}`]: '0x10 1+0x50',
      [`salt_triage_verdict{${HOST},port="443",verdict="healthy"}`]: '1x10 0+0x50',
    },
    at: '14m',
    fires: ['SaltApiCritical'],
  },
  {
    name: 'unknown',
    series: { ...UP, ...FRESH, [`salt_triage_state${METRIC}`]: '3+0x60' },
    at: '10m',
    fires: ['SaltApiUnknown'],
  },
  {
    name: 'degraded',
    series: { ...UP, ...FRESH, [`salt_triage_state${METRIC}`]: '1+0x60' },
    at: '20m',
    fires: ['SaltApiDegraded'],
  },
  {
    name: 'a file that is served and no longer written',
    series: {
      ...UP,
      [`salt_triage_last_run_timestamp_seconds${METRIC}`]: '0+60x5 300+0x60',
      [`salt_triage_state${METRIC}`]: '0+0x60',
    },
    at: '20m',
    fires: ['SaltApiCheckStale'],
  },
  { name: 'no file on one host', series: UP, at: '10m', fires: ['SaltApiCheckMissing'] },
  {
    name: 'one host gone',
    series: { [`up{${HOST}}`]: '1x5 0+0x60', [`salt_triage_state${METRIC}`]: '0x5 _x60' },
    at: '15m',
    fires: ['SaltApiHostGone'],
  },
];

describe('the alert rules', { skip }, () => {
  let directory: string;
  let rules: string;
  before(async () => {
    directory = mkdtempSync(join(tmpdir(), 'salt-triage-rules-'));
    rules = join(directory, 'rules.yml');
    const files = await printed('prometheus');
    writeFileSync(rules, files.get('/etc/prometheus/salt-api-rules.yml') ?? '');
    const scrape = files.get('/etc/prometheus/salt-api-scrape.yml') ?? '';
    const scrapes = `scrape_configs:\n${scrape.replace(/^/gm, '  ')}\nrule_files: [rules.yml]\n`;
    writeFileSync(join(directory, 'prometheus.yml'), scrapes);
  });
  after(() => rmSync(directory, { recursive: true, force: true }));

  it('and the scrape job pass promtool', () => {
    promtool(['check', 'rules', rules]);
    promtool(['check', 'config', join(directory, 'prometheus.yml')]);
  });

  const ALERTS = [
    ...['SaltApiCritical', 'SaltApiDegraded', 'SaltApiUnknown', 'SaltApiCheckStale'],
    ...['SaltApiCheckMissing', 'SaltApiHostGone', 'SaltApiJobGone'],
  ];

  /** Only that an alert fires or not is held: `exp_alerts` would repeat every word of the rules. */
  function ruleTest({ series, at, fires }: Case, everyHostGone = false): string {
    const all = everyHostGone ? series : { ...series, ...OTHER };
    return JSON.stringify({
      rule_files: ['rules.yml'],
      evaluation_interval: '1m',
      tests: [
        {
          interval: '1m',
          input_series: Object.entries(all).map(([name, values]) => ({ series: name, values })),
          promql_expr_test: ALERTS.map((alert) => ({
            expr: `count(ALERTS{alertname="${alert}",alertstate="firing"}) or vector(0)`,
            eval_time: at,
            exp_samples: [{ labels: '{}', value: fires.includes(alert) ? 1 : 0 }],
          })),
        },
      ],
    });
  }

  for (const one of CASES) {
    it(`${one.name}: ${one.fires.join(', ') || 'nothing fires'}`, () => {
      const file = join(directory, 'test.yml');
      writeFileSync(file, ruleTest(one));
      promtool(['test', 'rules', file]);
    });
  }

  it('every host gone from Prometheus: SaltApiJobGone', () => {
    const file = join(directory, 'test.yml');
    const gone = { name: '', series: { other: '1+0x60' }, at: '10m', fires: ['SaltApiJobGone'] };
    writeFileSync(file, ruleTest(gone, true));
    promtool(['test', 'rules', file]);
  });
});
