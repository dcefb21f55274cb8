/** Which processes tell what of Salt runs: those whose files and limits are looked at. */
import type { Evidence, ProcessFacts } from './evidence.ts';
import { isDeadState } from './proc-text.ts';
import { belongsTo, mayNameFiles } from './resolve.ts';
import { readSaltApiArgv, withEnvironment } from './salt-api-argv.ts';

/** A daemon, its child, and what a daemon before it has left. */
const MOST = 4;

/**
 * The salt-api processes of the instance that see the files that we see: those that serve the port
 * first, and of each kind the youngest first. Nothing is killed by it, but paths are read that they
 * name, so an ordinary user's are left out.
 */
export function saltPrograms({
  processes,
  instance,
  host,
}: Pick<Evidence, 'processes' | 'instance' | 'host'>): readonly ProcessFacts[] {
  if (!processes.seen) return [];
  return processes.value.processes
    .filter((facts) => {
      const argv = readSaltApiArgv(facts.argv);
      if (argv === null || isDeadState(facts.state) || facts.saltSigns?.length === 0) return false;
      if (!mayNameFiles(facts.uid, host.uid) || !sharesFiles(facts)) return false;
      return belongsTo(withEnvironment(argv, facts.environment), instance);
    })
    .toSorted((a, b) => Number(serves(b)) - Number(serves(a)) || b.startTicks - a.startTicks)
    .slice(0, MOST);
}

function sharesFiles({ rootDirectory, pidNamespace }: ProcessFacts): boolean {
  return rootDirectory !== 'other' && pidNamespace !== 'other';
}

function serves({ listens }: ProcessFacts): boolean {
  return listens.length > 0;
}
