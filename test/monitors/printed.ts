/** What `check --example` prints, as the files that it names. */
import { runCli } from '../cli/run.ts';

/** @returns the text of each file by its path */
export async function printed(monitor: string): Promise<Map<string, string>> {
  const { stdout, code, stderr } = await runCli(['check', '--example', monitor]);
  if (code !== 0) throw new Error(stderr);
  const [, ...parts] = stdout.split(/^# ==> /m);
  return new Map(
    parts.map((part) => {
      const end = part.indexOf('\n');
      return [part.slice(0, end), part.slice(end + 1)];
    }),
  );
}
