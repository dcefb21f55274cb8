/** Which releases run, and which are installed. */

/** The parts of a salt-api whose releases have known defects. */
export const COMPONENTS = ['salt', 'cherrypy', 'cheroot'] as const;

export type Component = (typeof COMPONENTS)[number];

export interface VersionsFacts {
  /** Those that serve the port first. */
  readonly programs: readonly ProgramVersions[];
}

/** What one process runs. */
export interface ProgramVersions {
  readonly pid: number;
  readonly startTicks: number;
  /** Its program: where `/proc/PID/exe` points, else what its command line begins with. */
  readonly interpreter: string | null;
  /** `3.11`; null where nothing tells. */
  readonly python: string | null;
  /** Files of its Python that it has mapped and that are no longer on disk, at most 5. */
  readonly replaced: readonly string[];
  /** What is installed where that Python looks, in the order that it looks. */
  readonly packages: readonly InstalledPackage[];
}

/** One installed release: its `.dist-info` or `.egg-info`, which names it (PEP 376, PEP 427). */
export interface InstalledPackage {
  readonly name: Component;
  readonly version: string;
  readonly path: string;
  /** When it came to this host, epoch ms of the host's clock. */
  readonly changedAt: number;
}

/** Where a process may have its packages, and what of its files is gone. */
export interface PythonPlaces extends Pick<ProgramVersions, 'interpreter' | 'python' | 'replaced'> {
  /** In the order that Python looks. */
  readonly directories: readonly string[];
}

const MOST_DIRECTORIES = 16;
const MOST_REPLACED = 5;

/** A line of `/proc/PID/maps` with a file in it (proc_pid_maps(5)). */
const MAPPED = /^[\da-f]+-[\da-f]+ \S+ [\da-f]+ [\da-f]+:[\da-f]+ \d+ +(\/.*)$/;
const DELETED = ' (deleted)';
/** A path that stands for itself in a pattern, on a screen and in a shell. */
const PLAIN = /^(?:\/[\w.+@~-]+)+$/;
const IN_PACKAGES = /^(\/.+?\/(?:site|dist)-packages)\//;
const IN_LIBRARY = /^(.*)\/lib(?:64)?\/(python\d(?:\.\d+)?)\/lib-dynload\//;
const SHARED_PYTHON = /\/libpython(\d\.\d+)\w*\.so/;
const INTERPRETER = /^(.*)\/bin\/(python\d\.\d+)$/;
const IS_PYTHON = /\/(?:platform-)?(?:python|pypy)[\d.]*$/;
/** Where the onedir packages are (salt-facts §1.4). */
const ONEDIR = '/opt/saltstack/salt';
/** A frozen program has what it needs beside it (the onedir packages of 3005). */
const FROZEN = /^(\/.*\/run)\/run$/;

/**
 * Where a process's Python looks for packages. What it has mapped says so for sure, as Salt needs
 * compiled ones; beside these its own and its distribution's directories are named, which need not
 * be there.
 *
 * @param argv as the kernel has it
 * @param executable target of `/proc/PID/exe`, null where it can't be read
 * @param maps text of `/proc/PID/maps`, null where it can't be read
 */
export function pythonPlaces(
  argv: readonly string[],
  executable: string | null,
  maps: string | null,
): PythonPlaces {
  const mapped = (maps ?? '').split('\n').flatMap((line) => MAPPED.exec(line)?.[1] ?? []);
  const files = [...new Set(mapped.map((path) => withoutMark(path)))].filter(isPlain);
  const words = (argv[0] ?? '').split(/\s/).concat(argv.slice(1));
  const program = withoutMark(executable ?? words[0] ?? '');
  const interpreter = isPlain(program) ? program : null;
  const python = pythonOf([interpreter ?? '', ...files]);
  // What a command line says of a Python goes only where the program is one, or can't be seen.
  const perhaps = executable === null || IS_PYTHON.test(interpreter ?? '');
  const scripts = perhaps ? words.filter((word) => isPlain(word)).slice(0, 2) : [];
  const prefixes = prefixesOf([interpreter ?? '', ...files], scripts);
  const frozen = FROZEN.exec(interpreter ?? '')?.[1];
  const directories = [
    ...files.flatMap((path) => IN_PACKAGES.exec(path)?.[1] ?? []),
    ...(frozen === undefined ? [] : [frozen]),
    ...prefixes.flatMap((prefix) => packagesUnder(prefix, python)),
  ];
  const deleted = mapped.filter((path) => path.endsWith(DELETED)).map(withoutMark);
  const own = deleted.filter((path) => isPlain(path) && isOfPython(path, interpreter));
  return {
    interpreter,
    python,
    replaced: [...new Set(own)].slice(0, MOST_REPLACED),
    directories: [...new Set(directories)]
      .toSorted((a, b) => searchRank(a) - searchRank(b))
      .slice(0, MOST_DIRECTORIES),
  };
}

