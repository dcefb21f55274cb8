import type { Evidence } from '../../evidence/evidence.ts';
import {
  IPC_FILES,
  isAnyHost,
  type MasterAddress,
  type MasterFacts,
  type MasterProcess,
} from '../../evidence/master-facts.ts';
import { endInWords } from '../../evidence/tcp-rows.ts';
import { stripControl } from '../../untrusted.ts';
import { count, describeDuration, grouped, pidList, startedAt } from '../../words.ts';
import { START_MS } from '../orphan-signs.ts';
import { type Cause, type Explains, unseenSection } from './explanation.ts';
import type { StepStatus } from './finding.ts';

/** What the master is like. `elsewhere`: not on this host, or not in sight. */
type MasterState =
  | 'answers'
  | 'frozen'
  | 'partly-frozen'
  | 'absent'
  | 'starting'
  | 'elsewhere'
  | 'not-known';

/** The JSON evidence of the master. */
export interface MasterEvidence {
  readonly state: MasterState;
  /** Where salt-api calls it; null where nobody looked. */
  readonly asked: MasterAddress | null;
  readonly processes: readonly MasterProcess[];
  readonly listeners: MasterFacts['listeners'];
  readonly backlog: MasterFacts['backlog'] | null;
  readonly stuck: MasterFacts['stuck'];
  readonly ipc: MasterFacts['ipc'];
}

/** What one rule makes of the facts. */
interface Judged {
  readonly state: MasterState;
  readonly status: StepStatus;
  readonly summary: string;
  readonly advice?: string;
}

/** The Salt master that every call of the API ends at: is it there, and does it take them. */
export const master: Explains<'master', MasterEvidence> = {
  id: 'master',
  title: 'master',
  decides: true,
  judge({ background: { master: look }, host, processes: table }) {
    if (!look.seen) return unseenSection(look, NOTHING);
    const { asked, processes, listeners, backlog, stuck, ipc } = look.value;
    const { state, status, summary, advice } = judge(look.value, {
      host,
      processes: table,
    });
    const details = detailsOf(look.value);
    return {
      status,
      summary,
      details,
      evidence: { state, asked, processes, listeners, backlog, stuck, ipc },
      causes: status === 'warn' ? [causeOf(state, summary, details, advice)] : [],
      // One that is not there may not be meant to be: a lab, a host that is being built.
      ...(state === 'frozen' || state === 'partly-frozen' ? { degrades: true } : {}),
    };
  },
};

const NOTHING: MasterEvidence = {
  state: 'not-known',
  asked: null,
  processes: [],
  listeners: [],
  backlog: null,
  stuck: null,
  ipc: null,
};

type Needed = 'host' | 'processes';

function judge(facts: MasterFacts, known: Pick<Evidence, Needed>): Judged {
  const { listeners, asked } = facts;
  const listens = listeners.some(({ port }) => port === asked.retPort);
  return (
    (listens ? null : notListening(facts, known)) ??
    frozen(facts) ??
    withoutIpc(facts) ??
    well(facts)
  );
}

function notListening(
  facts: MasterFacts,
  { host, processes: table }: Pick<Evidence, Needed>,
): Judged {
  const { asked, processes, isHere, installed, ipc } = facts;
  const where = whereIs(asked);
  if (isHere !== true) {
    const address = stripControl(asked.address);
    const summary = `interface ${address} is not known to be of this host: the master there was not looked at`;
    return { state: 'elsewhere', status: 'unknown', summary };
  }
  const nobody = `nobody listens on ${where}`;
  const [first] = processes;
  if (first === undefined) {
    // Where nothing of a master ever was, the calls may go another way.
    const wasHere = ipc !== null || installed;
    if (!wasHere) {
      const summary = `${nobody}, and nothing of a Salt master is on this host`;
      return { state: 'elsewhere', status: 'unknown', summary };
    }
    const unseen = table.seen && !table.value.hidden ? 'no salt-master process, and ' : '';
    const summary = `the Salt master is not there: ${unseen}${nobody}`;
    const advice = 'start salt-master, and have whatever watches salt-api watch it as well';
    return { state: 'absent', status: 'warn', summary, advice };
  }
  const stopped = frozen(facts);
  if (stopped !== null) return stopped;
  const age = host.now - startedAt(first, host);
  if (age < START_MS) {
    const summary = `the Salt master ${first.pid} started ${describeDuration(age)} ago, and ${nobody} yet`;
    return { state: 'starting', status: 'unknown', summary };
  }
  const summary = `the Salt master ${first.pid} takes no calls: ${nobody}`;
  const advice = 'restart salt-master, and read its log for why its port is not there';
  return { state: 'absent', status: 'warn', summary, advice };
}

