/** What of saved evidence is read as `VersionsFacts`. */
import * as v from 'valibot';

export const versionsSchema = v.strictObject({});
