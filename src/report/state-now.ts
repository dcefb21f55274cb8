/** In which state a look has found salt-api: only what was seen. Pure. */
import type { Diagnosis } from '../diagnosis/diagnosis.ts';
import { pidList } from '../words.ts';

/** One sentence, without a full stop: `salt-api is stopped: nothing of it runs, …`. */
export function stateNow({ findings, roles, evidence }: Diagnosis): string {
  const { evidence: held, summary } = findings['port-holder'];
  const strays = pidsOf(roles, 'orphan').filter((pid) => {
    return !held.holders.some((holder) => holder.pid === pid);
  });
  const stray = strays.length === 0 ? '' : `; ${named('orphan', strays)} still there`;
  const daemon = roles.daemon?.facts.pid;
  switch (held.state) {
    case 'free':
      return held.listeners.length > 0 ? summary : `${nobodyListens(roles, evidence)}${stray}`;
    case 'orphan': {
      const holders = held.holders.filter(({ role }) => role === 'orphan').map(({ pid }) => pid);
      if (holders.length === 0) return summary;
      const beside = daemon === undefined ? '' : `; salt-api ${daemon} is running without it`;
      const hold = holders.length === 1 ? 'holds' : 'hold';
      return `${named('orphan', holders)} still ${hold} port ${held.port}${beside}${stray}`;
    }
    case 'daemon':
      return `${summary}; GET /: ${findings['api-answers'].summary}${stray}`;
    default:
      return `${summary}${stray}`;
  }
}

type Roles = Diagnosis['roles'];

/** On a port that nobody has: whether salt-api runs, as far as its processes can be seen. */
function nobodyListens(roles: Roles, { port, processes }: Diagnosis['evidence']): string {
  const nothing = `nothing listens on port ${port.number}`;
  if (!processes.seen) return `${nothing}; whether salt-api is running is not known`;
  if (roles.daemon !== null) {
    const { pid, state } = roles.daemon.facts;
    const how = state === 'T' ? 'suspended (state T)' : 'running';
    return `salt-api ${pid} is ${how}, but ${nothing}`;
  }
  const left = roles.all.filter(({ role }) => !['elsewhere', 'orphan'].includes(role));
  const pids = pidList(left.map(({ facts }) => facts.pid));
  if (left.length > 0) return `${nothing}; salt-api processes still there: ${pids}`;
  const { hidden, deniedArgv } = processes.value;
  if (hidden || deniedArgv > 0) return `${nothing}, and no salt-api is seen`;
  const orphans = pidsOf(roles, 'orphan').length > 0;
  return orphans ? `no salt-api daemon is running, ${nothing}` : `salt-api is stopped: ${nothing}`;
}

function pidsOf({ all }: Roles, wanted: Roles['all'][number]['role']): number[] {
  return all.filter(({ role }) => role === wanted).map(({ facts }) => facts.pid);
}

function named(noun: string, pids: readonly number[]): string {
  return `${pids.length === 1 ? noun : `${noun}s`} ${pidList(pids)}`;
}
