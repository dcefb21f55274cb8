/** The faults that people make in a guard or a judge, one by one, as edits of a source. */
import { parseSync } from 'oxc-parser';
import { type Edit, without } from './edit.ts';
import { mutateRegex } from './mutate-regex.ts';
import { mutateShell } from './mutate-shell.ts';

/** A node of the syntax tree (ESTree), with its place in the source. */
interface Node {
  readonly type: string;
  readonly start: number;
  readonly end: number;
  readonly [field: string]: unknown;
}

/** A node and the nodes around it, the nearest last. */
interface Place {
  readonly node: Node;
  readonly above: readonly Node[];
}

const COMPARISONS: Readonly<Record<string, readonly string[]>> = {
  '===': ['!=='],
  '!==': ['==='],
  '<': ['<=', '>='],
  '<=': ['<', '>'],
  '>': ['>=', '<='],
  '>=': ['>', '<'],
};
const ARITHMETIC: Readonly<Record<string, string>> = { '+': '-', '-': '+', '*': '/', '/': '*' };
const OTHER_METHOD: ReadonlyMap<string, string> = new Map([
  ['some', 'every'],
  ['every', 'some'],
  ['startsWith', 'endsWith'],
  ['endsWith', 'startsWith'],
  ['min', 'max'],
  ['max', 'min'],
]);
const DROPPED_METHODS = new Set(['filter', 'slice', 'sort', 'reverse', 'trim', 'flat', 'replace']);
const SANITIZERS = /^(?:strip|redact|quote|tidy|safe|shown|mask)/;
/** Fields that people read. */
const FOR_PEOPLE = new Set(['title', 'summary', 'label', 'advice']);
/** A word that programs compare, not a line for people. */
const WORD = /^[A-Za-z-]+$/;

/**
 * Every fault of one source. Types, imports and words for people have none; a script in a template
 * has those of a shell script, a text given to `new RegExp` those of a regular expression.
 *
 * @param path tells the language by its end
 * @throws where the source can't be parsed
 */
export function mutate(path: string, source: string): Edit[] {
  const { program, errors } = parseSync(path, source);
  const [error] = errors;
  if (error !== undefined) throw new Error(`${path}: ${error.message}`);
  const all = [...places({ node: program as unknown as Node, above: [] })];
  const ofPatterns = patternStrings(all, source).flatMap(({ start, end }) =>
    mutateRegex(source.slice(start + 1, end - 1), start + 1, true),
  );
  const edits = [...all.flatMap((place) => editsAt(place, source)), ...ofPatterns]
    .filter(({ start, end, text }) => source.slice(start, end) !== text)
    .sort((a, b) => a.start - b.start || a.end - b.end);
  const keys = new Set<string>();
  return edits.filter(({ start, end, text }) => {
    const key = `${start} ${end} ${text}`;
    return !keys.has(key) && keys.add(key);
  });
}

function isNode(value: unknown): value is Node {
  return typeof value === 'object' && value !== null && 'type' in value && 'start' in value;
}

function* places({ node, above }: Place): Generator<Place> {
  if (/^(?:Import|ExportAll)/.test(node.type)) return;
  if (node.type.startsWith('TS') && !isNode(node['expression'])) return;
  yield { node, above };
  for (const [field, value] of Object.entries(node)) {
    if (field === 'typeAnnotation' || field === 'typeArguments') continue;
    for (const child of [value].flat()) {
      if (isNode(child)) yield* places({ node: child, above: [...above, node] });
    }
  }
}

function editsAt(place: Place, source: string): Edit[] {
  const { node, above } = place;
  const inside = (field: string) => node[field] as Node;
  switch (node.type) {
    case 'IfStatement':
    case 'ConditionalExpression':
      return become(inside('test'), 'true', 'false');
    case 'WhileStatement':
    case 'ForStatement':
      return isNode(node['test']) ? become(inside('test'), 'false') : [];
    case 'ArrowFunctionExpression':
      return isBoolean(inside('body')) ? become(inside('body'), 'true', 'false') : [];
    case 'ReturnStatement':
      return isNode(node['argument']) && isBoolean(node['argument'])
        ? become(node['argument'], 'true', 'false')
        : [];
    case 'LogicalExpression': {
      const [left, right] = [inside('left'), inside('right')];
      const onlyRight = without(left.start, right.start);
      return node['operator'] === '??' ? [onlyRight] : [onlyRight, without(left.end, right.end)];
    }
    case 'BinaryExpression':
      return mutateOperator(node, source);
    case 'UnaryExpression':
      return node['operator'] === '!' ? [without(node.start, inside('argument').start)] : [];
    case 'CallExpression':
      return mutateCall(node, source);
    case 'ArrayExpression':
      return mutateList(node['elements'] as (Node | null)[]);
    case 'ExpressionStatement':
      return /^(?:Call|Await|Assignment|Update)/.test(inside('expression').type) ? cut(node) : [];
    case 'BreakStatement':
    case 'ContinueStatement':
      return become(node, ';');
    case 'TemplateLiteral':
      return isShell(source.slice(node.start, node.end))
        ? mutateShell(source.slice(node.start + 1, node.end - 1), node.start + 1)
        : [];
    case 'Literal':
      return mutateLiteral(node, above.at(-1), source);
    default:
      return [];
  }
}

