import assert from 'node:assert/strict';
import { test } from 'node:test';
import { seen } from '../../src/evidence/evidence.ts';
import { parseEvidence, writeEvidence } from '../../src/evidence/evidence-file.ts';
import { saltConfigFromFiles } from '../../src/evidence/salt-config.ts';
import {
  MAX_OPTION_TEXT,
  SALT_OPTIONS,
  type SaltOptions,
  saltOptions,
} from '../../src/evidence/salt-options.ts';
import { evidenceOf } from '../diagnosis/situation.ts';

async function optionsOf(files: Record<string, string>): Promise<SaltOptions | undefined> {
  const look = await saltConfigFromFiles({
    directory: '/etc/salt',
    files: Object.entries(files).map(([path, text]) => ({ path, text })),
  });
  assert.ok(look.seen, look.seen ? '' : look.why);
  return look.value.options;
}

test('options keep the type that YAML gives them, and the last file has the word', async () => {
  assert.deepEqual(
    await optionsOf({
      '/etc/salt/master': 'worker_threads: 5\nuser: salt\nipc_mode: tcp\ntimeout: 0.5\n',
      '/etc/salt/master.d/a.conf': 'rest_cherrypy: {port: 1, thread_pool: 200, debug: True}',
      '/etc/salt/master.d/b.conf':
        'rest_cherrypy: {log.access_file: /a, log_access_file: /b}\nworker_threads: 50\n',
    }),
    {
      worker_threads: 50,
      user: 'salt',
      ipc_mode: 'tcp',
      timeout: 0.5,
      'rest_cherrypy.thread_pool': 200,
      'rest_cherrypy.debug': true,
      'rest_cherrypy.log.access_file': '/a',
      'rest_cherrypy.log_access_file': '/b',
    },
  );
});

test('of a list its words are kept, of a mapping its keys alone: nobody’s rights, no password', async () => {
  assert.deepEqual(
    await optionsOf({
      '/etc/salt/master':
        'netapi_enable_clients: [local, {a: b}, runner]\nexternal_auth:\n  pam: {fred: [test.*]}\n  rest: {^url: http://u:p@x}\n',
    }),
    { netapi_enable_clients: 'local, runner', external_auth: 'pam, rest' },
  );
  assert.deepEqual(await optionsOf({ '/etc/salt/master': 'netapi_enable_clients: []' }), {
    netapi_enable_clients: '',
  });
});

test('what is set to nothing is unset, and so is what is not of this kind', async () => {
  const odd = 'timeout: null\nkeep_jobs: .inf\nworker_threads:\nrest_cherrypy: [thread_pool]\n';
  assert.deepEqual(await optionsOf({ '/etc/salt/master': odd }), {});
  assert.deepEqual(await optionsOf({ '/etc/salt/master': 'api_key: x\npassword: y\n' }), {});
});

test('a stranger’s value is bounded, and a screen takes no harm from it', () => {
  const value = saltOptions((key) =>
    key === 'user' ? `\u001b[2Ja${'x'.repeat(9_000)}` : null,
  ).user;
  assert.equal(typeof value === 'string' && value.length <= MAX_OPTION_TEXT, true);
  assert.doesNotMatch(String(value), /\u001b/);
});

test('every option is saved with the evidence and read again', () => {
  const basis = evidenceOf({ processes: [] });
  const options = saltOptions((key, inner) => `${key} ${inner}`);
  assert.deepEqual(Object.keys(options), [...SALT_OPTIONS]);
  const facts = { directory: '/e', files: [], problems: [], netapi: null };
  const paths = { apiLogFile: null, logFile: null, pidFile: null };
  const evidence = { ...basis, config: seen({ ...facts, ...paths, options }) };
  assert.deepEqual(parseEvidence(writeEvidence(evidence)), evidence);
});
