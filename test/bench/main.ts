// `npm run bench [-- --quick] [-- --out FILE] [-- --against BUNDLE]`: what the built CLI costs on a
// host in the incident, against what a person would type, or an older build, in pairs taken in turn.
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, statfsSync, writeFileSync } from 'node:fs';
import { cpus, tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { RACES, race } from './fix-race.ts';
import { type Comparison, type Contestant, compare, slope } from './measure.ts';
import {
  clientsGone,
  type LogContents,
  type Staged,
  stageProcesses,
  stageSockets,
  writeCalls,
  writeLog,
  writeQuietLog,
} from './staged-load.ts';

const CLI = fileURLToPath(new URL('../../bin/salt-triage.cjs', import.meta.url));
const PEAK = fileURLToPath(new URL('./report-peak.cjs', import.meta.url));
const MIB = 1024 * 1024;
const FULL = { processes: 3_000, sockets: 20_000, log: 1024 * MIB };

const { values: options } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    out: { type: 'string' },
    against: { type: 'string' },
  },
});
const root = process.getuid?.() === 0;
const port = root ? 443 : 18_443;
const times = options.quick ? 7 : 11;

/** In a network namespace of its own the port is free, whatever this machine serves. */
function enterNamespace(): void {
  const again = spawnSync(
    'unshare',
    ['--net', '--', process.execPath, ...process.execArgv, ...process.argv.slice(1)],
    { stdio: 'inherit', env: { ...process.env, BENCH_NAMESPACE: '1' } },
  );
  process.exitCode = again.status ?? 1;
}

/** What a row may come to at most. */
interface Targets {
  /** The ratio. */
  readonly target?: number;
  /** What the first takes, ms. */
  readonly mostMs?: number;
  /** What it takes longer than the other, ms. */
  readonly mostMoreMs?: number;
}

interface Row extends Comparison, Targets {
  readonly name: string;
}

function isMissed({ a, b, ratio, target = ratio, mostMs = a, mostMoreMs = a - b }: Row): boolean {
  return ratio > target || a > mostMs || a - b > mostMoreMs;
}

function targetsInWords({ target, mostMs, mostMoreMs }: Targets): string {
  return [
    target === undefined ? [] : `${target}`,
    mostMs === undefined ? [] : `${mostMs} ms`,
    mostMoreMs === undefined ? [] : `${mostMoreMs} ms more`,
  ]
    .flat()
    .join(', ');
}

const rows: Row[] = [];
const slopes: Record<string, string> = {};

/** How much slower than an older build a row may be, where it is held against one. */
const NOISE = 1.05;

/** The look against the other way, or against the same look of an older build. */
function versus(look: Contestant, other: Contestant, pairs: number): Comparison {
  const { against } = options;
  if (against === undefined) return compare(look, other, pairs);
  const command = look.command.map((word) => (word === CLI ? resolve(against) : word));
  return compare(look, { ...look, command }, pairs);
}

function show(name: string, comparison: Comparison, own: Targets = {}): Row {
  const targets = options.against === undefined ? own : { ...own, target: NOISE };
  const row: Row = { name, ...comparison, ...targets };
  rows.push(row);
  const { a, b, ratio } = comparison;
  const named = targetsInWords(targets);
  const held = named === '' ? '' : `  target ${named} ${isMissed(row) ? 'MISSED' : 'met'}`;
  const figures = `${a.toFixed(0).padStart(7)} ms ${b.toFixed(0).padStart(7)} ms  ratio ${ratio.toFixed(2)}`;
  process.stdout.write(`${name.padEnd(58)}${figures}${held}\n`);
  return row;
}

/** What a fix may take beside what a script needs that knows everything, ms. */
const FIX_ADDS_MS = 1_500;

async function fixes(): Promise<void> {
  const { against } = options;
  for (const one of RACES) {
    const cli = { cli: CLI, against: against === undefined ? undefined : resolve(against) };
    show(one.name, await race(one, cli, options.quick ? 3 : 5), { mostMoreMs: FIX_ADDS_MS });
  }
}

