/** Who called, how often, and what changed: put beside the sockets that clients have left. */
import type { ClientFacts, ClientsFacts } from '../../evidence/clients-facts.ts';
import type { SocketFacts, TcpState } from '../../evidence/evidence.ts';
import { isLoopback } from '../../evidence/tcp-table.ts';
import {
  count,
  describeDuration,
  describeRecent,
  grouped,
  isoMoment,
  startedAt,
} from '../../words.ts';
import { type ClientStep, clientSteps } from '../clients/client-steps.ts';
import { adviceFor, useOf } from '../clients/client-use.ts';
import { findSilences } from '../clients/silence.ts';
import { type Cause, type Explains, unseenSection } from './explanation.ts';
import type { Known } from './finding.ts';

/** Of the logs and the sockets; empty lists and nulls where the logs tell nothing. */
export interface ClientsEvidence {
  /** Calls that were counted. */
  readonly calls: number;
  /** From when on all are counted, and the newest. */
  readonly from: string | null;
  readonly lastCallAt: string | null;
  /** Beginning of the silence that lasts until now; null where calls still come. */
  readonly silentFrom: string | null;
  /** Rates that rose and stayed up, the steepest first; a null address is all clients together. */
  readonly steps: readonly StepEvidence[];
  readonly clients: readonly ClientEvidence[];
  /** Logins that the serving process has begun and not ended; null where no log tells. */
  readonly loginsInFlight: number | null;
  /** Set where every call has come from one address by several agents: most likely a proxy's. */
  readonly onlyAddress: string | null;
}

interface StepEvidence {
  readonly address: string | null;
  readonly agent: string | null;
  readonly at: string;
  /** Medians, calls a minute. */
  readonly before: number;
  readonly after: number;
  /** Null where it was 0 before. */
  readonly factor: number | null;
}

interface ClientEvidence {
  readonly address: string;
  readonly agent: string | null;
  readonly users: readonly string[];
  readonly calls: number;
  readonly kinds: ClientFacts['kinds'];
  /** Of its address, whatever the agent. */
  readonly closeWait: number;
  readonly established: number;
}

const NOTHING: ClientsEvidence = {
  calls: 0,
  from: null,
  lastCallAt: null,
  silentFrom: null,
  steps: [],
  clients: [],
  loginsInFlight: null,
  onlyAddress: null,
};

const WEIGHTS = { step: 90, loginsInFlight: 75, owner: 60, shift: 50, hidden: 20 };
/** Steps that are causes of their own. */
const MOST_STEPS = 2;
/** Logins that are under way at once on a host that is well. */
const USUAL_LOGINS = 5;
/** All together call hardly more than before: calls have moved from other addresses, or are few of many. */
const HARDLY = 1.2;
/** Of fewer sockets a percentage tells more than there is. */
const LEAST_FOR_PERCENT = 10;
const MINUTE = 60_000;

/** What is judged: the facts, and what was found in them. */
interface Scene {
  readonly known: Known;
  readonly facts: ClientsFacts;
  readonly steps: readonly ClientStep[];
  readonly silentFrom: number | null;
  readonly sockets: Sockets;
  readonly onlyAddress: string | null;
}

export const clients: Explains<'clients', ClientsEvidence> = {
  id: 'clients',
  title: 'clients',
  decides: false,
  judge(known) {
    const look = known.background.clients;
    if (!look.seen) return unseenSection(look, NOTHING);
    const facts = look.value;
    const traffic = findSilences(facts.all, known.host.now);
    // After a clock was set back the same minutes come twice, and hold twice the calls.
    const setBack = isSetBack(facts, known.host);
    const steps = setBack ? [] : clientSteps(facts, traffic);
    const scene: Scene = {
      known,
      facts,
      steps,
      silentFrom: traffic.silentFrom,
      sockets: socketsByPeer(known),
      onlyAddress: onlyAddressOf(facts),
    };
    const evidence = evidenceOf(scene);
    const causes = [
      ...steps.slice(0, MOST_STEPS).map((step, index) => stepCause(scene, step, index)),
      ...loginsCause(scene, evidence.loginsInFlight),
      ...ownerCause(scene),
      ...hiddenCause(facts),
    ];
    const hidden = evidence.calls === 0;
    return {
      status: hidden ? 'unknown' : steps.length > 0 ? 'warn' : 'pass',
      summary: hidden ? hiddenSummary(facts) : summarize(scene),
      details: detailsOf(scene),
      evidence,
      causes,
    };
  },
};

