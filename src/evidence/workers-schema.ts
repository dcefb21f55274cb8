/** What of saved evidence is read as `WorkersFacts`. */
import * as v from 'valibot';
import { list, MAX_SHORT, maybeText, signed, text, ticks, whole } from './schema-parts.ts';
import { MOST_ENDS, MOST_WAITS, type WorkersFacts } from './workers-facts.ts';

const waitedFor = v.strictObject({
  kind: v.picklist(['listener', 'caller', 'called']),
  address: text,
  port: v.pipe(whole, v.maxValue(65_535)),
});

const wait = v.strictObject({
  threads: whole,
  state: text,
  name: text,
  call: maybeText,
  channel: maybeText,
  on: list(waitedFor, MOST_ENDS),
});

export const workersSchema = v.strictObject({
  processes: list(
    v.strictObject({
      pid: whole,
      startTicks: ticks,
      threads: signed,
      sampled: whole,
      denied: whole,
      waits: list(wait, MOST_WAITS),
    }),
    MAX_SHORT,
  ),
  passedOver: whole,
}) satisfies v.GenericSchema<unknown, WorkersFacts>;