function diagnose(log: string, ...more: string[]): string[] {
  const look = ['diagnose', '--json', '--no-probe', '--port', String(port), '--log', log];
  return [process.execPath, CLI, ...look, ...more];
}

function byHand(log: string): string[] {
  const script = [
    `ss -Hltnp 'sport = :${port}'`,
    "ps -ef | grep '[s]alt-api'",
    `ss -Htan state close-wait 'sport = :${port}' | wc -l`,
    `grep -c 'Port .* not free' ${log}`,
  ];
  return ['sh', '-c', script.join('; ')];
}

const BARE = [process.execPath, '-e', '0'];

interface Expected {
  readonly holders: readonly number[];
  readonly closeWait: number;
  readonly unaccepted: number;
  readonly events: number;
}

/** Every look is held against what was staged: being fast and wrong is worth nothing. */
function expecting({ holders, closeWait, unaccepted, events }: Expected): (out: string) => void {
  return (out) => {
    const steps = new Map<string, Record<string, unknown>>();
    for (const { id, evidence } of JSON.parse(out).steps) steps.set(id, evidence);
    const found = (steps.get('port-holder')?.['holders'] ?? []) as { pid: number }[];
    const pids = found.map(({ pid }) => pid).sort((x, y) => x - y);
    assert.deepEqual(
      pids,
      [...holders].sort((x, y) => x - y),
      'holders',
    );
    assert.equal(steps.get('close-wait')?.['count'], closeWait, 'CLOSE_WAIT');
    assert.equal(steps.get('close-wait')?.['unaccepted'], unaccepted, 'unaccepted');
    assert.equal(steps.get('api-log')?.['events'], events, 'failed starts');
  };
}

function expectingByHand(closeWait: number, lines: number): (out: string) => void {
  return (out) => {
    const counts = out.trim().split('\n').slice(-2).map(Number);
    assert.deepEqual(counts, [closeWait, lines], 'what was typed by hand');
  };
}

function peakMebibytes(command: readonly string[]): number {
  const [node = '', ...rest] = command;
  const file = join(directory, 'peak');
  spawnSync(node, ['--require', PEAK, ...rest], { env: { ...process.env, BENCH_PEAK: file } });
  return Number(readFileSync(file, 'utf8')) / 1024;
}

const cleanups: Staged[] = [];

async function staged<T extends Staged>(what: Promise<T>): Promise<T> {
  const load = await what;
  cleanups.push(load);
  return load;
}

async function clean(): Promise<void> {
  for (const load of cleanups.splice(0)) await load.end();
}

interface Load {
  readonly processes: number;
  readonly sockets: number;
  readonly log: string;
  readonly contents: LogContents;
}

/** Stages one load, for a look and for the commands by hand. */
async function stageLoad(load: Load) {
  await staged(stageProcesses(directory, load.processes));
  const api = await staged(stageSockets(directory, port, load.sockets));
  if (!options.quick) await clientsGone(load.sockets);
  const counted = { holders: api.pids, closeWait: load.sockets, unaccepted: api.unaccepted };
  const hand = {
    command: byHand(load.log),
    check: expectingByHand(load.sockets, load.contents.lines),
  };
  return { counted, hand };
}

/** Compares the CLI with the commands by hand under one load, and ends it again. */
async function underLoad(name: string, load: Load, pairs: number): Promise<Row> {
  const { counted, hand } = await stageLoad(load);
  const look = {
    command: diagnose(load.log),
    check: expecting({ ...counted, events: load.contents.recentEvents }),
  };
  const row = show(name, versus(look, hand, pairs));
  await clean();
  return row;
}

function quiet(events: number): (out: string) => void {
  return expecting({ holders: [], closeWait: 0, unaccepted: 0, events });
}

