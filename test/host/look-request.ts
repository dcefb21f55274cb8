/** A look that finds out everything by itself; tests set what they are about. */
import type { LookRequest } from '../../src/evidence/evidence.ts';

export const LOOK_REQUEST: LookRequest = {
  port: undefined,
  configDirectory: undefined,
  log: undefined,
  sinceMs: null,
  probeTimeoutMs: null,
  lookTimeoutMs: 20_000,
};
