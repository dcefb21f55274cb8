/** Who called the API, how often, and what changed, as logs and sockets tell it. */

/** Who called the API, how often, and what changed, as logs and sockets tell it. */
export type ClientsFacts = Readonly<Record<string, never>>;
