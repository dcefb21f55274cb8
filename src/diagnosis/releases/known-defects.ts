/**
 * Defects of Salt, CherryPy and cheroot that hang, leak or leave something behind, by release. A
 * table: what it is matched with is in `known-defect-match.ts`. Issues and pull requests are Salt's
 * where nothing is said, of cherrypy/cherrypy (`cp`) or of cherrypy/cheroot (`ch`).
 */
import type { Component } from '../../evidence/versions-facts.ts';
import type { ReleaseRange } from './release-numbers.ts';

/**
 * What of a defect can be seen on a host. `unanswered`: the API is silent, or its
 * clients hang up before it answers, which tells little: a defect that shows by something else as well
 * has that alone. `workers-died`: fewer threads than its pool. `orphan`: a server was left behind.
 * `open-files`: it nears its limit. `memory`, `cpu`: it takes much of it. `start`: starts fail with the
 * words of the defect.
 */
const SYMPTOMS = [
  'unanswered',
  'workers-died',
  'orphan',
  'open-files',
  'memory',
  'cpu',
  'start',
] as const;

export type Symptom = (typeof SYMPTOMS)[number];

/** Where a defect shows in some configurations alone. */
export type Circumstance = 'tls' | 'eauth-rest' | 'tcp-transport';

export interface KnownDefect {
  /** The issue or advisory that it is known by; no two have the same. */
  readonly id: string;
  /** Every part that is named has to be of one of its ranges. */
  readonly affects: Readonly<Partial<Record<Component | 'python', readonly ReleaseRange[]>>>;
  readonly only?: Circumstance;
  /** Empty for what bears on no verdict: it is listed and is no cause. */
  readonly symptoms: readonly Symptom[];
  /** What happens, as the end of a sentence that begins with the release. */
  readonly effect: string;
  /** A log has these words where `start` is meant. */
  readonly words?: RegExp;
  /** The first release without it of each line; empty where none is known. */
  readonly fixedIn: readonly string[];
  /** Where it is mended, if in no release of what it is a defect of. */
  readonly mendedElsewhere?: string;
  readonly source: string;
}

/** The part that a release with the fix is of; where it says nothing, the only one that is named. */
export function mendedPart({ affects }: KnownDefect): Component {
  return affects.cheroot ? 'cheroot' : affects.salt ? 'salt' : 'cherrypy';
}

/** CherryPy 9 took its server out, as cheroot; before, it has one of its own (salt-advice §1). */
const OWN_SERVER: readonly ReleaseRange[] = [{ from: '3.2', before: '9' }];

