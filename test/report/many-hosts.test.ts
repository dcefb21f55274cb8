/** The order in which many hosts are listed: what needs a person comes first. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { diagnoseEvidence } from '../../src/diagnosis/diagnosis.ts';
import { type VerdictCode, verdictExitCode } from '../../src/diagnosis/verdict.ts';
import { ExitCode, TriageError } from '../../src/errors.ts';
import { worstFirst } from '../../src/report/many-hosts.ts';
import { evidenceOf } from '../diagnosis/situation.ts';
import { repeated } from '../report/repeated.ts';

function outcome(name: string, code: VerdictCode) {
  const diagnosis = diagnoseEvidence(evidenceOf({ processes: [] }));
  const result = { ...diagnosis, verdict: { ...diagnosis.verdict, code } };
  return { name, result, repeated: repeated(), exitCode: verdictExitCode(code, false) };
}

test('incidents, then what could not be told, then what is well, each by kind and then by name', () => {
  const unreachable = {
    name: 'gone',
    result: new TriageError('gone: no route to host', 'look at its network', ExitCode.unknown),
    repeated: repeated(),
    exitCode: ExitCode.unknown,
  };
  const hosts = [
    outcome('well', 'healthy'),
    outcome('dim', 'degraded'),
    outcome('blind', 'unknown'),
    unreachable,
    outcome('down', 'down'),
    outcome('loop', 'restart-loop'),
    outcome('foreign', 'foreign-holder'),
    outcome('b-hung', 'hung'),
    outcome('a-hung', 'hung'),
    outcome('stray', 'orphan-stray'),
    outcome('orphan', 'orphan-holds-port'),
  ];
  assert.deepEqual(
    worstFirst(hosts).map(({ name }) => name),
    [
      ...['orphan', 'stray', 'a-hung', 'b-hung', 'foreign', 'loop', 'down'],
      ...['gone', 'blind'],
      ...['dim', 'well'],
    ],
  );
});
