import { type Edit, without } from './edit.ts';

const QUANTIFIER = /^(?:\{\d+(?:,\d*)?\}|[*+?])\??/;

/**
 * Faults of a regular expression: an anchor, an alternative, a member of a class or a quantifier
 * less, and a class or a look-around that means the opposite.
 *
 * @param text the pattern as the source has it, `${…}` in it taken as one thing
 * @param offset of the pattern in its source
 * @param inString whether a string has it, where a backslash is two
 */
export function mutateRegex(text: string, offset: number, inString: boolean): Edit[] {
  const edits: Edit[] = [];
  /** Where the open group's alternatives begin, for each open group. */
  const groups: number[][] = [[0]];
  const closeGroup = (end: number) => {
    const starts = groups.pop() ?? [];
    if (starts.length < 2) return;
    starts.forEach((start, index) => {
      const next = starts[index + 1];
      edits.push(
        next === undefined
          ? without(offset + start - 1, offset + end)
          : without(offset + start, offset + next),
      );
    });
  };
  let at = 0;
  while (at < text.length) {
    const rest = text.slice(at);
    const atom = readAtom(rest, inString);
    const here = offset + at;
    if (rest.startsWith('(')) {
      const look = /^\(\?<?([=!])/.exec(rest);
      if (look !== null) {
        const sign = here + look[0].length - 1;
        edits.push({ start: sign, end: sign + 1, text: look[1] === '=' ? '!' : '=' });
      }
      groups.push([at + atom]);
    } else if (rest.startsWith(')')) closeGroup(at);
    else if (rest.startsWith('|')) groups.at(-1)?.push(at + 1);
    else if (/^(?:\^|\$(?!\{)|\\{1,2}b)/.test(rest)) {
      edits.push(without(here, here + atom));
    } else if (rest.startsWith('['))
      edits.push(...mutateClass(rest.slice(0, atom), here, inString));
    at += atom;
    const quantifier = QUANTIFIER.exec(text.slice(at))?.[0] ?? '';
    if (quantifier !== '' && !rest.startsWith('(') && !rest.startsWith('|')) {
      edits.push(without(offset + at, offset + at + quantifier.length));
      at += quantifier.length;
    }
  }
  closeGroup(text.length);
  return edits;
}

/** Length of what stands at the start: a class, an escape, a group's opening, or one character. */
function readAtom(rest: string, inString: boolean): number {
  if (rest.startsWith('[')) {
    let at = rest.startsWith('[^') ? 2 : 1;
    while (at < rest.length && rest.charAt(at) !== ']') at += readOne(rest.slice(at), inString);
    return at + 1;
  }
  const opening = /^\$\{[^}]*\}/.exec(rest) ?? /^\(\?(?:<?[=!]|:|<\w+>)/.exec(rest);
  return opening?.[0].length ?? readOne(rest, inString);
}

/** Length of one character of the pattern, or of the escape that stands for it. */
function readOne(rest: string, inString: boolean): number {
  const one = inString
    ? /^\\\\(?:u[\da-f]{4}|x[\da-f]{2}|p\{\w+\}|\\\\|[^\\])/i.exec(rest)
    : /^\\(?:u[\da-f]{4}|x[\da-f]{2}|p\{\w+\}|[\s\S])/i.exec(rest);
  return one?.[0].length ?? 1;
}

function mutateClass(text: string, offset: number, inString: boolean): Edit[] {
  const negated = text.startsWith('[^');
  const opening = negated ? 2 : 1;
  const edits: Edit[] = [{ start: offset, end: offset + opening, text: negated ? '[' : '[^' }];
  const members: Edit[] = [];
  let at = opening;
  while (at < text.length - 1) {
    const start = at;
    at += readOne(text.slice(at), inString);
    if (text.charAt(at) === '-' && at < text.length - 2) {
      at += 1;
      at += readOne(text.slice(at), inString);
    }
    members.push(without(offset + start, offset + at));
  }
  return members.length < 2 ? edits : [...edits, ...members];
}
