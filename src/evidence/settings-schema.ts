/** What of saved evidence is read as `SettingsFacts`. */
import * as v from 'valibot';
import { flag, list, ticks, whole } from './schema-parts.ts';

export const settingsSchema = v.strictObject({
  programs: list(
    v.strictObject({
      pid: whole,
      startTicks: ticks,
      openFiles: v.nullable(whole),
      moreOpen: flag,
      ...v.entriesFromList(['mostFiles', 'residentBytes'], v.nullable(whole)),
    }),
    8,
  ),
});
