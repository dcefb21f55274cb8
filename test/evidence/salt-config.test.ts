import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { blind, type SaltConfigFacts, seen } from '../../src/evidence/evidence.ts';
import {
  choosePort,
  matchesGlobSegment,
  type SaltConfigFile,
  saltConfigFromFiles,
} from '../../src/evidence/salt-config.ts';

const MAIN = '/etc/salt/master';

async function read(files: Record<string, string>): Promise<SaltConfigFacts> {
  const look = await saltConfigFromFiles({
    directory: '/etc/salt',
    files: Object.entries(files).map(([path, text]) => ({ path, text })),
  });
  assert.ok(look.seen, look.seen ? '' : look.why);
  return look.value;
}

function look(...files: SaltConfigFile[]) {
  return saltConfigFromFiles({ directory: '/etc/salt', files });
}

describe('the netapi block', () => {
  it('is read with the defaults of rest_cherrypy', async () => {
    const facts = await read({ [MAIN]: 'rest_cherrypy:\n  port: 443\n  ssl_crt: /crt\n' });
    assert.deepEqual(facts.netapi, {
      module: 'rest_cherrypy',
      port: 443,
      file: MAIN,
      host: '0.0.0.0',
      tls: true,
      backlog: 30,
    });
    assert.deepEqual(facts.problems, []);
  });

  it('takes the backlog from queue_size, never from socket_queue_size', async () => {
    const facts = await read({
      [MAIN]: 'rest_cherrypy: {port: 1, disable_ssl: true, queue_size: 99, socket_queue_size: 7}',
    });
    assert.equal(facts.netapi?.backlog, 99);
    const undone = await read({
      [MAIN]: 'rest_cherrypy: {port: 1, disable_ssl: true, socket_queue_size: 7}',
    });
    assert.equal(undone.netapi?.backlog, 30);
  });

  it('has keys and defaults of its own in rest_tornado and rest_wsgi', async () => {
    const tornado = await read({
      [MAIN]: 'rest_tornado: {port: 8000, address: 10.0.0.1, host: 10.9.9.9, ssl_crt: /crt}',
    });
    assert.deepEqual(
      [tornado.netapi?.host, tornado.netapi?.backlog, tornado.netapi?.tls],
      ['10.0.0.1', 128, true],
    );
    const wsgi = await read({ [MAIN]: 'rest_wsgi: {port: 8000}' });
    assert.deepEqual(
      [wsgi.netapi?.host, wsgi.netapi?.backlog, wsgi.netapi?.tls],
      ['127.0.0.1', 5, false],
    );
  });

  it('is one of several where more modules have a port, each with its own', async () => {
    const facts = await read({
      [MAIN]:
        'rest_wsgi: {port: 3}\nrest_tornado: {disable_ssl: true}\nrest_cherrypy: {port: 1, disable_ssl: true}\n',
    });
    assert.deepEqual([facts.netapi?.module, facts.netapi?.port], ['rest_cherrypy', 1]);
    assert.deepEqual(
      facts.otherNetapis?.map(({ module, port }) => [module, port]),
      [['rest_wsgi', 3]],
    );
    const single = await read({ [MAIN]: 'rest_wsgi: {port: 3}' });
    assert.equal('otherNetapis' in single, false, 'as evidence always had it');
  });

  it('is rest_cherrypy before rest_tornado before rest_wsgi', async () => {
    const text = 'rest_wsgi: {port: 3}\nrest_tornado: {port: 2}\n';
    assert.equal((await read({ [MAIN]: text })).netapi?.port, 2);
    assert.equal((await read({ [MAIN]: `${text}rest_cherrypy: {port: 1}\n` })).netapi?.port, 1);
  });

  for (const [written, port] of [
    ['"443"', 443],
    ['0443', 443],
    ['65535', 65_535],
  ] as const) {
    it(`takes ${written} for a port`, async () => {
      const facts = await read({ [MAIN]: `rest_wsgi:\n  port: ${written}\n` });
      assert.equal(facts.netapi?.port, port);
    });
  }

  for (const written of ['0', '65536', '-1', '4.5', 'https', 'true', '[443]', '{a: 1}', '']) {
    it(`refuses ${JSON.stringify(written)} as a port and says so`, async () => {
      const facts = await read({ [MAIN]: `rest_wsgi:\n  port: ${written}\n` });
      assert.equal(facts.netapi, null);
      assert.match(facts.problems.join(), /rest_wsgi port in \/etc\/salt\/master is not a port/);
    });
  }

  it('written as a list is a problem, not a block', async () => {
    const facts = await read({ [MAIN]: 'rest_cherrypy:\n  - port: 443\n' });
    assert.equal(facts.netapi, null);
    assert.match(facts.problems.join(), /must be a mapping, not a list/);
  });

  it('without a port, or without a certificate, is a problem', async () => {
    const portless = await read({ [MAIN]: 'rest_cherrypy:\n  host: 0.0.0.0\n' });
    assert.match(portless.problems.join(), /names no port/);
    const bare = await read({ [MAIN]: 'rest_cherrypy:\n  port: 443\n' });
    assert.equal(bare.netapi?.tls, true);
    assert.match(bare.problems.join(), /neither ssl_crt nor disable_ssl/);
  });

  it('reads disable_ssl as Python does', async () => {
    for (const [written, tls] of [
      ['yes', false],
      ['no', true],
      ['"False"', false],
      ['""', true],
      ['0', true],
    ] as const) {
      const facts = await read({ [MAIN]: `rest_cherrypy: {port: 1, disable_ssl: ${written}}` });
      assert.equal(facts.netapi?.tls, tls, written);
    }
  });
});

