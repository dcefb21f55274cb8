const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
const ends = new Set<() => void>();

/**
 * Has `end` run when this process ends, for whatever reason can be caught. A signal that somebody
 * else listens to does not end it: then whoever listens decides.
 * @returns takes it back
 */
export function endWithThisProcess(end: () => void): () => void {
  if (ends.size === 0) {
    process.on('exit', runAll);
    for (const signal of SIGNALS) process.on(signal, onSignal);
  }
  ends.add(end);
  return () => {
    if (ends.delete(end) && ends.size === 0) letGo();
  };
}

function runAll(): void {
  for (const end of ends) end();
  ends.clear();
}

function onSignal(signal: NodeJS.Signals): void {
  if (process.listenerCount(signal) > 1) return;
  runAll();
  letGo();
  // With no handler left the signal has its usual effect.
  process.kill(process.pid, signal);
}

function letGo(): void {
  process.off('exit', runAll);
  for (const signal of SIGNALS) process.off(signal, onSignal);
}
