/** Signals during a fix: they end the sequence between two steps, never a step in its middle. */

export interface Interrupts {
  /** True once no further step should begin. */
  readonly interrupted: boolean;
  /** Aborts with the first of the signals, so that an open question is not left to be answered. */
  readonly signal: AbortSignal;
  stop(): void;
}

/**
 * Listens for SIGINT, SIGTERM and SIGHUP.
 * @param options `survivesHangUp`: a lost terminal is ignored, since stopping between the stop and
 *   the start would leave the service down
 */
export function listenForInterrupts(options: { readonly survivesHangUp: boolean }): Interrupts {
  const abort = new AbortController();
  let interrupted = false;
  const onInterrupt = () => {
    if (!interrupted)
      process.stderr.write('\nsalt-triage: finishing the current step, then stopping\n');
    interrupted = true;
    abort.abort();
  };
  const onHangUp = () => {
    if (options.survivesHangUp) return;
    interrupted = true;
    abort.abort();
  };
  process.on('SIGINT', onInterrupt);
  process.on('SIGTERM', onInterrupt);
  process.on('SIGHUP', onHangUp);
  return {
    get interrupted() {
      return interrupted;
    },
    signal: abort.signal,
    stop() {
      process.off('SIGINT', onInterrupt);
      process.off('SIGTERM', onInterrupt);
      process.off('SIGHUP', onHangUp);
    },
  };
}
