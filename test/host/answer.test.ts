import assert from 'node:assert/strict';
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { createServer as createHttpServer } from 'node:http';
import { createServer as createHttpsServer } from 'node:https';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, before, describe, it } from 'node:test';
import { type AnswerRequest, probeAnswer } from '../../src/host/local/answer.ts';
import { readPortSockets } from '../../src/host/local/sockets.ts';

let directory: string;
let certificate: { key: Buffer; cert: Buffer };
const open = new Set<{ server: Server; sockets: Set<Socket> }>();
const children = new Set<ChildProcess>();

before(async () => {
  directory = await mkdtemp(join(tmpdir(), 'salt-answer-'));
  const [key, cert] = [join(directory, 'key.pem'), join(directory, 'cert.pem')];
  execFileSync(
    'openssl',
    `req -x509 -newkey rsa:2048 -nodes -days 1 -subj /CN=salt -keyout ${key} -out ${cert}`.split(
      ' ',
    ),
    { stdio: 'ignore' },
  );
  certificate = { key: await readFile(key), cert: await readFile(cert) };
});

afterEach(async () => {
  for (const { server, sockets } of open) {
    for (const socket of sockets) socket.destroy();
    server.close();
  }
  open.clear();
  for (const child of children) {
    child.kill('SIGKILL');
    if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
  }
  children.clear();
});

after(() => rm(directory, { recursive: true, force: true }));

async function serve<S extends Server>(server: S, address = '127.0.0.1'): Promise<number> {
  const sockets = new Set<Socket>();
  server.on('connection', (socket: Socket) => {
    sockets.add(socket);
    socket.on('error', () => {});
  });
  open.add({ server, sockets });
  server.listen(0, address);
  await once(server, 'listening');
  return (server.address() as AddressInfo).port;
}

/** Listens and accepts nothing: its process is stopped. */
async function stoppedServer(): Promise<number> {
  const script =
    "require('net').createServer().listen({port: 0, host: '127.0.0.1', backlog: 1}," +
    'function () { console.log(this.address().port) })';
  const child = spawn(process.execPath, ['-e', script], { stdio: ['ignore', 'pipe', 'inherit'] });
  children.add(child);
  const [line] = (await once(child.stdout, 'data')) as [Buffer];
  child.kill('SIGSTOP');
  return Number(line);
}

function probe(port: number, request: Partial<AnswerRequest> = {}) {
  return probeAnswer({
    port,
    address: '127.0.0.1',
    tls: false,
    timeoutMs: 10_000,
    path: '/',
    ...request,
  });
}

