/**
 * The two scripts a drill writes into its directory. They are text, not modules, because the
 * tool is one bundled file that may have come from standard input: there is no sibling to spawn.
 */

/**
 * Plays salt-api 3002 with CherryPy 8.9.1 (salt-facts §1, §4 and §9; log lines word for word from
 * captures-3002). One file, three roles, the same argv in each, as after a fork:
 * leader (ends at once, so that pid ≠ session as a double fork leaves it), manager, child.
 *
 * The child hangs for real: once `threads` requests to anything but `/` are open, the next
 * accepted connection blocks its only thread, so it never accepts, answers, closes or handles
 * SIGTERM again. Every role ends by itself at `endsAt` and takes the directory along.
 */
export const SALT_API_SCRIPT = String.raw`'use strict';
// Plays salt-api for "salt-triage drill". Not Salt: it only listens on 127.0.0.1 and only writes
// to its own directory, which it removes when the drill's time is up.
const fs = require('node:fs');
const net = require('node:net');
const os = require('node:os');
const path = require('node:path');
const { spawn } = require('node:child_process');

const directory = path.dirname(process.argv[1]);
const drill = JSON.parse(fs.readFileSync(path.join(directory, 'drill.json'), 'utf8'));
const role = process.env.SALT_TRIAGE_DRILL_ROLE || 'leader';
let apiLog;
const timeLeft = () => Math.max(1, drill.endsAt - Date.now());

fs.writeFileSync('/proc/self/comm', 'salt-api');
setTimeout(endDrill, timeLeft());
({ leader: lead, manager: manage, child: serve })[role]();

function endDrill() {
  fs.rmSync(directory, { recursive: true, force: true });
  process.exit(0);
}

function fork(role) {
  return spawn(process.execPath, process.argv.slice(1), {
    argv0: '/usr/bin/python3',
    stdio: 'ignore',
    env: { ...process.env, SALT_TRIAGE_DRILL_ROLE: role },
  });
}

function lead() {
  fork('manager').once('spawn', () => process.exit(0));
}

function manage() {
  let child;
  let ending = false;
  fs.writeFileSync(path.join(directory, 'salt-api.pid'), String(process.pid));
  log('salt.client.netapi', 81, 'INFO', 'Starting rest_cherrypy.start netapi module');
  startChild();
  process.on('SIGTERM', () => {
    ending = true;
    log('salt.utils.parsers', 1047, 'WARNING', 'SaltAPI received a SIGTERM. Exiting.');
    if (child.exitCode !== null || child.signalCode !== null) process.exit(0);
    child.kill('SIGTERM');
  });

  function startChild() {
    child = fork('child');
    log('salt.utils.process', 573, 'DEBUG',
      "Started 'salt.client.netapi.<class 'type'>.RunNetapi' with pid " + child.pid);
    child.once('exit', (code, signal) => {
      if (ending) process.exit(0);
      const status = signal === null ? code : -os.constants.signals[signal];
      setTimeout(() => {
        log('salt.utils.process', 588, 'INFO',
          "Process <class 'salt.client.netapi.RunNetapi'> (" + child.pid +
          ') died with exit status ' + status + ', restarting...');
        startChild();
      }, drill.restartAfterMs);
    });
  }
}

function serve() {
  const unanswered = new Set();
  const server = net.createServer({ allowHalfOpen: true }, (socket) => {
    unanswered.add(socket);
    if (unanswered.size > drill.threads) hang(unanswered);
    socket.on('close', () => unanswered.delete(socket));
    socket.on('error', () => socket.destroy());
    socket.on('end', () => socket.end());
    socket.on('data', (request) => {
      if (/^[A-Z]+ \/ /.test(request.toString('latin1'))) answer(socket);
      else socket.pause();
    });
  });

  process.on('SIGTERM', () => {
    engine('INFO', 'Caught signal SIGTERM.');
    leave(0);
  });
  for (const signal of ['SIGTERM', 'SIGHUP', 'SIGUSR1']) engine('INFO', 'Listening for ' + signal + '.');
  engine('INFO', 'Bus STARTING');

  // As CherryPy up to 9 finds out whether the port is free: by connecting to it.
  const check = net.connect({ host: drill.host, port: drill.port, timeout: 1000 });
  check.once('connect', () => {
    check.destroy();
    portNotFree();
  });
  check.once('timeout', () => check.destroy(new Error('timeout')));
  check.once('error', () => {
    server.once('error', noSocket);
    server.listen({ host: drill.host, port: drill.port, backlog: drill.backlog }, () => {
      engine('INFO', 'Serving on http://' + drill.host + ':' + drill.port);
      engine('INFO', 'Bus STARTED');
    });
  });
}

function hang(unanswered) {
  // A login is logged when it begins; its access line, when it ends, never comes.
  for (const { remoteAddress } of unanswered) {
    if (!(remoteAddress in drill.users)) continue;
    log('salt.loaded.int.netapi.rest_cherrypy.app', 748, 'INFO',
      '[api_acl] Authentication not checked for user ' + drill.users[remoteAddress] +
      ' from IP ' + remoteAddress);
  }
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, timeLeft());
  endDrill();
}

function answer(socket) {
  const body = JSON.stringify({
    return: 'Welcome',
    clients: ['local', 'local_async', 'runner', 'wheel'],
  });
  socket.end(
    'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nServer: CherryPy/8.9.1\r\n' +
      'Connection: close\r\nContent-Length: ' + body.length + '\r\n\r\n' + body,
  );
}

function portNotFree() {
  const port = drill.port;
  const error = 'Port ' + port + " not free on '" + drill.host + "'";
  const cherrypy = '  File "/usr/lib/python3/dist-packages/cherrypy/';
  engine('ERROR', [
    "Error in 'start' listener <bound method Server.start of <cherrypy._cpserver.Server object at 0x7ff94a2c3ac0>>",
    'Traceback (most recent call last):',
    cherrypy + 'process/wspbus.py", line 216, in publish',
    '    output.append(listener(*args, **kwargs))',
    cherrypy + '_cpserver.py", line 177, in start',
    '    super(Server, self).start()',
    cherrypy + 'process/servers.py", line 169, in start',
    '    wait_for_free_port(*self.bind_addr)',
    cherrypy + 'process/servers.py", line 464, in wait_for_free_port',
    "    raise IOError('Port %r not free on %r' % (port, host))",
    'OSError: ' + error,
    '',
  ].join('\n'));
  engine('ERROR', [
    'Shutting down due to error in start listener:',
    'Traceback (most recent call last):',
    cherrypy + 'process/wspbus.py", line 254, in start',
    "    self.publish('start')",
    cherrypy + 'process/wspbus.py", line 234, in publish',
    '    raise exc',
    'cherrypy.process.wspbus.ChannelFailures: OSError("' + error + '")',
    '',
  ].join('\n'));
  leave(70);
}

// Where the holder's accept queue is full the check can't connect, and the bind fails instead.
function noSocket() {
  const cherrypy = '  File "/usr/lib/python3/dist-packages/cherrypy/';
  engine('ERROR', [
    'Error in HTTP server: shutting down',
    'Traceback (most recent call last):',
    cherrypy + 'process/servers.py", line 217, in _start_http_thread',
    '    self.httpserver.start()',
    cherrypy + 'wsgiserver/__init__.py", line 2008, in start',
    '    raise socket.error(msg)',
    "OSError: No socket could be created -- (('" + drill.host + "', " + drill.port +
      '): [Errno 98] Address already in use)',
    '',
  ].join('\n'));
  leave(70);
}

function leave(status) {
  const address = "('" + drill.host + "', " + drill.port + ')';
  engine('INFO', 'Bus STOPPING');
  engine('INFO', 'HTTP Server cherrypy._cpwsgi_server.CPWSGIServer(' + address + ') ' +
    (status === 0 ? 'shut down' : 'already shut down'));
  for (const state of ['STOPPED', 'EXITING', 'EXITED']) engine('INFO', 'Bus ' + state);
  process.exit(status);
}

function engine(level, message) {
  const now = new Date();
  const months = 'Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec'.split(' ');
  const date = two(now.getDate()) + '/' + months[now.getMonth()] + '/' + now.getFullYear();
  log('cherrypy.error', 219, level, '[' + date + ':' + clock(now) + '] ENGINE ' + message);
}

function log(logger, line, level, message) {
  const now = new Date();
  const date = now.getFullYear() + '-' + two(now.getMonth() + 1) + '-' + two(now.getDate());
  const time = clock(now) + ',' + String(now.getMilliseconds()).padStart(3, '0');
  // Kept open, as Salt's own handler keeps it.
  apiLog ??= fs.openSync(path.join(directory, 'log', 'api'), 'a');
  fs.writeSync(apiLog,
    date + ' ' + time + ' [' + logger.padEnd(41) + ':' + String(line).padEnd(4) + '][' +
    level.padEnd(8) + '][' + process.pid + '] ' + message + '\n');
}

function clock(now) {
  return [now.getHours(), now.getMinutes(), now.getSeconds()].map(two).join(':');
}

function two(number) {
  return String(number).padStart(2, '0');
}
`;

