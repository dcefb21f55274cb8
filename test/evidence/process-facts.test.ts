import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { saltSigns } from '../../src/evidence/process-facts.ts';

const FILES = { log: '/var/log/salt/api', configDirectory: '/etc/salt' };
const CHILD = ['/usr/bin/python3 /opt/checks/salt-api RunNetapi(salt.loaded.int.netapi.x)'];

function signs(argv: readonly string[], script: string | null) {
  return saltSigns({ argv, executable: '/usr/bin/python3.11', script, files: [] }, FILES);
}

describe('what says that a process is Salt', () => {
  it('is the title of a netapi child, where its script can not be read', () => {
    assert.deepEqual(signs(CHILD, null), ['child-title']);
  });

  it('is not that title where the script can be read and imports nothing of Salt', () => {
    assert.deepEqual(signs(CHILD, '#!/usr/bin/python3\nimport checks\n'), []);
    assert.deepEqual(signs(CHILD, ''), []);
  });

  it('is the import of an entry point, wherever it was installed', () => {
    const text = '#!/opt/venv/bin/python\nfrom salt.scripts import salt_api\n';
    assert.deepEqual(signs(CHILD, text), ['entry-point', 'child-title']);
    assert.deepEqual(signs(['/opt/venv/bin/python', '/opt/venv/bin/salt-api'], text), [
      'entry-point',
    ]);
  });
});