describe('an answer', () => {
  for (const status of [200, 401, 503]) {
    it(`is any status, such as ${status}`, async () => {
      const port = await serve(
        createHttpServer((_request, reply) => reply.writeHead(status).end()),
      );
      const answer = await probe(port);
      assert.ok(answer.kind === 'answered', JSON.stringify(answer));
      assert.equal(answer.status, status);
      assert.equal(answer.tls, false);
      assert.ok(answer.afterMs >= 0 && answer.afterMs < 10_000);
    });
  }

  it('is asked for as salt-api wants it: GET /, JSON, no keep-alive', async () => {
    const asked = new Promise<unknown[]>((resolve) => {
      const server = createHttpServer((request, reply) => {
        resolve([request.method, request.url, request.headers.accept, request.headers.connection]);
        reply.end();
      });
      serve(server).then(probe);
    });
    assert.deepEqual(await asked, ['GET', '/', 'application/json', 'close']);
  });

  it('comes over TLS without a look at the certificate', async () => {
    const port = await serve(createHttpsServer(certificate, (_request, reply) => reply.end()));
    for (const tls of [true, null]) {
      const answer = await probe(port, { tls });
      assert.ok(answer.kind === 'answered', JSON.stringify(answer));
      assert.equal(answer.tls, true);
    }
  });

  it('comes from a server that speaks TLS 1.0 only', async () => {
    const old = {
      ...certificate,
      minVersion: 'TLSv1',
      maxVersion: 'TLSv1',
      ciphers: 'ALL@SECLEVEL=0',
    } as const;
    const port = await serve(createHttpsServer(old, (_request, reply) => reply.end()));
    assert.equal((await probe(port, { tls: true })).kind, 'answered');
  });

  it('says what the server calls itself, as far as a screen can show it', async () => {
    const named = async (value: string): Promise<string | undefined> => {
      const port = await serve(
        createServer((socket) => socket.end(`HTTP/1.1 200 OK\r\n${value}\r\n\r\nServer: body`)),
      );
      const answer = await probe(port);
      return answer.kind === 'answered' ? answer.server : assert.fail(answer.kind);
    };
    assert.equal(await named('Date: x\r\nserver:  CherryPy/18.8.0 '), 'CherryPy/18.8.0');
    assert.equal(await named('Server: a\x1b[2J\x07b'), 'ab');
    assert.equal((await named(`Server: ${'x'.repeat(5_000)}`))?.length, 100);
    assert.equal(await named('Server:'), undefined);
    assert.equal(await named('X-Server: no'), undefined);
  });

  it('does not wait for the body', async () => {
    const port = await serve(
      createHttpServer((_request, reply) => {
        reply.writeHead(200).write('a beginning');
      }),
    );
    assert.equal((await probe(port)).kind, 'answered');
  });

  it('comes over plain HTTP where TLS was tried, by config or for want of one', async () => {
    const port = await serve(createHttpServer((_request, reply) => reply.end()));
    for (const tls of [true, null]) {
      const answer = await probe(port, { tls });
      assert.ok(answer.kind === 'answered', JSON.stringify(answer));
      assert.equal(answer.tls, false);
    }
  });

  it('comes from a plain server that waits for the end of the ClientHello', async () => {
    const port = await serve(
      createServer((socket) => {
        socket.on('data', (chunk) => {
          if (chunk.includes('\r\n\r\n')) socket.end('HTTP/1.1 200 OK\r\n\r\n');
        });
      }),
    );
    const answer = await probe(port, { tls: null, timeoutMs: 1_000 });
    assert.ok(answer.kind === 'answered', JSON.stringify(answer));
    assert.equal(answer.tls, false);
    assert.ok(answer.afterMs >= 450 && answer.afterMs <= 1_000, String(answer.afterMs));
  });

  it('comes from the loopback address of a wildcard listener', async () => {
    const port = await serve(
      createHttpServer((_request, reply) => reply.end()),
      '0.0.0.0',
    );
    assert.equal((await probe(port, { address: '0.0.0.0' })).kind, 'answered');
  });

  it('comes over IPv6', async (test) => {
    const server = createHttpServer((_request, reply) => reply.end());
    let port: number;
    try {
      port = await serve(server, '::1');
    } catch {
      test.skip('no IPv6 on this machine');
      return;
    }
    assert.equal((await probe(port, { address: '::' })).kind, 'answered');
  });
});

describe('no reply', () => {
  it('is a connection on which nothing comes back', async () => {
    const port = await serve(createServer(() => {}));
    const answer = await probe(port, { timeoutMs: 200 });
    assert.ok(answer.kind === 'no-reply', JSON.stringify(answer));
    assert.equal(answer.tls, false);
    assert.ok(answer.afterMs >= 190 && answer.afterMs < 5_000, String(answer.afterMs));
  });

  it('is also half a status line', async () => {
    const port = await serve(createServer((socket) => socket.write('HTTP/1.1 2')));
    assert.equal((await probe(port, { timeoutMs: 200 })).kind, 'no-reply');
  });

  it('is a finished handshake and then nothing', async () => {
    const port = await serve(createHttpsServer(certificate, () => {}));
    for (const tls of [true, null]) {
      const answer = await probe(port, { tls, timeoutMs: 400 });
      assert.ok(answer.kind === 'no-reply', JSON.stringify(answer));
      assert.equal(answer.tls, true);
    }
  });

  it('ends its connection at once when nobody waits for the answer any more', async () => {
    for (const tls of [false, true, null]) {
      const silent = createServer();
      const port = await serve(silent);
      const leave = new AbortController();
      const began = performance.now();
      const asked = probe(port, { tls, leave: leave.signal, timeoutMs: 100_000 });
      const [socket] = (await once(silent, 'connection')) as [Socket];
      // Not once(): a reset is an error first, which it would throw, and then the end.
      const closed = new Promise((resolve) => socket.resume().once('close', resolve));
      leave.abort();
      // Our end may not know yet that it is connected.
      assert.match((await asked).kind, /^no-/);
      await closed;
      assert.ok(performance.now() - began < 50_000);
    }
  });

  it('makes no connection where it was left before it came to that', async () => {
    for (const tls of [false, true, null]) {
      let connections = 0;
      const port = await serve(createServer(() => (connections += 1)));
      const leave = new AbortController();
      const asked = probe(port, { tls, leave: leave.signal, timeoutMs: 3_000 });
      leave.abort();
      assert.equal((await asked).kind, 'no-connection');
      assert.equal(connections, 0);
    }
  });

  it('leaves no silent connection on a TLS port: it speaks at once and hangs up', async () => {
    const closed: Promise<unknown>[] = [];
    const first: Promise<Buffer>[] = [];
    const port = await serve(
      createServer((socket) => {
        first.push(once(socket, 'data').then(([chunk]) => chunk as Buffer));
        closed.push(new Promise((resolve) => socket.once('close', resolve)));
      }),
    );
    const answer = await probe(port, { tls: true, timeoutMs: 300 });
    assert.ok(answer.kind === 'no-reply', JSON.stringify(answer));
    assert.equal(answer.tls, true);
    assert.equal(first.length, 1);
    assert.equal((await first[0])?.[0], 0x16, 'the first byte is that of a TLS handshake');
    await closed[0];
  });

  it('keeps to the total time where TLS and plain are both tried', async () => {
    const port = await serve(createServer(() => {}));
    const startedAt = performance.now();
    const answer = await probe(port, { tls: null, timeoutMs: 400 });
    assert.equal(answer.kind, 'no-reply');
    const took = performance.now() - startedAt;
    assert.ok(took >= 390 && took < 3_000, String(took));
  });
});

