/** What to type next: a command that can be copied, and in a few words what it does. */

import type { ActionBasis } from '../diagnosis/diagnosis.ts';
import { startAdvice } from '../diagnosis/start-failure.ts';
import { isFixable } from '../diagnosis/verdict.ts';
import type { Evidence } from '../evidence/evidence.ts';
import { readSaltApiArgv } from '../evidence/salt-api-argv.ts';
import { unitOf } from '../evidence/systemd-unit.ts';
import type { FixResultOf } from '../fix/result.ts';
import { type FixPlan, type Plan, type PlanOptions, type PlanStep, planFix } from '../plan/plan.ts';
import type { Remedy, RemedyOption } from '../plan/remedy.ts';
import { wantsRoot } from '../plan/rights.ts';
import {
  chooseServiceManager,
  type ServiceManager,
  type ServiceOptions,
} from '../plan/service-manager.ts';
import { commandLine, quoteForShell } from '../shell-words.ts';
import { stripControl } from '../untrusted.ts';
import { describeDuration, pidList } from '../words.ts';

export interface Next {
  /** The command, or what to do where no command of ours helps; empty when healthy. */
  readonly next: string;
  /** What the next command does, in a few words. */
  readonly nextNote: string;
}

/** Where there is nothing more to do, or nothing to say of it. */
export const NO_NEXT: Next = { next: '', nextNote: '' };

/** What the next command repeats, and what a fix that it names would plan by. */
export interface Repeated {
  /** Options that mean the same salt-api to any command, quoted, such as `--port 8443`. */
  readonly flags: readonly string[];
  /** All options of the next `fix`, quoted. */
  readonly fixFlags: readonly string[];
  /** `fix` asks nothing. */
  readonly yes: boolean;
  /** What the fix at hand was restricted to; the next one goes for all of it. */
  readonly only: PlanOptions['only'];
  readonly restart: PlanOptions['restart'];
  readonly service: ServiceOptions;
}

type Flags = readonly string[];

/**
 * The next command for a diagnosis. Where it is a fix, that has been planned with the same options:
 * what would be refused is not promised.
 */
export function nextCommand(diagnosis: ActionBasis, repeated: Repeated): Next {
  const { verdict, evidence } = diagnosis;
  const { flags } = repeated;
  const again = ['salt-triage', 'diagnose', ...flags];
  switch (verdict.code) {
    case 'healthy':
      return NO_NEXT;
    case 'degraded':
      if (verdict.portInstead !== undefined) return lookAtPort(verdict.portInstead, flags);
      return { next: [...again, '-v'].join(' '), nextNote: 'shows the evidence of each step' };
    case 'unknown':
      return afterUnknown(diagnosis, flags);
    case 'foreign-holder':
      return afterForeignHolder(diagnosis, flags);
    default:
      if (verdict.startFailure !== undefined) {
        const { command, note } = startAdvice(verdict.startFailure, evidence);
        return { next: typedThere(command, diagnosis, flags), nextNote: note };
      }
      return nextFix(diagnosis, repeated);
  }
}

/** True where a fix with the same options has a plan, and whoever has looked can carry it out. */
export function nextIsFix(diagnosis: ActionBasis, repeated: Repeated): boolean {
  const { code, startFailure } = diagnosis.verdict;
  if (!isFixable(code) || startFailure !== undefined) return false;
  const only: RemedyOption[] = repeated.only === undefined ? [] : [['--only', repeated.only]];
  const { plan, manager } = planned(diagnosis, repeated, only);
  return plan.kind === 'fix' && !wantsRoot(plan, diagnosis, manager);
}

function nextFix(diagnosis: ActionBasis, repeated: Repeated): Next {
  const { plan, manager } = planned(diagnosis, repeated, []);
  if (plan.kind === 'fix') return fixCommand(diagnosis, repeated, plan, manager);
  if (plan.kind === 'refused' && plan.remedy !== null) {
    return afterRefusal(diagnosis, repeated, plan.remedy);
  }
  return { next: '', nextNote: plan.why };
}

