import { masterAddress } from '../../evidence/master-facts.ts';
import { endInWords } from '../../evidence/tcp-rows.ts';
import type { ProcessThreads, ThreadWait, WaitedFor } from '../../evidence/workers-facts.ts';
import { stripControl } from '../../untrusted.ts';
import { count, grouped, startedAt } from '../../words.ts';
import { START_MS } from '../orphan-signs.ts';
import type { SaltApiProcess } from '../process-roles.ts';
import { threadPoolOf } from '../thread-pool.ts';
import { type Cause, type Explains, unseenSection } from './explanation.ts';
import type { Known } from './finding.ts';

/** What the census of one process comes to; its JSON evidence. */
interface WorkersOfProcess extends ProcessThreads {
  /** As the step `orphans` calls it. */
  readonly role: SaltApiProcess['role'];
  /** Threads of the sample that wait for an answer of the Salt master. */
  readonly forMaster: number;
}

interface WorkersEvidence {
  /** `thread_pool` of the examined port; null where the config does not tell. */
  readonly threadPool: number | null;
  readonly processes: readonly WorkersOfProcess[];
}

/** Threads beside the pool: those of the server itself, and of jobs that come and go. */
const BESIDE_POOL = 20;
/** cheroot's rows of a detail; an even census of a jam has half a dozen. */
const MOST_DETAILS = 12;
/** Releases of CherryPy that have a server of their own; newer ones run on cheroot (salt-advice §1). */
const OWN_SERVER = /^CherryPy\/[3-8]\./;
/** From so many threads on, what they have in common explains a hang. */
const TELLING = 3;

/** How many threads there are, against the pool, and what they wait for. */
export const workers: Explains<'workers', WorkersEvidence> = {
  id: 'workers',
  title: 'workers',
  decides: true,
  judge(known) {
    const look = known.background.workers;
    if (!look.seen) return unseenSection(look, { threadPool: null, processes: [] });
    const threadPool = threadPoolOf(known);
    const processes = look.value.processes.flatMap((one) => ofProcess(one, known) ?? []);
    const told = processes.flatMap((one) => toldOf(one, threadPool, known) ?? []);
    const causes = told.map(({ cause }) => cause);
    const evidence = { threadPool, processes };
    const details = processes.flatMap((one) => waitLines(one));
    const found = { ...sumUp(processes, causes, threadPool), details, evidence, causes };
    return told.some(({ haveEnded }) => haveEnded) ? { ...found, degrades: true } : found;
  },
};

function ofProcess(one: ProcessThreads, { roles, config }: Known): WorkersOfProcess | null {
  const member = roles.all.find(({ facts }) => {
    return facts.pid === one.pid && facts.startTicks === one.startTicks;
  });
  if (member === undefined || member.role === 'elsewhere') return null;
  const { retPort, publishPort } = masterAddress(config);
  const isMaster = ({ kind, port }: WaitedFor) => {
    return kind === 'called' && [retPort, publishPort].includes(port);
  };
  const forMaster = sum(one.waits.filter(({ on }) => on.some(isMaster)));
  return { ...one, role: member.role, forMaster };
}

function sumUp(
  processes: readonly WorkersOfProcess[],
  causes: readonly Cause[],
  pool: number | null,
): Pick<ReturnType<typeof workers.judge>, 'status' | 'summary'> {
  const [first] = processes;
  if (first === undefined) return { status: 'skip', summary: 'no salt-api process that serves' };
  const [told] = causes;
  const warns = causes.some(({ weight }) => weight > IN_FLIGHT);
  if (told !== undefined && warns) return { status: 'warn', summary: told.summary };
  if (first.sampled > 0 && first.denied === first.sampled) {
    const summary = `what the threads of ${first.pid} wait for may not be read: that takes root, or CAP_SYS_PTRACE`;
    return { status: 'unknown', summary };
  }
  const beside = pool === null ? '' : ` beside a thread_pool of ${pool}`;
  const summary = told?.summary ?? `${count(first.threads, 'thread')} in ${first.pid}${beside}`;
  return { status: 'pass', summary };
}

/** Weights of what is told; what does not hang by itself comes last. */
const [WAITING, DIED, IN_FLIGHT] = [85, 80, 60];

/** What the threads of one process tell, and whether that is that workers have ended. */
interface Told {
  readonly cause: Cause;
  readonly haveEnded: boolean;
}

function toldOf(one: WorkersOfProcess, pool: number | null, known: Known): Told | null {
  const details = waitLines(one);
  const waiting = waitingCause(one, pool, known, details);
  if (waiting !== null) return { cause: waiting, haveEnded: false };
  const lacking = lackingCause(one, pool, known, details);
  return lacking === null ? null : { cause: lacking, haveEnded: true };
}

