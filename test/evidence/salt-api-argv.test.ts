import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  isDrillDirectory,
  isNetapiChildTitle,
  readSaltApiArgv,
} from '../../src/evidence/salt-api-argv.ts';

const SALT_API: readonly (readonly string[])[] = [
  ['/usr/bin/python', '/usr/bin/salt-api', '-d'],
  ['/usr/bin/python2.6', '/usr/bin/salt-api', '-d'],
  ['/usr/bin/python3', '/usr/bin/salt-api', '--daemon'],
  ['python3', 'salt-api'],
  ['/usr/bin/python3', '-s', '/usr/bin/salt-api'],
  ['/usr/bin/python3', '-Es', '/usr/bin/salt-api'],
  ['/usr/bin/python3', '-W', 'ignore', '/usr/bin/salt-api'],
  ['/usr/bin/python3', '-Wignore', '-X', 'dev', '-Xutf8', '/usr/bin/salt-api'],
  ['/usr/libexec/platform-python', '-s', '/usr/bin/salt-api'],
  ['/opt/venv/bin/python', '/opt/venv/bin/salt-api'],
  ['/usr/bin/salt-api', '-l', 'debug'],
  ['salt-api'],
  ['/opt/saltstack/salt/bin/python3.10', '/usr/bin/salt-api'],
  ['/opt/saltstack/salt/bin/python3.10 /usr/bin/salt-api MainProcess'],
  [
    '/opt/saltstack/salt/bin/python3.10 /usr/bin/salt-api RunNetapi(salt.loaded.int.netapi.rest_cherrypy)',
  ],
  ['/opt/saltstack/salt/run/run', 'api'],
  ['/opt/saltstack/salt/run/run api MainProcess'],
  ['/usr/bin/python2.7 /usr/bin/salt-api -d NetAPIProcessManager'],
  ['/usr/bin/python2.6 /usr/bin/salt-api -d ProcessManager'],
  ['/usr/bin/python3 /usr/bin/salt-api -d NetAPIProcessManager', '', ''],
];

const NOT_SALT_API: readonly (readonly string[])[] = [
  [],
  [''],
  ['', '/usr/bin/salt-api'],
  ['tail', '-f', '/var/log/salt/api'],
  ['tail', '-f', '/var/log/salt-api'],
  ['vim', 'salt-api.conf'],
  ['vim', '/usr/bin/salt-api'],
  ['less', 'salt-api'],
  ['grep', 'salt-api'],
  ['pgrep', '-f', 'salt-api'],
  ['pkill', 'salt-api'],
  ['/bin/sh', '/etc/init.d/salt-api', 'restart'],
  ['/bin/bash', '/usr/bin/salt-api', '-d'],
  ['bash', '-c', 'exec /usr/bin/salt-api -d'],
  ['bash -c /usr/bin/python3 /usr/bin/salt-api -d'],
  ['sudo', 'salt-api', '-d'],
  ['watch', 'salt-api'],
  ['timeout', '60', '/usr/bin/salt-api'],
  ['strace', '-f', '/usr/bin/python3', '/usr/bin/salt-api'],
  ['gdb', '--args', 'python3', '/usr/bin/salt-api'],
  ['systemctl', 'restart', 'salt-api'],
  ['journalctl', '-fu', 'salt-api'],
  ['python3', '-c', 'print(1)', '/usr/bin/salt-api'],
  ['python3', '-m', 'pytest', 'salt-api'],
  ['python3', '-m', 'salt-api'],
  ['python3', '-W', '/usr/bin/salt-api'],
  ['python3', '/srv/check.py', '/usr/bin/salt-api'],
  ['python3', '/usr/bin/salt-api.py'],
  ['python3', '/usr/bin/salt-api-exporter'],
  ['python3', '/srv/salt-api/server.py'],
  ['python3', '/usr/bin/salt-master'],
  ['/usr/bin/python3 /usr/bin/salt-master -d ProcessManager'],
  ['python3', '/x/salt-api', '--versions-report'],
  ['/usr/bin/salt-api', '--version'],
  ['/usr/bin/salt-api', '--help'],
  ['node', '/srv/salt-api/bin/x'],
  ['node', '/usr/bin/salt-api'],
  ['salt-triage', 'diagnose', '--unit', 'salt-api'],
  ['/opt/saltstack/salt/run/run', 'minion'],
  ['/usr/local/bin/run', 'api'],
  // The daemon takes no words but options.
  ['python3', './salt-api', 'test'],
  ['/home/dev/go/bin/salt-api', 'serve', '--listen', ':9'],
  ['/usr/bin/salt-api', '-dV'],
  // A blank in a later argument must not make a position.
  ['tail', '-f /usr/bin/python3 /usr/bin/salt-api'],
  ['python3', '/srv/x.py /usr/bin/salt-api'],
  ['nginx: master process /usr/bin/salt-api'],
];

