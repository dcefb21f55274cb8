/**
 * Text of strangers: log lines, titles, command lines, names. Secrets in it are masked, and what a
 * terminal would act on is taken out. Every step takes time in proportion to the text.
 */

/** What replaces a secret. */
const MASK = '***';

/** Names that hold a secret wherever they stand in a longer one: `ldappassword`, `X-Auth-Token`. */
const SECRET_WITHIN =
  /password|passwd|passphrase|passcode|secret|token|credential|eauth|sessionid|jwt|(?:api|private|access|shared|signing|encryption)key/;
/** Names that hold one as a whole, or as their last word: `db_pass`, `requirepass`, `bindpw`. */
const SECRET_LAST = /(?<!by|com|sur|tres)pass$|pwd?$|psk$|(?:^|[_-])(?:auth|sig|signature)$|^key$/;
/** Where the secret lies or how long it lasts, which operators need. */
const ABOUT_SECRETS = /(?:file|path|dir|directory|expires?|timeout|length|type)$/;

/**
 * Whether what stands behind a name is a secret: of a setting, a JSON field, a parameter or an
 * option. Of `auth.ldap.bindpw` the last part counts.
 */
function isSecretName(name: string): boolean {
  const last = name.slice(name.lastIndexOf('.') + 1).toLowerCase();
  if (ABOUT_SECRETS.test(last)) return false;
  return SECRET_WITHIN.test(last.replace(/[_-]/g, '')) || SECRET_LAST.test(last);
}

