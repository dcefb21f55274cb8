/** What TAB does, in each shell itself: words of the definitions, and names that are found when they are asked for. */
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { runCli } from '../cli/run.ts';
import { until } from '../fix/staged.ts';
import { interactiveShell, SHELL_NAMES, skipWithoutShells } from './interactive-shell.ts';

const ID = '20181124T093310Z-443-3f9a1c';
const skip = skipWithoutShells();

const HOME = {
  [`trail/${ID}/journal.jsonl`]: '',
  '.ssh/config': 'Host salt-master-01\n',
  // A file and a directory: only one of them holds records.
  trailing: '',
  'evidence.json': '',
};

/** A typed line, TAB, and what stands there then; zsh adds a = to an option, and takes it away again. */
const COMPLETED: readonly (readonly [typed: string, then: string, inZsh?: string])[] = [
  ['salt-triage his', 'salt-triage history'],
  ['salt-triage help saf', 'salt-triage help safety'],
  ['salt-triage completion z', 'salt-triage completion zsh'],
  [
    'salt-triage fix --close-wait-f',
    'salt-triage fix --close-wait-fail',
    'salt-triage fix --close-wait-fail=',
  ],
  ['salt-triage check -p 8443 --format pr', 'salt-triage check -p 8443 --format prometheus'],
  ['salt-triage check --format=pr', 'salt-triage check --format=prometheus'],
  // `-c` is critical here, and the Salt config elsewhere.
  ['salt-triage check -c thr', 'salt-triage check -c threads='],
  ['salt-triage fix -c trail', 'salt-triage fix -c trail/'],
  ['salt-triage diagnose --from evid', 'salt-triage diagnose --from evidence.json'],
  ['salt-triage diagnose --host sal', 'salt-triage diagnose --host salt-master-01'],
  ['salt-triage fix --host root@sal', 'salt-triage fix --host root@salt-master-01'],
  ['salt-triage fix --host=root@sal', 'salt-triage fix --host=root@salt-master-01'],
  [
    'salt-triage history --json --state-dir ~/trail 20',
    `salt-triage history --json --state-dir ~/trail ${ID}`,
  ],
];

test('what is asked for in the middle of a line says nothing but words, whatever goes wrong', async () => {
  const nothing = { code: 0, stdout: '', stderr: '' };
  assert.deepEqual(await runCli(['completion', 'hosts'], { uid: 65_534 }), nothing);
  const wrong = ['--state-dir', '/nonexistent', '--config', '/nonexistent'];
  assert.deepEqual(await runCli(['completion', 'incidents', ...wrong]), nothing);
  const { code, stdout, stderr } = await runCli(['completion', 'tcsh']);
  assert.deepEqual([code, stdout], [2, '']);
  assert.match(stderr, /there is no completion for "tcsh"\n {2}Give one of bash, zsh, fish\.\n$/);
});

for (const name of SHELL_NAMES) {
  test(`${name} completes commands, options, values, hosts and incidents`, { skip }, async (t) => {
    const shell = await interactiveShell(t, name, HOME);
    for (const [typed, then, inZsh = then] of COMPLETED) {
      await shell.type(typed);
      shell.press('Tab');
      await shell.line(name.startsWith('zsh') ? inZsh : then);
    }
    await shell.type('salt-triage drill --');
    shell.press('Tab', 'Tab');
    await shell.words('--end', '--keep', '--port');
  });

  test(`${name} never evaluates a name that is found`, { skip }, async (t) => {
    // As if `salt-triage completion hosts` let such a name through.
    const stranger = 'evil$(touch$IFS.ran)`touch$IFS.ran`;touch$IFS.ran';
    const shell = await interactiveShell(
      t,
      name,
      {},
      `if [ "$1" = completion ]; then echo '${stranger}'; else echo "$3" > "$HOME/given"; fi`,
    );
    await shell.type('salt-triage fix --host ev');
    shell.press('Tab');
    await shell.shows('a completed line', (shown) => shown.includes('IFS'));
    shell.press('Enter');
    const given = join(shell.home, 'given');
    await until('the command', () => existsSync(given) && readFileSync(given, 'utf8') !== '');
    assert.equal(readFileSync(given, 'utf8'), `${stranger}\n`);
    assert.equal(existsSync(join(shell.home, '.ran')), false);
  });
}
