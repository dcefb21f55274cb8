/**
 * Nothing but Salt's is ever killed: programs named as salt-api is, under what starts programs on a
 * real host, beside a real CherryPy that is well, that hangs, and whose orphan holds the port.
 */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { type CherryPyIncident, skipWithoutCherryPy, startCherryPy } from '../cherrypy/incident.ts';
import { PROGRAM, runCli } from '../cli/run.ts';
import { fix } from '../fix/fix-document.ts';
import {
  type LookAlike,
  NAMINGS,
  type Naming,
  neighbourhoodOf,
  type Played,
} from './neighbourhood.ts';

const NAMES = Object.keys(NAMINGS) as Naming[];
const OF_ITSELF = NAMES.filter((naming) => naming.startsWith('script'));

/** Under a parent that lives, and with nothing of Salt's. */
const NAMESAKES: readonly Played[] = [
  ...OF_ITSELF.slice(0, 3).map((naming) => ({ launcher: 'agent', naming }) as const),
  ...NAMES.map((naming) => ({ launcher: 'agent', naming, ordinary: true }) as const),
  { launcher: 'agent', naming: 'script', follows: true },
  { launcher: 'agent', naming: 'script', follows: true, worker: true },
  { launcher: 'cron', naming: 'script' },
  { launcher: 'cron', naming: 'script, 2016.3' },
  { launcher: 'cron', naming: 'package, 3006 child', ordinary: true },
  { launcher: 'supervisord', naming: 'script' },
  { launcher: 'supervisord', naming: 'script, 3005 manager' },
  { launcher: 'supervisord', naming: 'onedir, 3005', ordinary: true },
  { launcher: 'sudo', naming: 'script' },
  { launcher: 'sudo', naming: 'onedir, 3006', ordinary: true },
  { launcher: 'tmux', naming: 'script' },
  { launcher: 'tmux', naming: 'script, 2016.3' },
  { launcher: 'dumb-init -c', naming: 'script' },
  { launcher: 'systemd --user, its own service', naming: 'script' },
];

/** Named by words as Salt's own are, or with a parent that is dead indeed. */
const DOUBTFUL: readonly Played[] = [
  ...NAMES.filter((naming) => !OF_ITSELF.includes(naming) || naming === 'script, 3005 child').map(
    (naming) => ({ launcher: 'agent', naming }) as const,
  ),
  { launcher: 'cron', naming: 'onedir, 3006' },
  { launcher: 'supervisord', naming: 'package, 3006 child' },
  { launcher: 'sudo', naming: 'package, 2014.7' },
  { launcher: 'tmux', naming: 'onedir, 3005' },
  { launcher: 'dumb-init -c', naming: 'package, 2014.7' },
  { launcher: 'systemd --user, its own service', naming: 'package, 3006 child' },
  ...OF_ITSELF.map((naming) => ({ launcher: 'nohup, its shell gone', naming }) as const),
  ...NAMES.map(
    (naming) => ({ launcher: 'nohup, its shell gone', naming, ordinary: true }) as const,
  ),
  { launcher: 'nohup, its shell gone', naming: 'script', follows: true },
  { launcher: 'nohup, its shell gone', naming: 'script', follows: true, worker: true },
  ...OF_ITSELF.map((naming) => ({ launcher: 'tini -s, its shell gone', naming }) as const),
  ...NAMES.map((naming) => ({ launcher: 'container with our pids', naming }) as const),
  ...NAMES.map((naming) => ({ launcher: 'another /etc/salt mounted', naming }) as const),
  ...NAMES.map((naming) => ({ launcher: 'chroot into a bind of /', naming }) as const),
];

const YOUNG: readonly Played[] = [
  { launcher: 'agent', naming: 'script' },
  { launcher: 'agent', naming: 'script', follows: true },
];
const YOUNG_DOUBTFUL: readonly Played[] = [
  { launcher: 'agent', naming: 'package, 3006 child' },
  ...OF_ITSELF.map((naming) => ({ launcher: 'nohup, its shell gone', naming }) as const),
  { launcher: 'container with our pids', naming: 'package, 3006 child' },
];

