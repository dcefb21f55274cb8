import { readlinkSync } from 'node:fs';
import { userInfo } from 'node:os';
import { tryReadKernelFile } from '../host/local/proc-files.ts';

/** Who runs a fix: as whom, and the person behind that. */
export interface Who {
  readonly uid: number;
  /** Null where the uid has no name, as in many containers. */
  readonly user: string | null;
  /** Who called sudo (sudo(8), `SUDO_USER`). */
  readonly sudoUser: string | null;
  /** The uid that logged in, which neither sudo nor su changes (pam_loginuid(8)). */
  readonly loginUid: number | null;
  readonly tty: string | null;
  /** Address of the ssh client, where sudo has left it in the environment. */
  readonly sshClient: string | null;
}

/** Reads who we are. What can't be told is null. */
export function readWho(environment: NodeJS.ProcessEnv = process.env): Who {
  const { SUDO_USER: sudoUser, SSH_CONNECTION: connection, SSH_CLIENT: client } = environment;
  return {
    uid: process.getuid?.() ?? -1,
    user: userName(),
    sudoUser: sudoUser || null,
    loginUid: parseLoginUid(tryReadKernelFile('/proc/self/loginuid')),
    tty: terminal(),
    sshClient: (connection || client)?.split(' ')[0] || null,
  };
}

/** `alice (as root, on pts/3, from 10.2.3.4)`: for a line of text. */
export function describeWho(
  who: Pick<Who, 'uid' | 'user' | 'sudoUser' | 'tty' | 'sshClient'>,
): string {
  const account = who.user ?? `uid ${who.uid}`;
  const about = [
    ...(who.sudoUser === null ? [] : [`as ${account}`]),
    ...(who.tty === null ? [] : [`on ${who.tty.replace(/^\/dev\//, '')}`]),
    ...(who.sshClient === null ? [] : [`from ${who.sshClient}`]),
  ];
  return `${who.sudoUser ?? account}${about.length > 0 ? ` (${about.join(', ')})` : ''}`;
}

/** -1, as an unsigned number, is "nobody has logged in": cron, boot. */
function parseLoginUid(text: string | null): number | null {
  const uid = Number(text?.trim() || Number.NaN);
  return Number.isSafeInteger(uid) && uid < 0xffff_ffff ? uid : null;
}

function userName(): string | null {
  try {
    return userInfo().username;
  } catch {
    return null;
  }
}

function terminal(): string | null {
  for (const fd of [0, 2, 1]) {
    try {
      const target = readlinkSync(`/proc/self/fd/${fd}`);
      if (/^\/dev\/(?:pts\/\d+|tty|console)/.test(target)) return target;
    } catch {
      // Closed, or no /proc: the next one.
    }
  }
  return null;
}
