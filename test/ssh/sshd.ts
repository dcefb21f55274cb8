/** A real sshd (Debian's openssh-server) on loopback, with keys and configuration of its own. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { chmod, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { type AddressInfo, connect, createServer } from 'node:net';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

const SSHD = '/usr/sbin/sshd';

/** A reason to skip where openssh-server is missing; in CI it must be there. */
export function sshdMissing(): string | false {
  if (existsSync(SSHD)) return false;
  if (process.env['CI']) throw new Error('openssh-server is not installed: .ci/run installs it');
  return 'needs openssh-server (apt-get install openssh-server)';
}

export interface Sshd {
  readonly port: number;
  /** Holds `config`, to be put where the ssh client looks for the user's. */
  readonly directory: string;
  /** A program that is ssh with the test's client configuration. */
  readonly client: string;
  readonly hostKey: string;
  stop(): Promise<void>;
}

/**
 * Starts one.
 * @param lines more of sshd_config(5)
 * @param clientLines more of ssh_config(5), for every host
 */
export async function startSshd(
  lines: readonly string[] = [],
  clientLines: readonly string[] = [],
): Promise<Sshd> {
  const directory = await mkdtemp(join(tmpdir(), 'salt-triage-sshd-'));
  const file = (name: string) => join(directory, name);
  for (const name of ['host_key', 'client_key']) {
    execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', file(name)]);
  }
  const port = await freePort();
  await writeFile(file('authorized_keys'), await readFile(file('client_key.pub'), 'utf8'));
  // sshd wants its empty privilege separation directory, which its service makes elsewhere.
  if (process.getuid?.() === 0) await mkdir('/run/sshd', { recursive: true, mode: 0o755 });
  await writeFile(
    file('sshd_config'),
    [
      ...lines,
      `Port ${port}`,
      'ListenAddress 127.0.0.1',
      `HostKey ${file('host_key')}`,
      `AuthorizedKeysFile ${file('authorized_keys')}`,
      `PidFile ${file('sshd.pid')}`,
      'StrictModes no',
      'UsePAM no',
      'PasswordAuthentication no',
      'KbdInteractiveAuthentication no',
      'PermitRootLogin yes',
      'MaxStartups 200:30:300',
      'PrintMotd no',
      // A test that blocks on a child does not empty the pipe that sshd logs to.
      'LogLevel ERROR',
      '',
    ].join('\n'),
  );
  const hostKey = (await readFile(file('host_key.pub'), 'utf8')).split(' ').slice(0, 2).join(' ');
  await writeFile(file('known_hosts'), `[127.0.0.1]:${port} ${hostKey}\nmaster ${hostKey}\n`);
  await writeFile(
    file('config'),
    [
      'Host *',
      ...clientLines.map((line) => `  ${line}`),
      `  User ${userInfo().username}`,
      '  HostName 127.0.0.1',
      `  Port ${port}`,
      `  IdentityFile ${file('client_key')}`,
      '  IdentitiesOnly yes',
      `  UserKnownHostsFile ${file('known_hosts')}`,
      '  GlobalKnownHostsFile none',
      '  HostKeyAlias master',
      '',
    ].join('\n'),
  );
  // The user's own configuration, which salt-triage leaves alone: ssh takes its place from
  // passwd(5) and not from HOME, so the tests' ssh is a script that names another.
  await mkdir(file('bin'));
  await writeFile(file('bin/ssh'), `#!/bin/sh\nexec /usr/bin/ssh -F ${file('config')} "$@"\n`);
  await chmod(file('bin/ssh'), 0o755);

  const server = spawn(SSHD, ['-D', '-e', '-f', file('sshd_config')], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let log = '';
  server.stderr.on('data', (chunk: Buffer) => {
    log += chunk.toString();
  });
  await listening(port, server, () => log);
  return {
    port,
    directory,
    client: file('bin/ssh'),
    hostKey,
    async stop() {
      server.kill('SIGTERM');
      if (server.exitCode === null && server.signalCode === null) await once(server, 'exit');
      await rm(directory, { recursive: true, force: true });
    },
  };
}

async function freePort(): Promise<number> {
  const server = createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

async function listening(port: number, server: ChildProcess, log: () => string): Promise<void> {
  const deadline = Date.now() + 10_000;
  while (Date.now() < deadline && server.exitCode === null) {
    const socket = connect(port, '127.0.0.1');
    const up = await new Promise<boolean>((resolve) => {
      socket.once('data', () => resolve(true));
      socket.once('error', () => resolve(false));
      socket.once('close', () => resolve(false));
    });
    socket.destroy();
    if (up) return;
    await delay(20);
  }
  throw new Error(`sshd does not listen: ${log()}`);
}