export const KNOWN_DEFECTS: readonly KnownDefect[] = [
  {
    id: '#46817',
    affects: {
      salt: [
        { from: '2014.7', before: '2017.7.6' },
        { from: '2018.3', before: '2018.3.1' },
      ],
    },
    symptoms: ['open-files'],
    effect: 'sockets leak with each call until no file can be opened, after weeks',
    fixedIn: ['2017.7.6', '2018.3.1', '2019.2'],
    source: '#20639, #36374, #40245, mended by #46817 and #46845',
  },
  {
    id: '#29817',
    affects: { salt: [{ from: '2015.8.3', before: '2015.8.9' }] },
    symptoms: ['open-files'],
    effect: 'each call leaves 11 files open, and near 1,000 the API dies',
    fixedIn: ['2015.8.9', '2016.3.0'],
    source: '#29817, mended by #32145',
  },
  {
    id: '#38248',
    affects: {
      salt: [
        { from: '2016.3', before: '2016.3.5' },
        { from: '2016.11', before: '2016.11.2' },
      ],
    },
    symptoms: ['orphan'],
    effect: 'the child ignores SIGTERM and outlives a stop',
    fixedIn: ['2016.3.5', '2016.11.2'],
    source: '#38248',
  },
  {
    id: '#35480',
    affects: { salt: [{ before: '2016.3.5' }] },
    symptoms: ['orphan'],
    effect: 'its process manager leaves processes behind',
    fixedIn: ['2016.3.5', '2016.11'],
    source: '#35480',
  },
  {
    id: '#44601',
    affects: {
      salt: [{ before: '2016.11.9' }, { from: '2017.7', before: '2017.7.3' }],
      cherrypy: [{ from: '12' }],
    },
    symptoms: ['start'],
    words: /timeout_monitor/,
    effect: 'the API can not start (timeout_monitor)',
    fixedIn: ['2016.11.9', '2017.7.3'],
    source: '#44601',
  },
  {
    id: '#56274',
    affects: { salt: [{ before: '3001' }] },
    symptoms: [],
    effect: 'the API log is not rotated',
    fixedIn: ['3001'],
    source: '#56274',
  },
  {
    id: '#60955',
    affects: { salt: [{ before: '3005' }] },
    only: 'eauth-rest',
    symptoms: ['memory'],
    effect: 'memory grows with each login through `eauth: rest`',
    fixedIn: ['3005'],
    source: '#60955',
  },
  {
    id: '#70123',
    affects: {
      // 3007 has no fix that was verified (salt-advice §9).
      salt: [{ before: '3006.28' }, { from: '3007', before: '3008.3' }],
      python: [{ from: '3.10' }],
    },
    symptoms: ['orphan'],
    effect: 'SIGTERM ends in a TypeError of default_int_handler instead of a stop',
    fixedIn: ['3006.28', '3008.3'],
    source: '#70123',
  },
  {
    id: 'CVE-2023-20897',
    affects: { salt: [{ before: '3005.2' }, { from: '3006', before: '3006.2' }] },
    symptoms: ['unanswered'],
    effect: 'as many bad packets as the master has workers, and calls wait for ever',
    fixedIn: ['3005.2', '3006.2'],
    source: 'CVE-2023-20897',
  },
  {
    id: '#65114',
    affects: { salt: [{ before: '3006.5' }] },
    symptoms: [],
    effect: 'replies of the master cross ("nonce verification" errors)',
    fixedIn: ['3006.5'],
    source: '#65114',
  },
  {
    id: '#66061',
    affects: { salt: [{ from: '3006.5', before: '3006.7' }] },
    symptoms: [],
    effect: 'requests to the master time out after 30 s, not 60',
    fixedIn: ['3006.7'],
    source: '#66061',
  },
  {
    id: '#66249',
    affects: { salt: [{ before: '3006.10' }] },
    symptoms: ['unanswered'],
    effect: 'a batch may never end, and keeps its worker',
    fixedIn: ['3006.10'],
    source: '#66249',
  },
  {
    id: 'CVE-2025-22242',
    affects: { salt: [{ before: '3006.12' }, { from: '3007', before: '3007.4' }] },
    symptoms: ['unanswered'],
    effect: 'an endless file keeps the master’s workers, and calls wait for ever',
    fixedIn: ['3006.12', '3007.4'],
    source: 'CVE-2025-22242',
  },
  {
    id: '#68136',
    affects: { salt: [{ before: '3007.8' }] },
    only: 'tcp-transport',
    symptoms: ['open-files'],
    effect: 'more than 1,023 open files end in "filedescriptor out of range"',
    fixedIn: ['3007.8'],
    source: '#68136',
  },
  {
    id: '#68151',
    affects: { salt: [{ from: '3006.13', before: '3006.15' }] },
    symptoms: [],
    effect: 'events get lost over ipc_write_timeout',
    fixedIn: ['3006.15', '3007.7'],
    source: '#68151',
  },
  {
    id: '#68637',
    affects: { salt: [{ from: '3006.16', before: '3006.25' }] },
    symptoms: ['memory'],
    effect: 'memory of a busy salt-api grows: a request’s coroutine never ends',
    fixedIn: ['3006.25'],
    source: '#68637, mended by #69044',
  },
  {
    id: '#68660',
    // 3007.8 came with 3006.16, as 3006.15 with 3007.7 and 3006.17 with 3007.9.
    affects: { salt: [{ from: '3006.16', before: '3007' }, { from: '3007.8' }] },
    symptoms: ['memory'],
    effect: 'requests that timed out stay queued in the ZeroMQ client',
    fixedIn: [],
    source: '#68660; PR #70283 was open in 2026-09',
  },
  {
    id: '#65709',
    affects: { salt: [{ before: '3006.26' }] },
    symptoms: ['cpu'],
    effect: 'a forked child shares its parent’s ZeroMQ socket, and spins at 100 % CPU',
    fixedIn: ['3006.26'],
    source: '#65709, #68940',
  },
  {
    id: '#66282',
    affects: { salt: [{ before: '3006.27' }] },
    symptoms: [],
    effect: 'a slow subscriber silences the publish port',
    fixedIn: ['3006.27'],
    source: '#66282, #69988 (again mended in 3006.28)',
  },
  {
    id: '#70127',
    affects: { salt: [{ from: '3006.27', before: '3006.28' }] },
    symptoms: ['unanswered'],
    effect: 'clients share a ZeroMQ identity, and calls stall for exactly 60 s',
    fixedIn: [],
    source: '#70127; PR #70196 was open in 2026-09',
  },
  {
    id: '#69986',
    affects: { salt: [{ before: '3006.28' }] },
    symptoms: ['unanswered'],
    effect: 'all workers of the master can deadlock, and calls wait for ever',
    fixedIn: ['3006.28'],
    source: '#69986, #69914',
  },
  {
    id: '#69857',
    affects: { salt: [{ from: '3008', before: '3008.3' }] },
    symptoms: ['open-files'],
    effect: 'the event publisher leaks some 7,500 sockets a day',
    fixedIn: ['3008.3'],
    source: '#69857, PR #69858 (its release is not verified)',
  },
  {
    id: '#69958',
    affects: { salt: [{ from: '3008.2', before: '3008.3' }] },
    symptoms: [],
    effect: '/events answers a traceback',
    fixedIn: [],
    source: '#69958',
  },
  {
    id: 'cp#1298',
    affects: { cherrypy: [{ from: '3.2.5', before: '3.8' }] },
    only: 'tls',
    symptoms: ['unanswered'],
    effect: 'TLS connections end in tracebacks',
    fixedIn: ['3.8'],
    source: 'cp#1298 (3.2.3 has it not)',
  },
  {
    id: 'cp#1625',
    affects: { cherrypy: [{ from: '12' }] },
    symptoms: ['unanswered'],
    effect: 'no request times out: what is stuck stays stuck and keeps its worker',
    fixedIn: [],
    source: 'cp#1625, by design',
  },
  {
    id: 'cp#1206',
    affects: { cheroot: [{ before: '6.6.0' }] },
    symptoms: ['workers-died'],
    effect: 'the pool can shrink to no worker at all',
    fixedIn: ['6.6.0'],
    source: 'cp#1206',
  },
  {
    id: 'cp#1206-own-server',
    affects: { cherrypy: OWN_SERVER },
    symptoms: ['workers-died'],
    effect: 'the pool can shrink to no worker at all',
    fixedIn: [],
    mendedElsewhere: 'mended in cheroot 6.6.0, which CherryPy has from 9 on',
    source: 'cp#1206',
  },
  {
    id: 'ch#91',
    affects: { cheroot: [{ before: '8.1.0' }] },
    symptoms: ['unanswered'],
    effect: 'a client that keeps an idle connection open keeps a worker',
    fixedIn: ['8.1.0'],
    source: 'ch#91',
  },
  {
    id: 'ch#91-own-server',
    affects: { cherrypy: OWN_SERVER },
    symptoms: ['unanswered'],
    effect: 'a client that keeps an idle connection open keeps a worker',
    fixedIn: [],
    mendedElsewhere: 'mended in cheroot 8.1.0, which CherryPy has from 9 on',
    source: 'ch#91',
  },
  {
    id: 'ch#358',
    affects: { cheroot: [{ from: '8.1.0', before: '8.5.2' }] },
    symptoms: ['workers-died'],
    effect: 'each bad connection ends a worker',
    fixedIn: ['8.5.2'],
    source: 'ch#358',
  },
  {
    id: 'ch#365',
    affects: { cheroot: [{ before: '10.0.1' }] },
    symptoms: ['workers-died'],
    effect: 'stray errors, as of TLS scanners, end workers until none is left',
    fixedIn: ['10.0.1'],
    source: 'ch#365, mended by ch#649',
  },
  {
    id: 'ch#769',
    affects: {
      cheroot: [{ from: '11.0.0', before: '11.1.2' }],
      python: [{ before: '3.13' }],
    },
    symptoms: ['orphan'],
    effect: 'a stop under CherryPy hangs',
    fixedIn: ['11.1.2'],
    source: 'ch#769, ch#794',
  },
  {
    id: 'ch#748',
    affects: { cheroot: [{ before: '11.1.3' }] },
    only: 'tls',
    symptoms: ['unanswered'],
    effect: 'one silent TLS client keeps all others from being accepted, for up to 10 s',
    fixedIn: [],
    source: 'ch#748',
  },
];

