/**
 * A client of a real CherryPy calls three times as often as before, and the server jams: why is told.
 * The calls are real, and so are the lines that CherryPy writes of them. An hour is not waited for: each
 * line is moved to the minute that its call stands for, and nothing else in it is changed.
 */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { type CherryPyIncident, skipWithoutCherryPy, startCherryPy } from './incident.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const runFile = promisify(execFile);
const DEADLINE_MS = 60_000;
const MINUTE = 60_000;
/** The jam is a quarter of an hour old; the rise came eighteen minutes before it. */
const [BEFORE, SINCE, SILENT] = [40, 18, 15];

interface Call {
  readonly minute: number;
  readonly address: string;
  readonly agent: string;
}

const callsIn = (minute: number, address: string, agent: string, times: number): Call[] =>
  Array.from({ length: times }, () => ({ minute, address, agent }));

const CALLS = Array.from({ length: BEFORE + SINCE }, (_, minute) => [
  ...callsIn(minute, '127.0.0.2', 'cmdb/2.1', minute < BEFORE ? 8 : 24),
  ...callsIn(minute, '127.0.0.3', 'web/1', 2),
]).flat();

it('a client that triples is told of, with when and what it left', {
  skip: skipWithoutCherryPy(),
}, async (t) => {
  const incident = await startCherryPy({ threadPool: 8 });
  t.after(() => incident.cleanup());
  await makeCalls(incident);
  const end = Math.floor(Date.now() / MINUTE) * MINUTE - SILENT * MINUTE;
  moveLines(incident.logFile, end - (BEFORE + SINCE) * MINUTE);
  await incident.jam();

  const { causes, explanations } = await diagnose(incident);
  const rise = new Date(end - SINCE * MINUTE);
  const [cause] = causes.filter(({ id }) => id === 'clients');
  assert.equal(cause?.basis, 'seen');
  const clock = rise.toTimeString().slice(0, 5);
  const told = `127.0.0.2 (cmdb/2.1) rose 3× at ${clock}, 18 min before the calls stop; it owns 100% of the CLOSE_WAIT`;
  assert.equal(cause?.summary, told);
  const found = explanations.find(({ id }) => id === 'clients')?.evidence;
  assert.equal(found?.calls, CALLS.length);
  assert.equal(Date.parse(found?.silentFrom ?? ''), end);
  assert.deepEqual(
    found?.steps.map(({ at, before, after }) => [Date.parse(at), before, after]),
    [[rise.getTime(), 8, 24]],
  );
});

/** One call after the other, so that their lines come in their order. */
async function makeCalls({ enter, port }: CherryPyIncident): Promise<void> {
  const client = `
    const { Agent, request } = require('node:http');
    const agents = {};
    const calls = ${JSON.stringify(CALLS)};
    const next = () => {
      const call = calls.shift();
      if (call === undefined) return process.exit(0);
      const agent = (agents[call.address] ??= new Agent({ keepAlive: true, localAddress: call.address }));
      const headers = { 'User-Agent': call.agent, 'Content-Length': 0 };
      request({ host: '127.0.0.1', port: ${port}, method: 'POST', path: '/', agent, headers }, (answer) => {
        answer.resume().once('end', next);
      }).end();
    };
    next();`;
  const [program = '', ...args] = [...enter, process.execPath, '-e', client];
  await runFile(program, args, { timeout: DEADLINE_MS });
}

/** Moves the lines of the calls, which are in their order, to the minutes that they stand for. */
function moveLines(logFile: string, from: number): void {
  const calls = CALLS.values();
  const lines = readFileSync(logFile, 'utf8')
    .split('\n')
    .map((line) => {
      if (!/\[cherrypy\.access\./.test(line)) return line;
      const { value } = calls.next();
      assert.ok(value !== undefined, `more lines than calls: ${line}`);
      assert.ok(line.includes(value.agent), line);
      return moved(line, new Date(from + value.minute * MINUTE));
    });
  assert.equal(calls.next().done, true, 'every call has its line');
  // In place: the server keeps its file open.
  writeFileSync(logFile, lines.join('\n'));
}

function moved(line: string, at: Date): string {
  const [, month = '', day = '', year = ''] = at.toString().split(' ');
  const [clock, iso] = [at.toTimeString().slice(0, 8), at.getMonth() + 1];
  return line
    .replace(/^[\d-]{10} [\d:]{8}/, `${year}-${String(iso).padStart(2, '0')}-${day} ${clock}`)
    .replace(/\[\d\d\/\w{3}\/\d{4}:[\d:]{8}\]/, `[${day}/${month}/${year}:${clock}]`);
}

interface Report {
  readonly causes: readonly {
    readonly id: string;
    readonly basis: string;
    readonly summary: string;
  }[];
  readonly explanations: readonly {
    readonly id: string;
    readonly evidence: {
      readonly calls: number;
      readonly silentFrom: string | null;
      readonly steps: readonly {
        readonly at: string;
        readonly before: number;
        readonly after: number;
      }[];
    };
  }[];
}

async function diagnose({ enter, configDirectory }: CherryPyIncident): Promise<Report> {
  const command = ['--import', 'tsx', 'src/cli/main.ts', 'diagnose', '--json'];
  const flags = ['-c', configDirectory, '--probe-timeout', '1s'];
  const [program = '', ...args] = [...enter, process.execPath, ...command, ...flags];
  // It exits with what the verdict makes it.
  const run = runFile(program, args, { cwd: root, timeout: DEADLINE_MS });
  const { stdout } = await run.catch((error: { stdout: string }) => error);
  return JSON.parse(stdout) as Report;
}
