import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  isDrillDirectory,
  isNetapiChildTitle,
  mayBeSaltApi,
  namesDirectory,
  readSaltApiArgv,
  readSaltMasterArgv,
  withEnvironment,
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
  ['/opt/pypy/bin/pypy3', '/usr/bin/salt-api'],
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
  ['/usr/bin/python3', '/usr/bin/salt-api', '-d', '', ''],
  ['/usr/bin/python3  /usr/bin/salt-api  -d'],
  // A title of a class that a later Salt may have.
  ['/usr/bin/python3 /usr/bin/salt-api -d SomeProcess [waiting]'],
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
  // Programs that only begin or end like an interpreter.
  ['/usr/bin/ipython3', '/usr/bin/salt-api'],
  ['/usr/bin/python3-coverage', '/usr/bin/salt-api'],
  ['python3', '-sm', '/usr/bin/salt-api'],
  ['python3', '-V', '/usr/bin/salt-api'],
  // Scripts whose names end like flags of the interpreter.
  ['python3', '/srv/backup-s', '/usr/bin/salt-api'],
  ['python3', '/srv/backup-W', 'x', '/usr/bin/salt-api'],
  ['salt-triage', 'diagnose', '--unit', 'salt-api'],
  ['/opt/saltstack/salt/run/run', 'minion'],
  ['/usr/local/bin/run', 'api'],
  // The daemon takes no words but options.
  ['python3', './salt-api', 'test'],
  ['/home/dev/go/bin/salt-api', 'serve', '--listen', ':9'],
  ['/usr/bin/salt-api', '-dV'],
  ['/usr/bin/salt-api', '-h'],
  ['/usr/bin/salt-api', '--versions'],
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

test('no command line of a salt-api is passed over unread', () => {
  for (const argv of SALT_API) assert.ok(mayBeSaltApi(`${argv.join('\0')}\0`), argv.join(' '));
  const word = fc.constantFrom(
    '/usr/bin/python3',
    'salt-api',
    '/opt/salt/run/run',
    'api',
    '-d',
    ' ',
    'x',
  );
  fc.assert(
    fc.property(fc.array(fc.string({ unit: word }), { maxLength: 4 }), (argv) => {
      if (readSaltApiArgv(argv) !== null) assert.ok(mayBeSaltApi(argv.join('\0')));
    }),
  );
  assert.equal(mayBeSaltApi('/usr/sbin/nginx\0'), false);
});

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
    ['--co=/srv/salt', '--log-file=/var/log/a', '--p=/run/p'],
    ['--config-dir=/srv/salt', '-d', '--log-file=/var/log/a', '--pid-file', '/run/p'],
  ]) {
    assert.deepEqual(readSaltApiArgv(['/usr/bin/salt-api', ...options]), expected);
    const titled = `/usr/bin/python3 /usr/bin/salt-api ${options.join(' ')} MainProcess`;
    assert.deepEqual(readSaltApiArgv([titled]), { ...expected, title: 'MainProcess' });
  }
});

test('python runs salt-api with whichever of its flags (python(1))', () => {
  for (const flag of 'bBdEiIOPqsSuvx') {
    assert.notEqual(readSaltApiArgv(['python3', `-${flag}`, '/usr/bin/salt-api']), null, flag);
  }
});

test('what Salt appended to a title, and nothing else, is the title', () => {
  const title = (argv: readonly string[]) => readSaltApiArgv(argv)?.title;
  for (const words of [
    'NetAPIProcessManager',
    'ProcessManager',
    'MainProcess',
    'RunNetapi',
    'RunNetapi(salt.loaded.int.netapi.rest_cherrypy)',
    'ProcessManager MainProcess',
  ]) {
    assert.equal(title([`/usr/bin/python3 /usr/bin/salt-api -d ${words}`]), words);
  }
  const path = '/usr/bin/python3 /usr/bin/salt-api -c';
  assert.equal(
    title([`${path} /srv/MainProcess x/RunNetapi RunNetapiX MainProcess`]),
    'MainProcess',
  );
});

test('a word of a title is no option, whatever letters it has', () => {
  const [words] = ['/usr/bin/python3 /usr/bin/salt-api -d SomeProcess xc/srv/x'];
  assert.equal(readSaltApiArgv([words])?.configDirectory, null);
  assert.equal(readSaltApiArgv(['/usr/bin/salt-api', '-cx', '-d'])?.configDirectory, 'x');
});

test('the entry point is the word that makes it salt-api, not the interpreter', () => {
  const entryPoint = (...argv: string[]) => readSaltApiArgv(argv)?.entryPoint;
  assert.equal(entryPoint('/usr/bin/python3', '-s', '/opt/salt-api', '-d'), '/opt/salt-api');
  assert.equal(entryPoint('/usr/bin/python3 /usr/bin/salt-api MainProcess'), '/usr/bin/salt-api');
  assert.equal(entryPoint('/usr/sbin/salt-api'), '/usr/sbin/salt-api');
  const frozen = '/opt/saltstack/salt/run/run';
  assert.equal(entryPoint(frozen, 'api'), frozen);
});

