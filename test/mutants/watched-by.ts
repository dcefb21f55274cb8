/** Which fast tests ought to notice a fault of which source. Those that notice most stand first. */
export const WATCHED_BY: Readonly<Record<string, readonly string[]>> = {
  'src/untrusted.ts': ['untrusted.test.ts'],
  'src/evidence/salt-api-argv.ts': [
    'evidence/salt-api-argv.test.ts',
    'evidence/resolve.test.ts',
    'diagnosis/process-roles.test.ts',
  ],
  'src/evidence/resolve.ts': ['evidence/resolve.test.ts'],
  'src/host/kill-guard.ts': ['host/kill-guard.test.ts'],
  'src/host/local/local-actions.ts': ['host/local-actions.test.ts', 'host/kill-guard.test.ts'],
  'src/host/ssh/action-scripts.ts': ['ssh/action-scripts.test.ts'],
  'src/diagnosis/process-roles.ts': [
    'diagnosis/process-roles.test.ts',
    'diagnosis/captures.test.ts',
    'diagnosis/properties.test.ts',
  ],
  'src/diagnosis/orphan-signs.ts': [
    'diagnosis/process-roles.test.ts',
    'diagnosis/captures.test.ts',
    'diagnosis/properties.test.ts',
  ],
  'src/diagnosis/orphan-takers.ts': ['diagnosis/process-roles.test.ts'],
  'src/diagnosis/verdict.ts': [
    'diagnosis/process-roles.test.ts',
    'diagnosis/captures.test.ts',
    'diagnosis/socket-activation.test.ts',
    'diagnosis/properties.test.ts',
  ],
  'src/diagnosis/checks/orphans.ts': [
    'diagnosis/checks/orphans.test.ts',
    'diagnosis/checks/checks.test.ts',
    'diagnosis/captures.test.ts',
  ],
  'src/diagnosis/checks/port-holder.ts': [
    'diagnosis/checks/port-holder.test.ts',
    'diagnosis/socket-activation.test.ts',
    'diagnosis/checks/checks.test.ts',
    'diagnosis/captures.test.ts',
  ],
  'src/diagnosis/checks/close-wait.ts': [
    'diagnosis/checks/close-wait.test.ts',
    'diagnosis/checks/checks.test.ts',
  ],
  'src/diagnosis/checks/api-answers.ts': [
    'diagnosis/checks/api-answers.test.ts',
    'diagnosis/checks/checks.test.ts',
  ],
  'src/diagnosis/checks/api-log.ts': [
    'diagnosis/api-log.test.ts',
    'diagnosis/checks/checks.test.ts',
    'diagnosis/captures.test.ts',
  ],
  'src/plan/plan.ts': ['plan/plan.test.ts', 'plan/service.test.ts', 'fix/run-plan.test.ts'],
  'src/plan/service-manager.ts': ['plan/service.test.ts', 'plan/plan.test.ts'],
  'src/plan/service-refusals.ts': ['plan/service.test.ts', 'plan/plan.test.ts'],
  'src/fix/run-plan.ts': ['fix/run-plan.test.ts'],
  'src/report/next-command.ts': [
    'report/next-command.test.ts',
    'diagnosis/process-roles.test.ts',
    'plan/plan.test.ts',
  ],
  'src/report/screen.ts': ['report/screen.test.ts'],
  'src/report/fix-json.ts': ['report/fix-json.test.ts'],
};
