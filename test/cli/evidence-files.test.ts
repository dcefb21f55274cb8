/** `--save` and `--from` of the built CLI, where the file is not what one would expect. */
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import {
  existsSync,
  linkSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { writeEvidence } from '../../src/evidence/evidence-file.ts';
import { evidenceOf, saltApi, server } from '../diagnosis/situation.ts';
import { BUNDLE, runCli } from './run.ts';

const DOWN = writeEvidence(evidenceOf({ processes: [] }));
const THERE = '--host root@master --port 443 -c /etc/salt';

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'salt-triage-files-'));
});
afterEach(() => rmSync(directory, { recursive: true }));
const at = (name: string) => join(directory, name);

/** One of each kind of file that is no plain one. */
async function oddFiles(): Promise<{ paths: Record<string, string>; close(): void }> {
  execFileSync('mkfifo', [at('fifo')]);
  mkdirSync(at('directory'));
  const listener = createServer();
  await new Promise<void>((resolve) => listener.listen(at('socket'), resolve));
  const paths = {
    'a FIFO': at('fifo'),
    'a directory': at('directory'),
    'a socket': at('socket'),
    'a device': '/dev/null',
  };
  return { paths, close: () => listener.close() };
}

describe('--from', () => {
  it('refuses what is no plain file at once, and says what it is', {
    timeout: 30_000,
  }, async () => {
    const { paths, close } = await oddFiles();
    for (const [what, path] of Object.entries(paths)) {
      const ran = await runCli(['diagnose', '--from', path]);
      assert.equal(ran.code, 2, what);
      // Of a socket open(2) says ENXIO.
      assert.match(ran.stderr, new RegExp(`can't read the evidence .*(?:${what}|ENXIO|EISDIR)`));
    }
    close();
  });

  it('ends a file and an input without end with exit 3', { timeout: 60_000 }, async () => {
    execFileSync('truncate', ['-s', '3G', at('large')]);
    const ran = await runCli(['diagnose', '--from', at('large')]);
    assert.deepEqual([ran.code, /larger than 64 MiB/.test(ran.stderr)], [3, true]);
    const endless = `head -c 3000000000 /dev/zero | '${process.execPath}' --max-old-space-size=300 '${BUNDLE}' diagnose --from -`;
    const child = spawn('bash', ['-c', endless], { stdio: ['ignore', 'ignore', 'pipe'] });
    let stderr = '';
    child.stderr.setEncoding('utf8').on('data', (text) => {
      stderr += text;
    });
    const code = await new Promise((resolve) => child.once('close', resolve));
    assert.deepEqual([code, /standard input: it is larger than 64 MiB/.test(stderr)], [3, true]);
  });

  it('names what is no evidence', async () => {
    writeFileSync(at('notes'), 'salt');
    const file = await runCli(['diagnose', '--from', at('notes')]);
    assert.deepEqual([file.code, file.stderr.includes(`${at('notes')}: this is not a`)], [2, true]);
    const piped = await runCli(['diagnose', '--from', '-'], { input: 'salt' });
    assert.match(piped.stderr, /^salt-triage: standard input: this is not a/);
  });

  it('ends deep and many-valued input with exit 3, in bounded memory', async () => {
    const head = '{"format":"salt-triage-evidence","schemaVersion":1,"evidence":';
    const command = [process.execPath, '--max-old-space-size=300', BUNDLE];
    for (const body of ['['.repeat(5e7), `[${'{},'.repeat(15e6)}`]) {
      writeFileSync(at('bomb'), head + body);
      const ran = await runCli(['diagnose', '--from', at('bomb')], { command });
      assert.equal(ran.code, 3, ran.stderr.slice(0, 500));
      assert.match(ran.stderr, /evidence file is damaged: it (?:nests|holds) more than/);
    }
  });

  it('says what to type for the host that it is of, not for this one', async () => {
    const ran = await runCli(['diagnose', '--json', '--from', '-'], { input: DOWN });
    // That host has no service manager that the evidence shows.
    const next = `salt-triage fix ${THERE} --start-cmd COMMAND`;
    assert.equal(JSON.parse(ran.stdout).verdict.next, next);
    const shown = await runCli(['diagnose', '--from', '-'], { input: DOWN });
    assert.match(shown.stdout, new RegExp(`^Next +salt-triage fix ${THERE}`, 'm'));
  });

  it('judges anew by limits that are named', async () => {
    const daemon = saltApi({ pid: 100, ppid: 1 });
    const evidence = evidenceOf({ processes: [daemon, server({ pid: 101, ppid: 100 })] });
    assert.ok(evidence.sockets.seen);
    const peer = { address: '192.0.2.1', state: 'CLOSE_WAIT', unreadBytes: 0 } as const;
    const peers = [{ ...peer, accepted: 10, unaccepted: 0 }];
    const sockets = { seen: true, value: { ...evidence.sockets.value, peers } } as const;
    const input = writeEvidence({ ...evidence, sockets });
    const status = async (...options: string[]) => {
      const ran = await runCli(['diagnose', '--json', '--from', '-', ...options], { input });
      return ran.stdout === '' ? ran.code : JSON.parse(ran.stdout).steps[2].status;
    };
    assert.equal(await status(), 'warn');
    assert.equal(await status('--close-wait-fail', '10'), 'fail');
    assert.equal(await status('--close-wait-warn', '11'), 'pass');
    assert.equal(await status('--close-wait-fail', '4'), 2);
  });

  it('takes port, directory and log for what a probe has printed', async () => {
    const probe = await runCli(['probe', '--port', '1']);
    const printed = await runCli(['-s'], { command: ['/bin/sh'], input: probe.stdout });
    const args = ['diagnose', '--json', '--from', '-', '--port', '1', '--log', '/nonexistent/api'];
    const ran = await runCli(args, { input: printed.stdout });
    assert.equal(JSON.parse(ran.stdout).port, 1, ran.stderr);
  });
});

