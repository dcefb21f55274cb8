/** What a package says of itself. */
export const MAINTAINER = 'salt-triage maintainers <maintainers@salt-triage.invalid>';
export const SUMMARY = 'find and mend what keeps salt-api from answering';
/** Paragraphs, wrapped as a control file has them. */
export const DESCRIPTION = [
  [
    'For the on-call engineer whose salt-api has stopped answering and whom a',
    'restart did not help: tells which process holds the port and why, kills what',
    'is proven an orphan, restarts, and verifies that the API serves again.',
  ].join('\n '),
  [
    'With a check for monitors, and a systemd timer that runs it, disabled until',
    'it is wanted. One executable; Node.js is built in.',
  ].join('\n '),
] as const;
