import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { redactArgv, redactSecrets, stripControl } from '../src/untrusted.ts';

/** Each with the secret `hunter2`; what is left is what an operator may see. */
const IN_TEXT: readonly (readonly [text: string, masked: string])[] = [
  ['password=hunter2', 'password=***'],
  ["{'password': 'hunter2', 'user': 'lab'}", "{'password': ***, 'user': 'lab'}"],
  ["{u'password': u'hunter2'}", "{u'password': u***}"],
  ['{"token": "hunter2"}', '{"token": ***}'],
  ['{"pass": "hunter2", "user": "lab"}', '{"pass": ***, "user": "lab"}'],
  ['{"key": "hunter2"}', '{"key": ***}'],
  ['{"password": "ab\\"hunter2", "n": 1}', '{"password": ***, "n": 1}'],
  ['"{\\"password\\": \\"hunter2 x\\", \\"n\\": 1}"', '"{\\"password\\": ***, \\"n\\": 1}"'],
  ['pass=hunter2', 'pass=***'],
  ['db_pass = hunter2;', 'db_pass = ***;'],
  ['requirepass: hunter2', 'requirepass: ***'],
  ['pwd: hunter2', 'pwd: ***'],
  ['pwd=hunter2', 'pwd=***'],
  ['auth.ldap.bindpw: hunter2', 'auth.ldap.bindpw: ***'],
  ['password == hunter2', 'password == ***'],
  ['password   = hunter2', 'password   = ***'],
  ['password => hunter2', 'password => ***'],
  ['the password is hunter2', 'the password is ***'],
  ['token was hunter2, now', 'token was ***, now'],
  ['api_key = hunter2,', 'api_key = ***,'],
  ['secret_access_key=hunter2', 'secret_access_key=***'],
  ['private_key=hunter2', 'private_key=***'],
  ['GET /run?session_id=hunter2&n=1', 'GET /run?session_id=***&n=1'],
  ['GET /run?sig=hunter2&n=1', 'GET /run?sig=***&n=1'],
  ['GET /run?auth=hunter2', 'GET /run?auth=***'],
  ['X-Auth-Token: hunter2', 'X-Auth-Token: ***'],
  ['Authorization: Basic hunter2', 'Authorization: Basic ***'],
  ['Authorization: Bearer hunter2 200', 'Authorization: Bearer *** 200'],
  ['Authorization: Token hunter2', 'Authorization: Token ***'],
  ['Authorization: Bearer   hunter2', 'Authorization: Bearer   ***'],
  ['x eyJhbGciOi.hunter2 y', 'x *** y'],
  ["x='-u lab:hunter2'", "x='-u lab:***'"],
  ['x="-u lab:hunter2" y', 'x="-u lab:***" y'],
  ['Authorization: hunter2', 'Authorization: ***'],
  ['Authorization: Odd hunter2', 'Authorization: ***'],
  ["{'Authorization': 'Odd hunter2', 'n': 1}", "{'Authorization': '***', 'n': 1}"],
  ['Authorization: Digest username="lab", response="hunter2"', 'Authorization: ***'],
  ['Cookie: session_id=hunter2; a=hunter2', 'Cookie: ***'],
  ['http://lab:hunter2@salt/run', 'http://lab:***@salt/run'],
  ['https://hunter2@salt/run', 'https://***@salt/run'],
  ['http://lab:a@hunter2@salt/run?to=a@b', 'http://lab:***@salt/run?to=a@b'],
  ['http://lab:a/hunter2@salt/run', 'http://lab:***@salt/run'],
  ['curl -u lab:hunter2 https://salt/', 'curl -u lab:*** https://salt/'],
  ['curl --user=lab:hunter2', 'curl --user=lab:***'],
  ['token eyJhbGciOi.eyJzdWIiOi.hunter2 sent', 'token *** sent'],
  ['-----BEGIN RSA PRIVATE KEY-----\nhunter2\n-----END RSA PRIVATE KEY-----', '***'],
];

test('secrets are masked, however they are written', () => {
  for (const [text, masked] of IN_TEXT) assert.equal(redactSecrets(text), masked, text);
});