describe('the merge', () => {
  it('replaces a whole block of the main file by one from master.d', async () => {
    const facts = await read({
      [MAIN]: 'rest_cherrypy: {port: 443, host: 10.0.0.1}\n',
      '/etc/salt/master.d/api.conf': 'rest_cherrypy: {port: 8000}\n',
    });
    assert.equal(facts.netapi?.port, 8000);
    assert.equal(facts.netapi?.file, '/etc/salt/master.d/api.conf');
    assert.equal(facts.netapi?.host, '0.0.0.0');
  });

  it('merges the files of master.d into each other, the last one winning', async () => {
    const facts = await read({
      '/etc/salt/master.d/b.conf': 'rest_cherrypy: {host: 10.0.0.2, disable_ssl: true}\n',
      '/etc/salt/master.d/a.conf': 'rest_cherrypy: {port: 8000, host: 10.0.0.1}\n',
      '/etc/salt/master.d/z.disabled': 'rest_cherrypy: {port: 1}\n',
    });
    assert.equal(facts.netapi?.port, 8000);
    assert.equal(facts.netapi?.host, '10.0.0.2');
    assert.equal(facts.netapi?.tls, false);
    assert.equal(facts.netapi?.file, '/etc/salt/master.d/a.conf');
    assert.deepEqual(facts.files, ['/etc/salt/master.d/a.conf', '/etc/salt/master.d/b.conf']);
  });

  it('reads include after default_include, and replaces by it', async () => {
    const facts = await read({
      [MAIN]: 'include:\n  - extra/*\n  - ~/more.conf\n',
      '/etc/salt/extra/api': 'rest_cherrypy: {host: 10.0.0.3, disable_ssl: true}\n',
      '/etc/salt/master.d/api.conf': 'rest_cherrypy: {port: 1}\n',
      '/root/more.conf': 'rest_cherrypy: {port: 9000}\n',
    });
    assert.equal(facts.netapi?.port, 9000);
    assert.equal(facts.netapi?.host, '10.0.0.3');
    assert.deepEqual(facts.files, [
      MAIN,
      '/etc/salt/master.d/api.conf',
      '/etc/salt/extra/api',
      '/root/more.conf',
    ]);
  });

  it('follows default_include and includes of includes, relative to the file they stand in', async () => {
    const facts = await read({
      [MAIN]: 'default_include: conf/*.yaml\n',
      '/etc/salt/master.d/api.conf': 'rest_wsgi: {port: 1}\n',
      '/etc/salt/conf/a.yaml': 'include: deep/*\nrest_wsgi: {port: 2}\n',
      '/etc/salt/conf/deep/x': 'rest_wsgi: {port: 3}\n',
    });
    assert.equal(facts.netapi?.port, 3);
    assert.equal(facts.netapi?.file, '/etc/salt/conf/deep/x');
  });

  it('ends where files include each other', async () => {
    const facts = await read({
      [MAIN]: 'rest_wsgi: {port: 1}\n',
      '/etc/salt/master.d/a.conf': 'include: b.conf\n',
      '/etc/salt/master.d/b.conf': 'include: a.conf\n',
    });
    assert.equal(facts.netapi?.port, 1);
    assert.match(facts.problems.join(), /a\.conf includes itself/);
  });
});

