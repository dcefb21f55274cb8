/** What `salt-triage help TOPIC` can tell; each text is loaded only when it is asked for. */

export interface Topic {
  readonly summary: string;
  /** Lines of at most 80 ASCII characters. */
  read(): Promise<string>;
}

export const TOPICS: Readonly<Record<string, Topic>> = {
  checks: {
    summary: 'what each step of diagnose looks at; what proves an orphan',
    read: async () => (await import('./checks.ts')).CHECKS_TOPIC,
  },
  verdicts: {
    summary: 'what each verdict means, and what fix does then',
    read: async () => (await import('./verdicts.ts')).VERDICTS_TOPIC,
  },
  repair: {
    summary: 'the steps of fix, its questions, the service',
    read: async () => (await import('./repair.ts')).REPAIR_TOPIC,
  },
  safety: {
    summary: 'what is never killed',
    read: async () => (await import('./safety.ts')).SAFETY_TOPIC,
  },
  trail: {
    summary: 'what is recorded of each fix, and where',
    read: async () => (await import('./trail.ts')).TRAIL_TOPIC,
  },
  'exit-codes': {
    summary: 'of each command',
    read: async () => (await import('./exit-codes.ts')).exitCodesTopic(),
  },
  json: {
    summary: 'the documents of --json; with --schema their JSON Schema',
    read: async () => (await import('./json.ts')).JSON_TOPIC,
  },
  ssh: {
    summary: 'other hosts, many hosts, hosts where only a paste is possible',
    read: async () => (await import('./ssh.ts')).SSH_TOPIC,
  },
  ansible: {
    summary: 'a tested playbook for a fleet, ready to be saved to a file',
    read: async () => (await import('./ansible.ts')).ANSIBLE_TOPIC,
  },
  settings: {
    summary: 'the settings files and their keys',
    read: async () => (await import('./settings.ts')).settingsTopic(),
  },
  environment: {
    summary: 'the variables that set options',
    read: async () => (await import('./environment.ts')).environmentTopic(),
  },
};
