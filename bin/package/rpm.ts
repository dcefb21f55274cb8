/** An RPM package, by rpmbuild. */
import { mkdtempSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { FLOOR } from './executable.ts';
import { file, type Made, type PackagedFile, packagedFiles, writeTree } from './files.ts';
import { DESCRIPTION, MAINTAINER, SUMMARY } from './identity.ts';
import { releases, rpmChangelog } from './release-notes.ts';
import { run } from './run.ts';
import type { Architecture } from './runtime.ts';

const ARCHITECTURES: Record<Architecture, string> = { x64: 'x86_64', arm64: 'aarch64' };
const COPYRIGHT = '/usr/share/licenses/salt-triage/copyright';
const TIMER = 'salt-api-check.timer';

/**
 * Writes `salt-triage-VERSION-1.ARCH.rpm`.
 * @param level of xz, 0 to 9
 */
export async function makeRpm(
  made: Made,
  { executable, architecture }: { executable: string; architecture: Architecture },
  output: string,
  level: number,
): Promise<string> {
  const work = mkdtempSync(join(tmpdir(), 'salt-triage-rpm-'));
  const name = `salt-triage-${made.version}-1.${ARCHITECTURES[architecture]}.rpm`;
  try {
    const files = [...packagedFiles(made, executable, 'rpm'), file(COPYRIGHT, made.licenses)];
    const root = join(work, 'root');
    writeTree(root, files, made.epoch);
    const spec = join(work, 'salt-triage.spec');
    writeFileSync(spec, specOf(made, files, root, level));
    await run(
      [
        ...([
          'rpmbuild',
          '-bb',
          '--quiet',
          `--target=${ARCHITECTURES[architecture]}-linux`,
        ] as const),
        ...['--define', `_topdir ${work}`, spec],
      ],
      { env: { SOURCE_DATE_EPOCH: String(made.epoch) } },
    );
    const rpms = join(work, 'RPMS', ARCHITECTURES[architecture]);
    const [found] = readdirSync(rpms);
    if (found !== name) throw new Error(`rpmbuild made ${found}, and not ${name}`);
    renameSync(join(rpms, found), join(output, name));
    return join(output, name);
  } finally {
    rmSync(work, { recursive: true });
  }
}

function specOf(made: Made, files: readonly PackagedFile[], root: string, level: number): string {
  return `# Everything is in place already: nothing is compiled, stripped or compressed here.
%global debug_package %{nil}
%global __os_install_post %{nil}
%global _build_id_links none
# What rpm of EL 8 reads.
%global _binary_payload w${level}.xzdio
%global use_source_date_epoch_as_buildtime 1
%global clamp_mtime_to_source_date_epoch 1
%global _buildhost salt-triage.invalid

Name: salt-triage
Version: ${made.version}
Release: 1
Summary: ${SUMMARY}
License: ${made.licenseNames}
AutoReqProv: no
Provides: salt-triage = ${made.version}-1
Requires: libc.so.6(GLIBC_${FLOOR.GLIBC})(64bit)
Requires: libstdc++.so.6(CXXABI_${FLOOR.CXXABI})(64bit)
Requires: libgcc_s.so.1()(64bit)

%description
${DESCRIPTION.map((paragraph) => paragraph.replace(/^ /gm, '')).join('\n\n')}

%install
mkdir -p %{buildroot}
cp -a ${root}/. %{buildroot}

%post
if [ -d /run/systemd/system ]; then systemctl --system daemon-reload || :; fi

%preun
# Not before an upgrade.
if [ "$1" -eq 0 ] && [ -d /run/systemd/system ]; then
  systemctl --no-reload disable --now ${TIMER} || :
  systemctl stop salt-api-check.service || :
fi

%postun
if [ -d /run/systemd/system ]; then
  systemctl --system daemon-reload || :
  if [ "$1" -ge 1 ]; then systemctl try-restart ${TIMER} || :; fi
fi

%files
%defattr(-,root,root)
${files.map(listed).join('\n')}

%changelog
${rpmChangelog(releases(), MAINTAINER)}`;
}

function listed({ path, mode, isSettings }: PackagedFile): string {
  const kind = isSettings ? '%config(noreplace) ' : path === COPYRIGHT ? '%license ' : '';
  return `${kind}%attr(${mode.toString(8)},root,root) ${path}`;
}