/** A hole that is reached through the API. Never a cause: it is listed apart. */
export interface KnownVulnerability {
  readonly id: string;
  /** The first release of each line without it, ascending; later lines never had it. */
  readonly fixedIn: readonly string[];
}

/** By the release notes and CHANGELOG of each. */
export const KNOWN_VULNERABILITIES: readonly KnownVulnerability[] = [
  // PYSEC-2017-38 and the CVE entry of -5200 name all three lines.
  { id: 'CVE-2017-5192', fixedIn: ['2015.8.13', '2016.3.5', '2016.11.2'] },
  { id: 'CVE-2017-5200', fixedIn: ['2015.8.13', '2016.3.5', '2016.11.2'] },
  { id: 'CVE-2018-15750', fixedIn: ['2017.7.8', '2018.3.3'] },
  { id: 'CVE-2018-15751', fixedIn: ['2017.7.8', '2018.3.3'] },
  { id: 'CVE-2020-11651', fixedIn: ['2019.2.4', '3000.2'] },
  { id: 'CVE-2020-11652', fixedIn: ['2019.2.4', '3000.2'] },
  { id: 'CVE-2020-16846', fixedIn: ['2019.2.6', '3000.4', '3001.2', '3002.1'] },
  { id: 'CVE-2021-25281', fixedIn: ['3000.7', '3001.5', '3002.3'] },
  { id: 'CVE-2021-3144', fixedIn: ['3000.7', '3001.5', '3002.3'] },
  { id: 'CVE-2021-3148', fixedIn: ['3000.7', '3001.5', '3002.3'] },
  { id: 'CVE-2021-3197', fixedIn: ['3000.7', '3001.5', '3002.3'] },
  { id: 'CVE-2022-22967', fixedIn: ['3002.9', '3003.5', '3004.2'] },
  { id: 'CVE-2024-38825', fixedIn: ['3006.12', '3007.4'] },
];

