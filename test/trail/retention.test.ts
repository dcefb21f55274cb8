import assert from 'node:assert/strict';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { removeOldIncidents } from '../../src/trail/retention.ts';

let directory: string;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'salt-retention-'));
});

afterEach(() => {
  rmSync(directory, { recursive: true, force: true });
});

function idOf(day: number): string {
  return `201811${String(day).padStart(2, '0')}T093310Z-443-00000${day % 10}`;
}

function incident(day: number, bytes = 100, journal = '{"phase":"note"}\n'): string {
  const id = idOf(day);
  mkdirSync(join(directory, id, 'process-1-2'), { recursive: true });
  writeFileSync(join(directory, id, 'journal.jsonl'), journal);
  writeFileSync(join(directory, id, 'process-1-2/fds'), 'x'.repeat(bytes));
  return id;
}

const MANY = { keepIncidents: 50, keepMebibytes: 200 };

describe('retention', () => {
  it('removes nothing within the limits', async () => {
    const ids = [1, 2, 3].map((day) => incident(day));
    assert.deepEqual(await removeOldIncidents(directory, idOf(3), MANY), []);
    assert.deepEqual(readdirSync(directory).sort(), ids);
  });

  it('removes the oldest beyond the count', async () => {
    const ids = [1, 2, 3, 4].map((day) => incident(day));
    const removed = await removeOldIncidents(directory, idOf(4), { ...MANY, keepIncidents: 2 });
    assert.deepEqual(removed, ids.slice(0, 2));
    assert.deepEqual(readdirSync(directory).sort(), ids.slice(2));
  });

  it('removes a run that did nothing before an older one that did something', async () => {
    const acted =
      '{"phase":"note","action":"begin"}\n{"time":"","phase":"before","action":"stop"}\n';
    const quoting = '{"phase":"note","action":"\\"phase\\":\\"before\\""}\n';
    incident(1, 100, acted);
    incident(2, 100, acted);
    incident(3, 100, quoting);
    incident(4);
    incident(5);
    assert.deepEqual(
      await removeOldIncidents(directory, idOf(5), { ...MANY, keepIncidents: 3 }),
      [3, 4].map(idOf),
    );
    await removeOldIncidents(directory, idOf(5), { ...MANY, keepIncidents: 2 });
    assert.deepEqual(readdirSync(directory).sort(), [2, 5].map(idOf));
  });

  it('removes the oldest beyond the size', async () => {
    const ids = [1, 2, 3].map((day) => incident(day, 400 * 1024));
    await removeOldIncidents(directory, idOf(3), { ...MANY, keepMebibytes: 1 });
    assert.deepEqual(readdirSync(directory).sort(), ids.slice(1));
  });

  it('never removes the current one, be it too large or, by the clock, the oldest', async () => {
    incident(1, 3 * 1024 * 1024);
    incident(2);
    await removeOldIncidents(directory, idOf(1), { keepIncidents: 1, keepMebibytes: 1 });
    assert.deepEqual(readdirSync(directory), [idOf(1)]);
  });

  it('touches nothing that is not ours by name and content', async () => {
    incident(9);
    const outside = mkdtempSync(join(tmpdir(), 'salt-outside-'));
    writeFileSync(join(outside, 'journal.jsonl'), '{}\n');
    mkdirSync(join(directory, idOf(1)));
    writeFileSync(join(directory, idOf(1), 'notes'), 'no journal');
    mkdirSync(join(directory, 'backup'));
    writeFileSync(join(directory, 'backup/journal.jsonl'), '{}\n');
    writeFileSync(join(directory, idOf(2)), 'a file');
    symlinkSync(outside, join(directory, idOf(3)));
    try {
      const limits = { keepIncidents: 1, keepMebibytes: 0.000_001 };
      assert.deepEqual(await removeOldIncidents(directory, idOf(9), limits), []);
      assert.equal(readdirSync(directory).length, 5);
      assert.ok(existsSync(join(outside, 'journal.jsonl')));
    } finally {
      rmSync(outside, { recursive: true });
    }
  });

  it('does not follow a link inside an incident that it removes', async () => {
    incident(1);
    incident(2);
    const outside = mkdtempSync(join(tmpdir(), 'salt-outside-'));
    writeFileSync(join(outside, 'keep'), '');
    symlinkSync(outside, join(directory, idOf(1), 'link'));
    try {
      await removeOldIncidents(directory, idOf(2), { ...MANY, keepIncidents: 1 });
      assert.deepEqual(readdirSync(directory), [idOf(2)]);
      assert.ok(existsSync(join(outside, 'keep')));
    } finally {
      rmSync(outside, { recursive: true });
    }
  });
});