function evidenceOf(scene: Scene): ClientsEvidence {
  const { known, facts, steps, silentFrom, sockets, onlyAddress } = scene;
  const iso = (at: number | null) => (at === null ? null : isoMoment(at, known.host));
  return {
    calls: facts.all.counts.reduce((sum, calls) => sum + calls, 0),
    from: iso(facts.from),
    lastCallAt: iso(facts.lastCallAt),
    silentFrom: iso(silentFrom),
    steps: steps.map(({ address, agent, at, before, after }) => ({
      address,
      agent,
      before,
      after,
      at: isoMoment(at, known.host),
      factor: before === 0 ? null : Math.round((after / before) * 10) / 10,
    })),
    clients: facts.clients.map(({ address, agent, calls, kinds }) => ({
      address,
      agent,
      users: usersAt(facts, address),
      calls,
      kinds,
      closeWait: sockets.of(address, 'CLOSE_WAIT'),
      established: sockets.of(address, 'ESTABLISHED'),
    })),
    loginsInFlight: loginsInFlight(known, facts),
    onlyAddress,
  };
}

interface Sockets {
  /** How many the port has with a peer in a state. */
  of(address: string, state: TcpState): number;
  all(state: TcpState): number;
  /** The peer with the most CLOSE_WAIT but for this host itself; null without any. */
  readonly owner: string | null;
}

function socketsByPeer({ sockets }: Known): Sockets {
  const { peers, overflow }: Pick<SocketFacts, 'peers' | 'overflow'> = sockets.seen
    ? sockets.value
    : { peers: [], overflow: [] };
  const rows = [...peers, ...overflow];
  const total = (chosen: typeof rows) =>
    chosen.reduce((sum, row) => sum + row.accepted + row.unaccepted, 0);
  const of = (address: string, state: TcpState) =>
    total(rows.filter((row) => row.address === address && row.state === state));
  const [owner = null] = peers
    .filter(({ address, state }) => state === 'CLOSE_WAIT' && !isLoopback(address))
    .map(({ address }) => address)
    .toSorted((a, b) => of(b, 'CLOSE_WAIT') - of(a, 'CLOSE_WAIT'));
  return { of, all: (state) => total(rows.filter((row) => row.state === state)), owner };
}

function onlyAddressOf({ clients: told, furtherClients }: ClientsFacts): string | null {
  const [first, ...others] = told;
  if (first === undefined || others.length === 0 || furtherClients > 0) return null;
  return others.every(({ address }) => address === first.address) ? first.address : null;
}

function usersAt({ logins }: ClientsFacts, address: string): string[] {
  return logins.filter((login) => login.address === address).map(({ user }) => user);
}

/** Summer time that ends does so, too: these logs carry no zone. */
function isSetBack({ lastCallAt }: ClientsFacts, { now }: Known['host']): boolean {
  return lastCallAt !== null && lastCallAt > now + MINUTE;
}

/**
 * Of the process that has the port; in a container its log has another pid: then of the newest. What
 * began before that process did is of one that has ended, and so have its logins.
 */
function loginsInFlight(
  { roles, host }: Known,
  { logs, processLogins }: ClientsFacts,
): number | null {
  // Levels can be set by logger: a log without access lines does not tell which logins have ended.
  if (!logs.some(({ kind, calls }) => kind === 'api-log' && calls > 0)) return null;
  const holders = roles.all.filter(({ facts }) => facts.listens.length > 0);
  if (holders.length === 0) return null;
  // Without pids in the log those of all processes are in one number.
  const since = Math.min(...holders.map(({ facts }) => startedAt(facts, host)));
  const own = processLogins.find(({ pid, lastBegunAt }) => {
    return holders.some(({ facts }) => facts.pid === pid) && lastBegunAt + MINUTE > since;
  });
  // By another pid it may be the one before: only what has begun since for sure, by the minute.
  const later = processLogins.filter(
    ({ pid, lastBegunAt }) => pid !== null && lastBegunAt >= since,
  );
  const logins = own ?? later.at(-1);
  return logins === undefined ? null : Math.max(0, logins.begun - logins.ended);
}

