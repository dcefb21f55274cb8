import { ExitCode } from '../../errors.ts';
import { collectorScript } from '../../host/ssh/collector-script.ts';
import { collectorParameters } from '../../host/ssh/ssh-host.ts';
import { resolveLookOptions } from '../look-options.ts';
import type { COMMANDS, Values } from '../options.ts';

/**
 * `salt-triage probe`: prints the script that `--host` sends, to be read and run by hand.
 * @throws TriageError for options that can't be used
 */
export async function probeCommand(flags: Values<typeof COMMANDS.probe>): Promise<ExitCode> {
  const { request, unit } = await resolveLookOptions(flags);
  process.stdout.write(collectorScript(collectorParameters(request, unit)));
  return ExitCode.ok;
}