function become({ start, end }: Node, ...texts: string[]): Edit[] {
  return texts.map((text) => ({ start, end, text }));
}

function cut({ start, end }: Node): Edit[] {
  return [{ start, end, text: ';' }];
}

/** What is surely a boolean by its look: no value is lost where `true` stands for it. */
function isBoolean({ type, operator }: Node): boolean {
  if (type === 'BinaryExpression') return COMPARISONS[String(operator)] !== undefined;
  return type === 'UnaryExpression' ? operator === '!' : false;
}

function mutateOperator(node: Node, source: string): Edit[] {
  const [left, right] = [node['left'] as Node, node['right'] as Node];
  const between = source.slice(left.end, right.start);
  const operator = String(node['operator']);
  const start = left.end + between.indexOf(operator);
  const text = [left, right].some(({ type, value }) => {
    return type === 'TemplateLiteral' || typeof value === 'string';
  });
  const others = COMPARISONS[operator] ?? (text ? [] : [ARITHMETIC[operator] ?? operator]);
  return others.map((other) => ({ start, end: start + operator.length, text: other }));
}

function mutateCall(node: Node, source: string): Edit[] {
  const callee = node['callee'] as Node;
  const given = node['arguments'] as Node[];
  const [first] = given;
  if (callee.type === 'Identifier') {
    if (!SANITIZERS.test(String(callee['name'])) || first === undefined) return [];
    return [{ start: node.start, end: node.end, text: source.slice(first.start, first.end) }];
  }
  if (callee.type !== 'MemberExpression' || callee['computed'] === true) return [];
  const [object, property] = [callee['object'] as Node, callee['property'] as Node];
  const name = String(property['name']);
  const edits: Edit[] = [];
  const sanitizing = name === 'map' && SANITIZERS.test(String(first?.['name']));
  if (DROPPED_METHODS.has(name) || sanitizing) edits.push(without(object.end, node.end));
  const other = OTHER_METHOD.get(name);
  if (other !== undefined) edits.push(...become(property, other));
  return edits;
}

function mutateList(elements: readonly (Node | null)[]): Edit[] {
  const nodes = elements.filter(isNode);
  return nodes.map((node, index) => {
    const next = nodes[index + 1];
    const last = nodes[index - 1];
    if (next !== undefined) return without(node.start, next.start);
    return last === undefined ? without(node.start, node.end) : without(last.end, node.end);
  });
}

function mutateLiteral(node: Node, parent: Node | undefined, source: string): Edit[] {
  const { value } = node;
  if (typeof value === 'boolean') return become(node, String(!value));
  if (typeof value === 'number') return become(node, String(value < 10 ? value + 1 : value * 2));
  if (isNode(node['regex']) || typeof node['regex'] === 'object') {
    const text = source.slice(node.start, node.end);
    const close = text.lastIndexOf('/');
    const flag = text.indexOf('i', close);
    return [
      ...mutateRegex(text.slice(1, close), node.start + 1, false),
      ...(flag === -1 ? [] : [without(node.start + flag, node.start + flag + 1)]),
    ];
  }
  if (typeof value !== 'string' || !WORD.test(value) || parent === undefined) return [];
  const decides = /^(?:Return|Conditional|ArrayExp|SwitchCase|Assignment|VariableDecl|Binary)/;
  const named =
    parent.type === 'Property' &&
    parent['value'] === node &&
    !FOR_PEOPLE.has(String((parent['key'] as Node)['name']));
  return named || decides.test(parent.type) ? become(node, `'${value}~'`) : [];
}

/** The strings that a `new RegExp` is made of: its own, and the constants that stand in it. */
function patternStrings(all: readonly Place[], source: string): Node[] {
  const given = all
    .filter(({ node }) => node.type === 'NewExpression')
    .filter(({ node }) => (node['callee'] as Node)['name'] === 'RegExp')
    .flatMap(({ node }) => (node['arguments'] as Node[]).slice(0, 1));
  const inGiven = given.map(({ start, end }) => source.slice(start, end)).join('\n');
  const constants = all
    .filter(({ node }) => node.type === 'VariableDeclarator' && isNode(node['init']))
    .filter(({ node }) => inGiven.includes(`\${${String((node['id'] as Node)['name'])}}`))
    .map(({ node }) => node['init'] as Node);
  return [...given, ...constants].filter(
    ({ type, value }) => type === 'TemplateLiteral' || typeof value === 'string',
  );
}

/** Several lines with a test, a loop or a pipe. */
function isShell(text: string): boolean {
  return /\[ | && | \|\| |\| (?:sed|grep|head)|\bdone\b|\btrap\b/.test(text);
}
