import schema from './json-schema.json' with { type: 'json' };

/**
 * The JSON Schema (draft 2020-12) of every document that `--json` prints. It is made from the types
 * of the documents by bin/json-schema.mjs.
 */
export function jsonSchema(): object {
  return schema;
}
