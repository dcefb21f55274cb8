/**
 * How a client uses the API, as far as request lines prove it (salt-advice §5): which client of Salt's
 * a `POST /` names, `local` or `local_async`, is in no log.
 */
import type { CallKind, ClientFacts } from '../../evidence/clients-facts.ts';
import { grouped } from '../../words.ts';

/** What is said of each kind of call, and of a client most of whose calls are of it. */
const KINDS: Readonly<
  Record<CallKind, { readonly words: string; readonly advice: string | null }>
> = {
  welcome: { words: 'GET /', advice: 'ask GET / less often' },
  login: { words: 'POST /login', advice: 'keep its token instead of logging in for each call' },
  run: {
    words: 'POST / or /run, synchronous or not: not known',
    advice: 'call local_async and ask /jobs/JID or listen to /events, and keep its token',
  },
  'start-job': { words: 'POST /minions, asynchronous', advice: 'start fewer jobs at a time' },
  'all-grains': {
    words: 'GET /minions, synchronous, of all minions',
    advice: 'keep what GET /minions says for a while instead of asking again',
  },
  jobs: { words: 'GET /jobs or /keys', advice: 'listen to /events instead of asking /jobs again' },
  events: {
    words: 'GET /events or /ws, a thread each while they last',
    advice: 'share one /events among its workers',
  },
  other: { words: 'others', advice: null },
};

/** What its calls were, the most first. */
export function useOf({ kinds }: ClientFacts): string {
  const told = byNumber(kinds).map(([kind, number]) => `${grouped(number)} ${KINDS[kind].words}`);
  return told.slice(0, 3).join(', ');
}

/**
 * What the client had better do, as an order to the reader; null where its calls don't tell. Logins
 * come first only where there is nothing else: they are made for other calls.
 */
export function adviceFor({ address, agent, kinds }: ClientFacts): string | null {
  const told = byNumber(kinds);
  const most = told.find(([kind]) => kind !== 'login') ?? told[0];
  const advice = most === undefined ? null : KINDS[most[0]].advice;
  if (advice === null) return null;
  return `have ${agent === null ? address : `${agent} on ${address}`} ${advice}`;
}

function byNumber(kinds: ClientFacts['kinds']): [CallKind, number][] {
  return (Object.entries(kinds) as [CallKind, number][])
    .filter(([, number]) => number > 0)
    .toSorted(([, a], [, b]) => b - a);
}
