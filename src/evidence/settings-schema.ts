/** What of saved evidence is read as `SettingsFacts`. */
import * as v from 'valibot';

export const settingsSchema = v.strictObject({});
