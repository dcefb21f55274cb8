/**
 * A single executable: Node with the one file injected (nodejs.org/api/single-executable-applications).
 * What is said of sizes and injection was measured: see the facts about packages.
 */
import { chmodSync, copyFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { run } from './run.ts';
import { type Architecture, type Runtime, runtimeFor } from './runtime.ts';

const FRONT = fileURLToPath(new URL('../front.sh', import.meta.url));
/** binutils of Debian have each target under its own name; its own machine's, too. */
const STRIP: Record<Architecture, string> = {
  x64: 'x86_64-linux-gnu-strip',
  arm64: 'aarch64-linux-gnu-strip',
};
/** Marks in Node where the blob is looked for. */
const FUSE = 'NODE_SEA_FUSE_fce680ab2cc467b6e072b8b5df1996b2';

/** The newest versions of the host's libraries that may be needed: those of EL 8 and Debian 10 (gcc 8). */
export const FLOOR = { GLIBC: '2.28', GLIBCXX: '3.4.25', CXXABI: '1.3.11' } as const;

/**
 * Makes the blob that is injected, the same for all architectures: without a code cache and a
 * snapshot there is nothing of a machine in it.
 * @param directory to work in; `bundle` is a file name there, as its path would be in the blob
 */
export async function makeBlob(directory: string, bundle: string): Promise<string> {
  const blob = join(directory, 'blob');
  const config = {
    main: bundle,
    output: 'blob',
    disableExperimentalSEAWarning: true,
    useSnapshot: false,
    useCodeCache: false,
    // NODE_OPTIONS and --node-options are for a node of one's own, not for what runs as root.
    execArgvExtension: 'none',
    assets: { 'front.sh': 'front.sh' },
  };
  copyFileSync(FRONT, join(directory, 'front.sh'));
  writeFileSync(join(directory, 'sea.json'), JSON.stringify(config));
  const { node } = await runtimeFor(process.arch === 'arm64' ? 'arm64' : 'x64');
  await run([node, '--experimental-sea-config', 'sea.json'], { cwd: directory });
  return blob;
}

/**
 * Writes the executable for one architecture.
 * @throws Error where it would need newer libraries than {@link FLOOR}
 */
export async function makeExecutable(
  { node }: Runtime,
  architecture: Architecture,
  blob: string,
  output: string,
): Promise<void> {
  // Before the injection: after it, a stripped executable crashes (nodejs/postject#90).
  await run([STRIP[architecture], '-o', output, node]);
  const postject = fileURLToPath(import.meta.resolve('postject/dist/cli.js'));
  await run([
    ...([process.execPath, postject, output, 'NODE_SEA_BLOB', blob] as const),
    ...['--sentinel-fuse', FUSE],
  ]);
  chmodSync(output, 0o755);
  for (const [library, newest] of await neededVersions(output)) {
    const most = FLOOR[library as keyof typeof FLOOR];
    if (isNewer(newest, most)) {
      throw new Error(`${output} needs ${library} ${newest}, and ${most} is all that hosts have`);
    }
  }
}

/** The newest version of each library's symbols that an ELF file asks for. */
async function neededVersions(file: string): Promise<ReadonlyMap<string, string>> {
  const text = await run(['readelf', '--wide', '--version-info', file]);
  const newest = new Map<string, string>();
  for (const [, library = '', version = ''] of text.matchAll(
    /\b(GLIBC|GLIBCXX|CXXABI)_([\d.]+)/g,
  )) {
    if (isNewer(version, newest.get(library) ?? '0')) newest.set(library, version);
  }
  return newest;
}

function isNewer(version: string, than: string): boolean {
  return version.localeCompare(than, 'en', { numeric: true }) > 0;
}
