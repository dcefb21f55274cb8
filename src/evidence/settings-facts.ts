/** Settings that bear on how salt-api fares under load. */

/** Settings that bear on how salt-api fares under load. */
export type SettingsFacts = Readonly<Record<string, never>>;
