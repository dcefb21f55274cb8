import type { SaltOptions } from '../../evidence/salt-options.ts';
import type { ProgramLimits } from '../../evidence/settings-facts.ts';
import { unitOf } from '../../evidence/systemd-unit.ts';
import { stripControl } from '../../untrusted.ts';
import { count } from '../../words.ts';
import { compareReleases, isWithin } from '../releases/release-numbers.ts';
import { type RunningReleases, releasesOf } from '../releases/running-releases.ts';
import { type Symptoms, symptomsOf } from '../releases/symptoms.ts';
import { threadPoolOf } from '../thread-pool.ts';
import type { Cause, Explains } from './explanation.ts';
import type { Known } from './finding.ts';

export interface SettingsEvidence {
  /** What of the options was read; null where the config could not be. */
  readonly options: SaltOptions | null;
  /** Those that are set and never read. */
  readonly withoutEffect: readonly string[];
  readonly threadPool: number | null;
  readonly workerThreads: number | null;
  readonly killMode: string | null;
  readonly programs: readonly ProgramLimits[];
}

/** Settings that bear on how salt-api fares, and those that do nothing (salt-advice §3, §7). */
export const settings: Explains<'settings', SettingsEvidence> = {
  id: 'settings',
  title: 'settings',
  decides: false,
  judge(known) {
    const look = known.background.settings;
    const evidence = evidenceOf(known);
    if (!look.seen && look.cause === 'not-asked') {
      return { status: 'skip', summary: look.why, details: [], evidence, causes: [] };
    }
    const causes = causesOf(known, evidence);
    const details = detailsOf(evidence);
    if (causes.length > 0) {
      const summary = `${count(causes.length, 'setting')} to look at`;
      return { status: 'warn', summary, details, evidence, causes };
    }
    if (evidence.options === null || !look.seen) {
      const why = known.config.seen ? (look.seen ? '' : look.why) : known.config.why;
      return { status: 'unknown', summary: stripControl(why), details, evidence, causes };
    }
    return { status: 'pass', summary: 'nothing stands out', details, evidence, causes };
  },
};

/** Weights; see `Cause`. */
const [NO_FILES, LEAVES, REFUSES, NARROW, IDLE, UNSEEN] = [75, 65, 40, 35, 30, 20];
/** Master's default (salt-advice §3). */
const WORKER_THREADS = 5;
/** Threads of the API for one of the master, from which on the master is the narrow place. */
const NARROW_RATIO = 10;
/** A call that waits longer for its minions keeps a worker for longer than a client waits, s. */
const LONG_WAIT = 60;

function evidenceOf(known: Known): SettingsEvidence {
  const { config, background, service } = known;
  const options = config.seen ? (config.value.options ?? null) : null;
  const idle = options === null ? [] : idleOptions(options, releasesOf(known).running);
  const workers = options?.worker_threads ?? WORKER_THREADS;
  return {
    options,
    withoutEffect: idle.map(({ name }) => name),
    threadPool: options === null ? null : threadPoolOf(known),
    workerThreads: options !== null && typeof workers === 'number' ? workers : null,
    killMode: unitOf(service)?.killMode || null,
    programs: background.settings.seen ? background.settings.value.programs : [],
  };
}

/** Releases of CherryPy without a response time-out. */
const UNTIMED = { from: '12' };

/** Salt that does not read `log_access_file`; that has `rest_timeout` fixed; whose statistics do not start. */
const WITHOUT_FILES = { before: '2016.11' };
const FIXED_REST_TIMEOUT = { before: '2016.3' };
const WITHOUT_STATS = [
  { from: '2015', before: '2016.11.8' },
  { from: '2017.7', before: '2017.7.3' },
];

/** Options that do nothing, why, and what does it in their place (salt-advice §3). */
const IDLE_OPTIONS = [
  {
    name: 'rest_cherrypy.socket_queue_size',
    why: 'Salt documents it and reads queue_size',
    advice: 'set queue_size, which is what the code reads',
  },
  {
    name: 'rest_cherrypy.max_request_body_size',
    why: 'Salt hands it on under a name that CherryPy does not know',
    advice: 'bound the size of requests in a proxy before the API',
  },
  {
    name: 'rest_cherrypy.log.access_file',
    why: 'Salt 3001 and 3002 documented it and read log_access_file (#49247)',
    advice: 'set log_access_file (Salt 2016.11 and later)',
  },
  {
    name: 'rest_cherrypy.log.error_file',
    why: 'Salt 3001 and 3002 documented it and read log_error_file (#49247)',
    advice: 'set log_error_file (Salt 2016.11 and later)',
  },
  {
    name: 'rest_cherrypy.log_access_file',
    why: 'Salt reads it from 2016.11 on',
    advice: 'upgrade Salt, or have calls in its own log: log_level_logfile: info',
  },
  {
    name: 'rest_cherrypy.expire_responses',
    why: 'CherryPy 12 and later time no request out (cp#1625)',
    advice: 'let a monitor watch for requests that are stuck: nothing ends them',
  },
] as const;

type IdleOption = (typeof IDLE_OPTIONS)[number];

function idleOptions(options: SaltOptions, { cherrypy, salt }: RunningReleases): IdleOption[] {
  return IDLE_OPTIONS.filter(({ name }) => {
    const value = options[name];
    switch (name) {
      case 'rest_cherrypy.expire_responses':
        return value === true && cherrypy !== null && isWithin(cherrypy.version, [UNTIMED]);
      case 'rest_cherrypy.log_access_file':
        return value !== undefined && salt !== null && isWithin(salt.version, [WITHOUT_FILES]);
      default:
        return value !== undefined;
    }
  });
}

