import type { Duplex } from 'node:stream';
import { runningMs } from '../../clock.ts';
import type { AnswerFacts } from '../../evidence/evidence.ts';
import { stripControl } from '../../untrusted.ts';
import { errorCode } from './proc-files.ts';

/** What to ask, and where. */
export interface AnswerRequest {
  readonly port: number;
  /** A listener's address; a wildcard is asked at its loopback address. */
  readonly address: string;
  /** What the config says; null where it says nothing, so that it is found out. */
  readonly tls: boolean | null;
  /** Bound on the whole look, in ms. */
  readonly timeoutMs: number;
  readonly path: '/';
  /**
   * Makes the connection, as net.connect(3) does: `connect` says that it stands. A tunnel to the
   * host where the API runs; TCP from here where unset.
   */
  readonly connect?: (address: { readonly host: string; readonly port: number }) => Duplex;
  /** Aborted once nobody waits for the answer any more: then time is up. */
  readonly leave?: AbortSignal;
}

/** A status line has less than 100 bytes; whoever sends this much without one speaks no HTTP. */
const MAX_STATUS_LINE = 8_192;
/** Characters of what the server calls itself that are kept. */
const MAX_SERVER_NAME = 100;

/**
 * Sends one `GET` and waits for no more than the status line: any status is an answer
 * (salt-facts §6). A certificate is not checked, as salt-api's are self-signed.
 *
 * On a TLS port the handshake starts as soon as the connection stands and the socket is destroyed
 * in the end, whatever happens: a silent connection there stalls every accept for up to 10 s
 * (salt-facts §5, cp#1086). One without an answer is reset, so that the next look does not count
 * it among the CLOSE_WAIT sockets. Never rejects.
 */
export async function probeAnswer(request: AnswerRequest): Promise<AnswerFacts> {
  const startedAt = runningMs();
  const remaining = (): number => {
    return request.leave?.aborted ? 0 : request.timeoutMs - (runningMs() - startedAt);
  };
  if (request.tls === false) return (await attempt(request, false, remaining(), startedAt)).answer;

  // A plain server may wait for the end of the ClientHello's "line", so TLS gets half the time.
  const share = request.tls === null ? request.timeoutMs / 2 : request.timeoutMs;
  const first = await attempt(request, true, share, startedAt);
  if (first.perhaps !== 'plain' && !(first.perhaps === 'either' && request.tls === null)) {
    return first.answer;
  }
  if (remaining() < 1) return first.answer;
  const second = await attempt(request, false, remaining(), startedAt);
  if (second.answer.kind === 'answered' || first.perhaps === 'plain') return second.answer;
  return first.answer.kind === 'no-reply' ? second.answer : first.answer;
}

interface Attempt {
  readonly answer: AnswerFacts;
  /** What the port may speak instead, judged by how far the TLS handshake came. */
  readonly perhaps: 'plain' | 'either' | 'as-tried';
}

async function attempt(
  request: AnswerRequest,
  tls: boolean,
  timeoutMs: number,
  startedAt: number,
): Promise<Attempt> {
  const host = loopbackOf(request.address);
  const net = await import('node:net');
  const nodeTls = tls ? await import('node:tls') : null;
  const untried: Progress = { connected: false, secured: !tls };
  // An abort tells nobody who comes to listen later.
  if (request.leave?.aborted) return silence(untried, tls, 0);

  return new Promise((resolve) => {
    const progress = { ...untried };
    const transport: Duplex = (request.connect ?? net.connect)({ host, port: request.port });
    let socket = transport;

    const settle = (outcome: Attempt): void => {
      clearTimeout(timer);
      request.leave?.removeEventListener('abort', onTimeUp);
      // A FIN would leave one more CLOSE_WAIT with a server that answers nothing; a RST leaves none.
      const unanswered = progress.connected && outcome.answer.kind !== 'answered';
      if (unanswered && transport instanceof net.Socket) transport.resetAndDestroy();
      socket.destroy();
      transport.destroy();
      resolve(outcome);
    };
    const afterMs = (): number => Math.round(runningMs() - startedAt);
    const onError = (error: Error): void => settle(brokenBy(error, progress, afterMs()));
    const onEnd = (): void => settle(closed(progress, afterMs()));
    // After the sockets' turn: who was busy until then has not been told yet that it is connected.
    const onTimeUp = (): void => {
      setImmediate(() => settle(silence(progress, tls, afterMs())));
    };
    const timer = setTimeout(onTimeUp, Math.max(1, timeoutMs));
    request.leave?.addEventListener('abort', onTimeUp);
    const converse = (): void => {
      progress.secured = true;
      let received = '';
      socket.on('data', (chunk: Buffer) => {
        received += chunk.toString('latin1');
        if (!received.includes('\n') && received.length < MAX_STATUS_LINE) return;
        settle({ answer: answerIn(received, tls, afterMs()), perhaps: 'as-tried' });
      });
      const named = host.includes(':') ? `[${host}]` : host;
      socket.write(
        `GET ${request.path} HTTP/1.1\r\nHost: ${named}:${request.port}\r\n` +
          'User-Agent: salt-triage\r\nAccept: application/json\r\nConnection: close\r\n\r\n',
      );
    };

    transport.once('connect', () => {
      progress.connected = true;
      if (nodeTls === null) return converse();
      // Salt of 2014 on EL6 speaks TLS 1.0 with SHA-1, which OpenSSL 3 refuses above level 0.
      const oldest = { minVersion: 'TLSv1', ciphers: 'DEFAULT@SECLEVEL=0' } as const;
      socket = nodeTls.connect({ socket: transport, rejectUnauthorized: false, ...oldest });
      socket.on('error', onError);
      socket.once('end', onEnd);
      socket.once('secureConnect', converse);
    });
    transport.on('error', onError);
    transport.once('close', onEnd);
    if (!tls) transport.once('end', onEnd);
  });
}