/** Suspended as a whole, or in what every call goes through; or connections lie there that nobody reads. */
function frozen({ processes, holders, stuck, asked, backlog }: MasterFacts): Judged | null {
  const suspended = processes.filter(({ state }) => state === 'T');
  const stopped = pidList(suspended.map(({ pid }) => pid));
  const advice = `find out who has stopped it; kill -CONT ${suspended.map(({ pid }) => pid).join(' ')} lets it run on`;
  const workers = processes.filter(({ title }) => /\bMWorker-\d+/.test(title));
  const isStopped = ({ pid }: { readonly pid: number }) => suspended.some((one) => one.pid === pid);
  const takesNone =
    (holders !== null && holders.length > 0 && holders.every((pid) => isStopped({ pid }))) ||
    (workers.length > 0 && workers.every(isStopped));
  if (suspended.length > 0 && (takesNone || suspended.length === processes.length)) {
    const summary = `the Salt master is frozen: ${grouped(suspended.length)} of its ${count(processes.length, 'process', 'processes')} suspended (state T), ${stopped}`;
    return { state: 'frozen', status: 'warn', summary, advice };
  }
  if (stuck !== null && stuck.connections > 0) {
    const lying = count(stuck.connections, 'connection');
    const bytes = backlog.unread.bytes > 0 ? `, ${grouped(backlog.unread.bytes)} bytes unread` : '';
    const summary = `the Salt master is frozen: ${lying} to ${whereIs(asked)} lay untouched for ${describeDuration(stuck.afterMs)}${bytes}`;
    const restart = 'find out what its processes wait for, and restart salt-master before salt-api';
    return { state: 'frozen', status: 'warn', summary, advice: restart };
  }
  if (suspended.length === 0) return null;
  const named = suspended[0]?.title ?? '';
  const what =
    suspended.length === 1 && named !== '' ? `${stopped} (${stripControl(named)})` : stopped;
  const summary = `of the Salt master ${what} ${suspended.length === 1 ? 'is' : 'are'} suspended (state T)`;
  return { state: 'partly-frozen', status: 'warn', summary, advice };
}

/** rest_cherrypy answers 503 to every call where neither file is there (salt/netapi, `_is_master_running`). */
function withoutIpc({ ipc, asked }: MasterFacts): Judged | null {
  if (ipc === null || IPC_FILES.some((name) => ipc.files.includes(name))) return null;
  const summary = `the Salt master has no ${IPC_FILES[0]} in ${stripControl(asked.socketDirectory)}, so salt-api refuses every call (503)`;
  const advice = 'restart salt-master; nothing may tidy up in its sock_dir';
  return { state: 'absent', status: 'warn', summary, advice };
}

function well({ processes, asked, backlog }: MasterFacts): Judged {
  const unread = backlog.unread.bytes === 0 ? ', and nothing lies there unread' : '';
  const [first] = processes;
  const where = whereIs(asked);
  const summary =
    first === undefined
      ? `${where} listens; no process of salt-master is in sight`
      : `salt-master ${first.pid} with ${count(processes.length, 'process', 'processes')}; ${where} listens${unread}`;
  return { state: 'answers', status: 'pass', summary };
}

function detailsOf({ asked, processes, listeners, backlog, ipc }: MasterFacts): string[] {
  const { acceptQueue, unread, unsent } = backlog;
  const ports = listeners.map((one) => {
    return `${endInWords(one)} listens, ${grouped(one.acceptQueue)} not yet accepted`;
  });
  const busy = processes.filter(({ state }) => state === 'D' || state === 'T');
  return [
    ...ports,
    `connections to port ${asked.retPort}: ${grouped(unread.bytes)} bytes unread on ${grouped(unread.connections)}, ${grouped(unsent.bytes)} unsent on ${grouped(unsent.connections)}, ${grouped(acceptQueue)} not accepted`,
    ...busy.map(({ pid, state, title }) => stripControl(`${pid} ${title} in state ${state}`)),
    ...(ipc === null
      ? [`${stripControl(asked.socketDirectory)} is not there`]
      : [
          `in ${stripControl(asked.socketDirectory)}: ${ipc.listening.join(', ') || 'nothing'} listened on`,
        ]),
  ].slice(0, MOST_DETAILS);
}

/** A master has a few processes; a stranger's titles may make it many. */
const MOST_DETAILS = 40;

function causeOf(
  state: MasterState,
  summary: string,
  details: readonly string[],
  advice: string | undefined,
): Cause {
  const weight = state === 'partly-frozen' ? 80 : 95;
  return { basis: 'seen', weight, summary, details, advice: advice ?? null };
}

function whereIs({ address, retPort }: MasterAddress): string {
  if (isAnyHost(address)) return `port ${retPort}`;
  return endInWords({ address: stripControl(address), port: retPort });
}
