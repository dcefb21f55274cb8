/**
 * How a check comes to whoever asked. The file starts as a shell script (bin/front.sh) that waits
 * for node with a clock of its own: to it a result is handed in lines that it knows. Started as
 * `node salt-triage.cjs check` there is none, and text is text.
 */
const BEHIND_FRONT = process.env['SALT_API_CHECK_FRONT'] === '1';

/** Stands for the reason in what is said in place of a result. */
export const WHY = '@why@';

/** Prints what came of the check, the last thing that is done. */
export function handOver(text: string, code: number): void {
  process.stdout.write(BEHIND_FRONT ? `::result ${code}\n${text}::end\n` : text);
}

/** What the shell is to print in our place should we come to nothing; {@link WHY} is its to fill in. */
export function handOverOtherwise(text: () => string, code: number): void {
  if (BEHIND_FRONT) process.stdout.write(`::otherwise ${code}\n${text()}::end\n`);
}
