import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { chmod, mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, before, describe, it } from 'node:test';
// Loaded before euid changes, so that the lazy import is not what a test of permissions trips over.
import 'yaml';
import { readSaltConfig } from '../../src/host/local/salt-config.ts';

let directory: string;

before(async () => {
  directory = await mkdtemp(join(tmpdir(), 'salt-config-'));
  await chmod(directory, 0o755);
});

after(() => rm(directory, { recursive: true, force: true }));

/** A configuration directory of its own with these files. */
async function configured(name: string, files: Record<string, string>): Promise<string> {
  const root = join(directory, name);
  await mkdir(root, { recursive: true });
  for (const [path, text] of Object.entries(files)) {
    await mkdir(dirname(join(root, path)), { recursive: true });
    await writeFile(join(root, path), text);
  }
  return root;
}

/** Runs as somebody whom file modes hold back, also where the tests run as root. */
async function unprivileged<T>(work: () => Promise<T>): Promise<T> {
  if (process.geteuid?.() !== 0) return work();
  process.seteuid?.(65_534);
  try {
    return await work();
  } finally {
    process.seteuid?.(0);
  }
}

describe('readSaltConfig', () => {
  it('knows the uid of `user:`, and none of a name that the host does not know', async () => {
    const users = { nobody: 65_534, 'nobody:x:0': null, gone: null };
    for (const [name, uid] of Object.entries(users)) {
      const root = await configured(`user-${name.length}`, {
        master: `user: ${JSON.stringify(name)}\n`,
      });
      const look = await readSaltConfig({ directory: root });
      assert.deepEqual(look.seen && look.value.user, { name, uid });
    }
    const silent = await readSaltConfig({ directory: await configured('silent', { master: '' }) });
    assert.equal(silent.seen && silent.value.user, undefined);
  });

  it('reads master, master.d and include from the directory', async () => {
    const root = await configured('plain', {
      master: 'include: /etc/does-not-exist/*\n# comment\napi_logfile: /var/log/api\n',
      'master.d/10-api.conf': 'rest_cherrypy:\n  port: 8000\n  disable_ssl: True\n',
      'master.d/20-api.conf': 'rest_cherrypy:\n  port: 8001\n',
      'master.d/.hidden.conf': 'rest_cherrypy:\n  port: 1\n',
      'master.d/readme.txt': 'rest_cherrypy:\n  port: 2\n',
    });
    const look = await readSaltConfig({ directory: root, environment: {} });
    assert.ok(look.seen);
    assert.equal(look.value.directory, root);
    assert.deepEqual(look.value.files, [
      join(root, 'master'),
      join(root, 'master.d/10-api.conf'),
      join(root, 'master.d/20-api.conf'),
    ]);
    assert.equal(look.value.netapi?.port, 8001);
    assert.equal(look.value.netapi?.tls, false);
    assert.equal(look.value.apiLogFile, '/var/log/api');
    assert.deepEqual(look.value.problems, []);
  });

  it('globs over directories, through links and from home', async () => {
    const root = await configured('globs', {
      master: 'include:\n  - "*.d/[ab].yaml"\n  - ~/own.conf\n',
      'x.d/a.yaml': 'rest_wsgi: {port: 1}\n',
      'home/own.conf': 'rest_wsgi: {port: 2}\n',
      'elsewhere/b.yaml': 'api_logfile: /b\n',
    });
    await symlink('../elsewhere/b.yaml', join(root, 'x.d/b.yaml'));
    const home = join(root, 'home');
    const look = await readSaltConfig({ directory: root, environment: {}, home });
    assert.ok(look.seen);
    assert.equal(look.value.netapi?.port, 2);
    assert.equal(look.value.apiLogFile, '/b');
  });

  it('takes the directory from -c before SALT_CONFIG_DIR', async () => {
    const option = await configured('option', { master: 'rest_wsgi: {port: 1}\n' });
    const variable = await configured('variable', { master: 'rest_wsgi: {port: 2}\n' });
    const environment = { SALT_CONFIG_DIR: variable };
    const byVariable = await readSaltConfig({ environment });
    assert.equal(byVariable.seen && byVariable.value.netapi?.port, 2);
    const byOption = await readSaltConfig({ directory: option, environment });
    assert.equal(byOption.seen && byOption.value.netapi?.port, 1);
  });

  it('takes the main file from SALT_MASTER_CONFIG in the default directory only', async () => {
    const root = await configured('file', { 'my-master': 'rest_wsgi: {port: 7}\n' });
    const environment = { SALT_MASTER_CONFIG: join(root, 'my-master') };
    const look = await readSaltConfig({ environment });
    assert.ok(look.seen);
    assert.equal(look.value.directory, '/etc/salt');
    assert.equal(look.value.files[0], join(root, 'my-master'));
    const elsewhere = await readSaltConfig({ directory: root, environment });
    assert.equal(!elsewhere.seen && elsewhere.cause, 'missing');
  });

  it('is blind for missing where there is no file or no directory', async () => {
    const look = await readSaltConfig({ directory: join(directory, 'nowhere'), environment: {} });
    assert.ok(!look.seen);
    assert.equal(look.cause, 'missing');
    assert.match(look.why, /nowhere\/master/);
  });

  it('is blind for permission where the one file is closed', async () => {
    const root = await configured('closed', { master: 'rest_wsgi: {port: 1}\n' });
    await chmod(join(root, 'master'), 0o000);
    const look = await unprivileged(() => readSaltConfig({ directory: root, environment: {} }));
    assert.ok(!look.seen);
    assert.equal(look.cause, 'permission');
    assert.match(look.why, /cannot read .*closed\/master: permission denied \(EACCES\)/);
  });

  it('names a file or directory that is closed and reads the rest', async () => {
    const root = await configured('partly', {
      master: 'default_include: "[mn].d/*.conf"\n',
      'm.d/a.conf': 'rest_wsgi: {port: 1}\n',
      'm.d/b.conf': 'rest_wsgi: {port: 2}\n',
      'n.d/c.conf': 'rest_wsgi: {port: 3}\n',
    });
    await chmod(join(root, 'm.d/b.conf'), 0o000);
    await chmod(join(root, 'n.d'), 0o000);
    const look = await unprivileged(() => readSaltConfig({ directory: root, environment: {} }));
    await chmod(join(root, 'n.d'), 0o755);
    assert.ok(look.seen);
    assert.equal(look.value.netapi?.port, 1);
    assert.equal(look.value.problems.length, 2);
    assert.match(look.value.problems.join(), /b\.conf: permission denied/);
    assert.match(look.value.problems.join(), /n\.d: permission denied/);
  });

  it('is not held up by a FIFO, a directory or a huge file among the files', async () => {
    const root = await configured('odd', { master: 'rest_wsgi: {port: 1}\n' });
    await mkdir(join(root, 'master.d/dir.conf'), { recursive: true });
    execFileSync('mkfifo', [join(root, 'master.d/fifo.conf')]);
    execFileSync('truncate', ['-s', '9M', join(root, 'master.d/huge.conf')]);
    const look = await readSaltConfig({ directory: root, environment: {} });
    assert.ok(look.seen);
    assert.equal(look.value.netapi?.port, 1);
    assert.match(look.value.problems.join('\n'), /dir\.conf: is a directory/);
    assert.match(look.value.problems.join('\n'), /fifo\.conf: is not a regular file/);
    assert.match(look.value.problems.join('\n'), /huge\.conf: is larger/);
  });
});
