/** What befalls the salt-api of a guest, and what the tests read of salt-triage's answers. */
import { clientsThatGiveUp } from '../cherrypy/clients.ts';
import type { Ran } from '../cli/run.ts';
import { type Guest, until } from './guest.ts';

const PORT = 443;

/** A unit like the ones that Salt ships (salt-facts §2), with `more` of a section. */
export function unit(more: { readonly unit?: string; readonly service?: string } = {}): string {
  return [
    '[Unit]',
    'Description=The Salt API',
    more.unit ?? '',
    '[Service]',
    'Type=notify',
    'NotifyAccess=all',
    'LimitNOFILE=8192',
    'ExecStart=/usr/bin/salt-api',
    'TimeoutStopSec=3',
    more.service ?? '',
    '[Install]',
    'WantedBy=multi-user.target',
    '',
  ].join('\n');
}

/** Installs a unit so that it is started at boot. */
export async function install(guest: Guest, text: string, name = 'salt-api'): Promise<void> {
  const path = `/etc/systemd/system/${name}.service`;
  await guest.write(path, text);
  await guest.must(
    'ln',
    '-sf',
    path,
    `/etc/systemd/system/multi-user.target.wants/${name}.service`,
  );
}

/** Waits until the API answers. */
export async function serving(guest: Guest): Promise<void> {
  const ask = `require('node:http').get({ port: ${PORT}, timeout: 1000 }, (answer) => {
    process.exit(answer.statusCode === 200 ? 0 : 1) }).on('error', () => process.exit(1))`;
  await until('salt-api serving', async () =>
    (await guest.run(['node', '-e', ask])).code === 0 ? true : null,
  );
}

/**
 * Takes four of its five threads with logins, the fifth and the interpreter's lock with a pattern
 * that never ends, and has more clients give up than CLOSE_WAIT is allowed.
 * @returns how many clients gave up
 */
export async function jam(guest: Guest): Promise<number> {
  await guest.must('node', '-e', clientsThatGiveUp(4, '/login', PORT));
  const rest = [clientsThatGiveUp(1, '/match', PORT), clientsThatGiveUp(17, '/', PORT)];
  await guest.must('node', '-e', rest.map((clients) => `{${clients}}`).join('\n'));
  return 22;
}

/** Stops the child and has twelve clients give up on it: signals reach it no more. */
export async function freeze(guest: Guest, child: number): Promise<void> {
  await guest.must('kill', '-STOP', `${child}`);
  await guest.must('node', '-e', clientsThatGiveUp(12, '/', PORT));
}

export interface Diagnosis {
  readonly exitCode: number;
  readonly verdict: {
    readonly code: string;
    readonly summary: string;
    readonly evidence: readonly string[];
    readonly next: string | null;
    readonly nextNote: string | null;
  };
  readonly steps: readonly {
    readonly id: string;
    readonly status: string;
    readonly summary: string;
    readonly evidence: StepEvidence;
  }[];
}

interface Entry {
  readonly pid: number;
  readonly ppid: number;
  readonly role: string;
  readonly argv: readonly string[];
}

/** What the tests read of `steps[].evidence`, whichever step it is. */
interface StepEvidence {
  readonly holders?: readonly Entry[];
  readonly processes?: readonly Entry[];
  readonly others?: readonly Entry[];
  readonly count?: number;
  readonly path?: string;
  readonly events?: number;
}

export interface Fix {
  readonly exitCode: number;
  readonly result: string;
  readonly service: { readonly kind: string; readonly label: string } | null;
  readonly plan: {
    readonly kind: string;
    readonly why?: string;
    readonly advice?: readonly string[] | string | null;
    readonly remarks?: readonly string[];
  };
  readonly steps: readonly {
    readonly kind: string;
    readonly status: string;
    readonly detail: string;
    readonly pid?: number;
    readonly role?: string;
  }[];
  readonly before: Diagnosis;
  readonly after: Diagnosis | null;
}

