import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  blind,
  type InstanceFacts,
  type Listener,
  type LookRequest,
  type SaltConfigFacts,
  seen,
} from '../../src/evidence/evidence.ts';
import {
  belongsTo,
  chooseAddress,
  chooseInstance,
  chooseLog,
  choosePidFiles,
  mayNameFiles,
} from '../../src/evidence/resolve.ts';
import type { SaltApiArgv } from '../../src/evidence/salt-api-argv.ts';
import { saltApi } from '../diagnosis/situation.ts';

const DRILL = '/tmp/salt-triage-drill-Ab3_x';

const argvOf = (named: Partial<SaltApiArgv> = {}): SaltApiArgv => {
  const silent = { configDirectory: null, logFile: null, pidFile: null };
  return { entryPoint: '/usr/bin/salt-api', title: '', ...silent, ...named };
};
const inDirectory = (configDirectory: string | null) => argvOf({ configDirectory });

/** A look that asks for nothing but what is named. */
const asked = (named: Partial<LookRequest> = {}): LookRequest => {
  const open = { port: undefined, configDirectory: undefined, log: undefined };
  return { ...open, sinceMs: 86_400_000, probeTimeoutMs: 5_000, lookTimeoutMs: 30_000, ...named };
};

interface Running {
  /** Configuration directories as each running salt-api names its own, null for none. */
  readonly all: readonly (string | null)[];
  /** Of these, the ones that hold the port. */
  readonly holding?: readonly (string | null)[];
}

test('whose configuration is looked at: what all running name, else what the holder names', () => {
  const table: readonly (Running & { expected: string; origin: string })[] = [
    { all: [], expected: '/etc/salt', origin: 'default' },
    { all: [null], expected: '/etc/salt', origin: 'default' },
    { all: ['/srv/a'], expected: '/srv/a', origin: 'argv' },
    { all: ['/srv/a', '/srv/a'], expected: '/srv/a', origin: 'argv' },
    { all: ['/srv/a/../b/'], expected: '/srv/b', origin: 'argv' },
    // Of several, neither the first nor the last is more right than the other.
    { all: ['/srv/a', '/srv/b'], expected: '/etc/salt', origin: 'default' },
    { all: ['/srv/a', null], expected: '/etc/salt', origin: 'default' },
    { all: [null, '/srv/a'], expected: '/etc/salt', origin: 'default' },
    { all: ['/srv/a', '/srv/b'], holding: ['/srv/b'], expected: '/srv/b', origin: 'argv' },
    { all: ['/srv/a', null], holding: [null], expected: '/etc/salt', origin: 'default' },
    {
      all: ['/srv/a', '/srv/b'],
      holding: ['/srv/a', '/srv/b'],
      expected: '/etc/salt',
      origin: 'default',
    },
    // Relative to a directory that the daemon has left.
    { all: ['conf'], expected: '/etc/salt', origin: 'default' },
    // A drill beside the real one, or alone, says nothing about others.
    { all: [DRILL], expected: '/etc/salt', origin: 'default' },
    { all: [DRILL, '/srv/a'], expected: '/srv/a', origin: 'argv' },
    { all: [DRILL, null], holding: [DRILL], expected: '/etc/salt', origin: 'default' },
  ];
  for (const { all, holding = [], expected, origin } of table) {
    const signs = {
      argvs: all.map(inDirectory),
      holding: holding.map(inDirectory),
      environment: undefined,
      defaultConfigured: true,
    };
    assert.deepEqual(
      chooseInstance(asked(), signs),
      { configDirectory: expected, defaultConfigured: true, origin },
      JSON.stringify({ all, holding }),
    );
  }
});

test('-c beats the environment, and both beat what runs', () => {
  const signs = {
    argvs: [inDirectory('/srv/a')],
    holding: [],
    environment: '/srv/environment/',
    defaultConfigured: false,
  };
  assert.deepEqual(chooseInstance(asked({ configDirectory: '/srv/option/' }), signs), {
    configDirectory: '/srv/option',
    defaultConfigured: false,
    origin: 'option',
  });
  assert.deepEqual(chooseInstance(asked(), signs), {
    configDirectory: '/srv/environment',
    defaultConfigured: false,
    origin: 'environment',
  });
  // Set to nothing is not set.
  assert.equal(chooseInstance(asked(), { ...signs, environment: '' }).configDirectory, '/srv/a');
});

test("a process belongs to an instance by the directory it names, or by naming none of the default's", () => {
  const table: readonly [string | null, instance: string, defaultConfigured: boolean, boolean][] = [
    ['/srv/a', '/srv/a', true, true],
    ['/srv/b', '/srv/a', true, false],
    ['/srv/b', '/srv/a', false, false],
    ['/srv/a', '/etc/salt', true, false],
    [null, '/etc/salt', true, true],
    [null, '/etc/salt', false, true],
    // With /etc/salt/master there, who names nothing reads that; without, it can only be ours.
    [null, '/srv/a', true, false],
    [null, '/srv/a', false, true],
    [null, DRILL, false, false],
    [DRILL, DRILL, true, true],
  ];
  for (const [named, configDirectory, defaultConfigured, expected] of table) {
    const instance: InstanceFacts = { configDirectory, defaultConfigured, origin: 'argv' };
    assert.equal(
      belongsTo(inDirectory(named), instance),
      expected,
      `${named} of ${configDirectory}, default ${defaultConfigured}`,
    );
  }
});

