/** What of saved evidence is read as `ClientsFacts`. */
import * as v from 'valibot';
import { CALL_KINDS, MAX_CLIENTS, MAX_MINUTES } from './clients-facts.ts';
import { list, maybeText, maybeTime, milliseconds, text, whole } from './schema-parts.ts';

/** Live, rotated, and those of a second log. */
const MAX_LOGS = 50;

const perMinute = { firstMinute: milliseconds, counts: list(whole, MAX_MINUTES) };

export const clientsSchema = v.strictObject({
  logs: list(
    v.strictObject({
      kind: v.picklist(['api-log', 'access-file']),
      path: text,
      bytesRead: whole,
      calls: whole,
    }),
    MAX_LOGS,
  ),
  accessFile: maybeText,
  reach: v.picklist(['all', 'window', 'bytes', 'time', 'unread']),
  from: maybeTime,
  lastCallAt: maybeTime,
  all: v.strictObject(perMinute),
  clients: list(
    v.strictObject({
      address: text,
      agent: maybeText,
      calls: whole,
      kinds: v.strictObject(v.entriesFromList(CALL_KINDS, whole)),
      ...perMinute,
    }),
    MAX_CLIENTS,
  ),
  furtherClients: whole,
  logins: list(v.strictObject({ address: text, user: text, count: whole }), MAX_CLIENTS),
  processLogins: list(
    v.strictObject({
      pid: v.nullable(whole),
      begun: whole,
      ended: whole,
      lastBegunAt: milliseconds,
    }),
    MAX_CLIENTS,
  ),
  syncCalls: whole,
  notes: list(text, MAX_LOGS),
});
