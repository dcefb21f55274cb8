/** A Debian package, by dpkg-deb alone (deb(5), deb-control(5)). */
import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { FLOOR } from './executable.ts';
import {
  compressed,
  file,
  type Made,
  type PackagedFile,
  packagedFiles,
  writeTree,
} from './files.ts';
import { DESCRIPTION, MAINTAINER, SUMMARY } from './identity.ts';
import { debianChangelog, releases } from './release-notes.ts';
import { run } from './run.ts';
import type { Architecture } from './runtime.ts';

const ARCHITECTURES: Record<Architecture, string> = { x64: 'amd64', arm64: 'arm64' };
const SCRIPTS = ['postinst', 'prerm', 'postrm'] as const;

/**
 * Writes `salt-triage_VERSION_ARCH.deb`.
 * @param level of xz, 0 to 9
 */
export async function makeDeb(
  made: Made,
  { executable, architecture }: { executable: string; architecture: Architecture },
  output: string,
  level: number,
): Promise<string> {
  const docs = '/usr/share/doc/salt-triage';
  const files = [
    ...packagedFiles(made, executable, 'deb'),
    file(`${docs}/copyright`, made.licenses),
    file(`${docs}/changelog.gz`, compressed(debianChangelog(releases(), MAINTAINER))),
    file('/usr/share/lintian/overrides/salt-triage', source('lintian-overrides')),
  ];
  const root = mkdtempSync(join(tmpdir(), 'salt-triage-deb-'));
  try {
    writeTree(root, files, made.epoch);
    const size = files.reduce((sum, { path }) => sum + kibibytes(join(root, path)), 0);
    writeTree(root, controlFiles(made, root, files, ARCHITECTURES[architecture], size), made.epoch);
    const target = join(output, `salt-triage_${made.version}_${ARCHITECTURES[architecture]}.deb`);
    await run(
      [
        ...(['dpkg-deb', '--root-owner-group', '-Zxz', `-z${level}`] as const),
        ...['--build', root, target],
      ],
      { env: { SOURCE_DATE_EPOCH: String(made.epoch) } },
    );
    return target;
  } finally {
    rmSync(root, { recursive: true });
  }
}

function controlFiles(
  made: Made,
  root: string,
  files: readonly PackagedFile[],
  architecture: string,
  size: number,
): PackagedFile[] {
  const description = DESCRIPTION.map((paragraph) => ` ${paragraph}`).join('\n .\n');
  const control = [
    'Package: salt-triage',
    `Version: ${made.version}`,
    `Architecture: ${architecture}`,
    `Maintainer: ${MAINTAINER}`,
    `Installed-Size: ${size}`,
    // libgcc1 is what Debian 10 has in place of libgcc-s1.
    `Depends: libc6 (>= ${FLOOR.GLIBC}), libgcc-s1 | libgcc1, libstdc++6 (>= 8)`,
    'Recommends: systemd',
    'Suggests: openssh-client',
    'Section: admin',
    'Priority: optional',
    `Description: ${SUMMARY}`,
    description,
    '',
  ].join('\n');
  const sums = files.map(({ path }) => {
    const sum = createHash('md5')
      .update(readFileSync(join(root, path)))
      .digest('hex');
    return `${sum}  ${path.slice(1)}\n`;
  });
  const settings = files.filter(({ isSettings }) => isSettings).map(({ path }) => `${path}\n`);
  return [
    file('/DEBIAN/control', control),
    file('/DEBIAN/md5sums', sums.join('')),
    file('/DEBIAN/conffiles', settings.join('')),
    ...SCRIPTS.map((name) => ({ ...file(`/DEBIAN/${name}`, source(name)), mode: 0o755 })),
  ];
}

function source(name: string): string {
  return readFileSync(fileURLToPath(new URL(`debian/${name}`, import.meta.url)), 'utf8');
}

function kibibytes(path: string): number {
  return Math.ceil(statSync(path).size / 1024);
}
