/** What of saved evidence is read as `MasterFacts`. */
import * as v from 'valibot';

export const masterSchema = v.strictObject({});