describe('--save', () => {
  const save = (path: string, cwd?: string) =>
    runCli(['diagnose', '--save', path, '--from', '-', '-q'], {
      input: DOWN,
      ...(cwd === undefined ? {} : { cwd }),
    });

  it('makes a new file of 0600 in place of one that others may read or hold open', async () => {
    writeFileSync(at('saved'), 'before', { mode: 0o666 });
    linkSync(at('saved'), at('other name'));
    assert.equal((await save(at('saved'))).code, 1);
    assert.equal(statSync(at('saved')).mode & 0o777, 0o600);
    assert.deepEqual(JSON.parse(readFileSync(at('saved'), 'utf8')), JSON.parse(DOWN));
    assert.equal(readFileSync(at('other name'), 'utf8'), 'before');
    assert.equal((await save('beside', directory)).code, 1);
    assert.deepEqual(readdirSync(directory).sort(), ['beside', 'other name', 'saved']);
  });

  it('follows no link, and leaves what is no plain file alone', { timeout: 30_000 }, async () => {
    writeFileSync(at('victim'), 'untouched');
    symlinkSync(at('victim'), at('link'));
    symlinkSync(at('nowhere'), at('dangling'));
    const { paths, close } = await oddFiles();
    const links = { 'a symbolic link': at('link'), 'a symbolic link ': at('dangling') };
    for (const [what, path] of Object.entries({ ...paths, ...links })) {
      const kind = lstatSync(path).mode;
      const ran = await save(path);
      assert.equal(ran.code, 2, what);
      assert.match(
        ran.stderr,
        new RegExp(`can't save the evidence to .*: ${what.trim()} is there`),
      );
      assert.equal(lstatSync(path).mode, kind);
    }
    close();
    assert.equal(readFileSync(at('victim'), 'utf8'), 'untouched');
    assert.ok(!existsSync(at('nowhere')));
  });

  it('is checked before the look, and leaves nothing behind where it fails', async () => {
    const ran = await save(join(directory, 'none', 'saved'));
    assert.deepEqual([ran.code, ran.stdout, readdirSync(directory)], [2, '', []]);
    assert.match(ran.stderr, /none\/saved: there is no such directory\n/);
  });

  it('is confirmed on standard error', async () => {
    const { stderr } = await save(at('saved'));
    const kilobytes = Math.ceil(statSync(at('saved')).size / 1000);
    assert.equal(stderr, `salt-triage: saved to ${at('saved')} (${kilobytes} kB)\n`);
  });

  it('has - for standard output: the evidence alone there, the report on standard error', async () => {
    const ran = await runCli(['diagnose', '--save', '-', '--from', '-'], { input: DOWN });
    assert.equal(ran.code, 1);
    assert.deepEqual(JSON.parse(ran.stdout), JSON.parse(DOWN));
    assert.match(ran.stderr, /^Verdict +down: /m);
    assert.doesNotMatch(ran.stderr, /saved to/);
    const both = await runCli(['diagnose', '--json', '--save', '-', '--from', '-'], {
      input: DOWN,
    });
    assert.deepEqual([both.code, both.stdout], [2, '']);
    assert.match(both.stderr, /--json and --save - both write to standard output/);
  });
});