test('what operators need stays', () => {
  const table = [
    "OSError: No socket could be created -- (('0.0.0.0', 443): [Errno 98] Address in use)",
    '2018-07-13 09:33:10,123 [salt.auth        :45  ][WARNING ][123] authorization failed',
    '[salt.tokens.localfs:49  ][DEBUG   ] token is invalid, password is required',
    'Authentication failure of type "token" occurred. (authorization failed)',
    'Authentication failure of type "eauth" occurred for user lab.',
    'rest_cherrypy: ssl_key: /etc/pki/tls/certs/localhost.key, port: 8000',
    'step port-holder: pass, 3 pass',
    'nc -p 443 -p443 -p80:80 -port 443 -pidfile /run/x find -print',
    'ssh://root@salt:22 http://salt:8000/login root@salt [::1]:443',
    'token_expire: 43200 keyfile=/etc/x.key --key-file /etc/x.key --password-file=/etc/x',
    'PWD=/var/log OLDPWD=/',
    'bypass: yes, public_key: none, compass=1, signal: 9, author: lab, pid: 37, session 37',
    'SigQ:\t0/31083 SigBlk:\t0000000000000000 NSsid:\t37',
    'KeyError: 443',
  ];
  for (const text of table) {
    assert.equal(redactSecrets(text), text);
    assert.equal(redactArgv(text.split(' ')).join(' '), text);
  }
});

/** As words of an argv, and as the one string that `ps`, a title or a remote host has of them. */
const ON_COMMAND_LINES: readonly (readonly [argv: string, masked: string])[] = [
  ['salt-api -d --password hunter2 -c /etc/salt', 'salt-api -d --password *** -c /etc/salt'],
  ['salt-api --token=hunter2 -d', 'salt-api --token=*** -d'],
  ['x --ldappassword hunter2 -d', 'x --ldappassword *** -d'],
  ['x --secret-key hunter2', 'x --secret-key ***'],
  ['x --auth hunter2 -d', 'x --auth *** -d'],
  ['x --key=hunter2 -d', 'x --key=*** -d'],
  ['x --key hunter2 --key-file /etc/x', 'x --key *** --key-file /etc/x'],
  ['x --pass hunter2 -d', 'x --pass *** -d'],
  ['x --pass=hunter2 -d', 'x --pass=*** -d'],
  ['x --pwd=hunter2 -d', 'x --pwd=*** -d'],
  ['x --pwd hunter2 -d', 'x --pwd *** -d'],
  ['x -password hunter2', 'x -password ***'],
  ['x --token --verbose hunter1', 'x --token --verbose hunter1'],
  ['mysql -phunter2 -h db', 'mysql -p*** -h db'],
  ['/usr/bin/sshpass -p hunter2 ssh -p 22 x', '/usr/bin/sshpass -p *** ssh -p 22 x'],
  ['curl -u lab:hunter2 -p 443', 'curl -u lab:*** -p 443'],
  ['curl -ulab:hunter2', 'curl -ulab:***'],
  ['curl --proxy-user lab:hunter2', 'curl --proxy-user lab:***'],
  ['curl https://lab:hunter2@salt/', 'curl https://lab:***@salt/'],
  ['curl https://hunter2@salt/', 'curl https://***@salt/'],
  ['x eyJhbGciOi.eyJzdWIiOi.hunter2', 'x ***'],
  ['python -u /usr/bin/salt-api -d', 'python -u /usr/bin/salt-api -d'],
];

test('a command line is masked alike as words and as one string, and keeps its shape', () => {
  for (const [line, masked] of ON_COMMAND_LINES) {
    assert.deepEqual(redactArgv(line.split(' ')), masked.split(' '), line);
    assert.equal(redactSecrets(line), masked);
    assert.deepEqual(redactArgv([line]), [masked]);
    assert.equal(redactSecrets(line.replaceAll(' ', '   ')), masked.replaceAll(' ', '   '));
  }
  assert.deepEqual(redactArgv(['x', '--password', 'two hunter2', '--token=two hunter2', 'y']), [
    ...['x', '--password', '***', '--token=***', 'y'],
  ]);
});

