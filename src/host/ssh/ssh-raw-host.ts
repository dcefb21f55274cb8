/** Raw reading of a host behind ssh: one script for each call. */
import { randomBytes } from 'node:crypto';
import { readSaltMasterArgv } from '../../evidence/salt-api-argv.ts';
import {
  type CallLog,
  type FileFacts,
  type FoundMaster,
  isSound,
  MOST_LINES,
  type RawHost,
  type ReducedLog,
} from '../raw-host.ts';
import { actionMarks, linesBetweenMarks } from './action-scripts.ts';
import { callsScript, readCallsAnswer } from './call-script.ts';
import { linksScript, mastersScript, rowsScript, statScript, textsScript } from './raw-scripts.ts';
import type { SshConnection } from './ssh-connection.ts';

const ANSWER_BYTES = 16 * 1024 * 1024;
/** How much longer a shell with its awk may take to search logs than we do. */
const SHELL_PATIENCE = 10;
const FILE_TYPE = 0o170000;
const KINDS: ReadonlyMap<number, FileFacts['kind']> = new Map([
  [0o100000, 'file'],
  [0o040000, 'directory'],
]);

/**
 * Calls that go on at a time: a server has ten sessions for one connection (sshd_config(5),
 * MaxSessions), and the connection may be one that its user has others on.
 */
const LANES = 4;

export class SshRawHost implements RawHost {
  readonly #connection: Pick<SshConnection, 'runRepeatable'>;
  readonly #timeoutMs: number;
  /** The last call of each lane. */
  readonly #lanes: Promise<void>[] = [];
  #calls = 0;

  /** @param timeoutMs bound on each call, the login included */
  constructor(connection: Pick<SshConnection, 'runRepeatable'>, timeoutMs: number) {
    this.#connection = connection;
    this.#timeoutMs = timeoutMs;
  }

  /** @throws ConnectionFailure, as every call, where that host can't be reached */
  async readTexts(patterns: readonly string[], most = MOST_LINES): Promise<Map<string, string>> {
    return byPath(await this.#lines(patterns, (sound, nonce) => textsScript(sound, most, nonce)));
  }

  async readRows(paths: readonly string[], words: readonly string[]): Promise<Map<string, string>> {
    return byPath(await this.#lines(paths, (sound, nonce) => rowsScript(sound, words, nonce)));
  }

  async findMasters(): Promise<Map<number, FoundMaster>> {
    const masters = new Map<number, FoundMaster>();
    for (const line of await this.#run(mastersScript)) {
      const [, pid, text = '', stat = ''] = /^(\d+):(.*?)\x1e(.*)$/.exec(line) ?? [];
      const argv = text.replace(/\x1f+$/, '').split('\x1f');
      if (pid !== undefined && readSaltMasterArgv(argv) !== null) {
        masters.set(Number(pid), { argv, stat: stat.trimEnd() });
      }
    }
    return masters;
  }

  async readLinks(patterns: readonly string[]): Promise<Map<string, string>> {
    const links = new Map<string, string>();
    for (const line of await this.#lines(patterns, linksScript)) {
      // What stands before the path are a mode, numbers and a date.
      const [, path, target] = /^l[^/]* (\/.*?) -> (.*)$/.exec(line) ?? [];
      if (path !== undefined && target !== undefined && isSound(path)) links.set(path, target);
    }
    return links;
  }

  async stat(patterns: readonly string[]): Promise<Map<string, FileFacts>> {
    const files = new Map<string, FileFacts>();
    for (const line of await this.#lines(patterns, statScript)) {
      const [, mode = '', size, modified, changed, uid, path] =
        /^([0-9a-f]+) (\d+) (\d+) (\d+) (\d+) (\/.*)$/.exec(line) ?? [];
      if (path === undefined || !isSound(path)) continue;
      const kind = KINDS.get(Number.parseInt(mode, 16) & FILE_TYPE) ?? 'other';
      const [modifiedAt, changedAt] = [Number(modified) * 1000, Number(changed) * 1000];
      files.set(path, { size: Number(size), modifiedAt, changedAt, uid: Number(uid), kind });
    }
    return files;
  }

  async readCalls(logs: readonly CallLog[], timeoutMs: number): Promise<ReducedLog[]> {
    const paths = logs.map(({ path }) => path);
    const seconds = Math.ceil((timeoutMs * SHELL_PATIENCE) / 1000);
    const lines = await this.#lines(paths, (sound, nonce) => {
      return callsScript(
        logs.filter(({ path }) => sound.includes(path)),
        seconds,
        nonce,
      );
    });
    return readCallsAnswer(lines, paths.filter(isSound));
  }

  async #lines(
    patterns: readonly string[],
    script: (patterns: readonly string[], nonce: string) => string,
  ): Promise<readonly string[]> {
    const sound = patterns.filter(isSound);
    return sound.length === 0 ? [] : this.#run((nonce) => script(sound, nonce));
  }

  #run(script: (nonce: string) => string): Promise<readonly string[]> {
    const lane = this.#calls % LANES;
    this.#calls += 1;
    const turn = (this.#lanes[lane] ?? Promise.resolve()).then(() => this.#runNow(script));
    this.#lanes[lane] = turn.then(
      () => undefined,
      () => undefined,
    );
    return turn;
  }

  async #runNow(script: (nonce: string) => string): Promise<readonly string[]> {
    const nonce = randomBytes(16).toString('hex');
    const { stdout } = await this.#connection.runRepeatable(script(nonce), {
      timeoutMs: this.#timeoutMs,
      maxBytes: ANSWER_BYTES,
      ...actionMarks(nonce),
    });
    return linesBetweenMarks(stdout, nonce);
  }
}

/** The text of each file, from lines `PATH:LINE`. */
function byPath(lines: readonly string[]): Map<string, string> {
  const texts = new Map<string, string[]>();
  for (const line of lines) {
    const colon = line.indexOf(':');
    if (!line.startsWith('/') || colon === -1) continue;
    const path = line.slice(0, colon);
    const text = texts.get(path) ?? [];
    text.push(line.slice(colon + 1));
    texts.set(path, text);
  }
  return new Map([...texts].map(([path, text]) => [path, text.join('\n')]));
}
