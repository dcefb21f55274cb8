/** HTML and SVG as text that is safe: whatever is put into a template is escaped, but markup itself. */
import { stripControl } from '../../untrusted.ts';

const ENTITIES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};

/** Text that a template of ours has made; nothing else can make one. */
export class Markup {
  readonly #text: string;

  private constructor(text: string) {
    this.#text = text;
  }

  /** For {@link markup} alone: its strings are those of the source. */
  static of(strings: TemplateStringsArray, values: readonly Part[]): Markup {
    const parts = strings.map((own, index) => own + textOf(values[index] ?? ''));
    return new Markup(parts.join(''));
  }

  toString(): string {
    return this.#text;
  }
}

/** What may stand in a template: text, which is escaped, and markup, which is not. */
type Part = string | number | Markup | readonly Markup[];

/**
 * A template of HTML or SVG: markup`<b>${text}</b>`. Attributes stand in double quotes. Control
 * characters, and those that reorder text, are taken out of whatever is put in.
 */
export function markup(strings: TemplateStringsArray, ...values: readonly Part[]): Markup {
  return Markup.of(strings, values);
}

export const NOTHING = markup``;

function textOf(value: Part): string {
  if (value instanceof Markup) return value.toString();
  if (typeof value === 'object') return value.map(String).join('');
  return escapeText(String(value));
}

function escapeText(text: string): string {
  return stripControl(text).replace(/[&<>"']/g, (character) => ENTITIES[character] ?? '');
}
