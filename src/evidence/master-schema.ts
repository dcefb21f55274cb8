/** What of saved evidence is read as `MasterFacts`. */
import * as v from 'valibot';
import type { MasterFacts } from './master-facts.ts';
import {
  flag,
  list,
  MAX_SHORT,
  milliseconds,
  portNumber,
  signed,
  text,
  texts,
  ticks,
  whole,
} from './schema-parts.ts';

const lying = v.strictObject({ connections: whole, bytes: whole });

export const masterSchema = v.strictObject({
  asked: v.strictObject({
    address: text,
    retPort: portNumber,
    publishPort: portNumber,
    socketDirectory: text,
  }),
  isHere: v.nullable(flag),
  installed: flag,
  processes: list(
    v.strictObject({
      pid: whole,
      ppid: signed,
      startTicks: ticks,
      state: text,
      threads: signed,
      title: text,
    }),
    MAX_SHORT,
  ),
  holders: v.nullable(list(whole, MAX_SHORT)),
  listeners: list(
    v.strictObject({ address: text, port: portNumber, acceptQueue: whole }),
    MAX_SHORT,
  ),
  backlog: v.strictObject({ acceptQueue: whole, unread: lying, unsent: lying }),
  stuck: v.nullable(v.strictObject({ connections: whole, afterMs: milliseconds })),
  ipc: v.nullable(v.strictObject({ files: texts, listening: texts })),
}) satisfies v.GenericSchema<unknown, MasterFacts>;
