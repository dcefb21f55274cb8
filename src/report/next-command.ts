/** What to type next: a command that can be copied, and in a few words what it does. */

import type { FindingsBeforeAnswer } from '../diagnosis/checks/checks.ts';
import type { ActionBasis } from '../diagnosis/diagnosis.ts';
import { startAdvice } from '../diagnosis/start-failure.ts';
import type { VerdictCode } from '../diagnosis/verdict.ts';
import type { Evidence } from '../evidence/evidence.ts';
import { readSaltApiArgv } from '../evidence/salt-api-argv.ts';
import { unitOf } from '../evidence/systemd-unit.ts';
import type { Plan } from '../plan/plan.ts';
import { quoteForShell } from '../shell-words.ts';
import { stripControl } from '../untrusted.ts';
import { describeDuration, pidList } from '../words.ts';

export interface Next {
  /** The command, or what to do where no command of ours helps; empty when healthy. */
  readonly next: string;
  /** What the next command does, in a few words. */
  readonly nextNote: string;
}

type Flags = readonly string[];

/**
 * The next command for a diagnosis.
 * @param flags options that it must repeat to mean the same salt-api, such as `--port 8443`
 */
export function nextCommand(diagnosis: ActionBasis, flags: Flags): Next {
  const { findings, verdict } = diagnosis;
  const again = ['salt-triage', 'diagnose', ...flags];
  switch (verdict.code) {
    case 'healthy':
      return { next: '', nextNote: '' };
    case 'degraded':
      if (verdict.portInstead !== undefined) return lookAtPort(verdict.portInstead, flags);
      return { next: [...again, '-v'].join(' '), nextNote: 'shows the evidence of each step' };
    case 'unknown':
      return afterUnknown(diagnosis, flags);
    case 'foreign-holder':
      return afterForeignHolder(diagnosis, flags);
    default:
      if (verdict.startFailure !== undefined) {
        const { command, note } = startAdvice(verdict.startFailure, diagnosis.evidence);
        return { next: command, nextNote: note };
      }
      return {
        next: ['salt-triage', 'fix', ...flags].join(' '),
        nextNote: fixNote(verdict.code, findings),
      };
  }
}

function afterUnknown({ evidence, verdict }: ActionBasis, flags: Flags): Next {
  const { portInstead, comesUpWithinMs, asksAgain, withoutSalt } = verdict;
  const again = ['salt-triage', 'diagnose', ...flags];
  if (withoutSalt) {
    return {
      next: ['salt-triage', 'diagnose', ...withOption(flags, '--host', 'HOST')].join(' '),
      nextNote: 'looks at the host that runs salt-api, by ssh',
    };
  }
  if (comesUpWithinMs !== undefined) {
    const within = describeDuration(comesUpWithinMs);
    return { next: again.join(' '), nextNote: `looks again: it may take up to ${within} more` };
  }
  if (asksAgain !== undefined) {
    return { next: again.join(' '), nextNote: 'looks again: one silence alone proves no hang' };
  }
  if (portInstead !== undefined) return lookAtPort(portInstead, flags);
  if (evidence.host.uid === 0) {
    return { next: [...again, '-v'].join(' '), nextNote: 'shows what could not be read, and why' };
  }
  const there = hostOption(flags);
  const asRoot = there === null ? ['sudo', ...again] : [...again, '--sudo'];
  return {
    next: (there?.startsWith('root@') ? again : asRoot).join(' '),
    nextNote: 'root sees every holder and every log',
  };
}

function lookAtPort(port: number, flags: Flags): Next {
  const there = withOption(flags, '--port', String(port));
  return {
    next: ['salt-triage', 'diagnose', ...there].join(' '),
    nextNote: `looks at port ${port} of this salt-api`,
  };
}

function afterForeignHolder({ findings }: ActionBasis, flags: Flags): Next {
  const { holders } = findings['port-holder'].evidence;
  const holder = holders.find(({ role }) => role === 'foreign' || role === 'elsewhere');
  const theirs = readSaltApiArgv(holder?.argv ?? [])?.configDirectory;
  if (holder?.role === 'elsewhere' && theirs?.startsWith('/')) {
    return {
      next: ['salt-triage', 'diagnose', ...withOption(flags, '-c', theirs)].join(' '),
      nextNote: 'looks at the salt-api that has the port',
    };
  }
  const there = hostOption(flags);
  const over = there === null ? [] : ['ssh', there];
  return {
    next: [...over, 'ps', '-fp', holder?.pid ?? ''].join(' ').trim(),
    nextNote: 'then stop that program, or give salt-api another port; fix never kills it',
  };
}

function hostOption(flags: Flags): string | null {
  const at = flags.indexOf('--host');
  return at === -1 ? null : (flags[at + 1] ?? null);
}

/** The options with one of them, which takes a value, changed or added. */
function withOption(flags: readonly string[], name: string, value: string): string[] {
  const at = flags.indexOf(name);
  const rest = at === -1 ? flags : [...flags.slice(0, at), ...flags.slice(at + 2)];
  return [name, quoteForShell(value), ...rest];
}

function fixNote(code: VerdictCode, findings: FindingsBeforeAnswer): string {
  const found = findings.orphans.evidence.processes.map(({ pid }) => pid);
  const pids = found.length > 6 ? pidList(found) : found.join(' ');
  if (code === 'orphan-holds-port') return `kill -9 ${pids}, then restart, asking before each step`;
  if (code === 'orphan-stray') return `kill -9 ${pids}, asking first`;
  if (code === 'down') return 'start the service, asking first';
  return 'stop, kill what stays, start, asking before each step';
}

/**
 * What the next command must say where evidence from elsewhere is judged: that host, and what of
 * it the evidence is of. Here it would look at another salt-api, or fix one.
 */
export function optionsOfEvidence({ host, port, instance, service }: Evidence): string[] {
  const name = stripControl(host.name).trim();
  const unit = unitOf(service)?.unit ?? null;
  return [
    ...['--host', `root@${name === '' ? 'HOST' : quoteForShell(name)}`],
    ...['--port', String(port.number), '-c', quoteForShell(stripControl(instance.configDirectory))],
    // No name of a unit begins so (systemd.unit(5)); it could be taken for an option.
    ...(unit && unit !== 'salt-api' && !unit.startsWith('-')
      ? ['--unit', quoteForShell(stripControl(unit))]
      : []),
  ];
}

/** What to do about a plan that was refused. */
export function refusalAdvice(
  { advice }: Extract<Plan, { kind: 'refused' }>,
  diagnosis: ActionBasis,
  flags: Flags,
): string {
  if (advice !== null) return advice;
  const { next, nextNote } = nextCommand(diagnosis, flags);
  return diagnosis.verdict.code === 'foreign-holder'
    ? `Find out with \`${next}\`, ${nextNote}.`
    : `Look again with \`${next}\`: ${nextNote}.`;
}
