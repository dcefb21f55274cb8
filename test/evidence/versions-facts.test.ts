/** Which directories a process's Python takes its packages from, and what is installed there. */
import assert from 'node:assert/strict';
import { describe, it, test } from 'node:test';
import {
  installedPackage,
  packagePatterns,
  pythonPlaces,
} from '../../src/evidence/versions-facts.ts';

const line = (path: string, at = '7f0000000000') =>
  `${at}-7f0000001000 r-xp 00000000 08:01 1234                       ${path}`;
const maps = (...paths: string[]) => paths.map((path) => line(path)).join('\n');

describe('a process takes its packages', () => {
  it('of Debian: from the local directory before the distribution’s', () => {
    const { python, directories, interpreter } = pythonPlaces(
      ['/usr/bin/python3 /usr/bin/salt-api -d NetAPIProcessManager'],
      '/usr/bin/python3.11',
      maps('/usr/bin/python3.11', '/usr/lib/python3/dist-packages/zmq/x.so'),
    );
    assert.deepEqual([python, interpreter], ['3.11', '/usr/bin/python3.11']);
    const local = directories.indexOf('/usr/local/lib/python3.11/dist-packages');
    const distribution = directories.indexOf('/usr/lib/python3/dist-packages');
    assert.ok(local !== -1 && local < distribution, directories.join(' '));
  });

  it('of a onedir package: from what was added to it, then from its own, and nowhere else', () => {
    const { directories } = pythonPlaces(
      ['/opt/saltstack/salt/bin/python3.10 /usr/bin/salt-api MainProcess'],
      '/opt/saltstack/salt/bin/python3.10',
      maps('/opt/saltstack/salt/lib/python3.10/site-packages/msgpack/_cmsgpack.so'),
    );
    assert.deepEqual(directories, [
      '/opt/saltstack/salt/extras-3.10',
      '/opt/saltstack/salt/lib/python3.10/site-packages',
      '/opt/saltstack/salt/lib64/python3.10/site-packages',
    ]);
  });

  it('of the frozen onedir of 3005: from beside the program', () => {
    const run = '/opt/saltstack/salt/run/run';
    assert.deepEqual(pythonPlaces([run, 'api'], run, '').directories, ['/opt/saltstack/salt/run']);
  });

  it('of a virtual environment: from that, not from the Python that it was made of', () => {
    const { directories } = pythonPlaces(
      ['/srv/venv/bin/python3', '/srv/venv/bin/salt-api', '-d'],
      '/usr/bin/python3.9',
      maps('/srv/venv/lib/python3.9/site-packages/_cffi_backend.so'),
    );
    assert.deepEqual(directories, [
      '/srv/venv/lib/python3.9/site-packages',
      '/srv/venv/lib64/python3.9/site-packages',
    ]);
  });

  it('of Python 2: from its own and the distribution’s', () => {
    const { python, directories } = pythonPlaces(
      ['/usr/bin/python', '/usr/bin/salt-api', '-d'],
      '/usr/bin/python2.7',
      maps('/usr/lib64/python2.7/lib-dynload/_socket.so'),
    );
    assert.equal(python, '2.7');
    assert.ok(directories.includes('/usr/lib/python2.7/site-packages'));
    assert.ok(directories.includes('/usr/lib64/python2.7/site-packages'));
    assert.ok(!directories.includes('/usr/lib/python3/dist-packages'));
  });

  it('of Enterprise Linux 8: by the library of its platform-python', () => {
    const { python, directories } = pythonPlaces(
      ['/usr/libexec/platform-python', '/usr/bin/salt-api'],
      '/usr/libexec/platform-python3.6',
      maps('/usr/lib64/python3.6/lib-dynload/_ssl.cpython-36m-x86_64-linux-gnu.so'),
    );
    assert.equal(python, '3.6');
    assert.ok(directories.includes('/usr/lib/python3.6/site-packages'));
  });

  it('where nothing can be read: by its command line, whatever Python it is', () => {
    const argv = ['/opt/saltstack/salt/bin/python3.10', '/usr/bin/salt-api'];
    assert.ok(
      pythonPlaces(argv, null, null).directories.includes(
        '/opt/saltstack/salt/lib/python3.10/site-packages',
      ),
    );
    const { python, directories } = pythonPlaces(['/srv/v/bin/salt-api'], null, null);
    assert.equal(python, null);
    assert.ok(directories.includes('/srv/v/lib/python*/site-packages'));
  });
});

