/** Holds what the program prints with `--json` against the JSON Schema that it ships. */
import assert from 'node:assert/strict';
import { Ajv2020, type ErrorObject, type ValidateFunction } from 'ajv/dist/2020.js';
import { jsonSchema } from '../../src/report/json-schema.ts';

type Node = Readonly<Record<string, unknown>>;

let validators: readonly ValidateFunction[] | undefined;

/**
 * Throws where a document is none that the schema describes, or has a field that it does not
 * name: a reader may find new fields, a test may not.
 * @param document as it was parsed
 */
export function conforms(document: unknown): void {
  validators ??= compile();
  let nearest: readonly ErrorObject[] | null = null;
  for (const validate of validators) {
    if (validate(document)) return;
    const errors = validate.errors ?? [];
    if (nearest === null || errors.length < nearest.length) nearest = errors;
  }
  assert.fail(`not of the JSON Schema: ${JSON.stringify(nearest)}\n${JSON.stringify(document)}`);
}

function compile(): ValidateFunction[] {
  const closed = close(jsonSchema()) as Node & { readonly anyOf: readonly Node[] };
  const ajv = new Ajv2020({ strict: true, strictTuples: false, allErrors: true });
  return closed.anyOf.map((one) => ajv.compile({ ...one, $defs: closed['$defs'] }));
}

/** With no room for fields that are not named. */
function close(schema: unknown): unknown {
  if (Array.isArray(schema)) return schema.map(close);
  if (typeof schema !== 'object' || schema === null) return schema;
  const node: Node = Object.fromEntries(Object.entries(schema).map(([k, v]) => [k, close(v)]));
  const open = node['type'] !== 'object' || !('properties' in node);
  return open || 'additionalProperties' in node ? node : { ...node, additionalProperties: false };
}
