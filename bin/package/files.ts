/** The files of a package, the same in each format but for where a format wants them. */
import {
  chmodSync,
  copyFileSync,
  mkdirSync,
  readdirSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { settingsFile } from './settings-file.ts';
import { checkUnits } from './units.ts';

export interface PackagedFile {
  /** Absolute, on the host. */
  readonly path: string;
  readonly mode: number;
  readonly content: string | Buffer | { readonly copyOf: string };
  /** What the host's administrator has made of it stays. */
  readonly isSettings?: true;
}

/** What the build has made for every package. */
export interface Made {
  readonly version: string;
  /** The time of the commit: that of every file, seconds since 1970. */
  readonly epoch: number;
  /** mdoc; the section is in its `.Dt` line. */
  readonly manPage: string;
  readonly completions: Readonly<Record<'bash' | 'zsh' | 'fish', string>>;
  readonly licenses: string;
  /** The same in short, by their names (SPDX). */
  readonly licenseNames: string;
}

const ZSH = {
  deb: '/usr/share/zsh/vendor-completions',
  rpm: '/usr/share/zsh/site-functions',
} as const;

/** What a package installs, without what only its own format has. */
export function packagedFiles(made: Made, executable: string, format: 'deb' | 'rpm') {
  const { bash, zsh, fish } = made.completions;
  const section = /^\.Dt \S+ (\d)/m.exec(made.manPage)?.[1];
  if (section === undefined) throw new Error('the man page names no section');
  const units = [...checkUnits()].map(([name, text]) =>
    file(`/usr/lib/systemd/system/${name}`, text),
  );
  const files: PackagedFile[] = [
    { path: '/usr/bin/salt-triage', mode: 0o755, content: { copyOf: executable } },
    { ...file('/etc/salt-triage.yaml', settingsFile()), isSettings: true },
    file(`/usr/share/man/man${section}/salt-triage.${section}.gz`, compressed(made.manPage)),
    file('/usr/share/bash-completion/completions/salt-triage', bash),
    file(`${ZSH[format]}/_salt-triage`, zsh),
    file('/usr/share/fish/vendor_completions.d/salt-triage.fish', fish),
    ...units,
  ];
  return files;
}

export function file(path: string, content: string | Buffer): PackagedFile {
  return { path, mode: 0o644, content };
}

/** gzip -9n: no name and no time in it. */
export function compressed(text: string): Buffer {
  return gzipSync(text, { level: 9 });
}

/** Writes files below a root; every time in it is `epoch`, whoever builds it and when. */
export function writeTree(root: string, files: readonly PackagedFile[], epoch: number): void {
  for (const { path, mode, content } of files) {
    const target = join(root, path);
    mkdirSync(dirname(target), { recursive: true, mode: 0o755 });
    if (typeof content === 'string' || Buffer.isBuffer(content)) writeFileSync(target, content);
    else copyFileSync(content.copyOf, target);
    chmodSync(target, mode);
  }
  for (const entry of readdirSync(root, { recursive: true, withFileTypes: true })) {
    const path = join(entry.parentPath, entry.name);
    if (entry.isDirectory()) chmodSync(path, 0o755);
    utimesSync(path, epoch, epoch);
  }
  chmodSync(root, 0o755);
  utimesSync(root, epoch, epoch);
}