async function startUp(): Promise<void> {
  const bare = { command: BARE };
  const version = { command: [process.execPath, CLI, '--version'] };
  show('--version / node -e 0', versus(version, bare, times), { target: 1.3 });
  show('--help / node -e 0', versus({ command: [process.execPath, CLI, '--help'] }, bare, times));
  const log = join(directory, 'idle.log');
  writeQuietLog(log);
  const look = { command: diagnose(log), check: quiet(0) };
  show('diagnose, idle host / node -e 0', versus(look, bare, times), { target: 1.7 });
  // As a monitor calls it: the shell that keeps the time is part of the price.
  const line = (out: string) => assert.match(out, /^SALT-API [A-Z]+ - .* \| close_wait=0;/);
  const check = {
    command: [CLI, 'check', '--no-probe', '--port', String(port), '--log', log],
    check: line,
  };
  show('check, idle host / node -e 0', versus(check, bare, times), { target: 1.8 });
}

async function fullLoad(log: string, contents: LogContents): Promise<number> {
  const load = { ...FULL, log, contents };
  const { counted, hand } = await stageLoad(load);
  const look = {
    command: diagnose(log),
    check: expecting({ ...counted, events: contents.recentEvents }),
  };
  show('diagnose, full load / by hand', versus(look, hand, times), { target: 0.55 });
  const whole = diagnose(log, '--since', 'all');
  const all = { command: whole, check: expecting({ ...counted, events: contents.events }) };
  show('the same with all of the log / by hand', versus(all, hand, times), { target: 0.8 });
  const peaks = [peakMebibytes(diagnose(log)), peakMebibytes(whole)];
  process.stdout.write(
    `peak memory: ${peaks.map((peak) => `${peak.toFixed(0)} MiB`).join(', whole log ')}\n`,
  );
  await clean();
  return Math.max(...peaks);
}

/** How soon after Enter the verdict must stand on the screen, ms. */
const VERDICT_MS = 500;

/** What nobody needs to wait for is not waited for: the API of a jammed orphan, with its 5 s of silence. */
async function verdictOnOrphan(log: string, contents: LogContents): Promise<void> {
  await staged(stageProcesses(directory, FULL.processes));
  await staged(stageSockets(directory, port, FULL.sockets, log));
  if (!options.quick) await clientsGone(FULL.sockets);
  const look = {
    command: [process.execPath, CLI, 'diagnose', '-q', '--port', String(port), '--log', log],
    check: (out: string) => assert.match(out, /^orphan-holds-port: /),
  };
  const check = expectingByHand(FULL.sockets, contents.lines);
  const hand = { command: byHand(log), check };
  const compared = versus(look, hand, times);
  show('verdict on a jammed orphan, full load / by hand', compared, { mostMs: VERDICT_MS });
  await clean();
}

/** What it costs to tell why, after the verdict is on the screen, ms. */
const WHY_MS = 1_000;

/** Until the end against until the verdict, where a log has nothing but what is counted for it. */
async function why(): Promise<void> {
  const log = join(directory, 'calls.log');
  writeCalls(log, 1024 * MIB);
  const look = [process.execPath, CLI, 'diagnose', '--no-probe', '--port', String(port)];
  const told = { command: [...look, '--log', log] };
  const verdict = { command: [...look, '--log', log, '-q'] };
  show('why, 1 GiB of calls / the verdict alone', versus(told, verdict, times), {
    mostMoreMs: WHY_MS,
  });
  rmSync(log);
}

function logs(
  sizes: readonly {
    readonly log: string;
    readonly bytes: number;
    readonly contents: LogContents;
  }[],
): number[] {
  const [small] = sizes;
  assert.ok(small !== undefined);
  const windows: [number, number][] = [];
  const peaks: number[] = [];
  for (const { log, bytes, contents } of sizes) {
    const size = `${bytes / MIB} MiB`;
    const hour = (path: string) => {
      return { command: diagnose(path, '--since', '1h'), check: quiet(contents.recentEvents) };
    };
    const compared = versus(hour(log), hour(small.log), times);
    windows.push([bytes / MIB, compared.a]);
    show(`last hour of ${size} / of ${small.bytes / MIB} MiB`, compared, { target: 1.5 });
    const all = { command: diagnose(log, '--since', 'all'), check: quiet(contents.events) };
    const grep = {
      command: ['grep', '-cF', 'not free', log],
      check: (out: string) => assert.equal(Number(out), contents.lines),
    };
    const targets = bytes >= 1024 * MIB ? { target: 1.2 } : {};
    show(`whole log of ${size} / grep -cF`, versus(all, grep, options.quick ? 3 : 7), targets);
    peaks.push(peakMebibytes(all.command));
  }
  slopes['last hour, ms per GiB of log'] = (1024 * slope(windows)).toFixed(2);
  slopes['peak MiB by size of log'] = peaks.map((peak) => peak.toFixed(0)).join(', ');
  return peaks;
}