/** How far an attempt has come. */
interface Progress {
  connected: boolean;
  /** The handshake is over, or none is needed. */
  secured: boolean;
}

function silence({ connected, secured }: Progress, tls: boolean, afterMs: number): Attempt {
  if (!connected) return { answer: { kind: 'no-connection', afterMs }, perhaps: 'as-tried' };
  return { answer: { kind: 'no-reply', afterMs, tls }, perhaps: secured ? 'as-tried' : 'either' };
}

function brokenBy(error: Error, { connected, secured }: Progress, afterMs: number): Attempt {
  const code = errorCode(error);
  const as = (perhaps: Attempt['perhaps']) => ({ answer: broken(error.message, afterMs), perhaps });
  if (!connected) {
    if (code === 'ECONNREFUSED') return { answer: { kind: 'refused' }, perhaps: 'as-tried' };
    if (code !== 'ETIMEDOUT') return as('as-tried');
    return { answer: { kind: 'no-connection', afterMs }, perhaps: 'as-tried' };
  }
  if (secured) return as('as-tried');
  if (!/^(EPROTO|ERR_SSL_)/.test(code)) return as('either');
  // An alert is TLS, if not one that can be talked with; anything else never was.
  const perhaps = /alert/i.test(error.message) ? 'as-tried' : 'plain';
  return { answer: broken(`TLS: ${tlsReason(error)}`, afterMs), perhaps };
}

function closed({ secured }: Progress, afterMs: number): Attempt {
  const answer = broken('connection closed without an answer', afterMs);
  return { answer, perhaps: secured ? 'as-tried' : 'either' };
}

function broken(error: string, afterMs: number): AnswerFacts {
  return { kind: 'broken', afterMs, error: stripControl(error) };
}

/** @param received its status line, or too much without one */
function answerIn(received: string, tls: boolean, afterMs: number): AnswerFacts {
  const line = received.split('\n', 1)[0] ?? '';
  const status = /^HTTP\/1\.[01] ([1-5]\d\d)(?: .*)?\r?$/.exec(line)?.[1];
  if (status !== undefined) {
    return { kind: 'answered', status: Number(status), afterMs, tls, ...serverIn(received) };
  }
  return broken(`not HTTP: ${JSON.stringify(received.slice(0, 60))}`, afterMs);
}

/** Where it came along with the status line, as CherryPy sends it; it is not waited for. */
function serverIn(received: string): { readonly server?: string } {
  const [headers = ''] = received.split(/\r?\n\r?\n/, 1);
  const name = /^server:([^\r\n]*)$/im.exec(headers)?.[1] ?? '';
  const server = stripControl(name).trim().slice(0, MAX_SERVER_NAME);
  return server === '' ? {} : { server };
}

function loopbackOf(address: string): string {
  if (address === '0.0.0.0') return '127.0.0.1';
  return address === '::' ? '::1' : address;
}

/** OpenSSL's `40E7…:error:0A00010B:SSL routines:tls_validate_record_header:wrong version number:…`. */
function tlsReason(error: Error): string {
  if ('reason' in error && typeof error.reason === 'string') return error.reason;
  return error.message;
}
