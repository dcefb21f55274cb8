/** The files beside the incidents in which checks keep their looks, one for each host and port. */
import { readdir } from 'node:fs/promises';

/** @param name the host as it was named, where one was, and the port, with a hyphen between */
export function looksFileName(name: string): string {
  return `check-${encodeURIComponent(name)}.json`;
}

/** More than the text of one ever takes, bytes. */
export const MAX_LOOKS_FILE = 256 * 1024;
/** More hosts than one operator's machine checks on one port. */
const MOST_FILES = 200;

/**
 * The names of the files in a directory with looks at a port, of whatever host.
 * @throws the error of readdir(3)
 */
export async function looksFilesOf(directory: string, port: number): Promise<string[]> {
  const pattern = new RegExp(`^check-(?:.+-)?${port}\\.json$`);
  return (await readdir(directory)).filter((name) => pattern.test(name)).slice(0, MOST_FILES);
}
