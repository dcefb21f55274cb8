import { randomBytes } from 'node:crypto';
import { posix } from 'node:path';
import type { Background, BackgroundSection } from '../../evidence/background.ts';
import {
  type AnswerFacts,
  blind,
  type Evidence,
  LEFT_OUT,
  type Look,
  type LookRequest,
  SECTIONS,
} from '../../evidence/evidence.ts';
import { askApi } from '../ask-api.ts';
import { eachOf, type Host, type LookInProgress } from '../host.ts';
import { type Collected, type CollectorChoices, readCollected } from './collected-evidence.ts';
import { collectorScript } from './collector-script.ts';
import { MAX_EVIDENCE_BYTES, parseFrames } from './frames.ts';
import type { ForwardedConnection, SshConnection } from './ssh-connection.ts';

/** Times that the script is told better, where it guessed port, log or directory wrong. */
const MAX_LOOKS = 3;
/** Parts that may each take the whole of their time before the look as a whole is given up. */
const LATE_PARTS = 3;

/** A host behind ssh on which nothing of ours is installed: one script for each look. */
export class SshHost implements Host {
  readonly name: string;
  readonly #connection: SshConnection;
  readonly #unit: string;
  readonly #connectTimeoutMs: number;

  /** @param options `unit`: the service's name; `connectTimeoutMs`: added to a look's time */
  constructor(
    connection: SshConnection,
    options: { readonly unit: string; readonly connectTimeoutMs: number },
  ) {
    this.name = connection.name;
    this.#connection = connection;
    this.#unit = options.unit;
    this.#connectTimeoutMs = options.connectTimeoutMs;
  }

  look(request: LookRequest, leave?: AbortSignal): LookInProgress {
    const sections = this.#sections(request);
    const askAgain = (timeoutMs: number | null) =>
      sections.then((found) => this.#answer(timeoutMs, found, leave));
    const known = SECTIONS.filter((name) => name !== 'answer');
    const answer = request.leaveOut?.includes('answer')
      ? Promise.resolve(LEFT_OUT)
      : askAgain(request.probeTimeoutMs);
    const look = { ...eachOf(known, sections), answer };
    // A host that can't be reached rejects every part: whoever awaits the first is told.
    for (const part of Object.values(look)) part.catch(() => undefined);
    return { ...look, askAgain };
  }

  async lookBehind(
    evidence: Omit<Evidence, 'background'>,
    wanted: readonly BackgroundSection[],
    request: LookRequest,
  ): Promise<Partial<Background>> {
    const [{ lookBackground }, { SshRawHost }] = await Promise.all([
      import('../background/look-background.ts'),
      import('./ssh-raw-host.ts'),
    ]);
    const raw = new SshRawHost(this.#connection, this.#connectTimeoutMs + request.lookTimeoutMs);
    return lookBackground({ raw, evidence, request }, wanted);
  }

  async #sections(request: LookRequest): Promise<Collected> {
    let told: CollectorChoices | null = null;
    for (let looks = 1; ; looks += 1) {
      const sections = await this.#lookOnce(request, told);
      if (sections.lookAgain === null || looks === MAX_LOOKS) return sections;
      told = sections.lookAgain;
    }
  }

  async #lookOnce(request: LookRequest, told: CollectorChoices | null): Promise<Collected> {
    const nonce = randomBytes(16).toString('hex');
    const script = collectorScript({
      ...collectorParameters(request, this.#unit),
      nonce,
      ...(told === null
        ? {}
        : {
            port: String(told.port),
            configDirectory: told.configDirectory,
            log: told.log,
            pidFiles: told.pidFiles.join('\n'),
          }),
    });
    const { stdout } = await this.#connection.runRepeatable(script, {
      timeoutMs: this.#connectTimeoutMs + LATE_PARTS * request.lookTimeoutMs,
      maxBytes: MAX_EVIDENCE_BYTES,
      beginMark: `@@${nonce} begin `,
      endMark: `@@${nonce} done`,
    });
    return readCollected(parseFrames(stdout, nonce), request);
  }

  async #answer(
    timeoutMs: number | null,
    found: Collected,
    leave: AbortSignal | undefined,
  ): Promise<Look<AnswerFacts>> {
    const tunnels: ForwardedConnection[] = [];
    const connect = (address: { readonly host: string; readonly port: number }) => {
      const tunnel = this.#connection.forward(address);
      tunnels.push(tunnel);
      return tunnel;
    };
    const how = leave === undefined ? { connect } : { connect, leave };
    const answer = await askApi(timeoutMs, found, how);
    if (tunnels.some(({ refused }) => refused)) {
      const why = 'ssh was not let through to the port there (AllowTcpForwarding in sshd_config?)';
      return blind('unsupported', why);
    }
    return answer;
  }
}

/** What a request says, as parameters of the script. */
export function collectorParameters(request: LookRequest, unit: string) {
  return {
    nonce: 'by-hand',
    port: request.port === undefined ? '' : String(request.port),
    configDirectory:
      request.configDirectory === undefined ? '' : posix.resolve(request.configDirectory),
    log: request.log === undefined ? '' : posix.resolve(request.log),
    pidFiles: '',
    since: request.sinceMs === null ? '' : String(Math.ceil(request.sinceMs / 1000)),
    withoutLog: request.leaveOut?.includes('apiLog') ? 'yes' : '',
    unit,
    limit: String(Math.max(1, Math.ceil(request.lookTimeoutMs / 1000))),
  };
}
