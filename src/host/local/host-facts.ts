import { hostname } from 'node:os';
import type { HostFacts } from '../../evidence/evidence.ts';
import { parseBootTime, TICKS_PER_SECOND } from '../../evidence/proc-text.ts';
import { tryReadKernelFile } from './proc-files.ts';

/** Reads the host's name, clock, zone and boot. */
export function readHostFacts(proc = '/proc'): HostFacts {
  const now = new Date();
  return {
    name: hostname(),
    now: now.getTime(),
    // Not its negative, which is -0 in UTC and no other host's 0.
    utcOffsetMinutes: 0 - now.getTimezoneOffset(),
    bootId: (tryReadKernelFile(`${proc}/sys/kernel/random/boot_id`) ?? '').trim(),
    bootedAt: parseBootTime(tryReadKernelFile(`${proc}/stat`) ?? '') ?? 0,
    ticksPerSecond: TICKS_PER_SECOND,
    uid: process.geteuid?.() ?? -1,
  };
}