/**
 * Stands in for `service salt-api start|stop`, with the ways of the SysV script (salt-facts §2):
 * stop sends TERM to the pid of the pid file, after 4 s KILL, and prints OK whoever is left.
 */
export const SERVICE_SCRIPT = String.raw`'use strict';
// The init script of a "salt-triage drill": node salt-api-service start|stop
const fs = require('node:fs');
const path = require('node:path');
const { spawn } = require('node:child_process');

const directory = path.dirname(process.argv[1]);
const daemon = path.join(directory, 'salt-api');
const command = { start, stop }[process.argv[2]];
if (command) command();
else {
  console.error('usage: salt-api-service start|stop');
  process.exitCode = 2;
}

function start() {
  const env = Object.fromEntries(
    Object.entries(process.env).filter(([name]) => !name.startsWith('NODE_')),
  );
  spawn(process.execPath, [daemon, '-c', path.join(directory, 'etc'), '-d'], {
    argv0: '/usr/bin/python3',
    detached: true,
    stdio: 'ignore',
    cwd: '/',
    env,
  }).once('exit', () => console.log('Starting salt-api daemon: [  OK  ]'));
}

function stop() {
  const pid = Number(fs.readFileSync(path.join(directory, 'salt-api.pid'), 'utf8'));
  const killAt = Date.now() + 4000;
  signal('SIGTERM');
  const poll = setInterval(() => {
    if (running() && Date.now() < killAt) return;
    signal('SIGKILL');
    clearInterval(poll);
    console.log('Stopping salt-api daemon: [  OK  ]');
  }, 50);

  function running() {
    try {
      return fs.readFileSync('/proc/' + pid + '/cmdline', 'utf8').split('\0')[1] === daemon;
    } catch {
      return false;
    }
  }

  function signal(name) {
    if (running()) process.kill(pid, name);
  }
}
`;
