/**
 * How long this process has run, ms: a clock that nobody sets. `performance.now()` counts the same, and
 * its first use loads a dozen modules of node, a fiftieth of what a look at an idle host takes.
 */
export function runningMs(): number {
  return process.uptime() * 1000;
}
