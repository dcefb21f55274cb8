/** What of saved evidence is read as `WorkersFacts`. */
import * as v from 'valibot';

export const workersSchema = v.strictObject({});
