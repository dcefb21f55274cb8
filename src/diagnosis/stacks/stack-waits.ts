/**
 * What a thread of salt-api waits for, by the calls that it is in: data, with its sources.
 * `salt-advice` is src/evidence/salt-advice.md; its §6 is from the code of Salt 2014.7 to 3006.0 and
 * of cheroot 8.5 to 11.
 */

/** A call: name of the function, `*` for any, and ends of the files that it may stand in. */
export type CallPattern = readonly [name: string, ...files: readonly string[]];

export interface StackWait {
  readonly id: string;
  /** Completes `5 × …`. */
  readonly words: string;
  /**
   * Quiet: so does a server that is well, or it only accompanies a wait that is told already. Of
   * several waits it is told last.
   */
  readonly quiet?: true;
  /** Calls that follow one another, each called by the next. */
  readonly calls: readonly [CallPattern, ...CallPattern[]];
}

/** CherryPy's own server, before 9 (salt-advice §1); the last is where captures-3002 has it. */
const OWN_SERVER = ['wsgiserver2.py', 'wsgiserver3.py', 'wsgiserver/__init__.py'] as const;

/** The first that fits is the one: those that tell more stand before those that tell less. */
export const STACK_WAITS: readonly StackWait[] = [
  {
    // salt-advice §6.
    id: 'login-backend',
    words: 'waiting for the login backend PAM',
    calls: [['*', 'salt/auth/pam.py']],
  },
  {
    // salt-advice §6.
    id: 'login-backend',
    words: 'waiting for the login backend LDAP',
    calls: [['*', 'salt/auth/ldap.py']],
  },
  {
    // salt-advice §5: a connection to /events keeps its worker for its whole life.
    id: 'events',
    words: 'sending events to a client of /events',
    calls: [['listen', 'salt/netapi/rest_cherrypy/app.py']],
  },
  {
    // salt-advice §6: a synchronous local call.
    id: 'minions',
    words: 'waiting for minions to return',
    calls: [['get_iter_returns', 'salt/client/__init__.py']],
  },
  {
    // salt-advice §6: at most `rest_timeout`.
    id: 'runner',
    words: 'waiting for a synchronous runner',
    calls: [['cmd_sync', 'salt/client/mixins.py']],
  },
  {
    // salt-advice §6: SyncWrapper, from 3001 on; `async.py` before Python 3.7 made that a keyword.
    id: 'master',
    words: 'waiting for the master',
    calls: [
      ['join', 'threading.py'],
      ['wrap', 'salt/utils/asynchronous.py'],
    ],
  },
  {
    // salt-advice §6: the thread that such a call has of its own.
    id: 'master-loop',
    words: 'in the event loop of such a call',
    quiet: true,
    calls: [
      ['run_sync', 'ioloop.py'],
      ['_target', 'salt/utils/asynchronous.py'],
    ],
  },
  {
    // Before 3001 the loop runs in the thread itself (Salt 2016.11 to 3000, utils/async.py).
    id: 'master',
    words: 'waiting for the master',
    calls: [
      ['run_sync', 'ioloop.py'],
      ['wrap', 'salt/utils/asynchronous.py', 'salt/utils/async.py'],
    ],
  },
  {
    id: 'master',
    words: 'waiting for the master',
    calls: [
      ['run_sync', 'ioloop.py'],
      ['__getattribute__', 'salt/utils/async.py'],
    ],
  },
  {
    // salt-advice §6: SREQ, up to 2015.8.
    id: 'master',
    words: 'waiting for the master',
    calls: [['send', 'salt/payload.py']],
  },
  {
    // salt-advice §6.
    id: 'session',
    words: 'waiting for another request with the same token',
    calls: [['acquire_lock', 'cherrypy/lib/sessions.py']],
  },
  {
    // salt-advice §6, saltstack/salt#57123.
    id: 'logging-lock',
    words: 'waiting for the lock of the log',
    calls: [['acquire', 'logging/__init__.py']],
  },
  {
    // salt-advice §6 and §2, cherrypy/cheroot#748: in the thread that accepts for all.
    id: 'tls-client',
    words: "waiting for a client's TLS handshake",
    calls: [['wrap', 'cheroot/ssl/builtin.py', 'wsgiserver/ssl_builtin.py']],
  },
  {
    // Seen on cheroot 9.0: a client that sends its request in part. Before cheroot 8.1 an idle
    // connection that is kept open is read in the same place (salt-advice §2, cherrypy/cheroot#91).
    id: 'client',
    words: 'waiting for a client to send its request',
    calls: [['read_request_line', 'cheroot/server.py', ...OWN_SERVER]],
  },
  {
    id: 'client',
    words: 'waiting for the rest of a request',
    calls: [['read_request_headers', 'cheroot/server.py', ...OWN_SERVER]],
  },
  {
    // salt-advice §6: SIGTERM was obeyed, and the workers do not end.
    id: 'stop',
    words: 'waiting for the workers to end, stopped already',
    calls: [
      ['join', 'threading.py'],
      ['stop', 'workers/threadpool.py', ...OWN_SERVER],
    ],
  },
  {
    // salt-advice §6: a worker in no request.
    id: 'idle',
    words: 'idle workers',
    quiet: true,
    calls: [
      ['get', 'queue.py', 'Queue.py'],
      ['run', 'workers/threadpool.py', ...OWN_SERVER],
    ],
  },
  {
    // Seen on cheroot 9.0.
    id: 'accept',
    words: 'accepting connections',
    quiet: true,
    calls: [
      ['select', 'selectors.py', 'cheroot/connections.py'],
      ['_run', 'cheroot/connections.py'],
    ],
  },
  {
    id: 'accept',
    words: 'accepting connections',
    quiet: true,
    calls: [
      ['select', 'cheroot/connections.py'],
      ['_run', 'cheroot/connections.py'],
    ],
  },
  {
    // Seen on CherryPy 18.8: the main thread of a server.
    id: 'main',
    words: 'main thread, waiting for the end',
    quiet: true,
    calls: [['wait', 'cherrypy/process/wspbus.py']],
  },
  {
    // Seen on CherryPy 18.8: autoreloader and the like.
    id: 'timer',
    words: 'timers of CherryPy',
    quiet: true,
    calls: [['run', 'cherrypy/process/plugins.py']],
  },
];
