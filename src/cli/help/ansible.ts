/** A playbook as it stands: what is printed can be saved and run. */
export const ANSIBLE_TOPIC = `# salt-triage for a fleet: inventory, order and concurrency are Ansible's.
# Diagnoses salt-api on every host, runs fix where it has a plan, and fails a
# host that stays broken. All of this is YAML, ready to be run:
#
#   salt-triage help ansible > salt-triage.yml
#   ansible-playbook -i INVENTORY salt-triage.yml
#
# Where nothing is installed on the hosts, add delegate_to: localhost and
# --host {{ inventory_hostname }} to both commands.
- name: salt-api triage
  hosts: salt_masters
  gather_facts: false
  # One host at a time, and no further when one could not be fixed.
  serial: 1
  max_fail_percentage: 0
  vars:
    # Set in the inventory where they differ by host: how salt-triage is called,
    # and with which options.
    program: "{{ salt_triage | default(['salt-triage']) }}"
    options: "{{ salt_triage_options | default([]) }}"
    fix_options: "{{ salt_triage_fix_options | default([]) }}"
    fixable: [orphan-holds-port, orphan-stray, hung, restart-loop, down]
  tasks:
    - name: diagnose
      ansible.builtin.command:
        argv: "{{ program + ['diagnose', '--json'] + options }}"
      register: look
      changed_when: false
      failed_when: look.rc not in [0, 1]

    - name: fix what can be fixed
      ansible.builtin.command:
        argv: >-
          {{ program + ['fix', '--yes', '--json'] + options + fix_options }}
      register: fix
      when: (look.stdout | from_json).verdict.code in fixable
      failed_when: false

    - name: fail the host that is not recovered
      ansible.builtin.fail:
        msg: >-
          {{ (look.stdout | from_json).verdict.summary }};
          fix exit {{ fix.rc | default('not run') }}:
          {{ fix.stderr | default('') }}
      when: look.rc != 0 and fix.rc | default(1) != 0
`;
