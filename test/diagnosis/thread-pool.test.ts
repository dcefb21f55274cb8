/** The pool that threads are counted against is that of the server on the examined port, or none. */
import assert from 'node:assert/strict';
import { it } from 'node:test';
import { threadPoolOf } from '../../src/diagnosis/thread-pool.ts';
import { seen } from '../../src/evidence/evidence.ts';
import { knownOf } from './checks/known.ts';
import { evidenceOf } from './situation.ts';

const { config, instance } = evidenceOf({ processes: [] });
assert.ok(config.seen && config.value.netapi !== null);
const { value } = config;
const { netapi } = value;

function pool(change: object, where: object = {}): number | null {
  const evidence = {
    config: seen({ ...value, ...change }),
    instance: { ...instance, ...where },
  };
  return threadPoolOf(knownOf({ evidence }));
}

it('the pool of rest_cherrypy is what the config says, or its default', () => {
  assert.equal(pool({}), 100);
  assert.equal(pool({ options: { 'rest_cherrypy.thread_pool': 30 } }), 30);
  assert.equal(pool({ options: { 'rest_cherrypy.thread_pool': 'many' } }), null);
  assert.equal(pool({ options: { 'rest_cherrypy.thread_pool': 0 } }), null);
});

it('has a pool on the examined port alone, also as the second of two modules', () => {
  const other = { ...netapi, port: 8000 };
  assert.equal(pool({ netapi: other }), null);
  assert.equal(pool({ netapi: { ...netapi, module: 'rest_tornado' } }), null);
  assert.equal(pool({ netapi: null }), null);
  assert.equal(pool({ netapi: { ...other, module: 'rest_tornado' }, otherNetapis: [netapi] }), 100);
});

it('has none in a drill, whose server is no CherryPy', () => {
  assert.equal(pool({}, { configDirectory: '/tmp/salt-triage-drill-D14pVH/etc' }), null);
});
