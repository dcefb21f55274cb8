/** Stacks in few words: which wait, from where, and how many threads. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
  foldedText,
  foldStacks,
  stackLines,
  waitOf,
} from '../../src/diagnosis/stacks/fold-stacks.ts';
import { STACK_WAITS } from '../../src/diagnosis/stacks/stack-waits.ts';
import { type PythonStacks, parsePySpyDump, type Stack } from '../../src/evidence/python-stacks.ts';
import { parseStacksFile } from '../../src/trail/kept-stacks.ts';
import { stacksFile } from '../../src/trail/stacks-file.ts';
import { pySpyDump } from './py-spy-dump.ts';

/** Calls as `function file`, innermost first. */
function stack(...calls: readonly string[]): Stack {
  return calls.map((call) => {
    const [name = '', file = ''] = call.split(' ');
    return { function: name, file };
  });
}

const LIB = '/usr/lib/python3.11';
const PACKAGES = '/usr/lib/python3/dist-packages';
const idle = stack(
  `wait ${LIB}/threading.py`,
  `get ${LIB}/queue.py`,
  `run ${PACKAGES}/cheroot/workers/threadpool.py`,
  `_bootstrap ${LIB}/threading.py`,
);
const unknown = stack(
  `wait ${LIB}/threading.py`,
  'login /usr/bin/salt-api',
  `run ${PACKAGES}/cheroot/workers/threadpool.py`,
);

function jammed(): PythonStacks {
  const look = parsePySpyDump(pySpyDump(87));
  assert.ok(look.seen);
  return { ...look.value, stacks: [...look.value.stacks, ...Array(10).fill(idle), unknown] };
}

