/** What of saved evidence is read as `VersionsFacts`. */
import * as v from 'valibot';
import { list, maybeText, milliseconds, text, ticks, whole } from './schema-parts.ts';
import { COMPONENTS } from './versions-facts.ts';

const name = v.pipe(text, v.maxLength(300));

export const versionsSchema = v.strictObject({
  programs: list(
    v.strictObject({
      pid: whole,
      startTicks: ticks,
      ...v.entriesFromList(['interpreter', 'python'], maybeText),
      replaced: list(name, 5),
      packages: list(
        v.strictObject({
          name: v.picklist(COMPONENTS),
          version: v.pipe(text, v.maxLength(50)),
          path: text,
          changedAt: milliseconds,
        }),
        50,
      ),
    }),
    8,
  ),
});