for (const argv of SALT_API) {
  test(`salt-api: ${argv.join(' ')}`, () => assert.notEqual(readSaltApiArgv(argv), null));
}

for (const argv of NOT_SALT_API) {
  test(`not salt-api: ${JSON.stringify(argv)}`, () => assert.equal(readSaltApiArgv(argv), null));
}

test('options are read in each of their forms, whole or out of a title', () => {
  const expected = {
    entryPoint: '/usr/bin/salt-api',
    title: '',
    configDirectory: '/srv/salt',
    logFile: '/var/log/a',
    pidFile: '/run/p',
  };
  for (const options of [
    ['-c', '/srv/salt', '--log-file', '/var/log/a', '--pid-file', '/run/p'],
    ['-c/srv/salt', '--log-file=/var/log/a', '--pid-file=/run/p'],
    ['--conf', '/srv/salt', '-ldebug', '--log-file=/var/log/a', '--pid=/run/p'],
    ['-dc', '/srv/salt', '-l', 'debug', '--log-file=/var/log/a', '--pid-file', '/run/p'],
    ['-dc/srv/salt', '--log-file-level', 'all', '--log-file=/var/log/a', '--pid-file', '/run/p'],
    ['--config-dir=/srv/salt', '-d', '--log-file=/var/log/a', '--pid-file', '/run/p'],
  ]) {
    assert.deepEqual(readSaltApiArgv(['/usr/bin/salt-api', ...options]), expected);
    const titled = `/usr/bin/python3 /usr/bin/salt-api ${options.join(' ')} MainProcess`;
    assert.deepEqual(readSaltApiArgv([titled]), { ...expected, title: 'MainProcess' });
  }
});

test('an option without its value is no value', () => {
  assert.equal(readSaltApiArgv(['/usr/bin/salt-api', '-c'])?.configDirectory, null);
});

test('a title tells a netapi child from 3005 on', () => {
  const title = (words: string) =>
    readSaltApiArgv([`/usr/bin/python3 /usr/bin/salt-api -d ${words}`])?.title ?? '';
  assert.ok(isNetapiChildTitle(title('RunNetapi')));
  assert.ok(isNetapiChildTitle(title('RunNetapi(salt.loaded.int.netapi.rest_cherrypy)')));
  assert.ok(isNetapiChildTitle(title('MainProcess RunNetapi')));
  assert.ok(!isNetapiChildTitle(title('MainProcess')));
});

test("only a drill's own directory is one", () => {
  assert.ok(isDrillDirectory('/tmp/salt-triage-drill-Ab3_x'));
  assert.ok(isDrillDirectory('/tmp/salt-triage-drill-Ab3_x/etc'));
  assert.ok(!isDrillDirectory('/tmp/salt-triage-drill-'));
  assert.ok(!isDrillDirectory('/etc/salt'));
  assert.ok(!isDrillDirectory('/srv/my-salt-triage-drill-x'));
});

test('no argv whose program is another one is ever salt-api, whatever follows', () => {
  const program = fc
    .string({ minLength: 1 })
    .filter((text) => !/\s/.test(text) && !/(?:salt-api|python|pypy|run)/.test(text));
  const rest = fc.array(
    fc.oneof(
      fc.string(),
      fc.constantFrom('/usr/bin/salt-api', '/usr/bin/python3 /usr/bin/salt-api', 'api', '-d'),
    ),
  );
  fc.assert(
    fc.property(program, rest, (first, others) => readSaltApiArgv([first, ...others]) === null),
  );
});