interface Entry {
  readonly pid: number;
  readonly role: string;
  readonly reasons: readonly string[];
}

interface Document {
  readonly verdict: { readonly code: string; readonly summary: string };
  readonly exitCode: number;
  readonly steps: readonly {
    readonly id: string;
    readonly evidence: {
      readonly processes?: readonly Entry[];
      readonly others?: readonly Entry[];
      readonly holders?: readonly Entry[];
    };
  }[];
}

describe('programs that are named as salt-api is', { skip: skipWithoutNeighbours() }, () => {
  it('are never killed, and make nothing of a healthy host', { timeout: 170_000 }, async (t) => {
    const incident = await startCherryPy({ era: '3006' });
    t.after(() => incident.cleanup());
    const neighbourhood = neighbourhoodOf(incident);
    t.after(() => neighbourhood.end());
    const all: LookAlike[] = [];
    const calls = new Map<LookAlike, string[]>();
    const heads: string[] = [];
    const wrong: string[] = [];

    async function start(played: readonly Played[], age: string): Promise<void> {
      for (const one of await neighbourhood.start(played)) {
        const named = { ...one, name: `${one.name}, ${age}` };
        all.push(named);
        calls.set(
          named,
          heads.map(() => '–'),
        );
      }
    }

    function expect(what: string, found: unknown, wanted: RegExp): void {
      if (!wanted.test(String(found))) wrong.push(`${heads.at(-1)}: ${what} is ${found}`);
    }

    /** Diagnoses here and as ssh does, mends, and notes what each look-alike was called. */
    async function attack(stage: string) {
      const seen = await diagnose(incident);
      const there = await diagnoseAgentless(incident);
      const mended = await mend(incident);
      const { document } = mended;
      heads.push(`${stage}: ${seen.verdict.code}, fix ${document.result}`);
      for (const one of all) {
        const [here, far] = [roleOf(seen, one), roleOf(there, one)];
        const called = here === far ? here : `${here} (ssh: ${far})`;
        const lives = neighbourhood.isAlive(one);
        const killed = document.steps.some((step) => step.kind === 'kill' && step.pid === one.pid);
        if (!lives || killed) wrong.push(`${stage}: ${one.name}`);
        calls.get(one)?.push(lives && !killed ? called : `${called}, KILLED`);
        if (here !== far) wrong.push(`${stage}: ${one.name} is ${called}`);
      }
      if (there.verdict.code !== seen.verdict.code) {
        wrong.push(`${stage}: ${there.verdict.code} over ssh, ${seen.verdict.code} here`);
      }
      return { seen, document };
    }

    try {
      await start(NAMESAKES, 'old');
      await restartDaemon(incident);
      await start(YOUNG, 'young');
      const healthy = await attack('healthy');
      expect('the verdict', healthy.seen.verdict.code, /^healthy$/);
      expect('the result', healthy.document.result, /^nothing-to-do$/);

      await start(DOUBTFUL, 'old');
      await restartDaemon(incident);
      await start(YOUNG_DOUBTFUL, 'young');
      const doubtful = await attack('healthy, more');
      expect('the verdict', doubtful.seen.verdict.code, /^(?:healthy|degraded)$/);
      expect('the result', doubtful.document.result, /^nothing-to-do$/);

      await incident.freeze();
      const hung = await attack('hung');
      expect('the verdict', hung.seen.verdict.code, /^hung$/);
      expect('the result', hung.document.result, /^recovered$/);

      const orphan = incident.childPid();
      await incident.jam();
      await incident.killManager();
      await incident.restart();
      await start(YOUNG, 'youngest');
      const held = await attack('orphan');
      expect('the verdict', held.seen.verdict.code, /^orphan-holds-port$/);
      expect('the result', held.document.result, /^recovered$/);
      const killed = held.document.steps.filter(({ kind }) => kind === 'kill');
      expect(
        'what is killed',
        killed.map(({ pid }) => pid),
        new RegExp(`^${orphan}$`),
      );

      await stopDaemon(incident);
      await start(
        [{ launcher: 'nohup, its shell gone', naming: 'script', listens: true }],
        'young',
      );
      const taken = await attack('down, port taken');
      expect('the exit code', taken.seen.exitCode, /^[13]$/);
      expect('the result', taken.document.result, /^refused$/);
    } finally {
      t.diagnostic(`stages: ${heads.map((head, at) => `(${at + 1}) ${head}`).join('; ')}`);
      for (const one of all) t.diagnostic(`${one.name} | ${calls.get(one)?.join(' | ')}`);
    }
    assert.deepEqual(wrong, []);
  });
});

