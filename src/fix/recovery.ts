/** What of a look says that a fix has reached something. Pure. */
import type { Diagnosis } from '../diagnosis/diagnosis.ts';

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
