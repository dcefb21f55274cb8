/** The Salt master that salt-api hands its calls to. */

/** The Salt master that salt-api hands its calls to. */
export type MasterFacts = Readonly<Record<string, never>>;