/** In CI nothing is skipped: what is missing fails there. */
function skipWithoutNeighbours(): string | false {
  if (process.env['CI']) return false;
  if (process.getuid?.() !== 0) return 'needs root, for namespaces, cron and other users';
  const programs = ['cron', 'supervisord', 'sudo', 'tmux', 'tini', 'dumb-init', 'unshare'];
  const missing = programs.filter((name) => {
    return !['/usr/bin', '/usr/sbin'].some((place) => existsSync(join(place, name)));
  });
  if (missing.length > 0) return `needs ${missing.join(', ')} of Debian's packages`;
  return skipWithoutCherryPy();
}

function command({ enter }: CherryPyIncident): string[] {
  return [...enter, ...PROGRAM];
}

async function diagnose(incident: CherryPyIncident): Promise<Document> {
  const args = ['diagnose', '--json', '-c', incident.configDirectory, '--probe-timeout', '1s'];
  const ran = await runCli(args, { command: command(incident) });
  assert.equal(ran.stderr, '');
  return JSON.parse(ran.stdout);
}

/** What the script that runs over ssh sees, judged elsewhere. */
async function diagnoseAgentless(incident: CherryPyIncident): Promise<Document> {
  const probe = await runCli(['probe', '-c', incident.configDirectory]);
  const ran = await runCli([], { command: [...incident.enter, 'sh'], input: probe.stdout });
  const judged = await runCli(['diagnose', '--json', '--from', '-'], { input: ran.stdout });
  return JSON.parse(judged.stdout);
}

function mend(incident: CherryPyIncident) {
  return fix(
    [
      ...['-c', incident.configDirectory, '--probe-timeout', '1s', '--wait', '20s'],
      ...['--state-dir', join(incident.directory, 'trail')],
      ...['--start-cmd', incident.startCommand.join(' ')],
      ...['--stop-cmd', `sh -c "kill $(cat ${incident.pidFile})"`],
    ],
    { command: command(incident) },
  );
}

function roleOf({ steps }: Document, { pid }: LookAlike): string {
  const { processes = [], others = [] } = steps.find(({ id }) => id === 'orphans')?.evidence ?? {};
  return [...processes, ...others].find((entry) => entry.pid === pid)?.role ?? 'not seen';
}

async function stopDaemon(incident: CherryPyIncident): Promise<void> {
  process.kill(incident.managerPid(), 'SIGTERM');
  await until('the end of the daemon', () => incident.processes().length === 0);
}

async function restartDaemon(incident: CherryPyIncident): Promise<void> {
  await stopDaemon(incident);
  const before = readFileSync(incident.logFile, 'utf8').length;
  const [program, ...args] = incident.startCommand;
  assert.equal(spawnSync(program, args).status, 0);
  await until('the daemon serving', () =>
    /Bus STARTED/.test(readFileSync(incident.logFile, 'utf8').slice(before)),
  );
}

async function until(what: string, holds: () => boolean): Promise<void> {
  const deadline = Date.now() + 30_000;
  while (!holds()) {
    if (Date.now() > deadline) throw new Error(`${what} did not come about`);
    await delay(20);
  }
}
