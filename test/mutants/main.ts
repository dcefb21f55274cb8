// `npm run mutants -- FILE… [--jobs N] [--every N] [--all]`: puts one small fault after the other
// into a source and tells which of them no test notices. Not in CI: it takes minutes. `--every 10`
// tries each tenth, `--all` shows what was noticed as well.
//
// Of its own, since StrykerJS would bring 170 packages into every `npm install`, needs a newer Node
// than this project, and leaves shell scripts in templates alone, where half of our guards are.
// The parser is the one that knip brings.
//
// A fault in what kills may kill anything: each run has a PID namespace of its own, which also ends
// whatever a run leaves behind. The tree stays as it is: faults go into a copy of it.
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { transformSync } from 'esbuild';
import { apply, type Edit } from './edit.ts';
import { EQUIVALENT, type Equivalent } from './equivalent.ts';
import { mutate } from './mutate.ts';
import { WATCHED_BY } from './watched-by.ts';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const COPIED = ['src', 'test', 'bin', 'package.json', 'tsconfig.json', 'README.md'];
/** What a fault leaves over is no error of types. */
const COMPILE = [
  join('node_modules', 'typescript', 'bin', 'tsc'),
  ...['--noEmit', '--noUnusedLocals', 'false', '--noUnusedParameters', 'false'],
  ...['--allowUnreachableCode', 'true', '--incremental', '--tsBuildInfoFile', 'tmp/types'],
];
const NAMESPACE = ['--pid', '--fork', '--kill-child', '--mount-proc'];
const AS_ORDINARY_USER = ['--user', '--map-current-user'];

/** `rejected`: no test notices it, but the compiler does. */
type Fate = 'killed' | 'timeout' | 'rejected' | 'survived';

interface Source {
  /** Relative to the root. */
  readonly path: string;
  readonly text: string;
  readonly edits: readonly Edit[];
  readonly tests: readonly string[];
}

/** What runs now; it must not outlive us. */
const running = new Set<ChildProcess>();

/** Runs one program of Node in a tree, and ends whatever it started. */
async function run(tree: string, argv: readonly string[], timeoutMs: number): Promise<Fate> {
  const unshare = [...(process.getuid?.() === 0 ? [] : AS_ORDINARY_USER), ...NAMESPACE];
  const { NODE_TEST_CONTEXT: _ofOurs, ...environment } = process.env;
  const child = spawn('unshare', [...unshare, process.execPath, ...argv], {
    cwd: tree,
    env: { ...environment, TMPDIR: join(tree, 'tmp') },
    stdio: 'ignore',
  });
  running.add(child);
  let late = false;
  const timer = setTimeout(() => {
    late = true;
    child.kill('SIGKILL');
  }, timeoutMs);
  const code = await new Promise<number | null>((done, fail) => {
    child.once('error', fail);
    child.once('exit', done);
  }).finally(() => running.delete(child));
  clearTimeout(timer);
  if (late) return 'timeout';
  return code === 0 ? 'survived' : 'killed';
}

/** A test as {@link compile} left it: a loader would take longer than most tests. */
function test(path: string): string[] {
  return [join('test', path.replace(/\.ts$/, '.js'))];
}

