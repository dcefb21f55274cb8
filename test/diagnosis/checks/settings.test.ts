/** Which settings are named, and that the others are not: each beside its neighbour. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { settings } from '../../../src/diagnosis/checks/settings.ts';
import { NO_BACKGROUND } from '../../../src/evidence/background.ts';
import { type AnswerFacts, blind, type Evidence, seen } from '../../../src/evidence/evidence.ts';
import type { SaltOptions } from '../../../src/evidence/salt-options.ts';
import type { ProgramLimits } from '../../../src/evidence/settings-facts.ts';
import { parseOpenFilesLimit, parseResidentBytes } from '../../../src/evidence/settings-facts.ts';
import { evidenceOf, saltApi } from '../situation.ts';
import { knownOf, type Part } from './known.ts';

const SILENT: AnswerFacts = { kind: 'no-reply', afterMs: 5_000, tls: false };
const WELL: AnswerFacts = { kind: 'answered', status: 200, afterMs: 4, tls: false };
const ORPHAN: Part = { facts: saltApi({ pid: 5, ppid: 1 }), role: 'orphan' };

interface Scene {
  readonly options?: SaltOptions;
  readonly limits?: Partial<ProgramLimits>;
  readonly answer?: AnswerFacts;
  readonly killMode?: string;
  readonly salt?: string;
  readonly parts?: readonly Part[];
}

function judge({ options = {}, limits, answer = WELL, killMode, salt, parts = [] }: Scene) {
  const { config } = evidenceOf({ processes: [] });
  assert.ok(config.seen);
  const one = { pid: 20, startTicks: 1, openFiles: 9, moreOpen: false };
  const program = { ...one, mostFiles: 1_024, residentBytes: 1e8, ...limits };
  const path = `/p/salt-${salt}.dist-info`;
  const installed = { name: 'salt', version: salt ?? '', path, changedAt: 0 } as const;
  const runs = { pid: 20, startTicks: 1, interpreter: null, python: null, replaced: [] };
  const evidence: Partial<Evidence> = {
    background: {
      ...NO_BACKGROUND,
      settings: seen({ programs: [program] }),
      ...(salt === undefined
        ? {}
        : { versions: seen({ programs: [{ ...runs, packages: [installed] }] }) }),
    },
    config: seen({ ...config.value, options }),
    answer: seen(answer),
  };
  const unit = killMode === undefined ? {} : { unit: { killMode } };
  return settings.judge(knownOf({ parts, evidence, ...unit }));
}

const told = (scene: Scene) => judge(scene).causes.map(({ summary }) => summary);

describe('settings', () => {
  it('of a host that has none of these are nothing to look at', () => {
    const { status, summary, causes } = judge({});
    assert.deepEqual([status, summary, causes], ['pass', 'nothing stands out', []]);
  });

  it('that nothing reads are named, each with what is read in its place', () => {
    const names = [
      'socket_queue_size',
      'max_request_body_size',
      'log.access_file',
      'log.error_file',
    ];
    for (const name of names) {
      const { causes, evidence } = judge({ options: { [`rest_cherrypy.${name}`]: 7 } });
      assert.deepEqual(evidence.withoutEffect, [`rest_cherrypy.${name}`]);
      assert.equal(causes[0]?.summary, `rest_cherrypy.${name}: 7 is set and does nothing`);
      assert.deepEqual([causes[0]?.weight, causes.length], [30, 1]);
      assert.ok(causes[0]?.advice);
    }
    const read = { 'rest_cherrypy.queue_size': 7, 'rest_cherrypy.log_access_file': '/var/log/a' };
    assert.deepEqual(told({ options: read }), []);
  });

  it('are read by some releases alone: expire_responses, by CherryPy before 12', () => {
    const options = { 'rest_cherrypy.expire_responses': true };
    const answering = (server: string) => told({ options, answer: { ...WELL, server } });
    assert.equal(answering('CherryPy/18.6.1').length, 1);
    assert.deepEqual(answering('CherryPy/11.3.0'), []);
    assert.deepEqual(told({ options }), [], 'not known which CherryPy');
  });

  it('are read by some releases of Salt alone', () => {
    const file = { 'rest_cherrypy.log_access_file': '/var/log/a' };
    assert.match(told({ options: file, salt: '2016.3.4' })[0] ?? '', /log_access_file: .*nothing$/);
    assert.deepEqual(told({ options: file, salt: '2016.11.0' }), []);
    const long = { rest_timeout: 900 };
    assert.deepEqual(told({ options: long, salt: '2015.8.8' }), [], 'it is 300 whatever is set');
    assert.equal(told({ options: long, salt: '2016.3.0' }).length, 1);
    const advised = (salt: string) =>
      told({ answer: SILENT, salt }).join().includes('collect_stats');
    assert.deepEqual(
      ['2014.7.5', '2015.8.8', '2016.11.7', '2016.11.8', '2017.7.2', '2017.7.3'].map(advised),
      [true, false, false, true, false, true],
    );
  });

  it('of the pool are set against the master’s workers where the API is silent', () => {
    assert.match(told({ answer: SILENT })[0] ?? '', /^100 threads .* share 5 of the master/);
    const enough = { worker_threads: 11, 'rest_cherrypy.collect_stats': true };
    assert.deepEqual(told({ answer: SILENT, options: enough }), []);
    const narrow = { ...enough, worker_threads: 10 };
    assert.equal(told({ answer: SILENT, options: narrow }).length, 1);
    const small = { ...narrow, 'rest_cherrypy.thread_pool': 99 };
    assert.deepEqual(told({ answer: SILENT, options: small }), []);
  });

  it('of statistics are named where they would have told of a jam', () => {
    assert.match(told({ answer: SILENT }).join(), /collect_stats is off/);
    assert.doesNotMatch(told({}).join(), /collect_stats/);
  });

  it('of the unit are named where a stop leaves children, first of all where it has', () => {
    for (const killMode of ['process', 'none']) {
      const [cause] = judge({ killMode, parts: [ORPHAN] }).causes;
      assert.deepEqual([cause?.basis, cause?.weight], ['seen', 65]);
      assert.match(cause?.summary ?? '', new RegExp(`KillMode=${killMode} `));
      assert.equal(judge({ killMode }).causes[0]?.weight, 30);
    }
    assert.deepEqual(told({ killMode: 'control-group', parts: [ORPHAN] }), []);
  });

  it('of open files are named from four fifths of the limit on', () => {
    const [cause] = judge({ limits: { openFiles: 820, mostFiles: 1_024 } }).causes;
    assert.equal(cause?.summary, 'process 20 has 820 of at most 1,024 files open');
    assert.deepEqual([cause?.basis, cause?.weight], ['seen', 75]);
    assert.deepEqual(told({ limits: { openFiles: 819, mostFiles: 1_024 } }), []);
    assert.deepEqual(told({ limits: { openFiles: 9_999, mostFiles: null } }), []);
    assert.deepEqual(told({ limits: { openFiles: null } }), []);
  });

  it('that refuse every call are named: from 3006.0 each client has to be listed', () => {
    assert.match(
      told({ salt: '3006.1' })[0] ?? '',
      /^netapi_enable_clients lists none: Salt 3006\.1/,
    );
    assert.deepEqual(told({ salt: '3006.1', options: { netapi_enable_clients: 'local' } }), []);
    assert.equal(told({ salt: '3006.1', options: { netapi_enable_clients: '' } }).length, 1);
    assert.deepEqual(told({ salt: '3005.1' }), []);
    assert.deepEqual(told({}), []);
  });

  it('that let a call wait for long are named', () => {
    assert.match(told({ options: { timeout: 600 } })[0] ?? '', /^timeout: 600: a call may keep/);
    assert.deepEqual(told({ options: { timeout: 60, rest_timeout: 300 } }), []);
    assert.equal(told({ options: { rest_timeout: 301 } }).length, 1);
  });

  it('are unknown, with the reason, where the config can not be read; skipped where nobody looked', () => {
    const denied = blind('permission', 'permission denied');
    const background = { ...NO_BACKGROUND, settings: seen({ programs: [] }) };
    const unread = settings.judge(knownOf({ evidence: { config: denied, background } }));
    assert.deepEqual([unread.status, unread.summary], ['unknown', 'permission denied']);
    assert.equal(settings.judge(knownOf({})).status, 'skip');
  });
});

describe('what the kernel tells of a process', () => {
  it('is its soft limit on open files', () => {
    const limits = (soft: string) =>
      `Limit                     Soft Limit           Hard Limit           Units     \nMax cpu time              unlimited            unlimited            seconds   \nMax open files            ${soft.padEnd(20)} 524288               files     \n`;
    assert.equal(parseOpenFilesLimit(limits('8192')), 8192);
    assert.equal(parseOpenFilesLimit(limits('unlimited')), null);
    assert.equal(parseOpenFilesLimit(''), null);
  });

  it('is its memory in use', () => {
    assert.equal(
      parseResidentBytes('Name:\tsalt-api\nVmHWM:\t  9 kB\nVmRSS:\t  2048 kB\n'),
      2_097_152,
    );
    assert.equal(parseResidentBytes('Name:\tVmRSS: 1 kB\n'), null);
  });
});