test('root, services and ourselves may name our files; other people may not', () => {
  const [root, service, person, another] = [0, 999, 1000, 1001];
  for (const uid of [root, 1, service]) assert.equal(mayNameFiles(uid, root), true, `${uid}`);
  for (const uid of [person, another]) assert.equal(mayNameFiles(uid, root), false, `${uid}`);
  assert.equal(mayNameFiles(root, person), true);
  assert.equal(mayNameFiles(person, person), true);
  assert.equal(mayNameFiles(another, person), false);
  assert.equal(mayNameFiles(-1, root), false, 'a uid that nobody could read');
});

const config = (named: Partial<SaltConfigFacts> = {}) =>
  seen<SaltConfigFacts>({
    directory: '/etc/salt',
    files: [],
    problems: [],
    netapi: null,
    apiLogFile: null,
    logFile: null,
    pidFile: null,
    ...named,
  });
const noConfig = blind('permission', 'permission denied');

test('the log is that of the option, the process, the configuration, the default, in this order', () => {
  const argvs = [argvOf(), argvOf({ logFile: '/var/log/argv' }), argvOf({ logFile: '/second' })];
  const named = config({ apiLogFile: '/var/log/config' });
  const log = '/var/log/../log/option';
  assert.deepEqual(chooseLog(asked({ log }), { config: named, argvs }), {
    path: '/var/log/option',
    origin: 'option',
  });
  assert.deepEqual(chooseLog(asked(), { config: named, argvs }), {
    path: '/var/log/argv',
    origin: 'argv',
  });
  // A relative name is of a directory that the daemon has left.
  assert.deepEqual(chooseLog(asked(), { config: named, argvs: [argvOf({ logFile: 'log/api' })] }), {
    path: '/var/log/config',
    origin: 'config',
  });
  for (const silent of [config(), noConfig]) {
    assert.deepEqual(chooseLog(asked(), { config: silent, argvs: [] }), {
      path: '/var/log/salt/api',
      origin: 'default',
    });
  }
});

test("the default pid files are the default instance's, and of one that names none of its own", () => {
  const instance = (configDirectory: string): InstanceFacts => {
    return { configDirectory, defaultConfigured: true, origin: 'argv' };
  };
  const ours = instance('/etc/salt');
  const other = instance('/srv/a');
  const defaults = ['/var/run/salt-api.pid', '/run/salt-api.pid'];
  const argvs = [argvOf({ pidFile: '/run/argv' }), argvOf()];
  const named = config({ pidFile: '/run/config' });
  assert.deepEqual(choosePidFiles(named, argvs, ours), ['/run/argv', '/run/config', ...defaults]);
  assert.deepEqual(choosePidFiles(named, argvs, other), ['/run/argv', '/run/config']);
  assert.deepEqual(choosePidFiles(named, [], other), ['/run/config']);
  for (const silent of [config(), noConfig]) {
    assert.deepEqual(choosePidFiles(silent, [], ours), defaults);
    assert.deepEqual(choosePidFiles(silent, [], other), defaults);
  }
  // Each once, and none that is relative to a directory that the daemon has left.
  const relative = [argvOf({ pidFile: 'run/api.pid' }), argvOf({ pidFile: '/run/salt-api.pid' })];
  assert.deepEqual(choosePidFiles(config(), relative, ours), [
    '/run/salt-api.pid',
    '/var/run/salt-api.pid',
  ]);
});

test('we knock where a salt-api listens, at the configured address first', () => {
  const at = (address: string, inode: number): Listener => {
    return { family: 'ipv4', address, inode, uid: 0, acceptQueue: 0 };
  };
  const table = (...listens: readonly (readonly number[])[]) =>
    seen({
      total: 9,
      processes: [
        saltApi({ pid: 100, ppid: 1, listens: listens[0] ?? [] }),
        saltApi({ pid: 800, ppid: 1, argv: ['nginx'], listens: listens[1] ?? [] }),
      ],
      deniedFds: 0,
      deniedArgv: 0,
      hidden: false,
    });
  const two = [at('10.0.0.1', 1), at('10.0.0.2', 2)];
  const nobody = table([], [1]);
  assert.equal(chooseAddress(two, null, table([2], [1])), '10.0.0.2');
  assert.equal(chooseAddress(two, '10.0.0.1', table([2], [1])), '10.0.0.2', "another's address");
  assert.equal(chooseAddress(two, '10.0.0.2', table([1, 2])), '10.0.0.2', 'the configured one');
  assert.equal(chooseAddress(two, '10.0.0.9', table([1, 2])), '10.0.0.1', 'nobody listens there');
  // Whose they are is unknown: any will do, the configured one first.
  assert.equal(chooseAddress(two, null, nobody), '10.0.0.1');
  assert.equal(chooseAddress(two, '10.0.0.2', nobody), '10.0.0.2');
  assert.equal(chooseAddress(two, '10.0.0.2', blind('permission', 'no /proc')), '10.0.0.2');
  // Nobody listens: what is configured, else this host itself.
  assert.equal(chooseAddress([], '10.0.0.9', nobody), '10.0.0.9');
  assert.equal(chooseAddress([], null, nobody), '127.0.0.1');
});
