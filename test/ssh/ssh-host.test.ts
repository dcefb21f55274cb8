import assert from 'node:assert/strict';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { chmod, writeFile } from 'node:fs/promises';
import { createServer as createHttpServer } from 'node:http';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { TriageError } from '../../src/errors.ts';
import type { Evidence, LookRequest } from '../../src/evidence/evidence.ts';
import { collectEvidence } from '../../src/host/collect-evidence.ts';

import { checkDestination, SshConnection } from '../../src/host/ssh/ssh-connection.ts';
import { SshHost } from '../../src/host/ssh/ssh-host.ts';
import { type Sshd, sshdMissing, startSshd } from './sshd.ts';

const REQUEST: LookRequest = {
  port: 65_000,
  configDirectory: undefined,
  log: undefined,
  sinceMs: 3_600_000,
  probeTimeoutMs: 2_000,
  lookTimeoutMs: 10_000,
};
const POLICY = { closeWaitWarn: 5, closeWaitFail: 20 };

async function look(
  program: string,
  request: LookRequest = REQUEST,
  target: { readonly port?: number; readonly sudo?: boolean } = {},
): Promise<Evidence> {
  const connection = new SshConnection(
    { destination: 'master', sudo: false, ...target },
    { connectTimeoutMs: 3_000, mayAsk: false, program },
  );
  try {
    const host = new SshHost(connection, { unit: 'salt-api', connectTimeoutMs: 3_000 });
    return await collectEvidence(host.look(request), POLICY);
  } finally {
    await connection.close();
  }
}

async function failure(looking: Promise<unknown>): Promise<string> {
  try {
    await looking;
  } catch (error) {
    assert.ok(error instanceof TriageError, String(error));
    assert.equal(error.exitCode, 3);
    assert.notEqual(error.advice, '');
    return error.message;
  }
  throw new assert.AssertionError({ message: 'the look did not fail' });
}

