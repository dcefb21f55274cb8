import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { after, before, describe, it } from 'node:test';
import {
  type FdSearch,
  type FdTables,
  readFdTables,
  Turns,
} from '../../src/host/local/fd-tables.ts';
import { ProcTables } from '../../src/host/local/proc-tables.ts';
import { type PortSockets, readPortSockets } from '../../src/host/local/sockets.ts';
import { TablesThread } from '../../src/host/local/tables-thread.ts';

/** A server with connections, here and open in three more processes. */
describe('the tables of /proc, read with the help of a thread', () => {
  const server = createServer();
  const clients: Socket[] = [];
  const heirs = Array.from({ length: 3 }, () => {
    return spawn('sleep', ['600'], { stdio: ['ignore', 'ignore', 'ignore'] });
  });
  let port = 0;
  let table: PortSockets;
  let search: FdSearch;

  before(async () => {
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    port = (server.address() as AddressInfo).port;
    for (let count = 0; count < 20; count += 1) {
      const accepted = once(server, 'connection');
      const client = connect(port, '127.0.0.1');
      clients.push(client, ...((await accepted) as Socket[]));
    }
    table = await readPortSockets(port);
    const { facts: _, ...sockets } = table;
    const pids = [process.pid, ...heirs.flatMap(({ pid }) => pid ?? [])];
    const files = { log: '/var/log/salt/api', configDirectory: '/etc/salt' };
    search = { pids, saltApi: new Set([process.pid]), sockets, files, proc: '/proc' };
  });
  after(() => {
    for (const heir of heirs) heir.kill('SIGKILL');
    for (const client of clients) client.destroy();
    server.close();
  });

  it('are what they are without it', async () => {
    const thread = new TablesThread();
    try {
      const alone = await readFdTables(search);
      assert.equal(tableOf(alone).portConnections, 20);
      assert.equal(tableOf(alone).listens.length, 1);
      const asked = await thread.sockets(port, '/proc');
      assert.ok(asked !== null);
      assert.deepEqual(ofPort(asked), ofPort(table));
      assert.deepEqual(await thread.fds(search, new Turns()), alone);
    } finally {
      thread.end();
    }
  });

  it('are each read once, by the one or the other', async () => {
    const [ours, theirs] = [new Turns(), new Turns()];
    assert.equal(ours.next(), 0);
    const left = await readFdTables(search, ours);
    assert.deepEqual([left.tables.size, left.denied], [0, 0]);
    const shared = new Turns(theirs.shared);
    assert.deepEqual([theirs.next(), shared.next(), theirs.next()], [0, 1, 2]);
  });

  it('are added up from what both have read', async () => {
    const thread = {
      sockets: async () => null,
      fds: async (asked: FdSearch, turns: Turns) => readFdTables(asked, turns),
      end: () => undefined,
    };
    const tables = new ProcTables('/proc', thread);
    assert.deepEqual(await tables.fds(search), await readFdTables(search));
  });

  it('are read again where the thread ends with its turns taken', async () => {
    const thread = {
      sockets: async () => null,
      fds: async (_: FdSearch, turns: Turns) => {
        while (turns.next() < search.pids.length);
        return null;
      },
      end: () => undefined,
    };
    const tables = new ProcTables('/proc', thread);
    assert.deepEqual(ofPort(await tables.sockets(port)), ofPort(table));
    assert.deepEqual(await tables.fds(search), await readFdTables(search));
  });

  it('come from no thread that has failed', async () => {
    const thread = new TablesThread();
    const unreadable = { ...search, pids: null as unknown as number[] };
    assert.equal(await thread.fds(unreadable, new Turns()), null);
    assert.equal(await thread.sockets(port, '/proc'), null);
    thread.end();
  });

  /** What listens on other ports of this machine comes and goes. */
  function ofPort({ otherListeners: _, ...sockets }: PortSockets) {
    return sockets;
  }

  function tableOf({ tables }: FdTables) {
    const own = tables.get(process.pid);
    assert.ok(own !== undefined && own !== 'denied');
    return own;
  }
});
