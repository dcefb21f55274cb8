// Makes the JSON Schema of all documents from their types (src/report/json-documents.ts), as the
// compiler sees them: `node bin/json-schema.mjs` writes it, with an argument to that file.
import { writeFileSync } from 'node:fs';
import { relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { API, SymbolFlags, TypeFlags } from 'typescript/unstable/sync';

const root = fileURLToPath(new URL('..', import.meta.url));
const output = process.argv[2] ?? `${root}src/report/json-schema.json`;
const tsconfig = `${root}tsconfig.json`;
const source = `${root}src/report/json-documents.ts`;

const PRIMITIVES = [
  [TypeFlags.Boolean, 'boolean'],
  [TypeFlags.String, 'string'],
  [TypeFlags.Number, 'number'],
];

const api = new API({ cwd: root });
const project = api.updateSnapshot({ openProjects: [tsconfig] }).getProject(tsconfig);
const { checker, program } = project;
const module = checker.getSymbolAtLocation(program.getSourceFile(source));
const named = new Map();
const definitions = {};

const documents = checker
  .getDeclaredTypeOfSymbol(checker.getMemberInModuleExports(module, 'JsonDocument'))
  .getTypes()
  .map(schemaOf);
const version = checker.getTypeOfSymbol(
  checker.getMemberInModuleExports(module, 'JSON_SCHEMA_VERSION'),
);
const schema = {
  $schema: 'https://json-schema.org/draft/2020-12/schema',
  title: 'What salt-triage prints with --json',
  description: `Documents of schemaVersion ${version.value}. New fields may come within a version; what there is keeps its name and meaning.`,
  anyOf: documents,
  $defs: Object.fromEntries(Object.entries(definitions).toSorted(([a], [b]) => (a < b ? -1 : 1))),
};
writeFileSync(output, `${JSON.stringify(schema, null, 2)}\n`);
api.close();

function schemaOf(type) {
  if (type.isUnionType()) return unionOf(type);
  if (type.flags & (TypeFlags.Any | TypeFlags.Unknown)) return {};
  if (type.flags & TypeFlags.Null) return { type: 'null' };
  if (type.isLiteralType()) return { const: type.value };
  for (const [flag, name] of PRIMITIVES) if (type.flags & flag) return { type: name };
  if (checker.isTupleType(type) || checker.isArrayLikeType(type)) return arrayOf(type);
  if (type.isObjectType() || type.isIntersectionType()) return referred(type, propertiesOf);
  throw new Error(`no schema for ${checker.typeToString(type)}`);
}

/** Literals are one list; the order of a union's members is the compiler's, so it is sorted. */
function unionOf(union) {
  return referred(union, () => {
    const members = union.getTypes().filter(({ flags }) => !(flags & TypeFlags.Undefined));
    const literals = members.filter((member) => member.isLiteralType());
    const both = literals.filter((member) => member.isBooleanLiteralType()).length === 2;
    const values = literals
      .filter((member) => !(both && member.isBooleanLiteralType()))
      .map(({ value }) => value);
    const alternatives = [
      ...(values.length === 1 ? [{ const: values[0] }] : []),
      ...(values.length > 1 ? [{ enum: values.toSorted() }] : []),
      ...(both ? [{ type: 'boolean' }] : []),
      ...members.filter((member) => !literals.includes(member)).map(schemaOf),
    ].toSorted((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1));
    return alternatives.length === 1 ? alternatives[0] : { anyOf: alternatives };
  });
}

function arrayOf(type) {
  const items = checker.getTypeArguments(type).map(schemaOf);
  return checker.isTupleType(type)
    ? { type: 'array', prefixItems: items, minItems: type.getTarget().fixedLength }
    : { type: 'array', items: items[0] };
}

function propertiesOf(type) {
  const properties = {};
  const required = [];
  for (const symbol of checker.getPropertiesOfType(type)) {
    const of = checker.getTypeOfSymbol(symbol);
    const described = symbol.getDocumentationComment(checker);
    properties[symbol.name] = { ...description(described), ...schemaOf(of) };
    const absent =
      of.isUnionType() && of.getTypes().some(({ flags }) => flags & TypeFlags.Undefined);
    if (!(symbol.flags & SymbolFlags.Optional) && !absent) required.push(symbol.name);
  }
  const [index] = checker.getIndexInfosOfType(type);
  return {
    type: 'object',
    ...(Object.keys(properties).length > 0 ? { properties, required } : {}),
    ...(index === undefined ? {} : { additionalProperties: schemaOf(index.valueType) }),
  };
}

/** What has a name of ours is defined once, and referred to. */
function referred(type, make) {
  const symbol = type.getAliasSymbol() ?? type.getSymbol();
  const [declaration] = symbol?.declarations ?? [];
  const generic = type.getAliasTypeArguments().length > 0 || symbol?.name.startsWith('__');
  const path = declaration?.path;
  if (generic || path === undefined || !relative(root, path).startsWith('src/')) return make(type);
  const name = symbol.name;
  if (!named.has(name)) {
    named.set(name, path);
    definitions[name] = { ...description(symbol.getDocumentationComment(checker)), ...make(type) };
  }
  if (named.get(name) !== path)
    throw new Error(`${name} is two types: ${path}, ${named.get(name)}`);
  return { $ref: `#/$defs/${name}` };
}

function description(text) {
  const words = text.replace(/\s+/g, ' ').trim();
  return words === '' ? {} : { description: words };
}
