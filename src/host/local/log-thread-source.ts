/** In the bundle, which is one file, this is the text of the thread (`bin/build.mjs`). */
export const logThread: string | URL = new URL('./api-log-thread.ts', import.meta.url);