/** What a refusal advises: a fix with other options where that would do, else to try that out. */
function afterRefusal(diagnosis: ActionBasis, repeated: Repeated, remedy: Remedy): Next {
  const { flags, fixFlags } = repeated;
  if (remedy.kind === 'command') {
    const command = commandLine(remedy.command);
    return { next: typedThere(command, diagnosis, flags, 'root'), nextNote: remedy.note };
  }
  const words = remedy.options.reduce<Flags>((rest, [name, value]) => {
    return [...withoutOption(rest, name), name, quoteForShell(value)];
  }, fixFlags);
  const { plan, manager } = planned(diagnosis, repeated, remedy.options);
  if (plan.kind !== 'fix') {
    return {
      next: ['salt-triage', 'fix', '--dry-run', ...words].join(' '),
      nextNote: `shows whether that works, changes nothing; ${remedy.note}`,
    };
  }
  const other = { ...repeated, fixFlags: words };
  const { next, nextNote } = fixCommand(diagnosis, other, plan, manager);
  return { next, nextNote: `${nextNote}; ${remedy.note}` };
}

function fixCommand(
  diagnosis: ActionBasis,
  { fixFlags, flags, yes }: Repeated,
  plan: FixPlan,
  manager: ServiceManager | null,
): Next {
  const words = ['salt-triage', 'fix', ...fixFlags];
  const next = wantsRoot(plan, diagnosis, manager) ? asRoot(words, flags) : words;
  return { next: next.join(' '), nextNote: planInBrief(plan, yes) };
}

/** The plan that a fix would make of this diagnosis, with further options. */
function planned(
  diagnosis: ActionBasis,
  { service, restart }: Repeated,
  options: readonly RemedyOption[],
): { plan: Plan; manager: ServiceManager | null } {
  const given = new Map(options);
  const unit = given.get('--unit');
  const [stop, start] = [given.get('--stop-cmd'), given.get('--start-cmd')];
  const manager = chooseServiceManager(diagnosis.evidence.service, {
    ...service,
    ...(unit === undefined ? {} : { unit, unitNamed: true }),
    ...(stop === undefined ? {} : { stopCommand: [stop] }),
    ...(start === undefined ? {} : { startCommand: [start] }),
  });
  const only = given.has('--only') ? 'kill' : undefined;
  return { plan: planFix(diagnosis, manager, { only, restart }), manager };
}

/** All that a plan does to the host, in the order of its steps. */
function planInBrief({ steps }: FixPlan, yes: boolean): string {
  const pids = steps.flatMap((step) => (step.kind === 'kill' ? [step.target.identity.pid] : []));
  const named = pids.length > 6 ? pidList(pids) : pids.join(' ');
  const rest = steps.flatMap((step) => {
    if (step.kind === 'start-dependent') return [`start ${step.unit}`];
    return BRIEFLY[step.kind] ?? [];
  });
  const does = [...(pids.length === 0 ? [] : [`kill -9 ${named}`]), ...rest];
  return `${does.join(', ')}; ${yes ? 'asks nothing' : 'asks before each step'}`;
}

const BRIEFLY: Readonly<Partial<Record<PlanStep['kind'], string>>> = {
  'await-recovery': 'wait for the daemon, and only if it stays down',
  stop: 'stop',
  'kill-leftovers': 'kill -9 what stays',
  start: 'start',
};

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
  return {
    next: asRoot(again, flags).join(' '),
    nextNote: 'root sees every holder and every log',
  };
}

/** A command of ours with the rights of root: here by sudo, on a host behind ssh by --sudo. */
function asRoot(words: Flags, flags: Flags): Flags {
  const there = hostOption(flags);
  if (there === null) return ['sudo', ...words];
  return there.startsWith('root@') ? words : [...words, '--sudo'];
}

/** A command of the host that is meant, as it is typed here. @param by whose rights it takes */
function typedThere(command: string, { evidence }: ActionBasis, flags: Flags, by?: 'root'): string {
  const there = hostOption(flags);
  const sudo = by === 'root' && evidence.host.uid !== 0 && !there?.startsWith('root@');
  const whole = sudo ? `sudo ${command}` : command;
  if (there === null) return whole;
  // One shell more reads it there.
  return `ssh ${there} ${/^[\w@%+=:,./ -]+$/.test(whole) ? whole : quoteForShell(whole)}`;
}

