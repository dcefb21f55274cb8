/** One small fault to put into a source: what stands from `start` to `end` becomes `text`. */
export interface Edit {
  readonly start: number;
  readonly end: number;
  readonly text: string;
}

/** The edit as a cut. */
export function without(start: number, end: number): Edit {
  return { start, end, text: '' };
}

/** The source with the edit in it. */
export function apply(source: string, { start, end, text }: Edit): string {
  return source.slice(0, start) + text + source.slice(end);
}

/** Every match of a pattern as an edit of it, offset by where the text stands in its source. */
export function editsOf(
  text: string,
  offset: number,
  pattern: RegExp,
  faulty: (match: RegExpExecArray) => string,
): Edit[] {
  return [...text.matchAll(pattern)].map((match) => {
    const start = offset + match.index;
    return { start, end: start + match[0].length, text: faulty(match) };
  });
}
