/** What the packages carry besides the executable. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { debianChangelog, releases, rpmChangelog } from '../../bin/package/release-notes.ts';
import { settingsFile } from '../../bin/package/settings-file.ts';
import { checkUnits } from '../../bin/package/units.ts';
import { SETTINGS } from '../../src/cli/options.ts';
import { loadSettings } from '../../src/cli/settings.ts';
import { VERSION } from './dist.ts';

describe('the settings file of a package', () => {
  const settingsOf = async (text: string) => {
    const directory = mkdtempSync(join(tmpdir(), 'salt-triage-settings-'));
    try {
      const file = join(directory, 'salt-triage.yaml');
      writeFileSync(file, text);
      return await loadSettings(file);
    } finally {
      rmSync(directory, { recursive: true });
    }
  };

  it('sets nothing as it comes', async () => {
    assert.deepEqual(await settingsOf(settingsFile()), {});
  });

  it('has every key, each with a value that is accepted once it is no comment', async () => {
    const settings = await settingsOf(settingsFile().replace(/^#(?=[a-z])/gm, ''));
    assert.deepEqual(Object.keys(settings).sort(), Object.keys(SETTINGS).sort());
  });

  it('is no wider than a terminal', () => {
    assert.deepEqual(
      settingsFile()
        .split('\n')
        .filter((line) => line.length > 100),
      [],
    );
  });
});

describe('the release notes', () => {
  it('begin with the version of package.json', () => {
    assert.equal(releases()[0].version, VERSION);
  });

  const text = '# Notes\n\n## 1.2.3 (2026-02-03)\n\n- `one` thing\n  is new\n- 100% two\n';
  it('become a changelog of Debian', () => {
    assert.equal(
      debianChangelog(releases(text), 'A <a@b.invalid>'),
      'salt-triage (1.2.3) unstable; urgency=medium\n\n  * one thing is new\n  * 100% two\n\n' +
        ' -- A <a@b.invalid>  Tue, 03 Feb 2026 00:00:00 +0000\n',
    );
  });

  it('become a changelog of rpm, in which a percent sign is no macro', () => {
    assert.equal(
      rpmChangelog(releases(text), 'A <a@b.invalid>'),
      '* Tue Feb 03 2026 A <a@b.invalid> - 1.2.3-1\n- one thing is new\n- 100%% two\n',
    );
  });
});

it('the units of a package start its own executable', () => {
  const units = checkUnits();
  assert.deepEqual(
    [...units.keys()].sort(),
    ['salt-api-alert@.service', 'salt-api-check.service', 'salt-api-check.timer'].sort(),
  );
  assert.match(units.get('salt-api-check.service') ?? '', /^ExecStart=\/usr\/bin\/salt-triage /m);
  for (const text of units.values()) assert.doesNotMatch(text, /\/usr\/local\/|# ==>/);
});
