/**
 * How a check comes to whoever asked. The file starts as a shell script (bin/front.sh) that waits
 * for node with a clock of its own: to it a result is handed in lines that it knows. Started as
 * `node salt-triage.cjs check` there is none, and text is text.
 */
const FRONT = /^\d{1,10}$/.exec(process.env['SALT_API_CHECK_FRONT'] ?? '')?.[0];

/** Stands for the reason in what is said in place of a result. */
export const WHY = '@why@';

/**
 * Prints what came of the check, the last thing that is done.
 * @returns whether it could be printed
 */
export function handOver(text: string, code: number): Promise<boolean> {
  const whole = FRONT === undefined ? text : `::${FRONT} result ${code}\n${text}::${FRONT} end\n`;
  return new Promise((resolve) => {
    process.stdout.write(whole, (error) => resolve(error === null || error === undefined));
  });
}

/** What the shell is to print in our place should we come to nothing; {@link WHY} is its to fill in. */
export function handOverOtherwise(text: () => string, code: number): void {
  if (FRONT === undefined) return;
  process.stdout.write(`::${FRONT} otherwise ${code}\n${text()}::${FRONT} end\n`);
}