describe('a host behind a real sshd', { skip: sshdMissing() }, () => {
  let sshd: Sshd;
  before(async () => {
    sshd = await startSshd();
  });
  after(() => sshd.stop());

  /** An ssh whose client configuration has these lines before the test's own. */
  async function clientWith(...lines: string[]): Promise<string> {
    const name = join(sshd.directory, `ssh-${lines.join('').replace(/\W/g, '').slice(0, 40)}`);
    const text = `${lines.join('\n')}\n${readFileSync(join(sshd.directory, 'config'), 'utf8')}`;
    await writeFile(`${name}.config`, text);
    await writeFile(name, `#!/bin/sh\nexec /usr/bin/ssh -F ${name}.config "$@"\n`);
    await chmod(name, 0o755);
    return name;
  }

  it('asks the API there over the connection that stands', async () => {
    const api = createHttpServer((_request, response) => response.end('{}'));
    await new Promise<void>((resolve) => api.listen(0, '127.0.0.1', resolve));
    const { port } = api.address() as AddressInfo;
    const { answer } = await look(sshd.client, { ...REQUEST, port });
    api.close();
    assert.ok(answer.seen && answer.value.kind === 'answered');
    assert.equal(answer.value.status, 200);
  });

  it('ends the connection there when nobody waits for the answer any more', async (t) => {
    const silent = createServer();
    t.after(() => silent.close());
    await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve));
    const { port } = silent.address() as AddressInfo;
    const connection = new SshConnection(
      { destination: 'master', sudo: false },
      { connectTimeoutMs: 20_000, mayAsk: false, program: sshd.client },
    );
    t.after(() => connection.close());
    const host = new SshHost(connection, { unit: 'salt-api', connectTimeoutMs: 20_000 });
    const leave = new AbortController();
    const request = { ...REQUEST, port, probeTimeoutMs: 150_000 };
    const { answer } = host.look(request, leave.signal);
    const [socket] = (await once(silent, 'connection')) as [Socket];
    const closed = new Promise((resolve) =>
      socket
        .on('error', () => {})
        .resume()
        .once('close', resolve),
    );
    leave.abort();
    await closed;
    assert.ok((await answer).seen);
  });

  it('leaves nothing behind here', async (t) => {
    const before = process.env['TMPDIR'];
    const own = mkdtempSync(join(tmpdir(), 'salt-triage-left-'));
    process.env['TMPDIR'] = own;
    t.after(() => {
      if (before === undefined) delete process.env['TMPDIR'];
      else process.env['TMPDIR'] = before;
      rmSync(own, { recursive: true });
    });
    await look(sshd.client);
    assert.deepEqual(readdirSync(own), []);
  });

  it("uses the user's own shared connection where there is one, and leaves it", async () => {
    const socket = join(sshd.directory, 'theirs');
    const client = await clientWith(
      'ControlMaster auto',
      `ControlPath ${socket}`,
      'ControlPersist 20',
    );
    await look(client);
    assert.ok(existsSync(socket));
  });

  it('is not misled by RemoteCommand or a forwarding of the user', async () => {
    const client = await clientWith('RemoteCommand false', `LocalForward ${sshd.port} localhost:1`);
    assert.equal((await look(client)).sockets.seen, true);
  });

  it('says that forwarding is forbidden, and sees the rest', async () => {
    const strict = await startSshd(['AllowTcpForwarding no']);
    const api = createServer();
    await new Promise<void>((resolve) => api.listen(0, '127.0.0.1', resolve));
    const { port } = api.address() as AddressInfo;
    const { answer, sockets } = await look(strict.client, { ...REQUEST, port });
    api.close();
    await strict.stop();
    assert.deepEqual(answer.seen ? answer : answer.cause, 'unsupported');
    assert.equal(sockets.seen && sockets.value.listeners.length, 1);
  });

  it('takes a handful of round trips', async (t) => {
    const link = await slowLink(sshd.port, 50);
    t.after(() => link.close());
    const connection = new SshConnection(
      { destination: 'master', port: link.port, sudo: false },
      { connectTimeoutMs: 5_000, mayAsk: false, program: sshd.client },
    );
    t.after(() => connection.close());
    const api = createHttpServer((_request, response) => response.end('{}'));
    t.after(() => api.close());
    await new Promise<void>((resolve) => api.listen(0, '127.0.0.1', resolve));
    const { port } = api.address() as AddressInfo;
    const host = new SshHost(connection, { unit: 'salt-api', connectTimeoutMs: 5_000 });
    await collectEvidence(host.look({ ...REQUEST, port }), POLICY);
    const turnsBefore = link.turns();
    const began = performance.now();
    const { answer } = await collectEvidence(host.look({ ...REQUEST, port }), POLICY);
    const took = Math.round(performance.now() - began);
    const turns = link.turns() - turnsBefore;
    t.diagnostic(`after login, over a 100 ms link: ${took} ms, ${turns} round trips`);
    assert.ok(answer.seen && answer.value.kind === 'answered');
    // Acknowledgements that nothing waits for are among them.
    assert.ok(turns <= 8, `${turns} round trips`);
  });

  it('tells a connection that is lost midway', async (t) => {
    const link = await slowLink(sshd.port, 0);
    t.after(() => link.close());
    const connection = new SshConnection(
      { destination: 'master', port: link.port, sudo: false },
      { connectTimeoutMs: 3_000, mayAsk: false, program: sshd.client },
    );
    t.after(() => connection.close());
    const host = new SshHost(connection, { unit: 'salt-api', connectTimeoutMs: 3_000 });
    await collectEvidence(host.look(REQUEST), POLICY);
    // Compressed evidence is longer than this, and the login is over.
    link.cutAfter(600);
    const message = await failure(collectEvidence(host.look(REQUEST), POLICY));
    assert.match(message, /^master: the connection (?:was lost midway|failed)/);
  });

  for (const [what, lines, expected] of [
    ['no such name', ['HostName no-such-host.invalid'], /its name is not known here/],
    ['nobody listening', ['Port 1'], /the connection was refused/],
    ['an unknown host key', ['HostKeyAlias stranger'], /its host key is not known here/],
    ['a refused login', ['IdentityFile /dev/null', 'IdentitiesOnly yes', 'User nobody'], /login/],
  ] as const) {
    it(`tells ${what}`, async () => {
      assert.match(await failure(look(await clientWith(...lines))), expected);
    });
  }

  it('tells a host key that has changed', async () => {
    const other = readFileSync(join(sshd.directory, 'client_key.pub'), 'utf8');
    const known = join(sshd.directory, 'changed_hosts');
    await writeFile(known, `master ${other.split(' ').slice(0, 2).join(' ')}\n`);
    const client = await clientWith(`UserKnownHostsFile ${known}`);
    assert.match(await failure(look(client)), /its host key has changed/);
  });

  it('tells a host that accepts and says nothing', async () => {
    const sockets = new Set<Socket>();
    const silent = createServer((socket) => sockets.add(socket));
    await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve));
    const { port } = silent.address() as AddressInfo;
    const message = await failure(look(sshd.client, REQUEST, { port }));
    for (const socket of sockets) socket.destroy();
    silent.close();
    assert.match(message, /it did not answer in time/);
  });
});

