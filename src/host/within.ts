import { blind, type Look } from '../evidence/evidence.ts';

/**
 * A look that takes no longer than it may: one that does is blind.
 * @param ms how long it may take
 * @param what is looked at, as a sentence begins with it
 */
export async function within<T>(
  look: Promise<Look<T>>,
  ms: number,
  what: string,
): Promise<Look<T>> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<Look<T>>((resolve) => {
    const why = `${what} could not be read within ${Math.round(ms / 1000)} s`;
    timer = setTimeout(() => resolve(blind('timeout', why)), ms);
  });
  try {
    return await Promise.race([look, late]);
  } finally {
    clearTimeout(timer);
  }
}
