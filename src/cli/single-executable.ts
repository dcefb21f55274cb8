/**
 * What salt-triage does itself where it is one executable with Node in it (`bin/package/`): there
 * the shell script at the top of the file is no script, and no node is there to run another file.
 */
import { basename, isAbsolute } from 'node:path';
import { getAsset } from 'node:sea';
import { compileFunction } from 'node:vm';
import { SALT_API_SCRIPT, SERVICE_SCRIPT } from '../drill/scripts.ts';
import { isDrillDirectory } from '../evidence/salt-api-argv.ts';

/** The front (`bin/front.sh`), by the name that the build gives it. */
const FRONT = 'front.sh';

const DRILL_SCRIPTS = new Map([
  ['salt-api', SALT_API_SCRIPT],
  ['salt-api-service', SERVICE_SCRIPT],
]);

/**
 * Plays a process of a drill where the first word is the path of one of a drill's two scripts, which
 * is what a drill starts its processes with. What is run is our own text; the file is only the name
 * that the process goes by.
 * @returns false where it is a command like any other
 */
export function actAsDrillScript(words: readonly string[]): boolean {
  const [path = ''] = words;
  const script = DRILL_SCRIPTS.get(basename(path));
  if (script === undefined || !isAbsolute(path) || !isDrillDirectory(path)) return false;
  process.argv.splice(1, process.argv.length, ...words);
  compileFunction(script, ['require'], { filename: path })(process.getBuiltinModule);
  return true;
}

/**
 * A check runs behind the shell script that keeps the time: it takes the place of this process, and
 * starts the executable again. Returns where it has done so before, and for every other command.
 */
export function startBehindFront(words: readonly string[]): void {
  if (words[0] !== 'check' || process.env['SALT_API_CHECK_FRONT'] !== undefined) return;
  const script = `runtime=\n${getAsset(FRONT, 'utf8')}`;
  if ('execve' in process && typeof process.execve === 'function') {
    process.execve('/bin/sh', ['sh', '-c', script, process.execPath, ...words]);
  }
}
