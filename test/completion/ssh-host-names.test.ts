/** The host names that a completion offers: those of ssh's own files, and none that a shell could act on. */
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { sshHostNames } from '../../src/cli/completion/ssh-host-names.ts';

/** A home and a /etc/ssh with these files. */
function files(named: Readonly<Record<string, string>>) {
  const root = mkdtempSync(join(tmpdir(), 'salt-triage-hosts-'));
  for (const [name, text] of Object.entries(named)) {
    mkdirSync(dirname(join(root, name)), { recursive: true });
    writeFileSync(join(root, name), text);
  }
  return { root, names: () => sshHostNames(join(root, 'home'), join(root, 'etc')) };
}

test("names are those of Host in the user's configuration, what it includes, and the host's", async (t) => {
  const { root, names } = files({
    'home/.ssh/config': `# Host comment
Include conf.d/*.conf ~/more
host = first "second"
Host *.example.com web-? !not third
  HostName not-this
Match host fourth
`,
    'home/.ssh/conf.d/b.conf': 'Host b\n',
    'home/.ssh/conf.d/a.conf': 'HOST a\nInclude ../deep\n',
    'home/.ssh/conf.d/.hidden.conf': 'Host hidden\n',
    'home/.ssh/conf.d/other': 'Host other\n',
    // An Include begins at ~/.ssh whatever file it stands in (ssh_config(5)).
    'home/deep': 'Host deep\n',
    'home/more': 'Host more\n',
    'etc/ssh_config': 'Include ssh_config.d/*.conf\nHost *\n',
    'etc/ssh_config.d/site.conf': 'Host site first\n',
  });
  t.after(() => rmSync(root, { recursive: true }));
  assert.deepEqual(await names(), ['a', 'deep', 'b', 'more', 'first', 'second', 'third', 'site']);
});

test('names are those of known_hosts that are not hashed, without marks and ports', async (t) => {
  const { root, names } = files({
    'home/.ssh/known_hosts': `salt,192.0.2.7,2001:db8::7 ssh-ed25519 AAAA comment
|1|F1E1KeoE/eEWhi10WpGv4OdiO6Y=|3988QV0VE8wmZL7suNrYQLITLCg= ssh-rsa AAAA
[other]:2222 ssh-rsa AAAA
@cert-authority *.example.com,signed ssh-rsa AAAA
@revoked lost ssh-rsa AAAA
`,
    'etc/ssh_known_hosts': 'of-all ssh-rsa AAAA\n',
  });
  t.after(() => rmSync(root, { recursive: true }));
  assert.deepEqual(await names(), ['salt', '192.0.2.7', '2001:db8::7', 'signed', 'of-all']);
});

test('what a shell or ssh could act on is no name', async (t) => {
  const hostile = ['$(touch x)', '`id`', 'a;b', '-oProxyCommand=x', "a'b", 'a\\b', '~root', 'a|b'];
  const { root, names } = files({
    'home/.ssh/config': hostile.map((name) => `Host "${name}" ${name}\n`).join(''),
    'home/.ssh/known_hosts': `${hostile.map((name) => `${name} ssh-rsa AAAA\n`).join('')}\u202eevil ssh-rsa A\n\x1b[31m ssh-rsa A\nplain ssh-rsa A\n`,
  });
  t.after(() => rmSync(root, { recursive: true }));
  assert.deepEqual(await names(), ['plain']);
});

test('files that are not there, include themselves or are none name nothing, and end', async (t) => {
  const { root, names } = files({ 'home/.ssh/config': 'Include config config\nHost self\n' });
  t.after(() => rmSync(root, { recursive: true }));
  symlinkSync('/dev/zero', join(root, 'home/.ssh/known_hosts'));
  assert.deepEqual(await names(), ['self']);
});
