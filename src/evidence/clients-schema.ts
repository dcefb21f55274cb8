/** What of saved evidence is read as `ClientsFacts`. */
import * as v from 'valibot';

export const clientsSchema = v.strictObject({});
