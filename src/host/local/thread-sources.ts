/** In the bundle, which is one file, these are the texts of the threads (`bin/build.mjs`). */
export const logThread: string | URL = new URL('./api-log-thread.ts', import.meta.url);
export const tablesThread: string | URL = new URL('./proc-tables-thread.ts', import.meta.url);
