/** What of a look says that a fix has reached something. Pure. */
import type { Diagnosis } from '../diagnosis/diagnosis.ts';
import type { VerdictCode } from '../diagnosis/verdict.ts';
import { unitOf } from '../evidence/systemd-unit.ts';

/** True where the verdict says that there is nothing to fix. */
export function isWell(code: VerdictCode): boolean {
  return code === 'healthy' || code === 'degraded';
}

/**
 * What is still wanting, in words; empty where the API serves and no orphan is left.
 *
 * @param replaced the look at the server that another has to have taken the place of, which then
 *   has nothing else wrong either; null where the one from before may stay: that is as well as
 *   `diagnose` calls it
 */
export function wanting(now: Diagnosis, replaced: Diagnosis | null): string[] {
  const { orphans, 'api-answers': answer } = now.findings;
  const orphansLeft = orphans.status === 'unknown' || orphans.evidence.processes.length > 0;
  // Not asked, or not waited for, is no answer either.
  const silent = !['pass', 'warn'].includes(answer.status);
  return [
    portWanting(now, replaced),
    orphansLeft ? `orphans: ${orphans.summary}` : null,
    silent ? `GET /: ${answer.summary}` : null,
    ...(replaced === null ? [] : remainsOf(now)),
  ].filter((one) => one !== null);
}

function portWanting(now: Diagnosis, replaced: Diagnosis | null): string | null {
  const { evidence, summary } = now.findings['port-holder'];
  if (evidence.state !== 'daemon') return summary;
  const old = replaced !== null && isHeldAsBefore(now, replaced);
  return old ? 'the old process still holds the port' : null;
}

/** What an incident leaves behind, and a server that is new can't have. */
function remainsOf({ findings, evidence: { policy } }: Diagnosis): (string | null)[] {
  const { 'close-wait': closeWait, 'api-log': log } = findings;
  const stuck = closeWait.evidence.count ?? policy.closeWaitWarn;
  return [
    stuck >= policy.closeWaitWarn ? `CLOSE_WAIT: ${closeWait.summary}` : null,
    (log.evidence.eventsSinceDaemon ?? 0) > 0 ? `API log: ${log.summary}` : null,
  ];
}

/** True where a salt-api process of this instance that held the port before holds it still. */
export function isHeldAsBefore(now: Diagnosis, before: Diagnosis): boolean {
  const old = new Map(holders(before).map(({ pid, startTicks }) => [pid, startTicks]));
  return holders(now).some(({ pid, startTicks }) => old.get(pid) === startTicks);
}

function holders({ roles }: Diagnosis) {
  return roles.all
    .filter(({ role, facts }) => role !== 'elsewhere' && facts.listens.length > 0)
    .map(({ facts }) => facts);
}

/** True where the Salt master behind the API is there and was seen to take no calls. */
export function masterIsDeaf({ explanations: { master } }: Diagnosis): boolean {
  return master.evidence.state === 'frozen';
}

/** What is wrong with the master behind an API that answers, in words; null where nothing is known to be. */
export function masterTrouble(now: Diagnosis): string | null {
  const { status, summary } = now.explanations.master;
  if (status !== 'warn') return null;
  return masterIsDeaf(now) ? `the master does not: ${summary}` : summary;
}

/** True where something runs, or is being started, that may yet take the port. */
export function isComing({ roles, evidence: { service } }: Diagnosis): boolean {
  if (unitOf(service)?.activeState === 'activating') return true;
  return roles.all.some(({ role }) => !['orphan', 'fork', 'job', 'elsewhere'].includes(role));
}

/**
 * Whether a start would find its port: nobody listens there, or nobody but who had another address
 * of it beside our server before. A listener on the address that ours had is in the way, whoever
 * shared that with it (SO_REUSEPORT, socket(7)).
 *
 * @param before the diagnosis that the fix began with
 */
export function isPortFree(now: Diagnosis, before: Diagnosis): boolean {
  const { state, listeners } = now.findings['port-holder'].evidence;
  if (state !== 'foreign') return state === 'free';
  const then = before.findings['port-holder'].evidence;
  const strangers = new Set(
    then.holders.filter(({ role }) => role === 'foreign').map(({ pid }) => pid),
  );
  const isStrange = ({ pids }: { readonly pids: readonly number[] }) =>
    pids.length > 0 && pids.every((pid) => strangers.has(pid));
  const ours = then.listeners.filter((listener) => !isStrange(listener));
  const addresses = new Set(ours.map(({ address }) => address));
  const beside = then.listeners.filter((one) => isStrange(one) && !addresses.has(one.address));
  const inodes = new Set(beside.map(({ inode }) => inode));
  return ours.length > 0 && listeners.every(({ inode }) => inodes.has(inode));
}