function stepCause(scene: Scene, step: ClientStep, index: number): Cause {
  const { known, facts, onlyAddress, sockets } = scene;
  const { address, agent, at, together } = step;
  const who = address === null ? 'all clients together' : clientName(address, agent);
  const parts = [`${who} ${riseOf(step)} ${minuteOf(at, scene)}${untilTheEnd(scene, at)}`];
  const shifted = address !== null && together.after < HARDLY * together.before;
  if (shifted) parts.push('all clients together hardly call more');
  if (address !== null && onlyAddress === null) {
    const [own, all] = [sockets.of(address, 'CLOSE_WAIT'), sockets.all('CLOSE_WAIT')];
    if (own > 0) parts.push(`it owns ${share(own, all)}`);
  }
  const client = facts.clients.find((one) => one.address === address && one.agent === agent);
  return {
    basis: 'seen',
    weight: (shifted ? WEIGHTS.shift : WEIGHTS.step) - index,
    summary: parts.join('; '),
    details: [
      `${ratesOf(step)}, each the median of up to an hour`,
      ...(address === null ? [] : [`all clients together: ${ratesOf(together)}`]),
      ...(client === undefined ? [] : [clientLine(scene, client)]),
      ...proxyLines(scene),
      ...whereFrom(facts, known.host),
    ],
    advice: client === undefined ? null : adviceFor(client),
  };
}

function riseOf({ before, after, calledBefore }: ClientStep): string {
  if (before > 0) return `rose ${timesAs(after / before)} at`;
  return calledBefore ? `rose from few calls to ${rate(after)} at` : 'began to call at';
}

/** How long before what is known of the trouble; nothing where it came after that. */
function untilTheEnd({ known, silentFrom }: Scene, at: number): string {
  if (silentFrom !== null && at < silentFrom) {
    return `, ${roughly(silentFrom - at)} before the calls stop`;
  }
  const firstAt = known.apiLog.seen ? known.apiLog.value.firstAt : null;
  if (firstAt === null || firstAt <= at) return '';
  return `, ${roughly(firstAt - at)} before the first failed start`;
}

function loginsCause({ facts, known }: Scene, inFlight: number | null): Cause[] {
  if (inFlight === null || inFlight < USUAL_LOGINS) return [];
  const most = facts.logins.slice(0, 3).map(({ address, user, count: times }) => {
    return `in all ${count(times, 'login')} as ${user} from ${address}`;
  });
  return [
    {
      basis: 'seen',
      weight: WEIGHTS.loginsInFlight,
      summary: `${count(inFlight, 'login')} under way: begun, and not answered`,
      details: [...most, ...whereFrom(facts, known.host)],
      advice: null,
    },
  ];
}

/** A client that has left most of the sockets, where its rate is not what stands out. */
function ownerCause(scene: Scene): Cause[] {
  const { known, facts, steps, sockets } = scene;
  const { owner } = sockets;
  const total = sockets.all('CLOSE_WAIT');
  if (owner === null || total < known.policy.closeWaitWarn) return [];
  const own = sockets.of(owner, 'CLOSE_WAIT');
  if (own * 2 < total || steps.some(({ address }) => address === owner)) return [];
  const told = facts.clients.filter(({ address }) => address === owner);
  // Sockets are an address's: which of its programs has left them, nothing tells.
  const client = told.length === 1 ? told[0] : undefined;
  const notTold =
    facts.furtherClients > 0 ? 'it is not among those that call most' : 'no log tells of its calls';
  const calls = told.length === 0 ? notTold : 'no rise of its calls is sound';
  return [
    {
      basis: 'seen',
      weight: WEIGHTS.owner,
      summary: `${clientName(owner, client?.agent ?? null)} owns ${share(own, total)}; ${calls}`,
      details: [
        ...told.slice(0, 3).map((one) => clientLine(scene, one)),
        ...whereFrom(facts, known.host),
      ],
      advice: client === undefined ? null : adviceFor(client),
    },
  ];
}

function hiddenCause(facts: ClientsFacts): Cause[] {
  if (facts.lastCallAt !== null) return [];
  return [
    {
      basis: 'seen',
      weight: WEIGHTS.hidden,
      summary: hiddenSummary(facts),
      details: facts.logs.map(({ path, bytesRead }) => `${path}; ${count(bytesRead, 'byte')} read`),
      advice:
        facts.accessFile === null
          ? 'have the next one told of: log_access_file: /var/log/salt/api-access in the block rest_cherrypy (Salt 2016.11 and later), else log_level_logfile: info'
          : null,
    },
  ];
}

