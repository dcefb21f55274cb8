export const SAFETY_TOPIC = `What is never killed

A signal goes to one pid at a time, and only if all of this holds, read
immediately before it:

  - it has the same start tick and boot as in the plan
  - an orphan still has the same parent
  - its argv is still salt-api by position

Never killed are

  - pid 1, salt-triage itself and its parents
  - a process of another PID namespace
  - another instance: a -c or SALT_CONFIG_DIR of its own, another root directory
    or another /etc/salt
  - a salt-api that serves another port
  - a foreign holder of the port
  - what only has the name
  - anything whose orphanhood nothing proves, unless a stop that was meant for
    it has left it behind

No signal goes by name, group or port. Behind ssh the same guard decides on what
a script reads there, and a second one sends the signal only if all of it is
still the same, byte for byte.

The same guard lets py-spy or gdb look into what is about to be killed, and into
nothing else. Where gdb had to be ended half-way, SIGCONT undoes its stop.

Consent

Nothing is done at all without a terminal and without --yes (exit 4), and a y
from a pipe is no consent. --yes can be set neither in a settings file nor in
the environment. Evidence is saved before anything is killed.

What is shown

Secrets in command lines and log lines are masked on the screen, in JSON and in
saved evidence; control characters never reach the first two.
`;
