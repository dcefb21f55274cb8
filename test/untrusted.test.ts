import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { redactArgv, redactSecrets, stripControl } from '../src/untrusted.ts';

test('secrets are masked, however they are written', () => {
  const table = [
    'password=hunter2',
    "{'password': 'hunter2', 'user': 'lab'}",
    "{u'password': u'hunter2'}",
    '{"token": "hunter2"}',
    'X-Auth-Token: hunter2',
    'Authorization: Basic hunter2',
    'Authorization: Bearer hunter2',
    'Cookie: session_id=hunter2; a=hunter2',
    'http://lab:hunter2@salt/run',
    'salt-api --password hunter2 -d',
    'api_key = hunter2,',
    '-----BEGIN RSA PRIVATE KEY-----\nhunter2\n-----END RSA PRIVATE KEY-----',
  ];
  for (const text of table) {
    const masked = redactSecrets(text);
    assert.doesNotMatch(masked, /hunter2/, text);
    assert.match(masked, /\*\*\*/, text);
  }
  const plain =
    "OSError: No socket could be created -- (('0.0.0.0', 443): [Errno 98] Address in use)";
  assert.equal(redactSecrets(plain), plain);
});

test('an argv keeps its shape and loses its secrets', () => {
  const argv = ['salt-api', '-d', '--password', 'hunter2', '--token=hunter2', '-c', '/etc/salt'];
  const masked = ['salt-api', '-d', '--password', '***', '--token=***', '-c', '/etc/salt'];
  assert.deepEqual(redactArgv(argv), masked);
  assert.deepEqual(redactArgv(['x --password hunter2 -d MainProcess']), [
    'x --password *** -d MainProcess',
  ]);
  assert.deepEqual(redactArgv(['curl', 'https://lab:hunter2@salt/']), [
    'curl',
    'https://lab:***@salt/',
  ]);
});

test('property: no control character, escape sequence or bidi override survives', () => {
  assert.equal(stripControl('a\x1b[31;1mred\x1b[0m\tb\nc\x1b]0;title\x07d\x9b2Je'), 'ared b cde');
  assert.equal(stripControl('a\u202eb\u2066c\ufeff'), 'abc');
  const nasty = fc.string({
    unit: fc.constantFrom(
      '\x1b',
      '[',
      ']',
      '3',
      'm',
      '\x07',
      '\x9b',
      '\u202e',
      '\ud800',
      'é',
      '\n',
    ),
  });
  fc.assert(
    fc.property(fc.oneof(nasty, fc.string({ unit: 'binary' })), (text) => {
      assert.doesNotMatch(stripControl(text), /[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]/);
      assert.equal(stripControl(stripControl(text)), stripControl(text));
    }),
  );
});