/** Reads a document and holds it to its exit code. */
export function documentOf<Document extends { readonly exitCode: number }>(ran: Ran): Document {
  if (ran.stdout === '') throw new Error(`no document, exit ${ran.code}: ${ran.stderr}`);
  const document = JSON.parse(ran.stdout) as Document;
  if (document.exitCode !== ran.code) throw new Error(`exit ${ran.code}: ${ran.stdout}`);
  return document;
}

export async function diagnose(guest: Guest, ...args: readonly string[]): Promise<Diagnosis> {
  return documentOf(await guest.triage(['diagnose', '--json', '--probe-timeout', '1s', ...args]));
}

export async function fix(guest: Guest, ...args: readonly string[]): Promise<Fix> {
  // Stacks take seconds; test/stacks, test/fix/cherrypy and test/inits/ssh have them read.
  const fast = ['--stacks', 'never', '--probe-timeout', '1s'];
  return documentOf(await guest.triage(['fix', '--yes', '--json', ...fast, ...args]));
}

export function step(diagnosis: Diagnosis, id: string): Diagnosis['steps'][number] {
  const found = diagnosis.steps.find((candidate) => candidate.id === id);
  if (found === undefined) throw new Error(`no step ${id}`);
  return found;
}

export function holders(diagnosis: Diagnosis): number[] {
  return step(diagnosis, 'port-holder').evidence.holders?.map(({ pid }) => pid) ?? [];
}

export function orphans(diagnosis: Diagnosis): number[] {
  return step(diagnosis, 'orphans').evidence.processes?.map(({ pid }) => pid) ?? [];
}

/** The pids of everything in the guest that runs salt-api, by the start of its command line. */
export async function saltApis(guest: Guest): Promise<number[]> {
  const found = await guest.run(['pgrep', '-f', '^/usr/bin/python3 /usr/bin/salt-api']);
  return found.stdout
    .split('\n')
    .filter((line) => line !== '')
    .map(Number);
}

/** An init script as Debian's is: start-stop-daemon by the pid file, TERM and no more than that. */
export const LSB_SCRIPT = `#!/bin/sh
### BEGIN INIT INFO
# Provides:          salt-api
# Required-Start:    $remote_fs $network
# Required-Stop:     $remote_fs $network
# Default-Start:     2 3 4 5
# Default-Stop:      0 1 6
# Short-Description: salt-api
### END INIT INFO
PIDFILE=/run/salt-api.pid
. /lib/lsb/init-functions

start() {
  start-stop-daemon --start --quiet --pidfile $PIDFILE --startas /usr/bin/salt-api -- -d
}

stop() {
  start-stop-daemon --stop --quiet --retry TERM/2 --pidfile $PIDFILE
  stopped=$?
  [ $stopped = 2 ] || rm -f $PIDFILE
  return $stopped
}

case "$1" in
  start)
    log_daemon_msg 'Starting salt-api'
    start
    log_end_msg $(($? > 1))
    ;;
  stop)
    log_daemon_msg 'Stopping salt-api'
    stop
    log_end_msg $(($? > 1))
    ;;
  restart | force-reload)
    log_daemon_msg 'Restarting salt-api'
    stop
    case $? in
      0 | 1) start && log_end_msg 0 || log_end_msg 1 ;;
      *) log_end_msg 1 ;;
    esac
    exit 0
    ;;
  status) status_of_proc -p $PIDFILE /usr/bin/salt-api salt-api ;;
  *) exit 3 ;;
esac
`;

/** A service script of OpenRC as Alpine's is: the daemon is found by its argv at a stop. */
export const OPENRC_SCRIPT = `#!/sbin/openrc-run
command=/usr/bin/salt-api
command_args=--daemon
pidfile=/run/salt-api.pid
name="Salt API"
retry=TERM/2
`;

/** The kills that were carried out, in their order. */
export function killed(fixed: Fix): Fix['steps'] {
  return fixed.steps.filter(({ kind, status }) => kind === 'kill' && status === 'done');
}

/** Everything a diagnosis says in words. */
export function words({ verdict, steps }: Diagnosis): string {
  const { code, summary, evidence, next, nextNote } = verdict;
  const summaries = steps.map((one) => one.summary);
  return [code, summary, ...evidence, next, nextNote, ...summaries].join('\n');
}