describe('paths', () => {
  it('are null where the config is silent', async () => {
    const facts = await read({ [MAIN]: '# nothing\n' });
    assert.deepEqual([facts.apiLogFile, facts.logFile, facts.pidFile], [null, null, null]);
  });

  it('move under root_dir unless they are there already, defaults too', async () => {
    const facts = await read({
      [MAIN]: 'root_dir: /srv/salt\napi_logfile: /var/log/api\nlog_file: /srv/salt/log/master\n',
    });
    assert.equal(facts.apiLogFile, '/srv/salt/var/log/api');
    assert.equal(facts.logFile, '/srv/salt/log/master');
    assert.equal(facts.pidFile, '/srv/salt/var/run/salt-api.pid');
  });

  it('prefer api_pidfile to the pidfile of 2015.8', async () => {
    const old = 'pidfile: /run/old.pid\n';
    assert.equal((await read({ [MAIN]: old })).pidFile, '/run/old.pid');
    assert.equal(
      (await read({ [MAIN]: `${old}api_pidfile: run/new.pid\n` })).pidFile,
      '/run/new.pid',
    );
  });

  it('are no files where the log goes to syslog, and that is said', async () => {
    for (const uri of ['udp://loghost:514', 'tcp://loghost', 'file:///dev/log/LOG_DAEMON']) {
      const facts = await read({ [MAIN]: `root_dir: /srv\napi_logfile: ${uri}\n` });
      assert.equal(facts.apiLogFile, null);
      assert.match(facts.problems.join(), /goes to syslog/);
    }
  });
});

