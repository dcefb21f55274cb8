import { isSea } from 'node:sea';

/** Put in by `bin/build.mjs`: the version of package.json and the commit, empty where it is not known. */
declare const SALT_TRIAGE_BUILD: { readonly version: string; readonly commit: string } | undefined;

/** The version, first, then what a report of a defect needs: the commit and what it runs on. */
export function versionText(): string {
  const { version, commit } =
    typeof SALT_TRIAGE_BUILD === 'undefined'
      ? { version: '0.0.0-source', commit: '' }
      : SALT_TRIAGE_BUILD;
  const runtime = `Node ${process.versions.node}${isSea() ? ' built in' : ''}`;
  return `${version} (${commit === '' ? '' : `commit ${commit}, `}${runtime})`;
}
