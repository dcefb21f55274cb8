/** Which releases run, and which are installed. */

/** Which releases run, and which are installed. */
export type VersionsFacts = Readonly<Record<string, never>>;