test('a program that is no Python is not searched for one, whatever its command line says', () => {
  const { interpreter, directories } = pythonPlaces(
    ['/usr/bin/python3', '/usr/bin/salt-api'],
    '/usr/bin/node',
    maps('/usr/bin/node', '/usr/lib/x86_64-linux-gnu/libc.so.6'),
  );
  assert.deepEqual([interpreter, directories], ['/usr/bin/node', []]);
});

test('what its Python has mapped and is gone is told, and nothing else that is', () => {
  const { replaced, interpreter } = pythonPlaces(
    ['/usr/bin/python3.11', '/usr/bin/salt-api'],
    '/usr/bin/python3.11 (deleted)',
    maps(
      '/usr/bin/python3.11 (deleted)',
      '/usr/lib/python3/dist-packages/zmq/x.so (deleted)',
      '/usr/lib/x86_64-linux-gnu/libssl.so.3 (deleted)',
      '/dev/zero (deleted)',
      '/memfd:jit (deleted)',
    ),
  );
  assert.equal(interpreter, '/usr/bin/python3.11');
  assert.deepEqual(replaced, ['/usr/bin/python3.11', '/usr/lib/python3/dist-packages/zmq/x.so']);
});

test('a path that is a pattern, climbs or talks to a screen names no directory', () => {
  for (const path of [
    '/srv/*/site-packages/x.so',
    '/srv/../etc/site-packages/x.so',
    '/srv/\u001b[2J/site-packages/x.so',
    '/srv/a b/site-packages/x.so',
    `/${'x'.repeat(400)}/site-packages/x.so`,
  ]) {
    const { directories } = pythonPlaces(['/usr/bin/node'], '/usr/bin/node', maps(path));
    assert.deepEqual(directories, [], path);
  }
  assert.equal(pythonPlaces(['x'], '/a b', null).interpreter, null);
});

test('as many directories as a host can show stay few', () => {
  const many = Array.from({ length: 3_000 }, (_, at) => `/srv/${at}/lib/site-packages/x.so`);
  assert.equal(pythonPlaces([], '/usr/bin/python3.11', maps(...many)).directories.length, 16);
});

test('releases are read from the names that pip, setup.py, RPM and Debian give', () => {
  const read = (name: string) => {
    const found = installedPackage(`/d/${name}`, 0);
    return found === null ? null : `${found.name} ${found.version}`;
  };
  assert.equal(read('salt-3006.9.dist-info'), 'salt 3006.9');
  assert.equal(read('salt-2018.3.4-py2.7.egg-info'), 'salt 2018.3.4');
  assert.equal(read('salt-3002.6-py3.6.egg-info'), 'salt 3002.6');
  assert.equal(read('CherryPy-18.8.0.egg-info'), 'cherrypy 18.8.0');
  assert.equal(read('cherrypy-18.10.0.dist-info'), 'cherrypy 18.10.0');
  assert.equal(read('cheroot-9.0.0+ds1.egg-info'), 'cheroot 9.0.0+ds1');
  for (const other of [
    'salt-pepper-0.7.6.dist-info',
    'saltext.vmware-1.0.dist-info',
    'cheroot-.dist-info',
    'salt-3006.9.dist-info.bak',
    'my-salt-3006.9.dist-info',
    `salt-3${'0'.repeat(99)}.dist-info`,
  ]) {
    assert.equal(read(other), null, other);
  }
  assert.ok(packagePatterns(['/d']).includes('/d/cheroot-*.egg-info'));
});