describe('a login that does not do what it should', { skip: sshdMissing() }, () => {
  async function withCommand<T>(command: string, act: (sshd: Sshd) => Promise<T>): Promise<T> {
    const sshd = await startSshd([`ForceCommand ${command}`]);
    try {
      return await act(sshd);
    } finally {
      await sshd.stop();
    }
  }

  for (const [what, command, expected] of [
    ['there is no sh', 'echo "sh: not found" >&2; exit 127', /no sh was found/],
    ['the shell is restricted', 'echo "This account is not available."; exit 1', /restricted/],
    [
      'sudo wants a password',
      'echo "sudo: a password is required" >&2; exit 1',
      /sudo needs a password there/,
    ],
    ['the evidence never ends', 'yes "|endless"', /sends more than 32 MiB and was cut off/],
    [
      'the connection ends within the evidence',
      'eval "$SSH_ORIGINAL_COMMAND" | head -n 20; kill -9 $PPID',
      /lost midway/,
    ],
  ] as const) {
    it(`is told: ${what}`, async () => {
      const message = await withCommand(command, (sshd) =>
        failure(look(sshd.client, REQUEST, { sudo: what.startsWith('sudo') })),
      );
      assert.match(message, expected);
    });
  }
});

describe('a name of a host', () => {
  for (const name of [
    '',
    ' ',
    '-oProxyCommand=touch /tmp/x',
    '-',
    'root@-oProxyCommand=x',
    'a b',
    'a\nb',
    'a\u0000b',
    'a\u001b[2Jb',
    'a;b',
    '$(id)',
    '`id`',
    'root@',
  ]) {
    it(`is refused before ssh sees it: ${JSON.stringify(name)}`, () => {
      assert.throws(() => checkDestination(name), { name: 'TriageError', exitCode: 2 });
    });
  }

  for (const name of [
    'salt',
    'root@salt',
    'salt.example.org',
    '::1',
    'ssh://root@salt:2222',
    'DOMAIN_x@h',
  ]) {
    it(`is taken as it is: ${name}`, () => assert.equal(checkDestination(name), name));
  }
});

/**
 * A TCP proxy with `delayMs` one way, which counts how often the direction of the talk turned, or
 * which cuts the connection once it has carried so many bytes from the server.
 */
async function slowLink(port: number, delayMs: number) {
  let left = Number.POSITIVE_INFINITY;
  const sockets = new Set<Socket>();
  let turns = 0;
  let last: 'up' | 'down' = 'down';
  const pass = (from: Socket, to: Socket, direction: 'up' | 'down') => {
    from.on('data', (chunk: Buffer) => {
      if (direction === 'up' && last === 'down') turns += 1;
      last = direction;
      if (direction === 'down') left -= chunk.length;
      if (left < 0) {
        from.destroy();
        to.destroy();
        return;
      }
      setTimeout(() => to.writable && to.write(chunk), delayMs);
    });
    from.on('error', () => to.destroy());
    from.on('close', () => setTimeout(() => to.destroy(), delayMs));
  };
  const server = createServer((client) => {
    const upstream = connect(port, '127.0.0.1');
    sockets.add(client).add(upstream);
    pass(client, upstream, 'up');
    pass(upstream, client, 'down');
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    port: (server.address() as AddressInfo).port,
    turns: () => turns,
    cutAfter(bytes: number) {
      left = bytes;
    },
    async close() {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
