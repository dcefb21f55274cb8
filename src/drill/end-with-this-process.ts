/**
 * Has `end` run when this process ends, for whatever reason can be caught.
 * @returns takes it back
 */
export function endWithThisProcess(end: () => void): () => void {
  const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
  const onSignal = (signal: NodeJS.Signals) => {
    release();
    end();
    // With our handler gone and no other, the signal has its usual effect.
    if (process.listenerCount(signal) === 0) process.kill(process.pid, signal);
  };
  const release = () => {
    process.off('exit', end);
    for (const signal of signals) process.off(signal, onSignal);
  };
  process.on('exit', end);
  for (const signal of signals) process.on(signal, onSignal);
  return release;
}
