/** What of saved evidence is read as `Background`. */
import * as v from 'valibot';
import { type Background, NO_BACKGROUND } from './background.ts';
import { clientsSchema } from './clients-schema.ts';
import { masterSchema } from './master-schema.ts';
import { look } from './schema-parts.ts';
import { settingsSchema } from './settings-schema.ts';
import { versionsSchema } from './versions-schema.ts';
import { workersSchema } from './workers-schema.ts';

const { clients, workers, master, versions, settings } = NO_BACKGROUND;

/** A section that is missing was not looked at: the file is older than it. */
export const backgroundSchema = v.strictObject({
  clients: v.optional(look(clientsSchema), clients),
  workers: v.optional(look(workersSchema), workers),
  master: v.optional(look(masterSchema), master),
  versions: v.optional(look(versionsSchema), versions),
  settings: v.optional(look(settingsSchema), settings),
}) satisfies v.GenericSchema<unknown, Background>;