function hiddenSummary({ accessFile, logs, logins }: ClientsFacts): string {
  const told = logins.length === 0 ? '' : ' but for logins';
  if (accessFile !== null) return `who called is not known${told}: ${accessFile} has no calls`;
  const path = logs[0]?.path ?? 'the log';
  return `who called is not known${told}: ${path} has no calls; at a level above info it never has`;
}

const SET_BACK = 'its log is ahead of the clock, which tells of no rise';

function summarize(scene: Scene): string {
  const { facts, steps } = scene;
  const clientsSeen = facts.clients.length + facts.furtherClients;
  const calls = facts.all.counts.reduce((sum, number) => sum + number, 0);
  const none = isSetBack(facts, scene.known.host) ? SET_BACK : 'no rise is sound';
  const changed = steps.length === 0 ? none : count(steps.length, 'rise');
  return `${count(calls, 'call')} of ${count(clientsSeen, 'client')}; ${changed}`;
}

function detailsOf(scene: Scene): string[] {
  const { facts, known } = scene;
  return [
    ...facts.clients.slice(0, 5).map((client) => clientLine(scene, client)),
    ...syncLines(facts),
    ...proxyLines(scene),
    ...whereFrom(facts, known.host),
  ];
}

function clientLine({ facts, sockets }: Scene, client: ClientFacts): string {
  const { address, agent, calls } = client;
  const users = usersAt(facts, address).slice(0, 3);
  const open = (['CLOSE_WAIT', 'ESTABLISHED'] as const)
    .map((state) => [sockets.of(address, state), state] as const)
    .filter(([number]) => number > 0)
    .map(([number, state]) => `${grouped(number)} ${state}`);
  const parts = [
    `${clientName(address, agent)}: ${count(calls, 'call')}`,
    ...(users.length === 0 ? [] : [`logged in from there: ${users.join(', ')}`]),
    ...open,
    useOf(client),
  ];
  return parts.join('; ');
}

/** Of calls by `POST /` no line tells which wait; at log level debug Salt tells of some. */
function syncLines({ syncCalls }: ClientsFacts): string[] {
  return syncCalls === 0
    ? []
    : [`${count(syncCalls, 'call')} waited for minions, as the log tells`];
}

function proxyLines({ onlyAddress }: Scene): string[] {
  if (onlyAddress === null) return [];
  return [`every call comes from ${onlyAddress}: behind a proxy that is the proxy's address`];
}

const REACH = {
  all: 'all that there is',
  window: '48 h',
  bytes: 'as far as 64 MiB go',
  time: 'as far as time allowed',
  unread: 'up to a log that could not be read',
} satisfies Record<ClientsFacts['reach'], string>;

/** What the counts rest on. */
function whereFrom(facts: ClientsFacts, host: Known['host']): string[] {
  const files = facts.logs.filter(({ calls }) => calls > 0).map(({ path }) => path);
  if (facts.from === null || facts.lastCallAt === null) return facts.notes.slice();
  const [from, to] = [facts.from, facts.lastCallAt].map((at) =>
    describeRecent(at, host).slice(0, -3),
  );
  return [`from ${files.join(', ')}: ${from} to ${to}, ${REACH[facts.reach]}`, ...facts.notes];
}

function clientName(address: string, agent: string | null): string {
  return agent === null ? address : `${address} (${agent})`;
}

function minuteOf(at: number, { known }: Scene): string {
  return describeRecent(at, known.host).slice(0, -3);
}

function timesAs(factor: number): string {
  return `${factor < 10 ? Math.round(factor * 10) / 10 : grouped(Math.round(factor))}×`;
}

function ratesOf({ before, after }: Pick<ClientStep, 'before' | 'after'>): string {
  return `${rate(before)} before, ${rate(after)} since`;
}

function rate(perMinute: number): string {
  return `${grouped(Math.round(perMinute))} calls a minute`;
}

/** Hours and minutes, as steps are told to the minute. */
function roughly(ms: number): string {
  return describeDuration(Math.round(ms / 60_000) * 60_000);
}

function share(part: number, whole: number): string {
  if (whole < LEAST_FOR_PERCENT) return `${part} of ${whole} CLOSE_WAIT`;
  return `${Math.round((part * 100) / whole)}% of the CLOSE_WAIT`;
}