describe('the stacks of a jam', () => {
  it('are folded, the most frequent first, each with what it waits for', () => {
    const folded = foldStacks(jammed()).map(({ count, waitsFor }) => [count, waitsFor]);
    assert.deepEqual(folded, [
      [87, 'master'],
      [10, 'idle'],
      [1, null],
    ]);
  });

  it('are told in three lines: what is waited for, the call by name, and where all of it is', () => {
    assert.deepEqual(stackLines(jammed(), 1_440, 'stacks-37.txt'), [
      '87 × waiting for the master, in auth.mk_token',
      '1 × in threading.wait, called from salt-api.login',
      '10 others; 98 threads seen by py-spy in 1.4 s: stacks-37.txt',
    ]);
  });

  it('are said to be incomplete where they are', () => {
    const taken = { ...jammed(), unseen: 5, withoutPython: 200 };
    const last = stackLines(taken, 9_000, 'stacks-37.txt').at(-1) ?? '';
    assert.match(last, /298 of 303 threads seen by py-spy in 9\.0 s/);
    assert.match(
      foldedText(taken),
      /^298 of 303 threads seen by py-spy\n200 threads are in no Python/,
    );
  });

  it('are one text, each stack once', () => {
    const text = foldedText(jammed());
    assert.equal(text.match(/mk_token \(/g)?.length, 1);
    assert.match(text, /^87 × waiting for the master, in auth\.mk_token\n {4}wait \(\/usr/m);
  });

  it('read back from the trail as they were kept, and not where a disk has cut them', () => {
    const identity = { pid: 37, startTicks: 9, bootId: 'b' };
    const file = stacksFile(identity, { seen: true, value: jammed() }, 1_440.4);
    assert.deepEqual(parseStacksFile(JSON.stringify(file)), file);
    assert.equal(parseStacksFile(JSON.stringify(file).slice(0, -9)), null);
    assert.equal(parseStacksFile(JSON.stringify({ ...file, folded: [{ count: -1 }] })), null);
    const none = stacksFile(identity, { seen: false, cause: 'timeout', why: 'late' }, 9);
    assert.deepEqual(parseStacksFile(JSON.stringify(none))?.why, 'late');
  });
});

describe('what a thread waits for', () => {
  const cases: readonly (readonly [id: string | null, stack: Stack])[] = [
    ['minions', stack(`select ${LIB}/selectors.py`, 'get_iter_returns /x/salt/client/__init__.py')],
    ['runner', stack('poll /x/zmq/sugar/poll.py', 'cmd_sync /x/salt/client/mixins.py')],
    ['master', stack('poll /x/zmq/sugar/poll.py', 'send /x/salt/payload.py')],
    [
      'master-loop',
      stack(
        `select ${LIB}/selectors.py`,
        'run_sync /x/salt/ext/tornado/ioloop.py',
        '_target /x/salt/utils/asynchronous.py',
      ),
    ],
    ['login-backend', stack('conv /x/salt/auth/pam.py', 'mk_token /x/salt/auth/__init__.py')],
    ['session', stack('acquire_lock /x/cherrypy/lib/sessions.py')],
    ['logging-lock', stack(`acquire ${LIB}/logging/__init__.py`)],
    ['tls-client', stack(`do_handshake ${LIB}/ssl.py`, 'wrap /x/cheroot/ssl/builtin.py')],
    ['stop', stack(`join ${LIB}/threading.py`, 'stop /x/cheroot/workers/threadpool.py')],
    ['stop', stack('join /p/threading.py', 'stop /x/cherrypy/wsgiserver/__init__.py')],
    ['client', stack('readline /p/socket.py', 'read_request_line /x/cheroot/server.py')],
    [
      'client',
      stack('recv /p/socket.py', 'read_request_line /x/cherrypy/wsgiserver/wsgiserver2.py'),
    ],
    ['idle', idle],
    // A worker that waits in a request for a queue is not idle: the pool's call is not its caller.
    [null, stack(`get ${LIB}/queue.py`, 'POST /x/app.py', 'run /x/cheroot/workers/threadpool.py')],
    // Names that only end alike.
    [null, stack('get_iter_returns /x/salt/client/my__init__.py')],
    [null, stack('send /x/unsalt/payload.py')],
    [null, []],
  ];
  for (const [id, calls] of cases) {
    it(`is ${id ?? 'not known'} in ${calls.map((one) => one.function).join(' < ') || 'nothing'}`, () => {
      assert.equal(waitOf(calls)?.id ?? null, id);
    });
  }

  it('is data: words of one line for each, and calls that can be told from others', () => {
    for (const { id, words, calls } of STACK_WAITS) {
      assert.match(id, /^[a-z-]+$/);
      assert.match(words, /^[^\n]{4,50}$/);
      for (const [name, ...files] of calls) {
        assert.match(name, /^(?:\*|\w+)$/);
        assert.ok(files.length > 0 && files.every((file) => /\.py$/.test(file)), id);
      }
    }
  });
});

describe('the call that a wait is named by', () => {
  const ONEDIR = '/opt/saltstack/salt/lib/python3.10';
  const of = (calls: Stack) => {
    const taken = { tool: 'gdb', stacks: [calls], withoutPython: 0, unseen: 0 } as const;
    return stackLines(taken, 0, '')[0];
  };

  it('is where the innermost part of Salt was entered, its plumbing aside', () => {
    const calls = stack(
      `join ${ONEDIR}/threading.py`,
      `wrap ${ONEDIR}/site-packages/salt/utils/asynchronous.py`,
      `send ${ONEDIR}/site-packages/salt/channel/client.py`,
      `_send_token_request ${ONEDIR}/site-packages/salt/auth/__init__.py`,
      `mk_token ${ONEDIR}/site-packages/salt/auth/__init__.py`,
      `POST ${ONEDIR}/site-packages/salt/netapi/rest_cherrypy/app.py`,
      `run ${ONEDIR}/site-packages/cheroot/workers/threadpool.py`,
    );
    assert.equal(of(calls), '1 × waiting for the master, in auth.mk_token');
    const app = 'netapi.rest_cherrypy.app.POST';
    assert.equal(
      of(calls.filter((_, at) => ![3, 4].includes(at))),
      `1 × waiting for the master, in ${app}`,
    );
  });

  it('is found in a stack that ends in Salt', () => {
    const calls = stack(
      'get_iter_returns /x/salt/client/__init__.py',
      'cmd_subset /x/salt/client/__init__.py',
    );
    assert.equal(of(calls), '1 × waiting for minions to return, in client.cmd_subset');
  });

  it('is no part of Python, also where that lies below a directory of Salt', () => {
    const calls = stack(`wait ${ONEDIR}/threading.py`, `run ${ONEDIR}/threading.py`);
    assert.equal(of(calls), '1 × in threading.wait');
  });

  it('is left out of what a healthy server does, too', () => {
    assert.equal(of([...idle, ...unknown.slice(1, 2)]), '1 × idle workers');
  });
});