/** Every kind of name that has a secret, and of name that only sounds like it. */
test('a name has a secret by its words, wherever and however they are written', () => {
  const secret = [
    ...['password', 'passwd', 'passphrase', 'passcode', 'secret', 'token', 'credential', 'eauth'],
    ...['sessionid', 'session-id', 'jwt', 'api_key', 'apikey', 'private-key', 'access_key'],
    ...['shared_key', 'signing_key', 'encryption-key', 'credentials', 'MY_PASSWORD_2', 'psk'],
    ...['wifi_psk', 'pw', 'bindpw', 'pwd', 'pass', 'my-pass', 'auth', 'x-auth', 'sig', 'url_sig'],
    ...['signature', 'x_signature', 'key', 'KEY', 'a.b.key'],
  ];
  for (const name of secret) {
    assert.equal(redactSecrets(`${name}=hunter2 x`), `${name}=*** x`, name);
    assert.deepEqual(redactArgv([`--${name}=hunter2`, 'x']), [`--${name}=***`, 'x'], name);
  }
  const plain = [
    ...[
      'bypass',
      'compass',
      'surpass',
      'trespass',
      'passes',
      'author',
      'oauther',
      'signal',
      'keys',
    ],
    ...['xauth', 'pwdx', 'pskx', 'monkey', 'key.name', 'signatures', 'auths'],
    ...['password_file', 'token-path', 'secret_dir', 'secret_directory', 'token_expire'],
    ...['token_expires', 'token_timeout', 'password-length', 'token_type'],
  ];
  for (const name of plain) {
    assert.equal(redactSecrets(`${name}=hunter2 x`), `${name}=hunter2 x`, name);
    assert.deepEqual(redactArgv([`--${name}=hunter2`, 'x']), [`--${name}=hunter2`, 'x'], name);
  }
});

test('what is said of a password is not taken for one', () => {
  const said = (
    'no not now too a an the set unset empty required missing wrong incorrect invalid valid ' +
    'expired unknown none null given needed accepted rejected ok correct in for of being already'
  ).split(' ');
  for (const word of said) {
    for (const text of [`password is ${word}`, `the api key was ${word} here`]) {
      assert.equal(redactSecrets(text), text);
    }
    assert.equal(redactSecrets(`password is ${word}x2`), 'password is ***', `${word}x2`);
  }
  for (const name of ['password', 'passwd', 'passphrase', 'passcode', 'pwd', 'token', 'secret']) {
    assert.equal(redactSecrets(`${name} is hunter2`), `${name} is ***`);
  }
  for (const name of ['credential', 'credentials', 'api key', 'api_key', 'apikey']) {
    assert.equal(redactSecrets(`${name} was hunter2`), `${name} was ***`);
  }
});

test('-p is a password, but for ports and for words that begin with it', () => {
  const words = (
    'id idfile id-file ort ath rint rint0 erm rune refix roto rotocol arent riority rocess ackage ' +
    'lugin rofile roxy ipe ython'
  ).split(' ');
  for (const word of words) {
    for (const text of [`x -p${word} y`, `x -p${word}=1`, `x -p${word}:1`]) {
      assert.equal(redactSecrets(text), text);
    }
    assert.equal(redactSecrets(`x -p${word}Q`), 'x -p***');
  }
  for (const text of ['x -p443', 'x -p80:80,81', 'x -p1.2/3-4', "x '-p80'"]) {
    assert.equal(redactSecrets(text), text);
  }
  assert.equal(redactSecrets("x '-phunter2'"), "x '-p***'");
  assert.equal(redactSecrets('x-phunter2'), 'x-phunter2');
});

test('property: no control character, escape sequence or bidi override survives', () => {
  assert.equal(stripControl('a\x1b[31;1mred\x1b[0m\tb\nc\x1b]0;title\x07d\x9b2Je'), 'ared b cde');
  assert.equal(stripControl('a\u202eb\u2066c\ufeff\u00add\u200be'), 'abcde');
  for (const breaks of ['\u2028', '\u2029', '\u0085', '\r\n', '\t']) {
    assert.equal(stripControl(`a${breaks}b`), 'a b');
  }
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
      '\u2028',
      '\u2029',
      '\u0085',
      '\u00ad',
      '\u200b',
      '\ud800',
      'é',
      '\n',
    ),
  });
  fc.assert(
    fc.property(fc.oneof(nasty, fc.string({ unit: 'binary' })), (text) => {
      assert.doesNotMatch(
        stripControl(text),
        /[\x00-\x1f\x7f-\x9f\xad\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]/,
      );
      assert.equal(stripControl(stripControl(text)), stripControl(text));
    }),
  );
});
