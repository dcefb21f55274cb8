/** What `py-spy dump --json` prints of a jammed salt-api; its fields are those of py-spy 0.4's src/stack_trace.rs. */

/** Where `threads` logins wait for the master, on Salt 3006 (salt-advice §6). */
const LOGIN: readonly (readonly [name: string, filename: string])[] = [
  ['wait', '/usr/lib/python3.11/threading.py'],
  ['join', '/usr/lib/python3.11/threading.py'],
  ['wrap', '/usr/lib/python3/dist-packages/salt/utils/asynchronous.py'],
  ['_send_token_request', '/usr/lib/python3/dist-packages/salt/auth/__init__.py'],
  ['mk_token', '/usr/lib/python3/dist-packages/salt/auth/__init__.py'],
  ['POST', '/usr/lib/python3/dist-packages/salt/netapi/rest_cherrypy/app.py'],
  ['__call__', '/usr/lib/python3/dist-packages/cherrypy/_cpdispatch.py'],
  ['run', '/usr/lib/python3/dist-packages/cheroot/workers/threadpool.py'],
  ['_bootstrap', '/usr/lib/python3.11/threading.py'],
];

export function pySpyDump(threads: number): string {
  const dump = Array.from({ length: threads }, (_, at) => ({
    pid: 4711,
    thread_id: 140_000 + at,
    thread_name: `CP Server Thread-${at}`,
    os_thread_id: 4711 + at,
    active: false,
    owns_gil: false,
    frames: LOGIN.map(([name, filename]) => {
      return { name, filename, module: null, short_filename: null, line: 320, locals: null };
    }),
    process_info: null,
  }));
  return JSON.stringify(dump, null, 2);
}
