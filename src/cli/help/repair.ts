export const REPAIR_TOPIC = `What fix does

It looks, judges, and shows a plan: save the evidence, kill the orphans one by
one, stop the service, check for leftover salt-api processes, wait until the
port is free, start the service, verify that the API serves again. The plan has
only the steps that the verdict needs; --dry-run shows it and changes nothing.

Questions

Each step that changes something asks: y does it, s or Enter skips it, d shows
argv, cgroup, parent, fds, the log lines and the exact command, a aborts. Ctrl-C
and Ctrl-D abort. After the answer the host is looked at again: a person may
take ten minutes. What was typed before a question does not answer it. Each
salt-api process that the stop left behind gets a question of its own: "OK" and
"stopped" are not believed. A daemon that something else has started meanwhile
is left alone.

Without a terminal and without --yes nothing is done (exit 4).

What is killed tells nothing any more

So after the yes, and before the signal, the Python stacks of that process are
read: by py-spy, else by gdb where the debug symbols of its Python are there
(python3-dbg, or debuginfo), and only if root alone could have changed the
program. gdb stops the process meanwhile. All of a plan have 10 s together; what
goes wrong is told in a line and stops no kill. Every guard reads the process
again after it. --stacks never leaves it out.

The Salt master

A master that is frozen or gone jams every salt-api again: the plan says so. fix
does not mend it. Once the API serves, it looks at the master once more. Of one
that is frozen it says "the API answers GET /; the master does not" in place of
"serves again"; one that is not there is named beside that. The result is
"recovered" and the exit code 0 all the same: both say that the API serves.

The service

It is stopped and started through systemd, SysV service or OpenRC, as found or
as --service says, or with --stop-cmd and --start-cmd, which are split into
words and run without a shell.

--restart if-needed restarts only if the daemon does not recover by itself once
the port is free, and until then needs no service manager. --only kill leaves
the service alone; a host that does not serve after it is not recovered (exit
1). fix asks the API whether it serves, so it takes no --no-probe.

Where no unit was named and salt-api.service does not run it, the unit is the
one that starts a packaged salt-api and that systemd says the daemon belongs to
(the plan shows it). Running units that the stop takes along are started again,
each by a step of its own; while one stays down nothing is called recovered. A
socket unit is stopped and started with its service.

Refused before the first change: a unit that is masked or missing (masked: exit
5), a service of another instance, a salt-api kept by supervisord, runit, s6 or
a user's own systemd. The refusal says what to do. A stop that reached no
service has left nothing behind.
`;
