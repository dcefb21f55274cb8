/** What bears on it, and what would keep it from coming back on this host. */
import type { PostmortemCase } from './case.ts';
import type { Course } from './course.ts';
import { type Basis, inferred, type Statement, safe, saw } from './statement.ts';

export interface ActionItem {
  /** An order to the reader. */
  readonly text: string;
  /** What of the evidence it answers. */
  readonly why: string;
  readonly basis: Basis;
  /** Prints what it takes; null where no command does. */
  readonly command: string | null;
}

export function contributingFactors(about: PostmortemCase, course: Course): Statement[] {
  const { before, files, looks } = about;
  if (before === null) return [];
  const causes = before.causes.map((cause) => {
    const tell = cause.basis === 'seen' ? saw : inferred;
    return tell(files.before, cause.summary);
  });
  const orphan = before.roles.all.some(({ role }) => role === 'orphan');
  return [
    ...causes,
    ...(orphan
      ? [
          inferred(
            files.before,
            'A child of salt-api can outlive its daemon and keep the port; no service manager looks after it then.',
          ),
        ]
      : []),
    ...(looks === null && course.firstSilent !== null
      ? [
          inferred(
            files.before,
            'No look of a salt-triage check at this port is on record here, so none dates the beginning.',
          ),
        ]
      : []),
  ];
}

/** The advice of each cause once, then the monitor. */
export function actionsFor(about: PostmortemCase): ActionItem[] {
  const { before, looks } = about;
  const advised = new Map<string, ActionItem>();
  for (const { advice, summary, basis } of before?.causes ?? []) {
    if (advice === null || advised.has(advice)) continue;
    advised.set(advice, { text: sentence(safe(advice)), why: safe(summary), basis, command: null });
  }
  return [...advised.values(), ...(looks === null ? [monitor(about)] : [])];
}

function monitor({ before }: PostmortemCase): ActionItem {
  const service = before?.evidence.service;
  const systemd = service?.seen === true && service.value.systemdRuns;
  return {
    text: `Watch salt-api with a check that alarms on no answer and on CLOSE_WAIT, and that keeps its looks (--growth).`,
    why: 'no look of a check at this port is on record here',
    basis: 'seen',
    command: `salt-triage check --example ${systemd ? 'systemd' : 'nagios'}`,
  };
}

function sentence(text: string): string {
  return `${text.charAt(0).toUpperCase()}${text.slice(1)}${/[.!?]$/.test(text) ? '' : '.'}`;
}