function causesOf(known: Known, evidence: SettingsEvidence): Cause[] {
  const symptoms = symptomsOf(known);
  return [
    filesCause(symptoms),
    killModeCause(evidence, symptoms),
    clientsCause(known, evidence),
    narrowCause(evidence, symptoms),
    waitCause(known, evidence),
    ...IDLE_OPTIONS.filter(({ name }) => evidence.withoutEffect.includes(name)).map((option) =>
      idleCause(option, evidence),
    ),
    statsCause(known, evidence, symptoms),
  ].filter((cause) => cause !== null);
}

function filesCause(symptoms: Symptoms): Cause | null {
  const summary = symptoms.get('open-files');
  if (summary === undefined) return null;
  const advice = 'see what holds them, and raise LimitNOFILE= of the unit where it is too low';
  return { basis: 'seen', weight: NO_FILES, summary, details: [], advice };
}

/** systemd.kill(5); Debian's unit of 2015.8 had it (salt-facts §1.7). */
function killModeCause({ killMode }: SettingsEvidence, symptoms: Symptoms): Cause | null {
  if (killMode !== 'process' && killMode !== 'none') return null;
  return {
    basis: 'seen',
    weight: symptoms.has('orphan') ? LEAVES : IDLE,
    summary: `KillMode=${killMode} of the unit: a stop leaves the children of salt-api alone`,
    details: [],
    advice: 'drop KillMode= of the unit: the default, control-group, ends them all',
  };
}

/** From 3006.0 on each client has to be listed (#63050). */
function clientsCause(known: Known, { options }: SettingsEvidence): Cause | null {
  const { salt } = releasesOf(known).running;
  if (salt === null || options === null || compareReleases(salt.version, '3006') < 0) return null;
  if ((options.netapi_enable_clients ?? '') !== '') return null;
  return {
    basis: 'inferred',
    weight: REFUSES,
    summary: `netapi_enable_clients lists none: Salt ${stripControl(salt.version)} refuses every call with 400`,
    details: ['GET / is answered all the same (#63050)'],
    advice: 'list the clients that are used, for example netapi_enable_clients: [local, runner]',
  };
}

/** The threads of the API wait for those of the master, where each call comes through. */
function narrowCause(evidence: SettingsEvidence, symptoms: Symptoms): Cause | null {
  const { threadPool: pool, workerThreads: workers } = evidence;
  if (pool === null || workers === null || pool < NARROW_RATIO * workers) return null;
  if (!symptoms.has('unanswered')) return null;
  return {
    basis: 'inferred',
    weight: NARROW,
    summary: `${pool} threads of the API (thread_pool) share ${workers} of the master (worker_threads)`,
    details: ['a call waits for one of the master, and keeps its own meanwhile'],
    advice: 'raise worker_threads of the master, by what its CPUs and memory bear',
  };
}

function waitCause(known: Known, { options }: SettingsEvidence): Cause | null {
  const { salt } = releasesOf(known).running;
  const fixed = salt !== null && isWithin(salt.version, [FIXED_REST_TIMEOUT]);
  const long = (['timeout', 'rest_timeout'] as const).flatMap((name) => {
    const seconds = options?.[name];
    const usual = name === 'rest_timeout' ? 300 : LONG_WAIT;
    if (name === 'rest_timeout' && fixed) return [];
    return typeof seconds === 'number' && seconds > usual ? [`${name}: ${seconds}`] : [];
  });
  if (long.length === 0) return null;
  return {
    basis: 'inferred',
    weight: NARROW,
    summary: `${long.join(', ')}: a call may keep its worker for as many seconds`,
    details: ['timeout waits for minions, rest_timeout for a synchronous runner'],
    advice: 'let clients of long calls use local_async and runner_async, and lower it',
  };
}

function idleCause({ name, why, advice }: IdleOption, { options }: SettingsEvidence): Cause {
  const value = stripControl(String(options?.[name] ?? '')).slice(0, 60);
  return {
    basis: 'inferred',
    weight: IDLE,
    summary: `${name}: ${value} is set and does nothing`,
    details: [why],
    advice,
  };
}

/** Which requests are in flight nothing else tells (salt-advice §3). */
function statsCause(known: Known, { options }: SettingsEvidence, symptoms: Symptoms) {
  const { port, config } = known;
  const netapi = config.seen ? config.value.netapi : null;
  if (netapi?.module !== 'rest_cherrypy' || netapi.port !== port.number) return null;
  if (options === null || options['rest_cherrypy.collect_stats'] === true) return null;
  if (!symptoms.has('unanswered')) return null;
  const { salt } = releasesOf(known).running;
  if (salt !== null && isWithin(salt.version, WITHOUT_STATS)) return null;
  return {
    basis: 'inferred',
    weight: UNSEEN,
    summary: 'collect_stats is off: no record of the threads and requests before the jam',
    details: ['GET /stats tells threads, idle threads, queue and each request in flight'],
    advice: 'set collect_stats: True, and let a monitor read GET /stats',
  } as const;
}

function detailsOf({ threadPool, workerThreads, killMode, programs }: SettingsEvidence): string[] {
  const pools = [
    threadPool === null ? null : `thread_pool ${threadPool}`,
    workerThreads === null ? null : `worker_threads ${workerThreads}`,
    killMode === null ? null : `KillMode=${killMode}`,
  ].filter((words) => words !== null);
  const limits = programs.map(({ pid, openFiles, moreOpen, mostFiles }) => {
    const open = openFiles === null ? 'files that could not be counted' : `${openFiles} files`;
    const most = mostFiles === null ? '' : ` of at most ${mostFiles}`;
    return `process ${pid} has ${open}${moreOpen ? ' or more' : ''}${most} open`;
  });
  return [...(pools.length === 0 ? [] : [pools.join(', ')]), ...limits];
}