/**
 * The order in which Python goes through directories: what was added to a onedir package (Salt PRs
 * 64025 and 64212 put it first), a Python's own, what an administrator has put beside the
 * distribution's (site.py of Debian and of Fedora), the distribution's.
 */
export function searchRank(path: string): number {
  if (/\/extras-\d/.test(path)) return 0;
  if (path.startsWith('/usr/local/')) return 2;
  return path.startsWith('/usr/lib') ? 3 : 1;
}

/** The names that a release of a part goes by in a directory, as patterns. */
export function packagePatterns(directories: readonly string[]): string[] {
  const names = ['salt', 'CherryPy', 'cherrypy', 'cheroot'];
  return directories.flatMap((directory) =>
    names.flatMap((name) => ['dist', 'egg'].map((kind) => `${directory}/${name}-*.${kind}-info`)),
  );
}

const PACKAGE =
  /\/(salt|cherrypy|cheroot)-(\d[\w.+!~]{0,40}?)(?:-py\d(?:\.\d+)?)?\.(?:dist|egg)-info$/i;

/** What the name of a `.dist-info` or `.egg-info` says; null for what is none of ours. */
export function installedPackage(path: string, changedAt: number): InstalledPackage | null {
  const [, name = '', version] = PACKAGE.exec(path) ?? [];
  const component = COMPONENTS.find((one) => one === name.toLowerCase());
  if (component === undefined || version === undefined) return null;
  return { name: component, version, path, changedAt };
}

function withoutMark(path: string): string {
  return path.endsWith(DELETED) ? path.slice(0, -DELETED.length) : path;
}

function isPlain(path: string): boolean {
  return path.length <= 300 && PLAIN.test(path) && !path.includes('/../');
}

function pythonOf(paths: readonly string[]): string | null {
  for (const path of paths) {
    const name = INTERPRETER.exec(path)?.[2] ?? IN_LIBRARY.exec(path)?.[2];
    const version = name?.slice('python'.length) ?? SHARED_PYTHON.exec(path)?.[1];
    if (version?.includes('.')) return version;
  }
  return null;
}

/** Below which a Python has its packages, or the virtual environment that a command line names. */
function prefixesOf(paths: readonly string[], scripts: readonly string[]): string[] {
  const own = paths.flatMap(
    (path) => INTERPRETER.exec(path)?.[1] ?? IN_LIBRARY.exec(path)?.[1] ?? [],
  );
  const named = scripts.flatMap((path) => /^(.*)\/bin\/[^/]+$/.exec(path)?.[1] ?? []);
  const environment = named.find((prefix) => !/^(?:\/usr(?:\/local)?)?$|\/\.local$/.test(prefix));
  if (environment === undefined) return [...new Set(own.length > 0 ? own : named)];
  // It has its own packages, and none of the Python's that it was made of.
  return [...new Set([environment, ...own.filter((prefix) => prefix !== '/usr')])];
}

function packagesUnder(prefix: string, python: string | null): string[] {
  const name = `python${python ?? '*'}`;
  const own = ['lib', 'lib64'].map((library) => `${prefix}/${library}/${name}/site-packages`);
  if (prefix === ONEDIR && python !== null) return [`${prefix}/extras-${python}`, ...own];
  if (prefix !== '/usr' && prefix !== '') return own;
  const debian = ['/usr/lib', '/usr/local/lib'].map(
    (library) => `${library}/${name}/dist-packages`,
  );
  if (python?.startsWith('2.')) return [...own, ...debian];
  const local = ['lib', 'lib64'].map((library) => `/usr/local/${library}/${name}/site-packages`);
  return [...own, ...debian, ...local, '/usr/lib/python3/dist-packages'];
}

/** The interpreter, its library, or what is installed into it. */
function isOfPython(path: string, interpreter: string | null): boolean {
  return (
    path === interpreter ||
    IN_PACKAGES.test(path) ||
    IN_LIBRARY.test(path) ||
    SHARED_PYTHON.test(path)
  );
}
