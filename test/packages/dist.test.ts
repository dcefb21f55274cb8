/** Everything that `npm run package` makes, as whoever downloads it takes it up. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import manifest from '../../package.json' with { type: 'json' };
import { runCli } from '../cli/run.ts';
import { DIST, executable, made, skipWithoutDist, VERSION } from './dist.ts';

const skip = skipWithoutDist();

interface Bill {
  readonly serialNumber: string;
  readonly metadata: { readonly timestamp: string };
  readonly components: readonly {
    readonly 'bom-ref': string;
    readonly name: string;
    readonly version: string;
    readonly purl?: string;
    readonly hashes?: readonly { readonly content: string }[];
    readonly licenses?: readonly object[];
  }[];
  readonly dependencies: readonly { readonly ref: string; readonly dependsOn: string[] }[];
}

describe('what is given out', { skip }, () => {
  it('is all in SHA256SUMS, which sha256sum confirms', () => {
    const confirmed = execFileSync('sha256sum', ['--check', '--strict', 'SHA256SUMS'], {
      cwd: DIST,
      encoding: 'utf8',
    });
    const named = confirmed
      .trim()
      .split('\n')
      .map((line) => line.replace(/: OK$/, ''));
    const there = readdirSync(DIST).filter((name) => name !== 'SHA256SUMS');
    assert.deepEqual(named.sort(), there.sort());
    for (const name of ['salt-triage.cjs', 'salt-triage-linux-x64', 'salt-triage-linux-arm64']) {
      assert.ok(there.includes(name), name);
    }
  });

  it('is this version, by its own word and by its name', async () => {
    for (const command of [[process.execPath, made(/\.cjs$/)], [executable()]]) {
      const { stdout } = await runCli(['--version'], { command });
      assert.match(
        stdout,
        /^(\S+) \((?:commit [0-9a-f]{12}\+?, )?Node \d+\.\d+\.\d+( built in)?\)\n$/,
      );
      assert.equal(stdout.split(' ')[0], VERSION);
      assert.equal(stdout.includes('built in'), command.length === 1);
    }
    const names = readdirSync(DIST).filter((name) => /\.(?:deb|rpm|tgz)$/.test(name));
    assert.equal(names.length, 5);
    for (const name of names) assert.ok(name.includes(VERSION), name);
  });

  it('has a bill of materials with every package that is bundled, and no other', () => {
    const bill = JSON.parse(readFileSync(join(DIST, 'salt-triage.cdx.json'), 'utf8')) as Bill;
    const names = bill.components.map(({ name }) => name);
    const { dependencies = {}, devDependencies } = manifest as typeof manifest & {
      dependencies?: Record<string, string>;
    };
    for (const name of ['chalk', 'commander', 'execa', 'inquirer', 'ps-list', 'valibot', 'yaml']) {
      const component = bill.components.find((one) => one.name === name);
      const versions: Record<string, string> = { ...dependencies, ...devDependencies };
      assert.equal(component?.version, versions[name], name);
    }
    for (const name of ['esbuild', 'typescript', 'postject'])
      assert.ok(!names.includes(name), name);
    const npm = bill.components.filter(({ purl }) => purl !== undefined);
    for (const { name, hashes, licenses } of npm) {
      assert.match(hashes?.[0]?.content ?? '', /^[0-9a-f]{128}$/, name);
      assert.ok((licenses?.length ?? 0) > 0, name);
    }
    const refs = bill.components.map((component) => component['bom-ref']);
    assert.equal(new Set(refs).size, refs.length);
    const leadsTo = bill.dependencies.flatMap(({ dependsOn }) => dependsOn);
    assert.deepEqual(
      refs.filter((ref) => !leadsTo.includes(ref)),
      [],
    );
    assert.match(bill.serialNumber, /^urn:uuid:[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab]/);
  });

  it('says of everything that is bundled what rights there are', () => {
    const text = readFileSync(join(DIST, 'copyright'), 'utf8');
    const bill = JSON.parse(readFileSync(join(DIST, 'salt-triage.cdx.json'), 'utf8')) as Bill;
    const npm = bill.components.filter(({ name, purl }) => purl && !name.startsWith('node-'));
    for (const { name, version } of npm) assert.ok(text.includes(`\n${name} ${version} (`), name);
    assert.ok(text.includes('Node.js'));
  });
});
