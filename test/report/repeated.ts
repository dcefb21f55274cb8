/** What a next command repeats, for tests: the service is stopped and started by commands. */
import type { Repeated } from '../../src/report/next-command.ts';

export function repeated(flags: readonly string[] = [], more: Partial<Repeated> = {}): Repeated {
  const service = {
    service: 'auto',
    unit: 'salt-api',
    unitNamed: false,
    stopCommand: ['stop'],
    startCommand: ['start'],
  } as const;
  return {
    ...{ flags, fixFlags: flags, yes: false, only: undefined, restart: 'always', service },
    ...more,
  };
}
