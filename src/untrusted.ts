/** What replaces a secret. */
const MASK = '***';

const SECRET_WORD =
  '(?:password|passwd|passphrase|secret|token|api[_-]?key|private[_-]?key|eauth|credentials?)';

/** A value: quoted (also Python's u'…'), or up to the next separator. */
const VALUE = `(?:[ub]?"(?:[^"\\\\]|\\\\.)*"?|[ub]?'(?:[^'\\\\]|\\\\.)*'?|[^\\s,;&)}\\]]+)`;

const KEY_AND_VALUE = new RegExp(
  `(${SECRET_WORD}[\\w-]{0,32}["']?\\s{0,8}[:=]\\s{0,8})${VALUE}`,
  'gi',
);
const OPTION_AND_VALUE = new RegExp(
  `(--?[\\w-]{0,32}${SECRET_WORD}[\\w-]{0,32}\\s{1,8})\\S+`,
  'gi',
);
const AUTHORIZATION =
  /(\bauthorization["']?\s{0,8}[:=]\s{0,8}["']?)((?:basic|bearer|digest|negotiate)\s{1,8})?[^\s"',;]+/gi;
const COOKIE = /(\b(?:set-)?cookie["']?\s{0,8}[:=]\s{0,8})[^\r\n]+/gi;
const URL_USER = /(\b[a-z][a-z0-9+.-]{0,32}:\/\/[^\s/:@'"]{0,256}:)[^\s/@'"]{1,1024}@/gi;
const PRIVATE_KEY =
  /-----BEGIN [A-Z ]{0,32}PRIVATE KEY-----[\s\S]*?(?:-----END [A-Z ]{0,32}PRIVATE KEY-----|$)/g;

const SECRET_OPTION = new RegExp(
  `^(--?[\\w-]{0,64}(?:${SECRET_WORD}|pass|pwd)[\\w-]{0,64})(=.*)?$`,
  'is',
);

/**
 * Masks what looks like a password, token, key, cookie or Authorization header in a line of text.
 * It may mask too much (`eauth=pam`); it must not mask too little.
 */
export function redactSecrets(text: string): string {
  return text
    .replace(PRIVATE_KEY, MASK)
    .replace(AUTHORIZATION, (_all, key: string, scheme: string | undefined) => {
      return `${key}${scheme ?? ''}${MASK}`;
    })
    .replace(COOKIE, `$1${MASK}`)
    .replace(OPTION_AND_VALUE, `$1${MASK}`)
    .replace(KEY_AND_VALUE, `$1${MASK}`)
    .replace(URL_USER, `$1${MASK}@`);
}

/**
 * Masks secrets of a command line: `--password x`, `--token=x`, `http://user:x@host`, and the same
 * inside a title that setproctitle made one spaced string (salt-facts §1.3).
 */
export function redactArgv(argv: readonly string[]): string[] {
  let valueFollows = false;
  return argv.map((argument) => {
    if (valueFollows && !argument.startsWith('--')) {
      valueFollows = false;
      return MASK;
    }
    const option = SECRET_OPTION.exec(argument);
    valueFollows = option !== null && option[2] === undefined;
    if (option !== null) return option[2] === undefined ? argument : `${option[1] ?? ''}=${MASK}`;
    return redactSecrets(argument);
  });
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
