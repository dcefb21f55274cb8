/** Debian's chromium without a window, spoken to by the DevTools protocol over a pipe. */
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Readable, Writable } from 'node:stream';

const CHROMIUM = '/usr/bin/chromium';

/** Why the tests of what a browser shows are skipped, or false; in CI a browser has to be there. */
export function skipWithoutChromium(): string | false {
  return existsSync(CHROMIUM) || process.env['CI'] ? false : `needs ${CHROMIUM}`;
}

interface Message {
  readonly id?: number;
  readonly method?: string;
  readonly params?: Record<string, unknown>;
  readonly result?: Record<string, unknown>;
  readonly error?: { readonly message: string };
  readonly sessionId?: string;
}

/** One page of a browser of its own. */
export class Browser {
  /** All that the page has told of by itself, in order. */
  readonly events: Message[] = [];
  readonly #process: ChildProcess;
  readonly #profile: string;
  readonly #input: Writable;
  readonly #open = new Map<number, (message: Message) => void>();
  readonly #waiting = new Set<() => void>();
  #session: string | undefined;
  #last = 0;

  private constructor(profile: string) {
    this.#profile = profile;
    const quiet = ['--disable-gpu', '--disable-quic', '--no-first-run', '--disable-sync'];
    const alone = ['--disable-background-networking', '--disable-component-update'];
    this.#process = spawn(
      CHROMIUM,
      [
        ...['--headless', '--no-sandbox', '--hide-scrollbars', '--remote-debugging-pipe'],
        ...[...quiet, ...alone, `--user-data-dir=${profile}`],
      ],
      // Of a group of its own: it has processes that must end with it.
      { stdio: ['ignore', 'ignore', 'ignore', 'pipe', 'pipe'], detached: true },
    );
    this.#input = this.#process.stdio[3] as Writable;
    this.#process.once('exit', () => this.#lose());
    this.#process.once('error', () => this.#lose());
    let rest = '';
    (this.#process.stdio[4] as Readable).setEncoding('utf8').on('data', (text: string) => {
      const parts = (rest + text).split('\0');
      rest = parts.pop() ?? '';
      for (const part of parts) this.#take(JSON.parse(part));
    });
  }

  static async start(): Promise<Browser> {
    const browser = new Browser(mkdtempSync(join(tmpdir(), 'salt-triage-chromium-')));
    const { targetId } = await browser.ask('Target.createTarget', { url: 'about:blank' });
    const attached = await browser.ask('Target.attachToTarget', { targetId, flatten: true });
    browser.#session = String(attached['sessionId']);
    for (const part of ['Page', 'Runtime', 'Log', 'Network']) await browser.ask(`${part}.enable`);
    return browser;
  }

  /** Asks for something of the protocol. */
  ask(method: string, params: object = {}): Promise<Record<string, unknown>> {
    this.#last += 1;
    const id = this.#last;
    const sessionId = this.#session;
    this.#input.write(`${JSON.stringify({ id, method, params, sessionId })}\0`);
    return new Promise((resolve, reject) => {
      this.#open.set(id, ({ result, error }) => {
        if (error === undefined) resolve(result ?? {});
        else reject(new Error(`${method}: ${error.message}`));
      });
    });
  }

  /** Loads a page and waits until it is there. */
  async load(url: string): Promise<void> {
    this.events.length = 0;
    await this.ask('Page.navigate', { url });
    while (!this.events.some(({ method }) => method === 'Page.loadEventFired')) {
      await new Promise<void>((resolve) => this.#waiting.add(resolve));
    }
  }

  /** What an expression comes to in the page. */
  async evaluate<T>(expression: string): Promise<T> {
    const { result } = await this.ask('Runtime.evaluate', { expression, returnByValue: true });
    return (result as { value: T }).value;
  }

  async end(): Promise<void> {
    const { pid } = this.#process;
    const gone = new Promise((resolve) => this.#process.once('exit', resolve));
    if (this.#process.exitCode === null && pid !== undefined) process.kill(-pid, 'SIGKILL');
    await gone;
    rmSync(this.#profile, { recursive: true, force: true, maxRetries: 5 });
  }

  /** A browser that is gone answers nothing any more. */
  #lose(): void {
    const error = { message: 'the browser has ended' };
    for (const answer of this.#open.values()) answer({ error });
    this.#open.clear();
    this.#take({ method: 'Page.loadEventFired' });
  }

  #take(message: Message): void {
    const { id } = message;
    if (id === undefined) this.events.push(message);
    else {
      this.#open.get(id)?.(message);
      this.#open.delete(id);
    }
    for (const wake of this.#waiting) wake();
    this.#waiting.clear();
  }
}
