/** Text that is made to keep a regular expression busy. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { redactSecrets, stripControl } from '../../src/untrusted.ts';

test('a mebibyte made to be slow takes no longer than any other', () => {
  const units = [
    ...[
      'a',
      ' ',
      '-',
      '\\',
      '"',
      "'",
      '-p',
      ' -p1',
      '-u',
      ' -u a',
      '--a',
      'a.',
      'eyJ',
      '_eyJaaaaa',
    ],
    ...['a://', 'a://a:b/', '://', 'password', 'password ', 'password is ', 'password="', 'a:b@'],
    ...['Authorization: ', 'Authorization: a ', 'Authorization: a="', '\\"', '\x1b[', '\x1b]'],
    ...['-----BEGIN PRIVATE KEY-----', 'Cookie:', 'sshpass -p ', 'password:"\\', '[a.b:1', 'PWD='],
  ];
  for (const unit of units) {
    const text = unit.repeat(Math.ceil(2 ** 20 / unit.length));
    const began = performance.now();
    redactSecrets(text);
    stripControl(text);
    const took = performance.now() - began;
    assert.ok(took < 10_000, `${JSON.stringify(unit)} took ${Math.round(took)} ms`);
  }
});