/** What a newer Salt asks for, by the releases from which it does, one of each line. */
export const UPGRADE_TRAPS: readonly {
  readonly since: readonly string[];
  readonly words: string;
}[] = [
  {
    since: ['3006.0'],
    words:
      'from 3006.0 no netapi client works until netapi_enable_clients lists it (#63050), and it runs as user salt, with which PAM logins fail (#64275)',
  },
  {
    since: ['3006.17', '3007.9'],
    words: 'from 3006.17 and 3007.9 old minions need minimum_auth_version: 0 (#68467)',
  },
  {
    since: ['3006.24'],
    words: 'from 3006.24 calls from programs time out after 30 s in publishing (#68597)',
  },
  {
    since: ['3006.27', '3007.15'],
    words:
      'from 3006.27 and 3007.15 it runs on Python 3.11: extensions have to be installed anew (#69526, #70063)',
  },
];

/** What the onedir packages hold, for a host where that can't be read (salt-advice §1). */
export const ONEDIR_RELEASES: readonly (ReleaseRange & {
  readonly cherrypy: string;
  readonly cheroot: string;
})[] = [
  { from: '3004', before: '3006.14', cherrypy: '18.6.1', cheroot: '8.5.2' },
  { from: '3006.14', before: '3006.19', cherrypy: '18.10.0', cheroot: '8.5.2' },
  { from: '3007', before: '3007.11', cherrypy: '18.8.0', cheroot: '10.0.0' },
];
