/** Which lines of a log tell of calls, in the formats that Salt has had, and which only seem to. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { fixedOffsetTime } from '../../src/evidence/api-log-lines.ts';
import {
  MOST_REDUCED,
  ReducedLines,
  readReducedLine,
  reduceCallLine,
} from '../../src/evidence/call-lines.ts';

const CLOCK = { localTime: fixedOffsetTime(120), now: Date.UTC(2026, 10, 30) };
const NCSA = '10.2.3.4 - - [24/Nov/2026:00:20:59] "POST / HTTP/1.1" 200 146 "" "cmdb/2.1"';
const HEAD =
  '2026-11-24 00:20:59,542 [cherrypy.access.139883199361376          :284 ][INFO    ][37]';
const LOGIN =
  '2026-11-24 00:20:59,591 [salt.loaded.int.netapi.rest_cherrypy.app :748 ][INFO    ][37] [api_acl] Authentication not checked for user lab from IP 127.0.0.1';

function read(line: string, everyLine = false) {
  const reduced = reduceCallLine(line, everyLine);
  return reduced === null ? null : readReducedLine(reduced, CLOCK);
}

/** 00:20 in the zone of the log. */
const AT = Date.UTC(2026, 10, 23, 22, 20);
const CALL = {
  tells: 'call',
  pid: null,
  address: '10.2.3.4',
  at: AT,
  kind: 'run',
  agent: 'cmdb/2.1',
};

describe('an access line', () => {
  const forms = {
    'of Salt 3002': `${HEAD} ${NCSA}`,
    'without pid': `2016-11-24 00:20:59,542 [cherrypy.access.30547664                 ][INFO    ] ${NCSA}`,
    'with a thread id': `[cherrypy.access.30547664                 ][INFO    ][537][140059903093056] ${NCSA}`,
    'behind syslog': `Nov 24 00:20:59 salt salt-api[37]: [cherrypy.access.1 ][INFO    ] ${NCSA}`,
    'of another format': `24.11.2026 INFO cherrypy.access.12 ${NCSA}`,
    'with a carriage return': `${HEAD} ${NCSA}\r`,
  };
  for (const [name, line] of Object.entries(forms)) {
    it(`${name} is read`, () => assert.deepEqual(read(line), CALL));
  }

  it('of log_access_file is read, which holds nothing else', () => {
    assert.deepEqual(read(NCSA, true), CALL);
    assert.equal(read(`${HEAD} ${NCSA}`, true)?.tells, undefined);
    assert.equal(read(NCSA), null);
  });

  it('of an address of IPv6, with a user, without an agent or a length is read', () => {
    const line = '2001:db8::1 - u [24/Nov/2026:00:20:59] "GET / HTTP/1.1" 200 - "" ""';
    assert.deepEqual(read(line, true), {
      ...CALL,
      address: '2001:db8::1',
      kind: 'welcome',
      agent: '',
    });
    assert.equal(read(line.replace(/ "" ""$/, ''), true)?.tells, 'call');
  });

  it('is of the kind that its request proves', () => {
    const kindOf = (request: string) => {
      const call = read(NCSA.replace('POST / HTTP/1.1', request), true);
      return call?.tells === 'call' ? call.kind : null;
    };
    const kinds = {
      'GET / HTTP/1.1': 'welcome',
      'POST /login HTTP/1.1': 'login',
      'POST /run HTTP/1.1': 'run',
      'POST /minions HTTP/1.1': 'start-job',
      'GET /minions HTTP/1.1': 'all-grains',
      'GET /minions/web1 HTTP/1.1': 'other',
      'GET /jobs/20261124002059123456 HTTP/1.1': 'jobs',
      'GET /keys HTTP/1.1': 'jobs',
      'GET /events?token=5f3a HTTP/1.1': 'events',
      'GET /ws/5f3a HTTP/1.1': 'events',
      'POST /hook/deploy HTTP/1.1': 'other',
      'GET /Secret_Path HTTP/1.1': 'other',
      'get / http': 'other',
      '': 'other',
    };
    for (const [request, kind] of Object.entries(kinds))
      assert.equal(kindOf(request), kind, request);
  });

  it('keeps no query string, no path beyond its first part, no token', () => {
    for (const path of [
      '/events?token=5f3ab1',
      '/ws/5f3ab1',
      '/hook/5f3ab1',
      '/5f3ab1',
      '/login?5f3ab1',
    ]) {
      const reduced = reduceCallLine(NCSA.replace('POST /', `GET ${path}`), true);
      assert.doesNotMatch(reduced ?? '5f3ab1', /5f3ab1/, path);
    }
  });

  it('has its quotes escaped: what a stranger puts in one is no line of its own', () => {
    const forged = String.raw`GET /\" 200 1 \"\" \"x\" HTTP/1.1`;
    const agent = String.raw`a \"b\" 9.9.9.9 - - [24/Nov/2026:00:20:59] \"GET / HTTP/1.1\" 200 1`;
    const line = NCSA.replace('POST / HTTP/1.1', forged).replace('cmdb/2.1', agent);
    const call = read(`${HEAD} ${line}`);
    assert.ok(call?.tells === 'call');
    assert.deepEqual([call.address, call.agent], ['10.2.3.4', agent.slice(0, 80)]);
  });

  it('that a stranger has put into the words of another is none', () => {
    const words = `[salt.utils.event :1 ][DEBUG   ][37] Sending event: ${'x'.repeat(80)} ${HEAD} ${NCSA}`;
    assert.equal(read(`2026-11-24 00:20:59,542 ${words}`), null);
    assert.equal(read(`${HEAD} ${'y'.repeat(200)} ${NCSA}`), null);
  });

  it('that was cut off, or never was one, is none', () => {
    for (const length of [64, 70, NCSA.length - 1]) {
      assert.equal(read(NCSA.slice(0, length), true), null, NCSA.slice(0, length));
    }
    assert.equal(read(`${HEAD} `), null);
    assert.equal(read('', true), null);
    assert.equal(read('[24/Nov/2026:00:20:59] ENGINE Bus STARTED', true), null);
    assert.equal(read(NCSA.replace('10.2.3.4', '1'.repeat(65)), true), null);
  });

  it('of a day that there is not has no time', () => {
    const call = read(NCSA.replace('24/Nov', '24/Nix'), true);
    assert.ok(call?.tells === 'call');
    assert.equal(call.at, null);
  });
});