async function growth(log: string, contents: LogContents): Promise<void> {
  const pairs = options.quick ? 3 : 7;
  const byProcesses: [number, number][] = [];
  for (const processes of options.quick ? [100, 3_000] : [100, 1_000, 3_000, 10_000]) {
    const name = `${processes} processes, 100 sockets / by hand`;
    const row = await underLoad(name, { processes, sockets: 100, log, contents }, pairs);
    byProcesses.push([processes, row.a]);
  }
  const bySockets: [number, number][] = [];
  for (const sockets of options.quick ? [100, 20_000] : [100, 1_000, 10_000, 50_000]) {
    const name = `${sockets} sockets, 10 processes / by hand`;
    const row = await underLoad(name, { processes: 10, sockets, log, contents }, pairs);
    bySockets.push([sockets, row.a]);
  }
  slopes['ms per 1,000 processes'] = (1000 * slope(byProcesses)).toFixed(1);
  slopes['ms per 1,000 sockets'] = (1000 * slope(bySockets)).toFixed(1);
}

let directory = '';

async function bench(): Promise<void> {
  directory = mkdtempSync(join(tmpdir(), 'salt-triage-bench-'));
  const startedAt = performance.now();
  try {
    if (root) execFileSync('ip', ['link', 'set', 'lo', 'up']);
    await startUp();
    await fixes();
    const sizes = options.quick
      ? [10, 1024]
      : [10, 100, 1024, ...(hasRoomFor(10_240) ? [10_240] : [])];
    const files = sizes.map((mebibytes) => {
      const log = join(directory, `${mebibytes}.log`);
      return { log, bytes: mebibytes * MIB, contents: writeLog(log, mebibytes * MIB, port) };
    });
    const [small] = files;
    const gibibyte = files.find(({ bytes }) => bytes === FULL.log);
    assert.ok(small !== undefined && gibibyte !== undefined);
    const peak = await fullLoad(gibibyte.log, gibibyte.contents);
    await verdictOnOrphan(small.log, small.contents);
    await why();
    const peaks = logs(files);
    await growth(small.log, small.contents);
    for (const [what, figure] of Object.entries(slopes))
      process.stdout.write(`${what}: ${figure}\n`);
    report(peak, peaks, performance.now() - startedAt);
  } finally {
    await clean();
    rmSync(directory, { recursive: true, force: true });
  }
}

function hasRoomFor(mebibytes: number): boolean {
  const { bavail, bsize } = statfsSync(directory);
  return bavail * bsize > 2 * mebibytes * MIB;
}

function report(peakMiB: number, peaksByLog: readonly number[], tookMs: number): void {
  const out = resolve(options.out ?? join(tmpdir(), 'salt-triage-bench.json'));
  const machine = { node: process.version, cpu: cpus()[0]?.model, cpus: cpus().length };
  const document = { takenAt: new Date(), machine, peakMiB, peaksByLog, slopes, rows };
  writeFileSync(out, `${JSON.stringify(document, null, 2)}\n`);
  const verdict = !rows.some(isMissed) && peakMiB <= 120 ? 'every target met' : 'targets missed';
  process.stdout.write(`${verdict} in ${(tookMs / 1000).toFixed(0)} s; figures in ${out}\n`);
  process.exitCode = verdict === 'every target met' ? 0 : 1;
}

for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  // The load ends with our pipes; the directory would stay.
  process.once(signal, () => {
    rmSync(directory, { recursive: true, force: true });
    process.exit(130);
  });
}

if (root && process.env['BENCH_NAMESPACE'] === undefined) enterNamespace();
else await bench();
