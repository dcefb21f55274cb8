export const SSH_TOPIC = `Other hosts, over ssh

  salt-triage diagnose --host root@salt
      nothing installed there: a POSIX sh and /proc are enough
  salt-triage fix --host root@salt
      questions and trail here, actions there
  salt-triage diagnose --host a --host b
      many: a row for each, worst first
  salt-triage diagnose --hosts-file FILE
      one host a line; - is standard input
  salt-triage diagnose --roster FILE --json
      a salt-ssh roster; one document a line

  ssh root@salt salt-triage diagnose
      installed there
  ssh -t root@salt salt-triage fix
      installed there, with questions
  ssh root@salt node - diagnose --json < salt-triage.cjs
      Node there, nothing installed

OpenSSH is the transport, with your own configuration, keys, agent and jump
hosts. --sudo looks and acts with sudo -n there. --connect-timeout bounds a
login, --concurrency says how many hosts are looked at at once. fix works on one
host at a time; for a fleet see help ansible.

A fix whose connection is lost goes on: it reconnects for as long as --wait
says, waits until the command that was under way there has ended, looks at what
stands, and takes the next step from there. Where the host stays away it says
what is done and what is not, and exits 3.

Where only a paste is possible

Print the script that --host sends, run it there, judge its output here:

  salt-triage probe | ssh root@salt sh > evidence
  salt-triage diagnose --from evidence

The script sends nothing to the port, so it can't tell a server that hangs
before clients have piled up.
`;
