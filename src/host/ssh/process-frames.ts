/** Reads the processes that the collector printed. Pure. */
import { blind, type Look, type ProcessTableFacts, seen } from '../../evidence/evidence.ts';
import { parseCommandLine, utf8OfLatin1 } from '../../evidence/proc-text.ts';
import {
  type FdTable,
  needsScriptText,
  type ProcessReading,
  type ProcFiles,
  processesThatMatter,
  processFacts,
  rootView,
  type SaltFiles,
} from '../../evidence/process-facts.ts';
import { firstWord, type Part, timedOut } from './frames.ts';

/**
 * The process table.
 * @param self the pid that /proc knows the shell by, and the one it goes by
 * @param files what the script took for Salt's
 */
export function processTable(
  { lines, late }: Part,
  self: string,
  files: SaltFiles,
): Look<ProcessTableFacts> {
  if (late) return timedOut('the process table');
  const [knownAs, goesBy] = self.split(' ');
  if (knownAs !== goesBy) {
    const why = '/proc belongs to another PID namespace there, so its pids mean others';
    return blind('unsupported', why);
  }
  const table = new CollectedProcesses();
  for (const line of lines) table.take(line);
  const { total, deniedFds, deniedArgv, hidden, proc } = table;
  if (!(total > 0 && total < 1e8)) return blind('malformed', 'the process table is empty');
  const about = { proc, ours: rootView(proc, 'self', files), files };
  const described = table.readings().flatMap((reading) => processFacts(reading, about) ?? []);
  const processes = processesThatMatter(described);
  return seen({
    total,
    processes,
    deniedFds: deniedFds.size,
    deniedArgv: deniedArgv.size,
    hidden,
  });
}

/** What is printed of one process beside its files. */
interface Collected {
  argv: readonly string[] | null;
  environment: ProcessReading['environment'];
  fds: FdTable | 'denied' | null;
  otherPorts: readonly number[];
  saltFiles: string[];
  script: string | null;
}

/** The lines of the part, each with the word that says what it is (see the script's functions). */
class CollectedProcesses {
  total = 0;
  hidden = false;
  readonly deniedFds = new Set<string>();
  readonly deniedArgv = new Set<string>();
  readonly #texts = new Map<string, string>();
  readonly #links = new Map<string, string>();
  readonly #ids = new Map<string, string>();
  readonly #processes = new Map<number, Collected>();

  /** The files of that host's /proc, those that were read. */
  get proc(): ProcFiles {
    return {
      text: (path) => this.#texts.get(path) ?? null,
      link: (path) => this.#links.get(path) ?? null,
      id: (path) => this.#ids.get(path) ?? '',
    };
  }

  take(line: string): void {
    const [word, rest] = firstWord(line);
    const [first, more] = firstWord(rest);
    switch (word) {
      case 'total':
        this.total = Number(rest);
        break;
      case 'hidden':
        this.hidden = true;
        break;
      case 'noargv':
        this.deniedArgv.add(rest);
        break;
      case 'nofds':
        this.deniedFds.add(rest);
        break;
      case 'text':
      case 'link':
      case 'id':
        this.#takeFile(word, rest);
        break;
      default:
        if (/^\d{1,10}$/.test(first)) this.#takeProcess(word, first, more);
    }
  }

  #takeFile(word: 'text' | 'link' | 'id', rest: string): void {
    if (word === 'text') {
      const [, path = '', text = ''] = /^\/proc\/(\d{1,10}\/[a-z]+):(.*)$/s.exec(rest) ?? [];
      this.#texts.set(path, `${this.#texts.get(path) ?? ''}${text}\n`);
      return;
    }
    // A path may hold blanks: a link's target begins behind the path, an id stands at the end.
    const shape =
      word === 'link'
        ? /^\/proc\/((?:self|\d{1,10})\/(?:exe|root|ns\/[a-z]+)) (.*)$/s
        : /^\/proc\/((?:self|\d{1,10})\/root\/.*) (\d+(?::\d+)?)$/s;
    const [, path = '', value = ''] = shape.exec(rest) ?? [];
    (word === 'link' ? this.#links : this.#ids).set(utf8OfLatin1(path), utf8OfLatin1(value));
  }

  #takeProcess(word: string, pid: string, rest: string): void {
    const one = this.#of(Number(pid));
    const numbers = (base: number) =>
      rest.split(' ').flatMap((text) => (text === '' ? [] : [Number.parseInt(text, base)]));
    if (word === 'argv') one.argv = parseCommandLine(Buffer.from(rest, 'hex').toString('utf8'));
    else if (word === 'script') one.script = utf8OfLatin1(rest);
    else if (word === 'environment')
      one.environment = { configDirectory: utf8OfLatin1(rest) || null };
    else if (word === 'open') one.saltFiles.push(utf8OfLatin1(rest));
    else if (word === 'listens') one.otherPorts = numbers(16).sort((a, b) => a - b);
    else if (word === 'fds') {
      const [portConnections = 0, ...listens] = numbers(10);
      one.fds = { listens, portConnections, otherPorts: [], saltFiles: [] };
    } else if (word === 'closed') {
      one.fds = 'denied';
      this.deniedFds.add(pid);
    }
  }

  #of(pid: number): Collected {
    const known = this.#processes.get(pid);
    if (known !== undefined) return known;
    const none: Collected = {
      argv: null,
      environment: null,
      fds: null,
      otherPorts: [],
      saltFiles: [],
      script: null,
    };
    this.#processes.set(pid, none);
    return none;
  }

  /** Every process of which a stat line was printed. */
  readings(): ProcessReading[] {
    const pids = [...this.#texts.keys()].flatMap((path) => {
      return path.endsWith('/stat') ? [Number.parseInt(path, 10)] : [];
    });
    return pids.map((pid) => {
      const { fds, argv, environment, script, otherPorts, saltFiles } = this.#of(pid);
      return {
        pid,
        argv,
        environment,
        fds: fds === null || fds === 'denied' ? fds : { ...fds, otherPorts, saltFiles },
        script: needsScriptText(argv ?? []) === null ? null : script,
      };
    });
  }
}