describe('what cannot be read', () => {
  it('is a problem with file, line and reason, and the rest is read', async () => {
    const result = await look(
      { path: MAIN, text: '# one\n\n# three\nrest_wsgi:\n\tport: 443\n' },
      { path: '/etc/salt/master.d/a.conf', error: 'EACCES' },
      { path: '/etc/salt/master.d/b.conf', text: 'rest_wsgi: {port: 8000}\n' },
    );
    assert.ok(result.seen);
    assert.equal(result.value.netapi?.port, 8000);
    assert.deepEqual(result.value.files, ['/etc/salt/master.d/b.conf']);
    const [yaml, denied] = result.value.problems;
    assert.match(yaml ?? '', /^\/etc\/salt\/master line 5: Tabs are not allowed/);
    assert.equal(denied, 'cannot read /etc/salt/master.d/a.conf: permission denied (EACCES)');
  });

  it('is blind where not one file is left, with the cause', async () => {
    const missing = await look();
    assert.deepEqual(missing, blind('missing', 'no Salt master config at /etc/salt/master'));
    const denied = await look({ path: MAIN, error: 'EACCES' });
    assert.equal(!denied.seen && denied.cause, 'permission');
    const broken = await look({ path: MAIN, text: 'a: "b\n' });
    assert.equal(!broken.seen && broken.cause, 'malformed');
    const both = await look(
      { path: MAIN, error: 'EACCES' },
      { path: '/etc/salt/master.d/a.conf', text: '- a\n' },
    );
    assert.equal(!both.seen && both.cause, 'malformed', 'root would not see it either');
  });

  it('counts a directory that may not be listed', async () => {
    const result = await look(
      { path: MAIN, text: '' },
      { path: '/etc/salt/master.d', error: 'EACCES' },
    );
    assert.ok(result.seen);
    assert.match(result.value.problems.join(), /cannot read \/etc\/salt\/master\.d: permission/);
  });

  for (const [title, text] of [
    ['a list', '- a\n'],
    ['a word', 'port\n'],
    ['a key twice', 'rest_wsgi: {port: 1}\nrest_wsgi: {port: 2}\n'],
    ['two documents', 'a: 1\n---\nb: 2\n'],
    ['an unknown alias', 'a: *b\n'],
  ] as const) {
    it(`refuses ${title}, as Salt does`, async () => {
      const result = await look({ path: MAIN, text });
      assert.equal(!result.seen && result.cause, 'malformed');
    });
  }

  it('keeps control characters out of the problems', async () => {
    const facts = await read({ [MAIN]: 'rest_wsgi: {port: "\\e[2J\\a443"}\n' });
    assert.equal(facts.problems.length, 1);
    assert.doesNotMatch(facts.problems.join(), /[\x00-\x1f\x7f]/);
  });

  it('is a result for any text at all', async () => {
    const soup = fc.array(
      fc.constantFrom(
        'rest_wsgi',
        ':',
        ' ',
        '\n',
        '- ',
        '{',
        '}',
        '"',
        '|',
        '#',
        '&a',
        '*a',
        '443',
      ),
    );
    await fc.assert(
      fc.asyncProperty(
        fc.oneof(
          fc.string(),
          soup.map((parts) => parts.join('')),
        ),
        async (text) => {
          const result = await look({ path: MAIN, text });
          assert.equal(typeof result.seen, 'boolean');
        },
      ),
    );
  });
});

describe('comments', () => {
  it('change nothing, wherever they stand', async () => {
    const lines = [
      'api_logfile: "/var/log/api"',
      'rest_cherrypy:',
      '  port: 8443',
      '  disable_ssl: true',
      'note: "it\'s # no comment"',
      'pidfile: /run/a.pid',
    ];
    const expected = await read({ [MAIN]: lines.join('\n') });
    const filler = fc.constantFrom('', '# x', '   # port: 1', "#it's", '#"', '\t', '#: |', '# a\r');
    await fc.assert(
      fc.asyncProperty(fc.array(fc.array(filler), { minLength: 7, maxLength: 7 }), async (gaps) => {
        const text = gaps.flatMap((gap, at) => [...gap, lines[at] ?? '']).join('\n');
        assert.deepEqual(await read({ [MAIN]: text }), expected);
      }),
    );
  });

  it('are content in a block scalar and in a quoted one', async () => {
    const block = 'api_logfile: |-\n  /log\n  # more\nrest_wsgi: {port: 1}\n';
    assert.equal((await read({ [MAIN]: block })).apiLogFile, '/log\n# more');
    const quoted = 'api_logfile: "/log\n  # more"\nrest_wsgi: {port: 1}\n';
    assert.equal((await read({ [MAIN]: quoted })).apiLogFile, '/log # more');
  });
});

