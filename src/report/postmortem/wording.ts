import type { Basis } from './statement.ts';

/** The sections, in the order in which they are read. */
export const HEADINGS = {
  summary: 'Summary',
  impact: 'Impact',
  timeline: 'Timeline',
  processes: 'Processes before anything was done',
  pictures: 'Pictures',
  questions: 'Five questions',
  factors: 'Contributing factors',
  actions: 'Actions',
  files: 'Written from',
} as const;

export const INTRODUCTION =
  'A draft, written by salt-triage from what it has seen and recorded. It is about systems: how they came to do this, and what would have told sooner. Nothing in it is made up; what nobody has recorded is a question, for those who know to fill in.';

export const BASES: readonly (readonly [Basis, string])[] = [
  ['seen', 'read on the host, or recorded when it was done.'],
  ['inferred', 'follows from that, by what is known of such hosts.'],
  ['not known', 'a question to fill in.'],
];
