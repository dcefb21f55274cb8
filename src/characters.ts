/** Which characters the place that text goes to can show. */

/** Whether the locale's characters are UTF-8: LC_ALL before LC_CTYPE before LANG (locale(7)). */
export function speaksUtf8(): boolean {
  const { LC_ALL: all, LC_CTYPE: type, LANG: lang } = process.env;
  return /utf-?8/i.test(all || type || lang || '');
}

/** Text as the locale can show it; all that is printed past a screen goes through here. */
export function inLocale(text: string): string {
  return speaksUtf8() ? text : inAscii(text);
}

const IN_ASCII: Readonly<Record<string, string>> = {
  ...{ '…': '...', '×': 'x', '·': '-', '•': '*', '≤': '<=', '≥': '>=', '≈': '~', '≠': '!=' },
  ...{ '–': '-', '—': '-', '−': '-', '‐': '-', '‑': '-', '\u00a0': ' ', '\u202f': ' ' },
  ...{ '‘': "'", '’': "'", '‚': "'", '“': '"', '”': '"', '„': '"', '«': '"', '»': '"' },
  ...{ '→': '->', '←': '<-', '↑': '^', '↓': 'v', '›': '>', '❯': '>', '✔': '+', '✖': 'x' },
};

/**
 * Text in ASCII alone: what we write ourselves in another form, a stranger's letter as the `?` that
 * ls(1) has for what it can't print.
 */
export function inAscii(text: string): string {
  return text.replace(/[^\x00-\x7f]/gu, (character) => IN_ASCII[character] ?? '?');
}
