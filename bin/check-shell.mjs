// Holds every shell script of ours against shellcheck, and against shfmt: those in files of their
// own, those that are sent to hosts behind ssh, those in the examples of check, and what completes
// a line at TAB. Where the programs are missing it says so, and with CI set that is a failure.
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { register } from 'tsx/esm/api';

const root = fileURLToPath(new URL('..', import.meta.url));
const SENT = 'src/host/ssh';

/** What shellcheck is not asked for in any script that is sent, and why. */
const NOT_ASKED = {
  SC2012: 'ls, since POSIX has no stat(1), and the find of busybox no -printf',
  SC2034: 'read takes the rest of a line; and not every script needs all of the common head',
  SC2046: 'lists of fields, pids and paths of /proc are split on purpose',
};
/** The same of single scripts. */
const NOT_ASKED_OF = {
  stacksScript: { SC2016: 'variables of gdb, and its Python, stand in single quotes' },
  textsScript: { SC2086: 'as SC2046' },
  collectorScript: {
    SC2002: '`cat $(files) | awk` is of many files',
    SC2015: 'in `a && b || c` c is for a failure of b, too',
    SC2016: 'programs of awk stand in single quotes',
    SC2020: 'tr is given characters',
    SC2045: 'files by their age are known to ls alone; IFS is a line break',
    SC2086: 'as SC2046',
    SC2088: 'a tilde in a setting of Salt is what is looked for',
    SC2209: 'the name of a program is kept, and run later',
    SC3013: 'dash, bash and the ash of busybox have -ef (test/ssh)',
  },
};

const NONCE = '0'.repeat(32);
/** What each function that makes a script to be sent is given here. */
const SAMPLES = {
  collectorScript: [
    {
      ...{ nonce: NONCE, port: '443', configDirectory: '/etc/salt', log: '/var/log/salt/api' },
      ...{ pidFiles: '/run/salt-api.pid', since: '86400', withoutLog: '', unit: 'salt-api' },
      limit: '20',
    },
  ],
  momentScript: [17502, NONCE],
  killScript: [{ pid: 17502, startTicks: 4242, bootId: '' }, 'moment', NONCE, 10],
  commandScript: [['systemctl', 'stop', 'salt-api'], '0a', NONCE, 120],
  commandEndScript: ['0a', NONCE, 120],
  programScript: ['systemctl', NONCE],
  recordScript: [17502, NONCE],
  tableScript: [NONCE],
  stacksScript: [
    'gdb',
    { pid: 17502, startTicks: 4242, bootId: '' },
    'moment',
    { token: '0a', nonce: NONCE, seconds: 8 },
  ],
  uidScript: [NONCE],
  textsScript: [['/proc/[0-9]*/stat'], 10, NONCE],
  rowsScript: [['/proc/net/tcp'], [':119A '], NONCE],
  mastersScript: [NONCE],
  linksScript: [['/proc/17502/fd/*'], NONCE],
  callsScript: [[{ path: '/var/log/salt/api', bytes: 1_000, everyLine: false }], 7, NONCE],
  statScript: [['/etc/salt/master'], NONCE],
};

register();
const scripts = [
  ...fileScripts(),
  ...(await sentScripts()),
  ...exampleScripts(),
  ...completionScripts(),
];
const directory = mkdtempSync(join(tmpdir(), 'salt-triage-shell-'));
try {
  process.exitCode = check(scripts);
} finally {
  rmSync(directory, { recursive: true });
}

/** Files that begin as a shell script does; front.sh has its first lines from the bundle. */
function fileScripts() {
  const names = ['.ci', 'bin', 'test'].flatMap((folder) =>
    readdirSync(join(root, folder), { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => relative(root, join(entry.parentPath ?? entry.path, entry.name))),
  );
  return names.flatMap((name) => {
    const text = readFileSync(join(root, name), 'utf8');
    const [, shell] = /^#!.*\b(bash|sh)\b/m.exec(text.slice(0, text.indexOf('\n'))) ?? [];
    const front = { shell: 'sh', text: `runtime=node\n${text}`, formatted: true };
    if (name === 'bin/front.sh') return [{ name, ...front }];
    if (shell === undefined || name === 'bin/salt-triage.cjs') return [];
    return [{ name, shell, text, formatted: true }];
  });
}

async function sentScripts() {
  const found = [];
  for (const file of readdirSync(join(root, SENT)).filter((name) => name.endsWith('.ts'))) {
    const made = Object.entries(await import(`../${SENT}/${file}`));
    for (const [name, make] of made.filter(([exported]) => exported.endsWith('Script'))) {
      const given = SAMPLES[name];
      if (given === undefined) throw new Error(`${SENT}/${file}: ${name} has no line in SAMPLES`);
      // Their layout is that of the templates in which they stand.
      found.push({ name, shell: 'sh', text: make(...given), sent: true });
    }
  }
  return found;
}

function exampleScripts() {
  const examples = join(root, 'src/report/check-examples');
  return readdirSync(examples).flatMap((example) => {
    const [, ...parts] = readFileSync(join(examples, example), 'utf8').split(/^# ==> /m);
    return parts.flatMap((part) => {
      const [path, first = '', ...lines] = part.split('\n');
      if (!first.startsWith('#!')) return [];
      const text = [first, ...lines].join('\n');
      return [{ name: `${example}: ${path}`, shell: 'sh', text, formatted: true }];
    });
  });
}

/** As the built file prints them. */
function completionScripts() {
  return ['bash', 'zsh', 'fish'].map((shell) => {
    const words = [join(root, 'bin/salt-triage.cjs'), 'completion', shell];
    const text = execFileSync(process.execPath, words, { encoding: 'utf8' });
    return { name: `completion ${shell}`, shell, text, formatted: true };
  });
}

/** @returns the exit code */
function check(all) {
  const missing = ['shellcheck', 'shfmt', 'zsh', 'fish'].filter(
    (program) => spawnSync(program, ['--version']).error !== undefined,
  );
  if (missing.length > 0) {
    const packages = `${missing.join(', ')} (Debian packages of these names)`;
    console.error(`shell scripts were NOT checked: missing ${packages}`);
    return process.env.CI ? 1 : 0;
  }
  const faulty = all.filter((script, index) => {
    const said = commandsFor(script, join(directory, String(index))).flatMap(complaint);
    if (said.length > 0) console.error(`== ${script.name}\n${said.join('\n')}`);
    return said.length > 0;
  });
  const count = `${all.length} shell scripts`;
  console.log(faulty.length > 0 ? `${faulty.length} of ${count} are faulty` : `${count} are well`);
  return faulty.length > 0 ? 1 : 0;
}

/** What looks at a script, which is written to a file for it. */
function commandsFor({ name, shell, text, sent, formatted }, file) {
  writeFileSync(file, text);
  if (shell === 'zsh') return [['zsh', '-n', file]];
  if (shell === 'fish') return [['fish', '--no-execute', file]];
  const notAsked = Object.keys(sent ? { ...NOT_ASKED, ...NOT_ASKED_OF[name] } : {});
  const dialect = shell === 'sh' ? 'posix' : 'bash';
  const layout = formatted ? ['-d', '-i', '2', '-ci'] : [];
  return [
    ['shellcheck', `--shell=${shell}`, ...notAsked.map((code) => `--exclude=${code}`), file],
    ['shfmt', `-ln=${dialect}`, ...layout, file],
  ];
}

function complaint([program, ...args]) {
  const { status, stdout, stderr } = spawnSync(program, args, { encoding: 'utf8' });
  return status === 0 ? [] : [`${program}: ${stdout}${stderr}`];
}
