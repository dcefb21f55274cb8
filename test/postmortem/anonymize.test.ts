/** Leaks that comparable tools had (sosreport, soscleaner), and that relations survive. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { anonymize } from '../../src/report/postmortem/anonymize/anonymize.ts';
import { type KnownNames, knownNames } from '../../src/report/postmortem/anonymize/known-names.ts';
import { writePostmortem } from '../../src/report/postmortem/model.ts';
import { htmlReport, markdownReport } from '../../src/report/postmortem/render.ts';
import { HOST, incidentCase } from './incident.ts';

const KNOWN: KnownNames = {
  hosts: new Set(['web01', 'salt-master-01', 'db']),
  domains: new Set(['corp.example.com']),
  users: new Set(['alice', 'bo']),
};

function masked(text: string, known = KNOWN): string {
  return anonymize([text], known).value[0] ?? '';
}

describe('anonymised', () => {
  for (const [name, text, expected] of [
    ['an address', 'from 10.2.3.4:51234', 'from net-1-ip-1:51234'],
    ['two of one network', '10.2.3.4 and 10.2.3.9', 'net-1-ip-1 and net-1-ip-2'],
    ['the same twice', '10.2.3.4, 10.2.3.4', 'net-1-ip-1, net-1-ip-1'],
    ['an address in a name', 'dhcp-192-168-0-66 is 192.168.0.66', 'dhcp-net-1-ip-1 is net-1-ip-1'],
    ['one with underscores', 'log_10_2_3_4.txt', 'log_net-1-ip-1.txt'],
    ['an IPv6 address', '[2001:db8::1]:443', '[net-1-ip-1]:443'],
    ['its other spelling', '2001:db8::1 2001:0DB8:0:0:0:0:0:1', 'net-1-ip-1 net-1-ip-1'],
    ['an IPv4 address in IPv6', '::ffff:10.2.3.4 10.2.3.4', '::ffff:net-1-ip-1 net-1-ip-1'],
    ['two of two networks', '10.2.3.4 10.9.3.4 10.2.255.4', 'net-1-ip-1 net-2-ip-1 net-3-ip-1'],
    ['one at the end of a sentence', 'of 2001:db8::1.', 'of net-1-ip-1.'],
    ['one before a colon', '2001:db8::1: refused', 'net-1-ip-1: refused'],
    ['a network', '2001:db8:: and ::', 'net-1-ip-1 and ::'],
    ['the address of a card', 'via 52:54:00:AB:cd:ef', 'via mac-1'],
    ['the own host', 'salt-master-01 jammed', 'host-1 jammed'],
    ['the same in capitals', 'SALT-MASTER-01 salt-master-01', 'host-1 host-1'],
    ['a host with its domain', 'web01.corp.example.com web01', 'host-1.domain-1 host-1'],
    ['a host of that domain', 'new7.corp.example.com', 'host-1.domain-1'],
    ['a host of another', 'https://www.elsewhere.net/x', 'https://host-1.domain-1/x'],
    [
      'a host in the name of a file',
      '/etc/nginx/web01.corp.example.com.conf',
      '/etc/nginx/host-1.domain-1.conf',
    ],
    ['a host with an underscore', 'web_7.corp.example.com up', 'host-1.domain-1 up'],
    ['one of another alphabet', 'bücher.corp.example.com', 'host-1.domain-1'],
    ['an email address there', 'carol@web_7.corp.example.com', 'user-1@host-1.domain-1'],
    ['a name in the name of a file', 'web01_api.log', 'host-1_api.log'],
    ['a name in a longer one', 'prealice2', 'preuser-12'],
    ['an encoded name', 'check-root%40web01-443.json', 'check-root@host-1-443.json'],
    ['a user', '/home/alice/run --as bo', '/home/user-1/run --as user-2'],
    ['an email address', 'alice@corp.example.com', 'user-1@domain-1'],
  ] as const) {
    it(name, () => assert.equal(masked(text), expected));
  }

  for (const text of [
    '0.0.0.0:443, 127.0.0.1, 255.255.255.255 and ::1',
    '300.1.2.3',
    'salt-api, salt-master and /usr/bin/salt-api of root',
    'bootstrap',
    '2018-07-13 09:34:05, 2-04:45:42',
    'Salt 3002.6, CherryPy 18.6.1, python3.11',
    'salt.utils.process and salt.client.local, evidence-before.json, api.log',
    'see github.com/saltstack/salt',
  ]) {
    it(`not: ${text}`, () => assert.equal(masked(text), text));
  }

  it('a name that is one of its own pseudonyms', () => {
    const known = { ...KNOWN, hosts: new Set(['host-2', 'user', 'net']) };
    assert.equal(masked('host-2 user net 10.0.0.1', known), 'host-1 host-2 host-3 net-1-ip-1');
  });

  it('the list says what stands for what, and has no more than that', () => {
    const { names } = anonymize(['web01 10.2.3.4'], KNOWN);
    assert.deepEqual(names, { 'host-1': 'web01', 'net-1-ip-1': '10.2.3.4' });
  });
});

describe('any text', () => {
  const octet = fc.integer({ min: 1, max: 254 });
  const address = fc
    .tuple(fc.constantFrom(10, 172, 192, 203), octet, octet, octet)
    .map((octets) => octets.join('.'));
  const words = fc.array(
    fc.oneof(
      address,
      fc.constantFrom(...KNOWN.hosts, ...KNOWN.users, HOST, 'x', '-', '_', '/', ' '),
      fc.string(),
    ),
  );

  it('has no known name and no address left, and no name has two pseudonyms', () => {
    fc.assert(
      fc.property(words, (parts) => {
        const text = parts.join(' ');
        const { value, names } = anonymize([text], KNOWN);
        const clean = (value[0] ?? '').toLowerCase();
        for (const name of ['web01', 'alice', 'salt-master-01', 'corp.example.com']) {
          assert.ok(!clean.includes(name), clean);
        }
        for (const part of parts) {
          if (/^\d+\.\d+\.\d+\.\d+$/.test(part)) assert.ok(!clean.includes(part), clean);
        }
        const real = Object.values(names);
        assert.equal(new Set(real).size, real.length);
      }),
      { numRuns: 300 },
    );
  });
});

describe('a whole report', () => {
  const about = incidentCase();
  const secretly = ['10.2.3.4', '10.2.3.9', '10.9.0.66', 'salt-master-01', 'example', 'cmdb-svc'];

  it('gives away no address, host or user, in either form', () => {
    const { value, names } = anonymize(
      writePostmortem(about),
      knownNames(about, { hosts: ['desk.corp.example.com'], users: ['root', 'alice'] }),
    );
    for (const text of [htmlReport(value), markdownReport(value)]) {
      for (const secret of secretly) assert.ok(!text.includes(secret), secret);
      assert.ok(text.includes('net-1-ip-1') && text.includes('host-1'));
    }
    assert.ok(Object.values(names).includes('10.2.3.4'));
  });

  it('finds the names of what the report is not about, too: the other sections may be blind', () => {
    const known = knownNames(
      { ...about, before: null, looks: null, stacks: [] },
      { hosts: [], users: [] },
    );
    assert.ok(known.hosts.has('salt-master-01') && known.users.has('alice'));
    const looks = { file: 'check-root%40web07-443.json', looks: [] };
    const ofLooks = knownNames(
      { ...about, incident: null, before: null, looks },
      { hosts: [], users: [] },
    );
    assert.ok(ofLooks.hosts.has('web07'));
  });
});