/** A module without its types, beside the source, and importing its like. */
function compile(source: string): string {
  const imported = /(?<=\b(?:from|import|import\() ?'\.[^'\n]*)\.ts(?=')/g;
  return transformSync(source.replace(imported, '.js'), { loader: 'ts', format: 'esm' }).code;
}

function write(tree: string, path: string, text: string): void {
  writeFileSync(join(tree, path), text);
  writeFileSync(join(tree, path.replace(/\.ts$/, '.js')), compile(text));
}

function copyTree(into: string): string {
  mkdirSync(join(into, 'tmp'), { recursive: true });
  for (const name of COPIED) cpSync(join(ROOT, name), join(into, name), { recursive: true });
  symlinkSync(resolve(ROOT, 'node_modules'), join(into, 'node_modules'));
  for (const folder of ['src', 'test']) {
    for (const name of readdirSync(join(into, folder), { recursive: true, encoding: 'utf8' })) {
      const path = join(folder, name);
      if (path.endsWith('.ts')) write(into, path, readFileSync(join(into, path), 'utf8'));
    }
  }
  return into;
}

/** What the tests take without a fault, each file by itself. */
async function baseline(tree: string, { path, tests }: Source): Promise<Map<string, number>> {
  const durations = new Map<string, number>();
  for (const file of tests) {
    const from = performance.now();
    const fate = await run(tree, test(file), 300_000);
    if (fate !== 'survived') throw new Error(`${path}: test/${file} fails without a fault`);
    durations.set(file, performance.now() - from);
  }
  return durations;
}

async function fateOf(
  edit: Edit,
  source: Source,
  tree: string,
  durations: ReadonlyMap<string, number>,
): Promise<Fate> {
  write(tree, source.path, apply(source.text, edit));
  try {
    for (const each of source.tests) {
      const fate = await run(tree, test(each), 10_000 + 5 * (durations.get(each) ?? 0));
      if (fate !== 'survived') return fate;
    }
    const types = await run(tree, COMPILE, 120_000);
    return types === 'survived' ? 'survived' : 'rejected';
  } finally {
    write(tree, source.path, source.text);
  }
}

/** The lines that a fault changes, as a diff has them. */
function describe({ path, text }: Source, edit: Edit): string {
  const from = text.lastIndexOf('\n', edit.start - 1) + 1;
  const eol = text.indexOf('\n', edit.end);
  const to = eol === -1 ? text.length : eol;
  const line = text.slice(0, edit.start).split('\n').length;
  const column = edit.start - from + 1;
  const was = text.slice(from, to);
  const is = apply(was, { ...edit, start: edit.start - from, end: edit.end - from });
  const lines = (mark: string, changed: string) =>
    changed.split('\n').map((each) => `    ${mark} ${each.trim()}`);
  return [`${path}:${line}:${column}`, ...lines('-', was), ...lines('+', is)].join('\n');
}

function isFault({ was, is }: Equivalent, { text }: Source, edit: Edit): boolean {
  return text.includes(was) && text.replace(was, () => is) === apply(text, edit);
}

function isEquivalent(source: Source, edit: Edit): boolean {
  return EQUIVALENT.some((known) => known.path === source.path && isFault(known, source, edit));
}

function read(argument: string): Source {
  const path = relative(ROOT, resolve(argument));
  const tests = WATCHED_BY[path];
  if (tests === undefined) {
    throw new Error(`no test is named for ${path} in test/mutants/watched-by.ts`);
  }
  const text = readFileSync(join(ROOT, path), 'utf8');
  const source = { path, text, edits: mutate(path, text), tests };
  for (const known of EQUIVALENT.filter((each) => each.path === path)) {
    if (!source.edits.some((edit) => isFault(known, source, edit))) {
      throw new Error(
        `test/mutants/equivalent.ts: ${path} has no fault ${known.was} → ${known.is}`,
      );
    }
  }
  return source;
}

/** The source with every so manieth of its faults, for a first impression of a large one. */
function sample(source: Source, every: number): Source {
  return { ...source, edits: source.edits.filter((_edit, index) => index % every === 0) };
}

/** @returns how many faults nothing noticed that should be */
async function measure(
  source: Source,
  trees: readonly string[],
  show: ReadonlySet<Fate>,
): Promise<number> {
  const [first = ''] = trees;
  const durations = await baseline(first, source);
  const pending = source.edits.filter((edit) => !isEquivalent(source, edit));
  const fates = new Map<Edit, Fate>();
  let next = 0;
  const work = async (tree: string) => {
    for (let edit = pending[next++]; edit !== undefined; edit = pending[next++]) {
      const fate = await fateOf(edit, source, tree, durations);
      fates.set(edit, fate);
      if (show.has(fate)) process.stdout.write(`${fate}  ${describe(source, edit)}\n`);
    }
  };
  await Promise.all(trees.map(work));
  const count = (fate: Fate) => [...fates.values()].filter((each) => each === fate).length;
  const noticed = count('killed') + count('timeout');
  const all = pending.length - count('rejected');
  const percent = Math.floor((100 * noticed) / Math.max(1, all));
  process.stdout.write(
    `${source.path}: ${noticed} of ${all} noticed (${percent} %), ` +
      `${count('timeout')} of them by a time-out; ${count('survived')} survived; left out: ` +
      `${count('rejected')} that the compiler rejects, ${source.edits.length - pending.length} equivalent\n`,
  );
  return count('survived');
}

async function main(): Promise<number> {
  const { values, positionals } = parseArgs({
    options: {
      jobs: { type: 'string', default: '2' },
      every: { type: 'string', default: '1' },
      all: { type: 'boolean', default: false },
    },
    allowPositionals: true,
  });
  if (positionals.length === 0) {
    const files = Object.keys(WATCHED_BY).join('\n  ');
    throw new Error(
      `usage: npm run mutants -- FILE… [--jobs N] [--every N] [--all]\nfiles:\n  ${files}`,
    );
  }
  if (spawnSync('unshare', ['--version']).status !== 0) {
    throw new Error('it needs unshare (util-linux), which keeps faults in what kills in');
  }
  const every = Math.max(1, Number(values.every) || 1);
  const sources = positionals.map((path) => sample(read(path), every));
  const work = mkdtempSync(join(tmpdir(), 'salt-triage-mutants-'));
  process.once('exit', () => {
    for (const child of running) child.kill('SIGKILL');
    rmSync(work, { recursive: true, force: true, maxRetries: 5 });
  });
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.once(signal, () => process.exit(130));
  }
  const jobs = Math.max(1, Number(values.jobs) || 1);
  const trees = Array.from({ length: jobs }, (_, index) => copyTree(join(work, String(index))));
  const show = new Set<Fate>(['survived', 'timeout', ...(values.all ? (['killed'] as const) : [])]);
  let survivors = 0;
  for (const source of sources) survivors += await measure(source, trees, show);
  return survivors > 0 ? 1 : 0;
}

try {
  process.exitCode = await main();
} catch (error) {
  process.stderr.write(`mutants: ${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 2;
}