describe('a login', () => {
  const LAB = { tells: 'login', pid: 37, address: '127.0.0.1', user: 'lab', at: AT };

  it('is read with what its head says, in all wordings', () => {
    assert.deepEqual(read(LOGIN), LAB);
    for (const wording of ['successful', 'sucessful', 'failed']) {
      assert.deepEqual(read(LOGIN.replace('not checked', wording)), LAB);
    }
  });

  it('is one with those of the same minute', () => {
    const later = LOGIN.replace('59,591', '03,002');
    assert.equal(reduceCallLine(later, false), reduceCallLine(LOGIN, false));
  });

  it('names the address that Salt has seen, whatever the user calls himself', () => {
    const login = read(LOGIN.replace('lab', 'root from IP 9.9.9.9 for user x'));
    assert.deepEqual(login, { ...LAB, user: 'root from IP 9.9.9.9 for user x' });
    const access = read(LOGIN.replace('lab', `[cherrypy.access.1 ][INFO    ] ${NCSA}`));
    assert.equal(access?.tells, 'login');
  });

  it('that ends is of the process that logs it', () => {
    const line = `${HEAD} ${NCSA.replace('POST /', 'POST /login')}`;
    const call = read(line);
    assert.ok(call?.tells === 'call');
    assert.deepEqual([call.kind, call.pid], ['login', 37]);
    const threaded = (text: string) => read(text.replace('[37]', '[37][140059903093056]'));
    const [begun, ended] = [threaded(LOGIN), threaded(line)];
    assert.ok(begun?.tells === 'login' && ended?.tells === 'call');
    assert.deepEqual([begun.pid, ended.pid], [37, 37]);
  });
});

it('a call that waits for minions is told of at level debug', () => {
  const line =
    '2026-11-24 00:20:59,591 [salt.client :1 ][DEBUG   ][37] get_iter_returns for jid 2026 sent to {} will timeout at 00:21';
  assert.deepEqual(read(line), { tells: 'sync' });
});

it('whoever makes up an agent for each call hides no other client', () => {
  const reduced = new ReducedLines();
  const call = (address: string, agent: number) =>
    `call\t-\t${address}\t24/Nov/2026:00:20\tPOST /\t${agent}`;
  for (let agent = 0; agent < MOST_REDUCED.whole + 1000; agent += 1)
    reduced.add(call('9.9.9.9', agent));
  reduced.add(call('10.2.3.4', 1), 7);
  assert.equal(reduced.lines.size, MOST_REDUCED.whole + 2);
  assert.equal(reduced.lines.get('call\t-\t9.9.9.9\t24/Nov/2026:00:20\tPOST /\t'), 1000);
  assert.equal(reduced.lines.get('call\t-\t10.2.3.4\t24/Nov/2026:00:20\tPOST /\t'), 7);
  for (let address = 0; address < MOST_REDUCED.all; address += 1)
    reduced.add(call(`a${address}`, 1));
  assert.equal(reduced.lines.size, MOST_REDUCED.all);
  assert.equal(reduced.cut, MOST_REDUCED.whole + 2);
});
