import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import type { FileHandle } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { inLocale } from '../characters.ts';
import type { HostFacts, ProcessIdentity } from '../evidence/evidence.ts';
import { readHostFacts } from '../host/local/host-facts.ts';
import { readPlainFile } from '../host/local/plain-file.ts';
import { redactArgv, redactSecrets, stripControl } from '../untrusted.ts';
import { isoMoment } from '../words.ts';
import {
  type HeldDirectory,
  JOURNAL,
  openPrivateDirectory,
  stateDirectories,
} from './directory.ts';
import { looksFilesOf, MAX_LOOKS_FILE } from './looks-files.ts';
import { describeWho, readWho, type Who } from './operator.ts';
import { KEEP_INCIDENTS, KEEP_MEBIBYTES, removeOldIncidents } from './retention.ts';

/** One write to a disk or NFS server that has died must not hold up a recovery longer, ms. */
const WRITE_MS = 5_000;
/** Whatever logger(1) waits for, ms. */
const SYSLOG_MS = 1_000;
/** A file that can't be saved goes to standard error up to this size, characters. */
const STDERR_TEXT = 8_192;

export interface TrailOptions {
  /** `--state-dir`. */
  readonly stateDirectory: string | undefined;
  readonly port: number;
  /** Name of the host that is fixed. */
  readonly host: string;
  /** Incidents to keep; {@link KEEP_INCIDENTS} where undefined. */
  readonly keepIncidents?: number | undefined;
  /** MiB to keep; {@link KEEP_MEBIBYTES} where undefined. */
  readonly keepMebibytes?: number | undefined;
  /** Where the trail goes when it can't be written; `process.stderr` where undefined. */
  readonly stderr?: { write(text: string): unknown };
}

/** One line of the journal; the trail adds time, host and who. */
export interface JournalEntry {
  readonly phase: 'before' | 'after' | 'note';
  readonly action: string;
  readonly identity?: ProcessIdentity;
  readonly command?: readonly string[];
  readonly answer?: string;
  readonly result?: string;
  readonly durationMs?: number;
}

/** Where actions are recorded. None of its methods reject: a full disk must not stop a recovery. */
export interface ActionTrail {
  saveFile(name: string, text: string): Promise<void>;
  saveProcess(identity: ProcessIdentity, record: ReadonlyMap<string, string>): Promise<void>;
  journal(entry: JournalEntry): Promise<void>;
}

/** The trail of one incident. */
export interface Trail extends ActionTrail {
  /** Where it is now: the directory of the incident, `standard error`, or both. */
  readonly place: string;
  /** Removes old incidents and lets go. Never rejects. */
  close(): Promise<void>;
}

/** One line of `journal.jsonl`. */
interface JournalLine extends JournalEntry {
  /** ISO 8601 with the host's offset. */
  readonly time: string;
  readonly host: string;
  readonly port: number;
  readonly who: Who;
}

/**
 * Opens the trail of a new incident: a directory, 0700, with files of 0600. Never rejects: where
 * no directory can be made, all of it goes to standard error, after a warning.
 */
export async function openTrail(options: TrailOptions): Promise<Trail> {
  const complaints: string[] = [];
  for (const directory of stateDirectories(options.stateDirectory)) {
    try {
      return new IncidentTrail(options, await within(makeIncident(directory, options.port)));
    } catch (error) {
      complaints.push(`${directory}: ${describe(error)}`);
    }
  }
  const trail = new IncidentTrail(options, null);
  trail.warn(complaints.join('; '));
  return trail;
}

interface Incident {
  readonly id: string;
  readonly state: HeldDirectory;
  readonly directory: HeldDirectory;
  readonly journal: FileHandle;
}

async function makeIncident(stateDirectory: string, port: number): Promise<Incident> {
  const state = await openPrivateDirectory(stateDirectory);
  const stamp = new Date().toISOString().replace(/[-:]|\.\d+/g, '');
  const id = `${stamp}-${port}-${randomBytes(3).toString('hex')}`;
  try {
    const directory = await state.make(id);
    return { id, state, directory, journal: await directory.create(JOURNAL) };
  } catch (error) {
    await state.close();
    throw error;
  }
}

const STDERR = 'standard error';

class IncidentTrail implements Trail {
  readonly #options: TrailOptions;
  readonly #incident: Incident | null;
  readonly #host: HostFacts = readHostFacts();
  readonly #who = readWho();
  /** Whether journal lines still go to the disk. */
  #journals: boolean;
  #warned = false;
  #syslog: Promise<boolean> = Promise.resolve(true);

  constructor(options: TrailOptions, incident: Incident | null) {
    this.#options = options;
    this.#incident = incident;
    this.#journals = incident !== null;
  }

  get place(): string {
    const directory = this.#incident?.directory.name;
    if (directory === undefined) return STDERR;
    return this.#warned ? `${STDERR}; what could be kept is in ${directory}` : directory;
  }

  async saveFile(name: string, text: string): Promise<void> {
    await this.#save(null, name, text);
  }

  async saveProcess(identity: ProcessIdentity, record: ReadonlyMap<string, string>): Promise<void> {
    const directory = `process-${identity.pid}-${identity.startTicks}`;
    for (const [name, text] of record) await this.#save(directory, name, text);
  }