/** Seen: so many wait for one end. Or inferred from the number of threads, where no end is in sight. */
function waitingCause(
  one: WorkersOfProcess,
  pool: number | null,
  { answer }: Pick<Known, 'answer'>,
  details: readonly string[],
): Cause | null {
  const { pid, threads, forMaster } = one;
  const more = pool !== null && threads > pool + BESIDE_POOL;
  const answers = answer.seen && answer.value.kind === 'answered';
  // A few calls at once are what a server that answers is there for.
  const weight = answers ? IN_FLIGHT : WAITING;
  const inAll = more ? `; it has ${grouped(threads)}, beside a thread_pool of ${pool}` : '';
  const [end, most] = mostWaitedFor(one);
  if (end !== null && most >= TELLING) {
    const who = of(most, one);
    const toMaster = end.kind === 'called' && forMaster >= most;
    const what = toMaster ? `${endInWords(end)}, the Salt master` : endWords(end);
    const advice = toMaster
      ? 'look at the Salt master first, and have clients that can wait call local_async (help checks)'
      : null;
    const summary = stripControl(`${who} of salt-api ${pid} wait for ${what}${inAll}`);
    return { basis: 'seen', weight, summary, details, advice };
  }
  if (!more) return null;
  // ZeroMQ names its threads (zmq_ctx_set(3), ZMQ_THREAD_NAME_PREFIX), and each call has a context.
  const contexts = sum(one.waits.filter(({ name }) => name.startsWith('ZMQbg/IO')));
  const counted = contexts > 0 && !isSample(one);
  const calls = counted
    ? `${count(contexts, 'call')} in flight, by ZeroMQ's threads`
    : 'calls in flight';
  return {
    basis: 'inferred',
    weight,
    summary: `salt-api ${pid} has ${count(threads, 'thread')} beside a thread_pool of ${pool}: ${calls}`,
    details,
    advice: null,
  };
}

/** The end that most threads wait for; of a listener or one caller's next request none is waited for in trouble. */
function mostWaitedFor({ waits }: ProcessThreads): [WaitedFor | null, number] {
  const ends = new Map<string, [WaitedFor, number]>();
  for (const { on, threads } of waits) {
    // A thread that watches both its listener and its callers is the one that accepts.
    if (on.some(({ kind }) => kind === 'listener')) continue;
    for (const end of on) {
      const key = `${end.kind} ${end.address} ${end.port}`;
      ends.set(key, [end, (ends.get(key)?.[1] ?? 0) + threads]);
    }
  }
  return [...ends.values()].toSorted((a, b) => b[1] - a[1])[0] ?? [null, 0];
}

/**
 * Fewer threads than workers were started: cheroot up to 10.0.0 loses them (salt-advice §2). Told of one
 * that answers: of a silent one whose threads were all lost, the waits of the rest tell.
 */
function lackingCause(
  { pid, threads, role }: WorkersOfProcess,
  pool: number | null,
  { roles, host, answer }: Known,
  details: readonly string[],
): Cause | null {
  if (pool === null || threads >= pool || role === 'fork' || role === 'job') return null;
  // Its answer tells whose pool it is: another server of that name has threads as it likes.
  const server = answer.seen && answer.value.kind === 'answered' ? answer.value.server : undefined;
  if (!server?.startsWith('CherryPy/')) return null;
  const member = roles.all.find(({ facts }) => facts.pid === pid);
  if (member === undefined || member.facts.listens.length === 0) return null;
  if (host.now - startedAt(member.facts, host) < START_MS) return null;
  return {
    basis: 'inferred',
    weight: DIED,
    summary: `salt-api ${pid} has ${count(threads, 'thread')} where thread_pool is ${pool}: workers have ended`,
    details: ['or thread_pool was changed since it started', ...details],
    advice: OWN_SERVER.test(server)
      ? null
      : 'cheroot 10.0.1 or newer loses no workers; until then TLS in a proxy keeps scanners off',
  };
}

function waitLines(one: ProcessThreads): string[] {
  const { pid, waits, sampled, threads, denied } = one;
  if (sampled === 0) return [];
  const head = `threads of ${pid}: ${grouped(threads)}${isSample(one) ? `, an even sample of ${grouped(sampled)} looked at` : ''}${denied > 0 ? `, ${grouped(denied)} without their call` : ''}`;
  const rest = waits.length - MOST_DETAILS;
  return [
    head,
    ...waits.slice(0, MOST_DETAILS).map(waitWords),
    ...(rest > 0 ? [`and ${count(rest, 'kind')} more`] : []),
  ].map(stripControl);
}

function waitWords({ threads, state, name, call, channel, on }: ThreadWait): string {
  const where = channel === null ? '' : ` (${channel})`;
  const ends = on.map(endWords).join(', ');
  const what = ends === '' ? '' : ` for ${ends}`;
  return `${grouped(threads)} × ${call ?? 'call not readable'}${where}${what}, state ${state}, ${name}`;
}

function endWords(end: WaitedFor): string {
  switch (end.kind) {
    case 'listener':
      return `new connections to ${endInWords(end)}`;
    case 'caller':
      return `requests of ${end.address}`;
    case 'called':
      return endInWords(end);
  }
}

/** `88 threads`, or of a sample `88 of 160 threads looked at`. */
function of(number: number, one: ProcessThreads): string {
  if (!isSample(one)) return count(number, 'thread');
  return `${grouped(number)} of ${grouped(one.sampled)} threads looked at`;
}

/** A few threads may have ended since they were counted. */
function isSample({ sampled, threads }: ProcessThreads): boolean {
  return sampled < threads * 0.8;
}

function sum(waits: readonly ThreadWait[]): number {
  return waits.reduce((total, { threads }) => total + threads, 0);
}
