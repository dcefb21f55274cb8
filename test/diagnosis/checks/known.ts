/** What a check goes by, with roles that a test gives: who is who is told, and tested, elsewhere. */
import assert from 'node:assert/strict';
import type { Known } from '../../../src/diagnosis/checks/finding.ts';
import type { SaltApiProcess } from '../../../src/diagnosis/process-roles.ts';
import type { ProcessFacts } from '../../../src/evidence/evidence.ts';
import { readSaltApiArgv } from '../../../src/evidence/salt-api-argv.ts';
import { evidenceOf, type Situation } from '../situation.ts';

export interface Part {
  readonly facts: ProcessFacts;
  readonly role: SaltApiProcess['role'];
  readonly under?: number;
  readonly reasons?: readonly string[];
  readonly reparented?: boolean;
  readonly proven?: boolean;
}

interface Scene extends Omit<Situation, 'processes'> {
  readonly parts?: readonly Part[];
  /** Processes without a part. */
  readonly others?: readonly ProcessFacts[];
  readonly daemon?: number;
}

export function knownOf({ parts = [], others = [], daemon, ...situation }: Scene): Known {
  const all = parts.map(
    ({ facts, role, under = null, reasons = [`is ${role}`], ...signs }): SaltApiProcess => {
      const argv = readSaltApiArgv(facts.argv) ?? assert.fail(`${facts.pid} is no salt-api`);
      const proof = { servesInstead: [], reparented: true, proven: true, ...signs };
      return { facts, argv, role, reasons, under, ...proof };
    },
  );
  const processes = [...parts.map(({ facts }) => facts), ...others];
  return {
    ...evidenceOf({ processes, ...situation }),
    roles: { all, daemon: all.find(({ facts }) => facts.pid === daemon) ?? null },
  };
}