function lookAtPort(port: number, flags: Flags): Next {
  return {
    next: ['salt-triage', 'diagnose', ...withOption(flags, '--port', String(port))].join(' '),
    nextNote: `looks at port ${port} of this salt-api`,
  };
}

function afterForeignHolder(diagnosis: ActionBasis, flags: Flags): Next {
  const { holders } = diagnosis.findings['port-holder'].evidence;
  const holder = holders.find(({ role }) => role === 'foreign' || role === 'elsewhere');
  const theirs = readSaltApiArgv(holder?.argv ?? [])?.configDirectory;
  if (holder?.role === 'elsewhere' && theirs?.startsWith('/')) {
    return {
      next: ['salt-triage', 'diagnose', ...withOption(flags, '-c', theirs)].join(' '),
      nextNote: 'looks at the salt-api that has the port',
    };
  }
  return {
    next: typedThere(`ps -fp ${holder?.pid ?? ''}`.trim(), diagnosis, flags),
    nextNote: 'then stop that program, or give salt-api another port; fix never kills it',
  };
}

function hostOption(flags: Flags): string | null {
  const at = flags.indexOf('--host');
  return at === -1 ? null : (flags[at + 1] ?? null);
}

/** The same for a host that is named by these words, in front of all else. */
export function onHost(repeated: Repeated, words: Flags): Repeated {
  const { flags, fixFlags } = repeated;
  return { ...repeated, flags: [...words, ...flags], fixFlags: [...words, ...fixFlags] };
}

/** The options with one of them, which takes a value, changed or added. */
function withOption(flags: Flags, name: string, value: string): Flags {
  return [name, quoteForShell(value), ...withoutOption(flags, name)];
}

/** The options without one that takes a value. */
export function withoutOption(flags: Flags, name: string): Flags {
  const isIt = (at: number) => flags[at] === name;
  return flags.filter((word, at) => !isIt(at) && !isIt(at - 1) && !word.startsWith(`${name}=`));
}

/**
 * What the next command must say where evidence from elsewhere is judged: that host, and what of
 * it the evidence is of. Here it would look at another salt-api, or fix one.
 */
export function repeatedForEvidence(
  { host, port, instance, service }: Evidence,
  repeated: Repeated,
): Repeated {
  const name = stripControl(host.name).trim();
  const unit = unitOf(service)?.unit ?? null;
  // No name of a unit begins so (systemd.unit(5)); it could be taken for an option.
  const named = unit !== null && unit !== 'salt-api' && !unit.startsWith('-') ? unit : null;
  const flags = [
    ...['--host', `root@${name === '' ? 'HOST' : quoteForShell(name)}`],
    ...['--port', String(port.number), '-c', quoteForShell(instance.configDirectory)],
    ...(named === null ? [] : ['--unit', quoteForShell(named)]),
  ];
  const asked = named === null ? {} : { unit: named, unitNamed: true };
  return { ...repeated, flags, fixFlags: flags, service: { ...repeated.service, ...asked } };
}

/** What carries out the plan of a dry run. */
export function nextAfterDryRun(
  { before, manager, plan }: FixResultOf<'planned'>,
  repeated: Repeated,
): Next {
  const { fixFlags, only } = repeated;
  const same = only === undefined ? fixFlags : [...fixFlags, '--only', only];
  return fixCommand(before, { ...repeated, fixFlags: same }, plan, manager);
}

/** What to type in place of a plan that was refused. */
export function nextAfterRefusal(
  { remedy }: Extract<Plan, { kind: 'refused' }>,
  diagnosis: ActionBasis,
  repeated: Repeated,
): Next {
  if (remedy === null) return nextCommand(diagnosis, repeated);
  return afterRefusal(diagnosis, repeated, remedy);
}

/** The same as one sentence. */
export function refusalAdvice(
  plan: Extract<Plan, { kind: 'refused' }>,
  diagnosis: ActionBasis,
  repeated: Repeated,
): string {
  const { next, nextNote } = nextAfterRefusal(plan, diagnosis, repeated);
  return `Type \`${next}\`: ${nextNote}.`;
}