describe('a probe that got no answer', () => {
  for (const tls of [true, false]) {
    it(`leaves no CLOSE_WAIT with a server that hangs, ${tls ? 'TLS' : 'plain'}`, async () => {
      const accepts = await serve(createServer({ allowHalfOpen: true }, () => {}));
      await probe(accepts, { tls, timeoutMs: 200 });
      const stopped = await stoppedServer();
      await probe(stopped, { tls, timeoutMs: 200 });
      for (const port of [accepts, stopped]) {
        const { facts } = await readPortSockets(port);
        assert.ok(facts.seen);
        const left = facts.value.peers.filter(({ state }) => state === 'CLOSE_WAIT');
        assert.deepEqual(left, [], `port ${port}`);
      }
    });
  }

  it('leaves none either where time is up before our end has been told that it is connected', async () => {
    const port = await stoppedServer();
    const leave = new AbortController();
    const busyConnect: AnswerRequest['connect'] = (address) => {
      const socket = connect(address);
      const began = performance.now();
      setTimeout(() => leave.abort(), 1);
      // As a large log would keep us: when we are through, timers are served before sockets.
      while (performance.now() - began < 20);
      return socket;
    };
    await probe(port, { leave: leave.signal, connect: busyConnect });
    const { facts } = await readPortSockets(port);
    assert.ok(facts.seen);
    assert.deepEqual(
      facts.value.peers.filter(({ state }) => state === 'CLOSE_WAIT'),
      [],
    );
  });
});

describe('no connection', () => {
  it('is what a stopped server with a full accept queue gives, after no-reply', async () => {
    const port = await stoppedServer();
    const kinds: string[] = [];
    while (kinds.at(-1) !== 'no-connection' && kinds.length < 10) {
      kinds.push((await probe(port, { timeoutMs: 250 })).kind);
    }
    assert.equal(kinds[0], 'no-reply');
    assert.equal(kinds.at(-1), 'no-connection', kinds.join());
  });
});

describe('refused and broken', () => {
  it('is refused where nobody listens', async () => {
    const port = await serve(createServer());
    for (const { server } of open) {
      server.close();
      await once(server, 'close');
    }
    for (const tls of [true, false, null]) {
      assert.deepEqual(await probe(port, { tls }), { kind: 'refused' });
    }
  });

  for (const [title, bytes] of [
    ['another protocol', 'SSH-2.0-OpenSSH_9.6\r\n'],
    ['a status that is none', 'HTTP/1.1 999 Nine\r\n'],
    ['a line without an end', 'x'.repeat(20_000)],
    ['a terminal escape', '\x1b[2Jgone\n'],
  ] as const) {
    it(`is broken for ${title}`, async () => {
      const port = await serve(createServer((socket) => socket.write(bytes)));
      for (const tls of [false, null]) {
        const answer = await probe(port, { tls });
        assert.ok(answer.kind === 'broken', JSON.stringify(answer));
        assert.match(answer.error, /not HTTP/);
        assert.doesNotMatch(answer.error, /[\x00-\x1f\x7f]/);
      }
    });
  }

  it('is broken where the server hangs up without a word', async () => {
    const port = await serve(createServer((socket) => socket.end()));
    for (const tls of [true, false, null])
      assert.equal((await probe(port, { tls })).kind, 'broken');
  });

  it('is broken where TLS is spoken but no version is shared', async () => {
    const strict = { ...certificate, minVersion: 'TLSv1.3', ciphers: 'TLS_AES_128_CCM_SHA256' };
    const port = await serve(
      createHttpsServer(strict as typeof certificate, (_request, reply) => reply.end()),
    );
    const answer = await probe(port, { tls: null });
    assert.ok(answer.kind === 'broken', JSON.stringify(answer));
    assert.match(answer.error, /TLS/);
  });
});
