// Plain text of the help as mdoc(7), the language of man pages.

/** Words as they are: none of them is a request, and what is copied from the page can be typed. */
export function mdocText(text) {
  return text
    .replaceAll('\\', '\\e')
    .replaceAll('-', '\\-')
    .replaceAll("'", '\\(aq')
    .replaceAll('`', '\\(ga')
    .replaceAll('^', '\\(ha')
    .replaceAll('~', '\\(ti')
    .replace(/^\./, '\\&.');
}

/** Arguments of a macro: no word is taken for another macro, or for punctuation. */
export function mdocArguments(text) {
  return mdocText(text)
    .replaceAll('"', '\\(dq')
    .split(' ')
    .map((word) => (/^(?:[A-Z%][a-z0-9]{1,2}|[.,:;()[\]?!|])$/.test(word) ? `\\&${word}` : word))
    .join(' ');
}

/** A paragraph: each sentence begins a line, as mdoc wants it. */
export function mdocProse(text) {
  return text
    .replace(/\s+/g, ' ')
    .trim()
    .replace(/([.?!]) (?=[A-Z0-9/-])/g, '$1\n')
    .split('\n')
    .map(mdocText);
}

/** Terms, each with what it means. */
export function mdocList(rows) {
  const width = Math.max(...rows.map(({ term }) => term.length));
  const lines = width + Math.max(...rows.map(({ text }) => text.length));
  const items = rows.flatMap(({ term, text }) => [
    `.It Sy ${mdocArguments(term)}`,
    ...mdocProse(text),
  ]);
  return [
    `.Bl -tag -width ${width > 16 && lines > 70 ? 'Ds' : 'n'.repeat(width)} -compact`,
    ...items,
    '.El',
  ];
}

/** Lines as they are. */
export function mdocLiteral(lines) {
  const indent = Math.min(...lines.map((line) => line.search(/\S/)));
  const plain = lines.map((line) => mdocText(line.slice(indent)));
  return ['.Bd -literal -offset indent', ...plain, '.Ed'];
}

/**
 * A help topic without its title: headings, paragraphs, lists of terms or of points, and what is
 * to be typed. How each is told from the others is how the topics are written: what is indented
 * is no prose, and two blanks part a term from its meaning.
 */
export function mdocTopic(text) {
  const [, ...blocks] = text.trimEnd().split(/\n{2,}/);
  const out = [];
  for (const [index, block] of blocks.entries()) {
    const lines = block.split('\n');
    const at = lines.findIndex((line) => line.startsWith(' '));
    const prose = at === -1 ? lines : lines.slice(0, at);
    const indented = at === -1 ? [] : lines.slice(at);
    const [first = ''] = prose;
    // "Never killed are" begins a sentence, which points go on with.
    const begins = blocks[index + 1]?.startsWith('  - ');
    if (prose.length === 1 && !/[.:]$/.test(first) && !begins)
      out.push(`.Ss ${mdocArguments(first)}`);
    else if (prose.length > 0) out.push('.Pp', ...mdocProse(prose.join(' ')));
    if (indented.length > 0) out.push(...indentedBlock(indented));
  }
  // A heading has its own space.
  return out.filter((line, at) => line !== '.Pp' || !(out[at - 1] ?? '.Ss ').startsWith('.Ss '));
}

function indentedBlock(lines) {
  const points = pointsOf(lines);
  if (points !== null) {
    const items = points.flatMap((point) => ['.It', ...mdocProse(point)]);
    return ['.Pp', '.Bl -bullet -compact', ...items, '.El'];
  }
  const rows = rowsOf(lines);
  return rows === null ? mdocLiteral(lines) : ['.Pp', ...mdocList(rows)];
}

/** `- point`, with lines that go on; null for anything else. */
function pointsOf(lines) {
  const points = [];
  for (const line of lines) {
    const [, begun] = /^ *- (.*)$/.exec(line) ?? [];
    if (begun !== undefined) points.push(begun);
    else if (points.length === 0) return null;
    else points[points.length - 1] += ` ${line.trim()}`;
  }
  return points;
}

/** Terms with their meaning behind or below; null for anything else. */
function rowsOf(lines) {
  const rows = [];
  let column = null;
  for (const line of lines) {
    const indent = line.search(/\S/);
    const row = rows.at(-1);
    if (row !== undefined && row.text === '' && indent > row.indent) column = indent;
    if (row !== undefined && indent === column) {
      row.text += ` ${line.trim()}`;
      continue;
    }
    const [whole, term = line.trim(), text = ''] = /^ *(\S+(?: \S+)*) {2,}(\S.*)$/.exec(line) ?? [];
    rows.push({ term, text, indent });
    column = whole === undefined ? null : line.length - text.length;
  }
  return rows.every(({ text }) => text !== '') ? rows : null;
}
