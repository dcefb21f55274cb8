/** What the threads of the salt-api processes wait for. */

/** What the threads of the salt-api processes wait for. */
export type WorkersFacts = Readonly<Record<string, never>>;
