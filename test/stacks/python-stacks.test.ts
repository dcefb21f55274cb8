/** What py-spy and gdb print, read as data: also what a hostile process makes of it. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
  GDB_MARK,
  gdbProgress,
  MAX_FRAMES,
  MAX_NAME,
  parseGdbFrames,
  parsePySpyDump,
} from '../../src/evidence/python-stacks.ts';
import { pySpyDump } from './py-spy-dump.ts';

const gdb = (...told: readonly object[]) => {
  return told.map((one) => `${GDB_MARK}${JSON.stringify(one)}`).join('\n');
};
const frames = [['wait', '/usr/lib/python3.11/threading.py']];

describe('what py-spy prints', () => {
  it('is the calls of each thread, innermost first', () => {
    const look = parsePySpyDump(pySpyDump(3));
    assert.ok(look.seen);
    assert.deepEqual([look.value.stacks.length, look.value.unseen], [3, 0]);
    assert.deepEqual(look.value.stacks[0]?.slice(0, 2), [
      { function: 'wait', file: '/usr/lib/python3.11/threading.py' },
      { function: 'join', file: '/usr/lib/python3.11/threading.py' },
    ]);
  });

  it('keeps neither lines nor locals, should they be there', () => {
    const local = { name: 'password', addr: 1, arg: true, repr: "'hunter2'" };
    const text = pySpyDump(1).replaceAll('"locals": null', `"locals": [${JSON.stringify(local)}]`);
    assert.match(text, /hunter2/);
    assert.doesNotMatch(JSON.stringify(parsePySpyDump(text)), /hunter2|locals|line/);
  });

  it('is nothing where it was cut, is an error, or has no frame', () => {
    for (const text of ['', pySpyDump(2).slice(0, 300), 'Error: Permission denied', '{}', 'null']) {
      const look = parsePySpyDump(text);
      assert.deepEqual([look.seen, !look.seen && look.cause], [false, 'malformed'], text);
    }
    const empty = parsePySpyDump('[{"frames": []}, {"frames": null}, 7, null]');
    assert.ok(!empty.seen);
    assert.match(empty.why, /no Python frame/);
  });
});

describe('what gdb prints', () => {
  it('is the calls of each thread between words of its own', () => {
    const text = `[New LWP 7]\n${gdb({ attaching: 7 }, { threads: 2 }, { frames })}\nwarning: x\n${gdb({ frames: [] }, { detached: 7 })}`;
    const look = parseGdbFrames(text);
    assert.ok(look.seen);
    assert.deepEqual(look.value.stacks, [
      [{ function: 'wait', file: '/usr/lib/python3.11/threading.py' }],
    ]);
    assert.deepEqual([look.value.withoutPython, look.value.unseen], [1, 0]);
  });

  it('is told to be incomplete where its time was up before the last thread', () => {
    const look = parseGdbFrames(gdb({ threads: 40 }, { frames }));
    assert.equal(look.seen && look.value.unseen, 39);
  });

  it('is no stack where it can see no frame, and says so', () => {
    const look = parseGdbFrames(gdb({ threads: 2 }, { frames: [] }, { frames: [] }));
    assert.ok(!look.seen);
    assert.match(look.why, /no Python frame/);
    const refused = parseGdbFrames(gdb({ refused: 'ptrace: Operation not permitted.' }));
    assert.equal(!refused.seen && refused.why, 'ptrace: Operation not permitted.');
  });

  it('tells whether it may have left the process stopped', () => {
    assert.deepEqual(gdbProgress(''), { attached: false, detached: false });
    const half = gdb({ attaching: 7 });
    assert.deepEqual(gdbProgress(half), { attached: true, detached: false });
    const whole = gdb({ attaching: 7 }, { detached: 7 });
    assert.deepEqual(gdbProgress(whole), { attached: true, detached: true });
    assert.deepEqual(gdbProgress(whole.slice(0, -2)), { attached: true, detached: false });
  });
});

describe('names of a hostile process', () => {
  const name = `\u001b[2Jx\u202e\n${GDB_MARK}${'y'.repeat(5_000)}`;
  const looks = {
    gdb: parseGdbFrames(
      gdb({ threads: 1 }, { frames: Array.from({ length: 900 }, () => [name, name]) }),
    ),
    'py-spy': parsePySpyDump(
      JSON.stringify([{ frames: Array.from({ length: 900 }, () => ({ name, filename: name })) }]),
    ),
  };
  for (const [tool, look] of Object.entries(looks)) {
    it(`that ${tool} prints are one printable line each, and bounded`, () => {
      assert.ok(look.seen);
      const [stack = []] = look.value.stacks;
      assert.equal(stack.length, MAX_FRAMES);
      for (const frame of stack) {
        assert.ok(frame.function.length <= MAX_NAME && frame.function.startsWith('x '));
        assert.match(frame.function + frame.file, /^[ -~]+$/);
      }
    });
  }
});
