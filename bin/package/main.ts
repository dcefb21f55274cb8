// `npm run package -- [--into DIRECTORY] [--level N]`: everything that is given out, into dist/: the
// one file, a single executable and packages for each architecture, the npm archive, licences, bill of
// materials and checksums. The same commit makes the same bytes. Needs, of Debian: binutils, binutils
// for the other architecture, dpkg-deb, rpm. --level is that of xz: 6, and 0 for a trial.
import { createHash } from 'node:crypto';
import {
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { makeDeb } from './deb.ts';
import { makeBlob, makeExecutable } from './executable.ts';
import type { Made } from './files.ts';
import { bundledPackages, licensesText } from './licenses.ts';
import { releases } from './release-notes.ts';
import { makeRpm } from './rpm.ts';
import { run } from './run.ts';
import { runtimeFor } from './runtime.ts';
import { billOfMaterials } from './sbom.ts';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const BUILD = join(ROOT, 'bin/build.mjs');
const ONE_FILE = join(ROOT, 'bin/salt-triage.cjs');
const ARCHITECTURES = ['x64', 'arm64'] as const;

const { values } = parseArgs({
  options: {
    into: { type: 'string', default: join(ROOT, 'dist') },
    level: { type: 'string', default: '6' },
  },
});
const dist = resolve(values.into);
const level = Number(values.level);

const work = mkdtempSync(join(tmpdir(), 'salt-triage-package-'));
try {
  rmSync(dist, { recursive: true, force: true });
  mkdirSync(dist, { recursive: true });
  await makeAll();
} finally {
  rmSync(work, { recursive: true });
}

async function makeAll(): Promise<void> {
  const { version } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as Made;
  const epoch = await sourceDate();
  const inputs = join(work, 'inputs');
  await run([process.execPath, BUILD, '--inputs', inputs], { cwd: ROOT });
  await run([process.execPath, BUILD, join(work, 'salt-triage.cjs'), '--bare'], { cwd: ROOT });
  copyFileSync(ONE_FILE, join(dist, 'salt-triage.cjs'));
  await run(['npm', 'pack', '--silent', '--ignore-scripts', '--pack-destination', dist], {
    cwd: ROOT,
  });

  const runtimes = await Promise.all(ARCHITECTURES.map(runtimeFor));
  const [runtime] = runtimes;
  if (runtime === undefined) throw new Error('no runtime');
  const bundled = bundledPackages(readFileSync(inputs, 'utf8').split('\n'));
  const licenses = licensesText(bundled, runtime);
  writeFileSync(join(dist, 'copyright'), licenses);
  const bill = billOfMaterials({ version, epoch, bundled, runtimes }, await builtInto());
  writeFileSync(join(dist, 'salt-triage.cdx.json'), bill);

  const licenseNames = [...new Set(['MIT', ...bundled.map(({ license }) => license)])].join(
    ' AND ',
  );
  const made = { version, epoch, licenses, licenseNames, ...(await texts(epoch)) };
  const blob = await makeBlob(work, 'salt-triage.cjs');
  await Promise.all(
    ARCHITECTURES.map(async (architecture, at) => {
      const executable = join(dist, `salt-triage-linux-${architecture}`);
      await makeExecutable(runtimes[at] ?? runtime, architecture, blob, executable);
      await makeDeb(made, { executable, architecture }, dist, level);
      await makeRpm(made, { executable, architecture }, dist, level);
    }),
  );
  writeFileSync(join(dist, 'SHA256SUMS'), checksums());
}

/**
 * When the commit was made, in seconds since 1970 (reproducible-builds.org/specs/source-date-epoch); in
 * an archive of the source, which has no commit, the day of the release.
 */
async function sourceDate(): Promise<number> {
  const given = process.env['SOURCE_DATE_EPOCH'];
  if (given !== undefined) return Number(given);
  try {
    return Number(await run(['git', 'log', '-1', '--format=%ct'], { cwd: ROOT }));
  } catch {
    const [{ date }] = releases();
    return date.getTime() / 1000;
  }
}

async function builtInto(): Promise<Record<string, string>> {
  const { node } = await runtimeFor(process.arch === 'arm64' ? 'arm64' : 'x64');
  return JSON.parse(await run([node, '--print', 'JSON.stringify(process.versions)']));
}

/** What is made from the definitions of the commands. */
async function texts(epoch: number): Promise<Pick<Made, 'manPage' | 'completions'>> {
  const env = { SOURCE_DATE_EPOCH: String(epoch) };
  const completion = (shell: string) => run([process.execPath, ONE_FILE, 'completion', shell]);
  const [bash, zsh, fish, manPage] = await Promise.all([
    completion('bash'),
    completion('zsh'),
    completion('fish'),
    run([process.execPath, join(ROOT, 'bin/man-page.mjs')], { cwd: ROOT, env }),
  ]);
  return { completions: { bash, zsh, fish }, manPage };
}

/** As sha256sum(1) checks them. */
function checksums(): string {
  const lines = readdirSync(dist)
    .sort()
    .map((name) => {
      const sum = createHash('sha256')
        .update(readFileSync(join(dist, name)))
        .digest('hex');
      return `${sum}  ${name}\n`;
    });
  return lines.join('');
}