test('the 3005 onedir names its daemon first and has its options behind that', () => {
  const argv = ['/opt/saltstack/salt/run/run', 'api', '-c', '/srv/salt'];
  assert.equal(readSaltApiArgv(argv)?.configDirectory, '/srv/salt');
  assert.equal(readSaltApiArgv(['/opt/saltstack/salt/run/run', 'api', '/srv/salt']), null);
});

test('a name that could be several options is none, as is one that is none', () => {
  const files = { configDirectory: null, logFile: null, pidFile: null };
  const nothing = { entryPoint: '/usr/bin/salt-api', title: '', ...files };
  for (const option of ['--log=/var/log/a', '--', '--no-such=/x', '-x/srv/salt']) {
    assert.deepEqual(readSaltApiArgv(['/usr/bin/salt-api', option]), nothing, option);
  }
});

test("one word behind an option that we don't know may be its value, a further one not", () => {
  const argv = ['/usr/bin/salt-api', '--of-a-later-salt', 'value'];
  assert.notEqual(readSaltApiArgv(argv), null);
  assert.equal(readSaltApiArgv([...argv, 'serve']), null);
  assert.equal(readSaltApiArgv(['/usr/bin/salt-api', 'MainProcess', 'serve']), null);
  assert.equal(readSaltApiArgv(['/usr/bin/salt-api', '-d', 'serve']), null);
});

test('SALT_CONFIG_DIR is the default of -c: it never beats one', () => {
  const read = (...options: string[]) => {
    const argv = readSaltApiArgv(['/usr/bin/salt-api', ...options]);
    assert.ok(argv !== null);
    return argv;
  };
  const directory = (...given: Parameters<typeof withEnvironment>) =>
    withEnvironment(...given).configDirectory;
  const silent = read('--pid-file', '/run/p');
  const named = read('-c', '/srv/x');
  assert.deepEqual(withEnvironment(silent, { configDirectory: '/etc/salt2' }), {
    ...silent,
    configDirectory: '/etc/salt2',
  });
  assert.equal(directory(named, { configDirectory: '/etc/salt' }), '/srv/x');
  // An environment that is silent, set to nothing, or could not be read says nothing.
  for (const environment of [{ configDirectory: null }, { configDirectory: '' }, null]) {
    assert.equal(directory(silent, environment), null);
    assert.equal(directory(named, environment), '/srv/x');
  }
});

test('a directory is named by its path, or by an end of it where the path is relative', () => {
  const ours = '/srv/salt/conf';
  for (const named of [
    ...['/srv/salt/conf', '/srv//salt/conf/', '/srv/./x/../salt/conf'],
    ...['conf', './conf', '././conf', 'salt/conf/', 'salt/./conf'],
  ]) {
    assert.ok(namesDirectory(named, ours), named);
    assert.ok(namesDirectory(named, '/srv//salt/conf/'), named);
  }
  for (const named of ['/conf', '/srv/salt', '/srv/salt/conf2', 'onf', 'salt', '../conf', '/']) {
    assert.ok(!namesDirectory(named, ours), named);
  }
  assert.ok(namesDirectory('/', '/'));
});

test('options that stand behind a rewritten first element are read as well', () => {
  const argv = ['/usr/bin/python3 /usr/bin/salt-api -d', '-c', '/srv/salt'];
  assert.equal(readSaltApiArgv(argv)?.configDirectory, '/srv/salt');
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
  assert.ok(isDrillDirectory('/tmp/salt-triage-drill-a-b'));
  assert.ok(!isDrillDirectory('/tmp/salt-triage-drill-'));
  assert.ok(!isDrillDirectory('/tmp/salt-triage-drill-a.b'));
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

test('a salt-master is told by the position of its words, its title and its -c with it', () => {
  const read = (...argv: string[]) => readSaltMasterArgv(argv);
  const titled = '/opt/saltstack/salt/bin/python3.10 /usr/bin/salt-master -d ReqServer MWorker-0';
  assert.deepEqual(read(titled), { title: 'ReqServer MWorker-0', configDirectory: null });
  const given = read('/usr/bin/python3', '-s', '/usr/bin/salt-master', '-dc', '/srv/etc');
  assert.deepEqual(given, { title: '', configDirectory: '/srv/etc' });
  assert.ok(read('/opt/saltstack/salt/run/run', 'master') !== null);
  const others = [
    ['tail', '-f', '/var/log/salt/master'],
    ['/usr/bin/python3', '/usr/bin/salt-api'],
    ['/opt/saltstack/salt/run/run', 'api'],
    ['vim', 'salt-master'],
    ['/usr/bin/python3', 'x.py', '/usr/bin/salt-master'],
  ];
  for (const argv of others) assert.equal(read(...argv), null, argv.join(' '));
});
