import { type Edit, editsOf } from './edit.ts';

const COMPARISONS: Readonly<Record<string, string>> = {
  '=': '!=',
  '!=': '=',
  '-n': '-z',
  '-z': '-n',
  '-lt': '-le',
  '-le': '-lt',
  '-gt': '-ge',
  '-ge': '-gt',
  '-eq': '-ne',
  '-ne': '-eq',
  '-e': '! -e',
};

/**
 * Faults of a shell script that stands in a template: tests that are always true, always false or
 * the other way round, other numbers and signals, and patterns of sed and grep that fit elsewhere.
 * Sizes and pauses are left as they are.
 *
 * @param text as the source has it
 * @param offset of the script in its source
 */
export function mutateShell(text: string, offset: number): Edit[] {
  // Comments, and what TypeScript puts in, have no faults of a shell.
  const script = text
    .replace(/(?<=^|\n)\s*#[^\n]*/g, (comment) => ' '.repeat(comment.length))
    .replace(/(?<!\\)\$\{[^}]*\}/g, (value) => 'x'.repeat(value.length));
  const edits = (pattern: RegExp, faulty: (word: string) => string) =>
    editsOf(script, offset, pattern, ([word]) => faulty(word));
  return [
    ...edits(/(?<=\[ )[^\]\n]+(?= \])/g, () => '1 = 1'),
    ...edits(/(?<=\[ )[^\]\n]+(?= \])/g, () => '1 = 0'),
    ...edits(/(?<=\[ (?:[^\]\n]* )?)(?:!?=|-[a-z]+)(?= )/g, (word) => COMPARISONS[word] ?? word),
    ...edits(/(?<=\s)(?:&&|\|\|)(?=\s)/g, (word) => (word === '&&' ? '||' : '&&')),
    ...edits(/(?<=[\s"({=:<>])(?<!(?:sleep|-n|-c|-m) )\d+(?=[\s"`;)}]|$)/g, other),
    ...edits(/(?<=kill )-9/g, () => '-15'),
    ...edits(/(?<=\bgrep )-q\b/g, () => '-qv'),
    ...edits(/(?<=\bod -An )-v /g, () => ''),
    ...edits(/(?<=')s\/[^']*\/[^']*\/[gp]?(?=')/g, () => 's/^$//'),
    ...edits(/(?<=s\/)\^(?=[^/])/g, () => ''),
    ...edits(/(?<=s\/[^']*)\$(?=\/)/g, () => ''),
    ...edits(/\.\*(?=\))/g, () => '[^)]*'),
    ...edits(
      /(?<=\n *)(?:trap|export|unset|rm|mkdir|read|exec|set --)\b[^\n;|]*(?=[\n;])/g,
      () => ':',
    ),
    ...edits(/\breturn\b|\bexit 0\b/g, () => ':'),
  ];
}

function other(digits: string): string {
  return String(Number(digits) < 10 ? Number(digits) + 1 : Number(digits) * 2);
}
