import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { diagnoseEvidence } from '../../src/diagnosis/diagnosis.ts';
import { type StagedIncident, stageIncident } from '../../src/drill/stage.ts';
import { type Evidence, LEFT_OUT, type LookRequest } from '../../src/evidence/evidence.ts';
import { parseEvidence, writeEvidence } from '../../src/evidence/evidence-file.ts';
import { collectEvidence } from '../../src/host/collect-evidence.ts';
import type { Host } from '../../src/host/host.ts';
import { LocalHost } from '../../src/host/local/local-host.ts';
import { RecordedHost } from '../../src/host/recorded-host.ts';
import { SshConnection } from '../../src/host/ssh/ssh-connection.ts';
import { SshHost } from '../../src/host/ssh/ssh-host.ts';
import { type Sshd, sshdMissing, startSshd } from '../ssh/sshd.ts';

const POLICY = { closeWaitWarn: 5, closeWaitFail: 20 };
const BUSYBOX = '/bin/busybox';

function busyboxMissing(): string | false {
  const missing = sshdMissing();
  if (missing !== false || existsSync(BUSYBOX)) return missing;
  if (process.env['CI']) throw new Error('busybox is not installed: .ci/run installs it');
  return 'needs busybox (apt-get install busybox)';
}

/** Every kind of host sees the same incident, so that the judging side need not know which it is. */
describe('the same staged incident, seen by every kind of host', { skip: sshdMissing() }, () => {
  let incident: StagedIncident;
  let request: LookRequest;
  let local: Evidence;
  const servers: Sshd[] = [];
  const connections: SshConnection[] = [];
  const applets = mkdtempSync(join(tmpdir(), 'salt-triage-busybox-'));

  before(async () => {
    incident = await stageIncident();
    request = {
      port: undefined,
      configDirectory: incident.configDirectory,
      log: undefined,
      sinceMs: 3_600_000,
      probeTimeoutMs: 300,
      lookTimeoutMs: 20_000,
    };
    // A failed start within the first second of its daemon can't be told from an older one's.
    do local = await collectEvidence(new LocalHost().look(request), POLICY);
    while (diagnoseEvidence(local).findings['api-log'].status !== 'fail');
  });
  after(async () => {
    for (const connection of connections) await connection.close();
    for (const server of servers) await server.stop();
    await incident.cleanup();
    rmSync(applets, { recursive: true, force: true });
  });

  async function sshHost(lines: readonly string[] = []): Promise<SshHost> {
    const server = await startSshd(lines);
    servers.push(server);
    const connection = new SshConnection(
      { destination: 'master', sudo: false },
      { connectTimeoutMs: 5_000, mayAsk: false, program: server.client },
    );
    connections.push(connection);
    return new SshHost(connection, { unit: 'salt-api', connectTimeoutMs: 5_000 });
  }

  async function assertSame(host: Host): Promise<void> {
    const found = await collectEvidence(host.look(request), POLICY);
    assert.deepEqual(comparable(found), comparable(local));
    assert.equal(diagnoseEvidence(found).verdict.code, 'orphan-holds-port');
    assert.deepEqual(
      diagnoseEvidence(found).steps.map(({ id, status }) => [id, status]),
      diagnoseEvidence(local).steps.map(({ id, status }) => [id, status]),
    );
  }

  it('a recorded host, from the file that --save writes', async () => {
    await assertSame(new RecordedHost(parseEvidence(writeEvidence(local))));
  });

  it('a host behind ssh with nothing of ours on it', async () => {
    await assertSame(await sshHost());
  });

  it('a host behind ssh whose login shell is noisy', async () => {
    const noise = `printf 'Welcome\\n|root\\n@@0 begin salt-triage-probe 1\\n\\377\\033[2J last login'`;
    await assertSame(
      await sshHost([`ForceCommand ${noise}; echo oops >&2; eval "$SSH_ORIGINAL_COMMAND"`]),
    );
  });

  it('leaves out what nobody reads, and does not call that well', async () => {
    for (const host of [new LocalHost(), await sshHost()]) {
      const look = host.look({ ...request, leaveOut: ['apiLog', 'answer'] });
      const evidence = await collectEvidence(look, POLICY);
      assert.deepEqual([evidence.apiLog, evidence.answer], [LEFT_OUT, LEFT_OUT]);
      const { findings, verdict } = diagnoseEvidence(evidence);
      assert.equal(verdict.code, 'orphan-holds-port');
      assert.deepEqual(
        [findings['api-log'].status, findings['api-answers'].status],
        ['skip', 'skip'],
      );
    }
  });

  it('a host behind ssh with busybox as its userland', { skip: busyboxMissing() }, async () => {
    execFileSync(BUSYBOX, ['--install', '-s', applets]);
    await assertSame(
      await sshHost([`ForceCommand PATH=${applets} ${applets}/ash -c "$SSH_ORIGINAL_COMMAND"`]),
    );
  });
});

/**
 * What must be equal: all but the moment of the look, and what goes on in the meantime: the new
 * daemon starts again and again, clients' sockets and our own probes come and go.
 */
function comparable(evidence: Evidence) {
  const { host, config, port, instance, processes, service, sockets, apiLog, answer } = evidence;
  assert.ok(processes.seen && sockets.seen && service.seen && apiLog.seen && answer.seen);
  const { name, bootId, bootedAt, ticksPerSecond, uid, utcOffsetMinutes } = host;
  const { listeners, ipv6, overflow, peers } = sockets.value;
  const clients = peers.filter(({ address }) => address !== '127.0.0.1');
  const holders = processes.value.processes.filter(({ listens }) => listens.length > 0);
  const managers = processes.value.processes.filter(({ pid }) =>
    service.value.pidFiles.some((file) => file.pid === pid),
  );
  const { source, ports, dated, notes, files } = apiLog.value;
  return {
    host: { name, bootId, bootedAt, ticksPerSecond, uid, utcOffsetMinutes },
    config,
    port,
    instance,
    listeners: listeners.map(({ acceptQueue: _, ...rest }) => rest),
    ipv6,
    overflow,
    clients,
    holders: holders.map(({ cpuTicks: _, portConnections: __, ...rest }) => rest),
    managers: managers.map(({ cpuTicks: _, ...rest }) => rest),
    deniedFds: processes.value.deniedFds,
    deniedArgv: processes.value.deniedArgv,
    hidden: processes.value.hidden,
    pidFiles: service.value.pidFiles.map(({ path, pid }) => ({ path, pid })),
    systemd: service.value.systemd,
    initScript: service.value.initScript,
    openRc: service.value.openRc,
    log: { source, ports, dated, notes, paths: files.map(({ path }) => path) },
    firstEvent: apiLog.value.firstAt,
    answer: answer.value.kind,
  };
}