/** A name and what parts it from its value: `a=`, `a: `, `"a" => `, and `\"a\": ` in a string. */
const NAME_AND_SEPARATOR =
  /([a-z_][\w.-]{0,63})\\{0,4}["']?\s{0,8}(?:=>|:=|={1,3}|:)\s{0,8}(?:[ub](?=["']))?/gi;
/** An option whose value is the next word. */
const OPTION_AND_BLANK = /(?<![\w-])--?([a-z][\w.-]{0,63})\s{1,8}/gi;
/** `password is x`; a word that says how it is, such as `password is required`, is no password. */
const SAID =
  /\b(?:pass(?:word|wd|phrase|code)|pwd|token|secret|credentials?|api[ _-]?key)\s{1,8}(?:is|was)\s{1,8}(?!(?:not?|now|too|an?|the|set|unset|empty|required|missing|wrong|incorrect|invalid|valid|expired|unknown|none|null|given|needed|accepted|rejected|ok|correct|in|for|of|being|already)\b)/gi;
/** Basic authentication on a command line, as curl(1) has it: `-u user:x`, `--user=user:x`. */
const USER_AND_PASSWORD =
  /((?:^|(?<=[\s"']))(?:-[uU]\s{0,8}|--(?:proxy-)?user(?:\s{1,8}|=))["']?[^\s:"']{1,128}:)[^\s"']{1,1024}/g;
/** `-px` of mysql(1) and its like. Not `-p443`, nor a single-dashed word such as `-port`. */
const SHORT_PASSWORD =
  /(?<=^|[\s"'])-p(?![\d.,:/-]*(?:$|[\s"']))(?!(?:id|idfile|id-file|ort|ath|rint|rint0|erm|rune|refix|roto|rotocol|arent|riority|rocess|ackage|lugin|rofile|roxy|ipe|ython)(?:$|[\s"'=:]))[^\s"']{1,1024}/g;
/** sshpass(1) takes it as the next word. */
const SSHPASS = /(\bsshpass\s{1,8}-p\s{0,8})[^\s]{1,1024}/g;
/** A JSON Web Token: header, claims, signature (RFC 7519). */
const JSON_WEB_TOKEN = /(?<![\w-])eyJ[\w-]{5,}\.[\w-]{5,}(?:\.[\w-]*)?/g;
const AUTHORIZATION = /\bauthorization\\{0,4}["']?\s{0,8}[:=]\s{0,8}\\{0,4}["']?/gi;
const ONE_CREDENTIAL = /(?:basic|bearer|negotiate|ntlm|token|apikey)\s{1,8}/iy;
const OTHER_SCHEME = /(?:[\w-]{1,32}\s{1,8}(?=[^\s"',;]))?/iy;
const COOKIE = /(\b(?:set-)?cookie["']?\s{0,8}[:=]\s{0,8})[^\r\n]+/gi;
const SCHEME = /\b([a-z][a-z0-9+.-]{0,32}):\/\//gi;
const PRIVATE_KEY =
  /-----BEGIN [A-Z ]{0,32}PRIVATE KEY-----[\s\S]*?(?:-----END [A-Z ]{0,32}PRIVATE KEY-----|$)/g;

/**
 * Masks what looks like a password, token, key, cookie or Authorization header in a line of text,
 * command lines in it included. It may mask too much (`eauth=pam`); it must not mask too little.
 */
export function redactSecrets(text: string): string {
  let clean = text.replace(PRIVATE_KEY, MASK).replace(COOKIE, `$1${MASK}`);
  clean = maskBehind(clean, AUTHORIZATION, (_match, at) => credentialsAt(clean, at));
  clean = maskBehind(clean, SCHEME, ([, scheme = ''], at) => userOfUrlAt(clean, scheme, at));
  clean = maskBehind(clean, SAID, (_match, at) => valueAt(clean, at));
  clean = maskBehind(clean, NAME_AND_SEPARATOR, (match, at) => {
    if (!isSecretName(match[1] ?? '') || isLoggerOrDirectory(clean, match, at)) return null;
    return valueAt(clean, at);
  });
  clean = maskBehind(clean, OPTION_AND_BLANK, ([, name = ''], at) =>
    isSecretName(name) && !clean.startsWith('--', at) ? valueAt(clean, at) : null,
  );
  return clean
    .replace(USER_AND_PASSWORD, `$1${MASK}`)
    .replace(SSHPASS, `$1${MASK}`)
    .replace(SHORT_PASSWORD, (word) => (isSecretName(word.slice(1)) ? word : `-p${MASK}`))
    .replace(JSON_WEB_TOKEN, MASK);
}

/** A part of a text: where it begins, and where what follows it begins. */
type Span = readonly [from: number, to: number];

/**
 * Masks what stands behind each match.
 * @param secret where the secret is, given a match and where it ends; null where there is none
 */
function maskBehind(
  text: string,
  pattern: RegExp,
  secret: (match: RegExpMatchArray, end: number) => Span | null,
): string {
  const parts: string[] = [];
  let done = 0;
  for (const match of text.matchAll(pattern)) {
    if (match.index < done) continue;
    const span = secret(match, match.index + match[0].length);
    if (span === null || span[1] <= span[0]) continue;
    parts.push(text.slice(done, span[0]), MASK);
    done = span[1];
  }
  return parts.length === 0 ? text : parts.join('') + text.slice(done);
}

/** A value: quoted, also within a string (`\"x\"`), or up to the next separator. */
function valueAt(text: string, at: number): Span {
  let from = at;
  while (text[from] === '\\' && from - at < 4) from += 1;
  const quote = text[from];
  if (quote !== '"' && quote !== "'") return [at, endOf(text, at, /[\s,;&)}\]]/g)];
  const nested = from > at;
  for (let index = from + 1; index < text.length; index += 1) {
    if (text[index] === quote) return [at, index + 1];
    if (text[index] === '\\' && !nested) index += 1;
  }
  return [at, text.length];
}

function endOf(text: string, at: number, separator: RegExp): number {
  separator.lastIndex = at;
  return separator.exec(text)?.index ?? text.length;
}

/** The credentials of a header; the scheme stays where it is one that is known. */
function credentialsAt(text: string, at: number): Span {
  const quote = /["']/.exec(text[at - 1] ?? '')?.[0];
  ONE_CREDENTIAL.lastIndex = at;
  const known = ONE_CREDENTIAL.exec(text);
  const from = at + (known?.[0].length ?? 0);
  if (quote !== undefined)
    return [from, endOf(text, from, quote === '"' ? /["\\\r\n]/g : /['\r\n]/g)];
  if (known !== null) return [from, endOf(text, from, /[\s"',;]/g)];
  // Digest, AWS4-HMAC-SHA256 and OAuth have a list of parameters.
  OTHER_SCHEME.lastIndex = at;
  const credential = at + (OTHER_SCHEME.exec(text)?.[0].length ?? 0);
  const end = endOf(text, credential, /[\s"',;]/g);
  const listed = text.slice(credential, end).includes('=') || /["',]/.test(text[end] ?? '');
  return [at, listed ? endOf(text, end, /[\r\n]/g) : end];
}

/**
 * What a URL says of who asks: the password, or all of it where there is no name. It goes up to
 * the last `@` before the path, since a password may hold one.
 */
function userOfUrlAt(text: string, scheme: string, at: number): Span | null {
  let end = endOf(text, at, /[\s/?#"'<>\\]/g);
  const port = /^[^@[]{0,256}?:(?!\d{0,5}$)/.test(text.slice(at, end));
  // A password with a slash in it, which would have to be written %2F.
  if (port && !text.slice(at, end).includes('@')) {
    end = at + endOf(text.slice(at, at + 256), 0, /[\s"'<>]/g);
  }
  const last = text.slice(at, end).lastIndexOf('@');
  if (last <= 0) return null;
  const colon = text.slice(at, at + last).indexOf(':');
  if (colon === -1 && /^(?:ssh|sftp|rsync)$/i.test(scheme)) return null;
  return [at + colon + 1, at + last];
}

/** `[salt.auth   :123 ]` names who logged and the line of its code; `PWD=/root` a directory. */
function isLoggerOrDirectory(text: string, match: RegExpMatchArray, at: number): boolean {
  if (/^(?:OLD)?PWD$/.test(match[1] ?? '')) return text[at] === '/';
  const bracket = match.index !== undefined && text[match.index - 1] === '[';
  return (
    bracket && (match[1] ?? '').includes('.') && /^\d{1,6}\s{0,8}\]/.test(text.slice(at, at + 16))
  );
}

/**
 * Masks secrets of a command line, as {@link redactSecrets} does in one string: `--password x`,
 * `--token=x`, `http://user:x@host`, and the same inside a title that setproctitle made one
 * spaced string (salt-facts §1.3). Every word keeps its place.
 */
export function redactArgv(argv: readonly string[]): string[] {
  let announced: 'secret' | 'user' | null = null;
  return argv.map((word, index) => {
    const is = announced;
    announced = null;
    if (is === 'secret' && !word.startsWith('--')) return MASK;
    if (is === 'user') return word.replace(/^([^:]{1,128}:).+$/s, `$1${MASK}`);
    announced = announcedBy(word, argv[index - 1] ?? '');
    // All of it: a blank in it ends no word here.
    const [option, name = ''] = /^--?([a-z][\w.-]{0,63})=/i.exec(word) ?? [];
    if (option !== undefined && isSecretName(name)) return `${option}${MASK}`;
    return redactSecrets(word);
  });
}

/** What the word after an option is that stands alone. */
function announcedBy(word: string, before: string): 'secret' | 'user' | null {
  if (word === '-p' && /(?:^|\/)sshpass$/.test(before)) return 'secret';
  if (/^(?:-[uU]|--(?:proxy-)?user)$/.test(word)) return 'user';
  const name = /^--?([a-z][\w.-]{0,63})$/i.exec(word)?.[1];
  return name !== undefined && isSecretName(name) ? 'secret' : null;
}

/** ESC sequences whole, so that `\x1b[31m` leaves no `[31m` behind (ECMA-48 §5.4, §8.3.89). */
const ESCAPE_SEQUENCE =
  /(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]?|(?:\x1b[\]PX^_]|[\x90\x98\x9d-\x9f])[^\x07\x1b\x9c]*(?:\x07|\x1b\\|\x9c)?|\x1b[ -/]*[0-~]?/g;
const LONE_SURROGATE = /\p{Cs}/gu;
const WHITE_CONTROL = /[\t\n\v\f\r\u0085\u2028\u2029]+/g;
/** C0, DEL, C1, and what reorders or hides text: bidi controls, zero-width, byte order mark. */
const INVISIBLE =
  /[\u0000-\u001f\u007f-\u009f\u00ad\u061c\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufeff]/g;

/**
 * Makes a stranger's text one printable line: escape sequences and control characters are gone,
 * line breaks and tabs are a blank.
 */
export function stripControl(text: string): string {
  return text
    .replace(LONE_SURROGATE, '\ufffd')
    .replace(ESCAPE_SEQUENCE, '')
    .replace(WHITE_CONTROL, ' ')
    .replace(INVISIBLE, '');
}

/** The codes that chalk's named styles make (ECMA-48 §8.3.117), and no other. */
const OWN_COLOUR = /(\u001b\[(?:[12]|22|3[0-79]|90)m)/;

/**
 * Text as it may leave: of each line, what {@link stripControl} leaves of it.
 * @param coloured chalk's codes stay; who can put one in may colour a line, and no more
 */
export function printable(text: string, coloured = false): string {
  const line = coloured
    ? (part: string) =>
        part
          .split(OWN_COLOUR)
          .map((piece, at) => (at % 2 === 1 ? piece : stripControl(piece)))
          .join('')
    : stripControl;
  return text.split('\n').map(line).join('\n');
}

/** Lines of a host as the trail keeps them: one line each, secrets masked. */
export function recordedText(lines: readonly string[]): string {
  return lines.map((line) => `${redactSecrets(stripControl(line))}\n`).join('');
}

/** A command line as the trail keeps it: JSON, so that its words can be told apart. */
export function recordedArgv(argv: readonly string[]): string {
  return `${JSON.stringify(redactArgv(argv.map(stripControl)))}\n`;
}