  /** Resolves when the line is on the disk (fsync(2)), or on standard error. */
  async journal(entry: JournalEntry): Promise<void> {
    const { port, host } = this.#options;
    const command = entry.command && redactArgv(entry.command);
    const line: JournalLine = {
      time: isoMoment(Date.now(), this.#host),
      host,
      port,
      ...entry,
      ...(command && { command }),
      who: this.#who,
    };
    if (entry.phase !== 'before') this.#tellSyslog(line);
    const text = JSON.stringify(line);
    const incident = this.#incident;
    if (incident !== null && this.#journals) {
      try {
        const { journal } = incident;
        await within(journal.appendFile(`${text}\n`).then(() => journal.sync()));
        return;
      } catch (error) {
        // The line may be there in part: one after it would be lost with it.
        this.#journals = false;
        this.warn(`${incident.directory.name}: ${describe(error)}`);
      }
    }
    this.#toStderr(text);
  }

  async close(): Promise<void> {
    await this.#syslog;
    const incident = this.#incident;
    if (incident === null) return;
    const { state, directory, journal } = incident;
    const { keepIncidents = KEEP_INCIDENTS, keepMebibytes = KEEP_MEBIBYTES } = this.#options;
    const limits = { keepIncidents, keepMebibytes };
    // By now the checks of the incident are there, too; and nobody waits for this any more.
    await within(copyLooks(state, directory, this.#options.port)).catch(() => undefined);
    try {
      await within(journal.close());
      await within(removeOldIncidents(state.path, incident.id, limits));
    } catch (error) {
      this.#toStderr(`old incidents in ${state.name} were not removed: ${describe(error)}`);
    }
    for (const held of [directory, state]) await within(held.close()).catch(() => undefined);
  }

  /** Says once, loudly, that there is no trail on the disk. */
  warn(why: string): void {
    if (this.#warned) return;
    this.#warned = true;
    this.#toStderr(`WARNING: the trail can't be kept (${why}); it goes on here, save this output`);
  }

  async #save(below: string | null, name: string, text: string): Promise<void> {
    const path = below === null ? name : `${below}/${name}`;
    if (this.#incident !== null) {
      const { directory } = this.#incident;
      try {
        await within(write(directory, below, name, text));
        return;
      } catch (error) {
        this.warn(`${directory.name}/${path}: ${describe(error)}`);
      }
    }
    const content = text.length > STDERR_TEXT ? { characters: text.length } : { text };
    this.#toStderr(JSON.stringify({ notSaved: path, ...content }));
  }

  #toStderr(text: string): void {
    const stderr = this.#options.stderr ?? process.stderr;
    stderr.write(inLocale(`salt-triage trail: ${stripControl(text)}\n`));
  }

  /** In the background and in order; after a first failure there is no syslog here. */
  #tellSyslog({ action, identity, answer, result, port }: JournalLine): void {
    const words = [
      `port ${port}: ${action}`,
      ...(identity === undefined ? [] : [`(start tick ${identity.startTicks})`]),
      ...(answer === undefined ? [] : [`answer ${answer}`]),
      ...(result === undefined ? [] : [`result ${result}`]),
      `by ${describeWho(this.#who)}`,
    ];
    const text = stripControl(redactSecrets(words.join(', '))).slice(0, 900);
    this.#syslog = this.#syslog.then((works) => works && logToSyslog(text));
  }
}

async function write(
  incident: HeldDirectory,
  below: string | null,
  name: string,
  text: string,
): Promise<void> {
  const directory = below === null ? incident : await incident.make(below);
  try {
    const handle = await directory.create(basename(name));
    try {
      await handle.writeFile(text);
      await handle.sync();
    } finally {
      await handle.close();
    }
  } finally {
    if (directory !== incident) await directory.close();
  }
}

/** Checks go on, and a report may be asked for once their looks at the incident are gone. */
async function copyLooks(
  state: HeldDirectory,
  incident: HeldDirectory,
  port: number,
): Promise<void> {
  for (const name of await looksFilesOf(state.path, port)) {
    const looks = await readPlainFile(join(state.path, name), MAX_LOOKS_FILE).catch(() => null);
    if (looks !== null) await write(incident, null, name, looks.toString('utf8'));
  }
}

/** One line through logger(1). @returns false where that is missing, fails or takes too long */
function logToSyslog(text: string): Promise<boolean> {
  return new Promise((resolve) => {
    const argv = ['-t', 'salt-triage', '-p', 'auth.notice', '--', text];
    // Of its own session: a Ctrl-C in our terminal is not for it.
    const logger = spawn('logger', argv, { stdio: 'ignore', detached: true });
    const settle = (went: boolean) => {
      clearTimeout(timer);
      resolve(went);
    };
    const timer = setTimeout(() => {
      logger.kill('SIGKILL');
      logger.unref();
      settle(false);
    }, SYSLOG_MS);
    logger.once('error', () => settle(false));
    logger.once('exit', (code) => settle(code === 0));
  });
}

/** @throws Error where it takes longer than a disk that works would */
async function within<T>(work: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new Error(`no answer within ${WRITE_MS} ms`)), WRITE_MS);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
    work.catch(() => undefined);
  }
}

function describe(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
