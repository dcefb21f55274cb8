/**
 * The Node that goes into a single executable, from the npm registry, as upstream has built it. A
 * newer one is its version and both sums in `runtimes.json`: `npm view PACKAGE@VERSION dist.integrity`.
 * It has to be shut to NODE_OPTIONS by `execArgvExtension`, which test/packages tries.
 */
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { run } from './run.ts';
import pinned from './runtimes.json' with { type: 'json' };

/** As Node has it (`process.arch`). */
export type Architecture = 'x64' | 'arm64';

export interface Runtime {
  readonly version: string;
  readonly integrity: string;
  /** The npm package that it comes from. */
  readonly from: string;
  /** The program. */
  readonly node: string;
  /** The licences of Node and of everything that is built into it. */
  readonly license: string;
}

const CACHE = fileURLToPath(new URL('../../node_modules/.cache/runtimes', import.meta.url));

/**
 * Fetches a runtime, once per checkout.
 * @throws Error where the registry has other bytes than those that are pinned in `runtimes.json`
 */
export async function runtimeFor(architecture: Architecture): Promise<Runtime> {
  const { package: from, integrity } = pinned[architecture];
  const directory = join(CACHE, `${from}-${pinned.node}`);
  if (!existsSync(directory)) await fetchRuntime(`${from}@${pinned.node}`, integrity, directory);
  const [node, license] = ['bin/node', 'LICENSE'].map((file) => join(directory, 'package', file));
  return { version: pinned.node, integrity, from, node: node ?? '', license: license ?? '' };
}

/** Into a directory of its own first: what is in the cache is whole. */
async function fetchRuntime(spec: string, integrity: string, directory: string): Promise<void> {
  mkdirSync(CACHE, { recursive: true });
  const fresh = mkdtempSync(join(CACHE, 'fetch-'));
  try {
    const packed = await run(['npm', 'pack', spec, '--silent', '--pack-destination', fresh]);
    const archive = join(fresh, packed.trim());
    const found = `sha512-${createHash('sha512').update(readFileSync(archive)).digest('base64')}`;
    if (found !== integrity) throw new Error(`${spec} is ${found}, and not ${integrity}`);
    const wanted = ['package/bin/node', 'package/LICENSE'] as const;
    await run(['tar', '-xzf', archive, '-C', fresh, ...wanted]);
    rmSync(archive);
    renameSync(fresh, directory);
  } finally {
    rmSync(fresh, { recursive: true, force: true });
  }
}
