/** Why ssh did not do it, told from what it wrote and the code it ended with (ssh(1)). Pure. */
import { ExitCode, TriageError } from '../../errors.ts';
import { stripControl } from '../../untrusted.ts';

/** How one run of ssh ended. */
export interface SshEnd {
  /** Null where it was ended by a signal. */
  readonly exitCode: number | null;
  /** The last of what ssh and the other side complained. */
  readonly stderr: string;
  /** The script had begun to answer. */
  readonly begun: boolean;
}

const COMMAND_NOT_FOUND = 127;
const SSH_FAILED = 255;

/** By what ssh writes in the C locale; the first that matches is the reason. */
const REASONS: readonly (readonly [pattern: RegExp, what: string, advice: string])[] = [
  [
    /Could not resolve hostname/,
    'its name is not known here',
    'Check the spelling, DNS, and the Host entries of ~/.ssh/config.',
  ],
  [
    /REMOTE HOST IDENTIFICATION HAS CHANGED/,
    'its host key has changed',
    'Find out why before you trust it: a reinstalled host, or somebody in between. Then: ssh-keygen -R HOST',
  ],
  [
    /Host key verification failed|host key is known/,
    'its host key is not known here',
    'Log in once with ssh and check the key, or add it to ~/.ssh/known_hosts.',
  ],
  [
    /Permission denied|Too many authentication failures|No supported authentication/,
    'the login was refused',
    'Check user and key: it must work as `ssh HOST true`, without a question when nobody is there to answer.',
  ],
  [
    /sudo:.*(?:password|terminal|tty)/,
    'sudo needs a password there',
    'Log in as root, or allow this user NOPASSWD in sudoers there.',
  ],
  [
    /sudo:|not in the sudoers|sudo.*not found/,
    'sudo does not let us',
    'Log in as root, or leave --sudo out and see less.',
  ],
  [
    /Connection refused/,
    'the connection was refused',
    'Is sshd running there, and on this port? Check Port in ~/.ssh/config.',
  ],
  [
    /timed out|timeout, server .* not responding/i,
    'it did not answer in time',
    'Is it up, and reachable from here? --connect-timeout gives it longer.',
  ],
  [
    /No route to host|Network is unreachable/,
    'no route to it from here',
    'Check the network, VPN or ProxyJump.',
  ],
  [
    /Cannot execute command-line and remote command/,
    'RemoteCommand in ~/.ssh/config is in the way',
    'Set `RemoteCommand none` for this host.',
  ],
];

/**
 * The host could not be reached, or was lost on the way. Exit code 3, as nothing is known of it:
 * a script that was under way may have run there or not.
 */
export class ConnectionFailure extends TriageError {
  constructor(message: string, advice: string, options?: ErrorOptions) {
    super(message, advice, ExitCode.unknown, options);
    this.name = 'ConnectionFailure';
  }
}

/** The error for an operator. */
export function sshFailure(name: string, end: SshEnd): ConnectionFailure {
  const said = lastWords(end.stderr);
  const known = REASONS.find(([pattern]) => pattern.test(end.stderr));
  if (!end.begun && known !== undefined) return failure(name, known[1], known[2], said);
  if (end.begun) {
    const what = 'the connection was lost midway';
    return failure(name, what, 'Look again: salt-triage diagnose shows what stands there.', said);
  }
  if (end.exitCode === COMMAND_NOT_FOUND) {
    return failure(name, 'no sh was found', 'It needs a POSIX sh on its PATH.', said);
  }
  if (end.exitCode === SSH_FAILED || end.exitCode === null) {
    return failure(name, 'the connection failed', 'Try `ssh -v HOST true`.', said);
  }
  const what = 'the login there did not run our script (restricted shell, forced command?)';
  return failure(name, what, 'Use a login with an ordinary shell, or `salt-triage probe`.', said);
}

function failure(name: string, what: string, advice: string, said: string): ConnectionFailure {
  const quoted = said === '' ? '' : ` (${said})`;
  return new ConnectionFailure(`${name}: ${what}${quoted}`, advice);
}

/** The last line, which is where ssh says it. */
function lastWords(stderr: string): string {
  const lines = stderr.split('\n').map((line) => stripControl(line).trim());
  const last = lines.filter(
    (line) => line !== '' && !/^debug\d:|^Connection to .* closed/.test(line),
  );
  return (last.at(-1) ?? '').slice(0, 160);
}
