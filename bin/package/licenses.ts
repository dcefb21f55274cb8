/** What a package, and who has a copy of the one file, is to be told of the rights of others. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Runtime } from './runtime.ts';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));

/** An npm package of which something is in the one file. */
export interface Bundled {
  readonly name: string;
  readonly version: string;
  /** SPDX. */
  readonly license: string;
  readonly author: string;
  /** `sha512-…`, of the archive in the registry. */
  readonly integrity: string;
  /** Its licence, word for word; null where it brings none. */
  readonly text: string | null;
}

/**
 * The npm packages that some files belong to, by name.
 * @param files paths from the root of the repository
 */
export function bundledPackages(files: readonly string[]): Bundled[] {
  const directories = files.map((file) => /^.*node_modules\/(?:@[^/]+\/)?[^/]+/.exec(file)?.[0]);
  const lock = readJson('package-lock.json') as Lock;
  return [...new Set(directories)]
    .filter((directory) => directory !== undefined)
    .sort()
    .map((directory) => bundledPackage(directory, lock));
}

interface Lock {
  readonly packages: Readonly<Record<string, { readonly integrity?: string }>>;
}

interface Manifest {
  readonly name: string;
  readonly version: string;
  readonly license?: string;
  readonly author?: string | { readonly name: string };
}

function bundledPackage(directory: string, { packages }: Lock): Bundled {
  const { name, version, license, author } = readJson(`${directory}/package.json`) as Manifest;
  const integrity = packages[directory]?.integrity;
  if (integrity === undefined) throw new Error(`${directory} is not in package-lock.json`);
  if (license === undefined) throw new Error(`${directory} names no licence`);
  const authorName = typeof author === 'string' ? author.replace(/ *[<(].*/, '') : author?.name;
  const file = readdirSync(join(ROOT, directory)).find((entry) => /^licen[cs]e/i.test(entry));
  const text = file === undefined ? null : readFileSync(join(ROOT, directory, file), 'utf8');
  return { name, version, license, author: authorName ?? 'its authors', integrity, text };
}

function readJson(path: string): unknown {
  const file = join(ROOT, path);
  if (!existsSync(file)) throw new Error(`no ${path}`);
  return JSON.parse(readFileSync(file, 'utf8'));
}

/** All licences, ours first: of the one file, and with `runtime` of an executable, too. */
export function licensesText(bundled: readonly Bundled[], runtime: Runtime): string {
  const ours = readFileSync(join(ROOT, 'LICENSE'), 'utf8');
  const others = bundled.map(({ name, version, license, author, text }) =>
    part(`${name} ${version} (${license})`, text ?? `Copyright (c) ${author}. ${license}.`),
  );
  return [
    part('salt-triage', ours),
    ...others,
    part(
      `Node.js ${runtime.version} and what is built into it (the single executables alone)`,
      readFileSync(runtime.license, 'utf8'),
    ),
  ].join('\n');
}

function part(title: string, text: string): string {
  const lines = text.replaceAll('\r\n', '\n').trim().split('\n');
  return `${'='.repeat(72)}\n${title}\n${'='.repeat(72)}\n\n${lines.map((line) => line.trimEnd()).join('\n')}\n`;
}
