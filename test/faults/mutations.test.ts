import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { diagnoseEvidence } from '../../src/diagnosis/diagnosis.ts';
import { ExitCode, TriageError } from '../../src/errors.ts';
import { fixedOffsetTime } from '../../src/evidence/api-log-lines.ts';
import { ApiLogScanner } from '../../src/evidence/api-log-scan.ts';
import { parseEvidence, writeEvidence } from '../../src/evidence/evidence-file.ts';
import {
  parseCommandLine,
  parseControlGroup,
  parseEffectiveUid,
  parseProcessStat,
} from '../../src/evidence/proc-text.ts';
import { readSaltApiArgv } from '../../src/evidence/salt-api-argv.ts';
import { TcpTableReader } from '../../src/evidence/tcp-table.ts';
import { STAGES, stageEvidence } from '../recorded/captures.ts';

const MUTATIONS = 10_000;

/** mulberry32: the same mutations in every run, so that a failure can be seen again. */
function randomFrom(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below;
  };
}

/** What a bad disk, a cut connection or an editor does to bytes. */
function mutate(bytes: Buffer, random: (below: number) => number): Buffer {
  const at = random(bytes.length);
  const length = 1 + random(16);
  switch (random(6)) {
    case 0: {
      const flipped = Buffer.from(bytes);
      flipped[at] = (flipped[at] ?? 0) ^ (1 << random(8));
      return flipped;
    }
    case 1:
      return bytes.subarray(0, at);
    case 2:
      return Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + length)]);
    case 3:
      return Buffer.concat([bytes.subarray(0, at + length), bytes.subarray(at)]);
    case 4: {
      const noise = Buffer.from(Array.from({ length }, () => random(256)));
      return Buffer.concat([bytes.subarray(0, at), noise, bytes.subarray(at)]);
    }
    default: {
      const digit = Buffer.from(bytes);
      digit[at] = 48 + random(10);
      return digit;
    }
  }
}

const FILE_MUTATIONS = 2_000;

test(`${FILE_MUTATIONS} mutations of each evidence file: refused, or judged`, (t) => {
  let refused = 0;
  let judged = 0;
  for (const [index, stage] of STAGES.entries()) {
    const file = Buffer.from(writeEvidence(stageEvidence(stage)));
    const random = randomFrom(index);
    for (let run = 0; run < FILE_MUTATIONS; run += 1) {
      const text = mutate(file, random).toString('utf8');
      try {
        const { verdict, steps } = diagnoseEvidence(parseEvidence(text));
        assert.ok(verdict.summary !== '' && steps.length === 5, `${stage}, mutation ${run}`);
        judged += 1;
      } catch (error) {
        if (!(error instanceof TriageError)) throw error;
        assert.ok(error.exitCode === ExitCode.unknown || error.exitCode === ExitCode.usage);
        refused += 1;
      }
    }
  }
  t.diagnostic(`${refused} refused, ${judged} judged`);
});

/** What reads each kind of recorded file; none may throw, whatever it is given. */
const PARSERS: readonly (readonly [RegExp, (bytes: Buffer) => unknown])[] = [
  [/^proc-net-tcp6?\.txt$/, readTable],
  [/\.stat$/, (bytes) => parseProcessStat(bytes.toString('latin1'))],
  [/\.status$/, (bytes) => parseEffectiveUid(bytes.toString('latin1'))],
  [/\.cmdline$/, (bytes) => readSaltApiArgv(parseCommandLine(bytes.toString('utf8')))],
  [/\.cgroup$/, (bytes) => parseControlGroup(bytes.toString('latin1'))],
  [/^api\.log$/, readLog],
];

function readTable(bytes: Buffer): void {
  const reader = new TcpTableReader(443);
  reader.take(bytes.toString('latin1'), 'ipv4');
  for (const { accepted, unaccepted, unreadBytes } of reader.facts().peers) {
    assert.ok(accepted + unaccepted > 0 && unreadBytes >= 0);
  }
}

function readLog(bytes: Buffer): void {
  const scanner = new ApiLogScanner(null, {
    localTime: fixedOffsetTime(0),
    now: Date.parse('2026-11-24T12:00:00Z'),
  });
  scanner.push(bytes);
  scanner.endFile();
  const { events, times } = scanner.counts();
  assert.ok(times.length <= events);
}

test('mutations of each recorded raw file: no parser throws', (t) => {
  let files = 0;
  let mutations = 0;
  for (const stage of STAGES) {
    const directory = new URL(`../recorded/captures-3002/${stage}/`, import.meta.url);
    for (const name of readdirSync(directory)) {
      const parse = PARSERS.find(([pattern]) => pattern.test(name))?.[1];
      const bytes = readFileSync(new URL(name, directory));
      if (parse === undefined || bytes.length === 0) continue;
      files += 1;
      // The same time for each: a log takes a thousand times longer than a stat line.
      const runs = Math.max(50, Math.min(MUTATIONS, Math.floor(20_000_000 / bytes.length)));
      const random = randomFrom(files);
      for (let run = 0; run < runs; run += 1) parse(mutate(bytes, random));
      mutations += runs;
    }
  }
  t.diagnostic(`${mutations} mutations of ${files} files`);
});