describe('a configuration made to be slow', () => {
  const problems = async (text: string) => {
    const facts = await look({ path: MAIN, text }, { path: '/etc/salt/master.d/a.conf', text: '' });
    return facts.seen ? facts.value.problems.join() : facts.why;
  };

  it('is a problem beyond what any master has, in one file or in all', async () => {
    const keys = Array.from({ length: 100_000 }, (_, at) => `k${at}: v`);
    assert.match(await problems(keys.join('\n')), /master: is too large/);
    assert.match(await problems(`a: ${'['.repeat(50_000)}`), /master line 1: nests too deep/);
    assert.match(await problems(`a: {${keys.join()}}`), /master: is too large/);
    const files = Array.from({ length: 5 }, (_, at) => {
      return { path: `/etc/salt/master.d/${at}.conf`, text: `a: ${'x'.repeat(500_000)}\n` };
    });
    const all = await look({ path: MAIN, text: 'rest_cherrypy:\n  port: 8000\n' }, ...files);
    assert.ok(all.seen);
    assert.equal(all.value.netapi?.port, 8000);
    assert.equal(all.value.problems.filter((text) => /is too large/.test(text)).length, 3);
  });

  it('takes time in proportion to its keys, and still refuses one that comes twice', async () => {
    const keys = Array.from({ length: 40_000 }, (_, at) => `k${at}: v`).join('\n');
    const began = performance.now();
    assert.equal(await problems(keys), '');
    assert.ok(performance.now() - began < 20_000);
    assert.match(await problems('a: 1\nb: {c: 1,\n c: 2}\n'), /master line 3: .*unique/);
    assert.match(await problems('a: &x {b: 1}\nc:\n  <<: *x\n  b: 2\n'), /^$/);
  });

  it('has each file that can not be read but once in what is taken up', async () => {
    const broken = Array.from({ length: 600 }, (_, at) => {
      return { path: `/etc/salt/master.d/${at}.conf`, text: 'a: [\n' };
    });
    const facts = await look({ path: MAIN, text: 'include: master.d/*.conf\n' }, ...broken);
    assert.ok(facts.seen);
    assert.ok(facts.value.problems.length <= 503, `${facts.value.problems.length}`);
    assert.match(facts.value.problems.join(), /more than 500 files/);
  });

  it('has no glob that is slow to match', () => {
    const began = performance.now();
    assert.equal(matchesGlobSegment('*a'.repeat(100), 'a'.repeat(5_000).concat('b')), false);
    assert.equal(matchesGlobSegment('*?'.repeat(100), 'a'.repeat(99)), false);
    assert.equal(matchesGlobSegment('*a?b*[!x]', 'zzaabaqby'), true);
    assert.ok(performance.now() - began < 5_000);
  });
});

describe('globs', () => {
  for (const [glob, name, matches] of [
    ['*.conf', 'api.conf', true],
    ['*.conf', '.api.conf', false],
    ['.*', '.api', true],
    ['*.conf', 'api.conf.rpmsave', false],
    ['a?c', 'abc', true],
    ['a.c', 'abc', false],
    ['[ab]*', 'bcd', true],
    ['[!ab]*', 'bcd', false],
    ['[]x]', ']', true],
    ['[^a]', '^', true],
    ['[z-a]*', 'z', false],
    ['**', 'anything', true],
    ['a[', 'a[', true],
    ['(a|b)+*', '(a|b)+', true],
  ] as const) {
    it(`${glob} ${matches ? 'matches' : 'does not match'} ${name}`, () => {
      assert.equal(matchesGlobSegment(glob, name), matches);
    });
  }
});

describe('the port', () => {
  const configured = async () =>
    seen(await read({ [MAIN]: 'rest_cherrypy: {port: 8000, disable_ssl: true}' }));

  it('is the option before the config', async () => {
    assert.deepEqual(choosePort(1234, await configured()), {
      number: 1234,
      origin: { kind: 'option' },
    });
  });

  it('is the config before the default', async () => {
    assert.deepEqual(choosePort(undefined, await configured()), {
      number: 8000,
      origin: { kind: 'config', file: MAIN, key: 'rest_cherrypy.port' },
    });
  });

  it('is 443 where nothing names one, and says why', async () => {
    assert.deepEqual(choosePort(undefined, seen(await read({ [MAIN]: '' }))), {
      number: 443,
      origin: { kind: 'default', why: 'no netapi port in /etc/salt/master' },
    });
    assert.deepEqual(choosePort(undefined, await look({ path: MAIN, error: 'EACCES' })), {
      number: 443,
      origin: {
        kind: 'default',
        why: 'cannot read /etc/salt/master: permission denied (EACCES)',
      },
    });
  });

  it('is 443 with the problem that hides the configured one', async () => {
    const config = seen(await read({ [MAIN]: 'rest_wsgi: {port: 99999}' }));
    const choice = choosePort(undefined, config);
    assert.equal(choice.number, 443);
    assert.match(
      choice.origin.kind === 'default' ? choice.origin.why : '',
      /is not a port .*99999/,
    );
  });
});
