export const CHECKS_TOPIC = `What diagnose looks at

Five steps, always in this order; each is shown as soon as it is known.

  port-holder   every process that has the listening socket, and what each is
                (from /proc/net/tcp, tcp6 and /proc/PID/fd)
  orphans       salt-api processes whose salt-api parent has died
                (from argv, parent, session, start time, cgroup, pid file and
                systemd)
  close-wait    sockets whose client has closed and whose server has not, by
                client (from /proc/net/tcp and tcp6 by local port: those not yet
                accepted belong to no process)
  api-log       failed starts that the port caused, whether the restart loop
                still turns, and why else a start failed (certificate, rights,
                setting; from the API log, rotated and gzipped files too, else
                from the unit's journal)
  api-answers   whether GET / brings any HTTP status, over TLS or plain HTTP as
                configured; --no-probe leaves it out

The verdict is shown as soon as no answer that may still come can change it. -v,
--json and --save wait for the answer all the same, for the record.

What explains it (Why)

Looked at after the verdict; of a healthy host workers and master alone, and the
rest with -v, --json or --save. Each line was seen there, or is inferred from
what is known of such hosts.

  clients       who called how often, and whose rate rose: to the minute or not
                at all, at least twice the rate and more than at any time
                before, up to now or to where the calls stop
                (from access lines, API log at level info or lower, else the
                file of log_access_file, and [api_acl] lines, rotated and
                gzipped logs too, the newest 64 MiB and 48 h; such a line is
                written when its request ends, so a jam is a silence)
  workers       the threads of each salt-api that serves, and of orphans,
                against thread_pool; where GET / brings no answer, what they
                wait for: which call, and whose answer
                (from /proc/PID/task/*/{stat,syscall,wchan}, fd and fdinfo,
                which takes root or CAP_SYS_PTRACE; of more than 1,600 threads
                an even sample)
  master        the Salt master of the same configuration: whether it is
                suspended, whether ret_port is listened on, and whether
                connections lie there untouched for half a second
                (from argv, state, /proc/net/tcp and the sockets in sock_dir; an
                interface of another host is "not known")
  versions      the releases that run, and which of their known defects fit what
                is seen; whether they were updated and not restarted
                (from the Server: header of the answer, /proc/PID/exe and maps,
                and the .dist-info and .egg-info where that Python looks)
  settings      options that are set and do nothing, thread_pool against
                worker_threads, KillMode= of the unit, open files and their
                limit
                (from the Salt config, the unit, /proc/PID/limits, status, fd)

A frozen master, and workers of a CherryPy that have ended, make a host
"degraded" that is well otherwise. A master that is not there is told of, and
changes no verdict: it may not be meant to be there.

Which processes are salt-api

A process is called salt-api by the position of its words (python ...
/.../salt-api ...), never because the word occurs. To count as Salt's it needs
more: the entry point of a package or a script that imports Salt, the
interpreter of a onedir package, the title of a netapi child, the API log open
for writing, or a pid file or unit that names it. Without any of these it is
"unclear" at most, and is never killed.

What proves an orphan

No process whose parent lives is an orphan. The parent is dead where pid 1 has
the process, or a program known to take orphans has it (systemd --user, tini -s,
a container's shim). What systemd started as a service of its own has a living
parent, too. One sign alone proves no orphan; -v shows every sign.

Whose salt-api it is

Its -c tells, else the SALT_CONFIG_DIR of its environment. Processes of another
instance, a container, a drill or an ordinary user (uid 1000 and up, unless
user: of the Salt config, a pid file or a unit names it) are shown as
"elsewhere" and have no part in the verdict.

Which port, which log

The port is --port, else that of rest_cherrypy, rest_tornado or rest_wsgi in the
Salt master config (-c DIR, SALT_CONFIG_DIR, what the running salt-api was
started with, /etc/salt), else 443. The log is --log, else --log-file of the
running process, else api_logfile, else /var/log/salt/api, else the journal.
~/.saltrc is not read.

With several modules configured, each port counts for itself. Step 1 names them
all; a look at one port that is well is "degraded" where the daemon does not
serve another.

CLOSE_WAIT

It warns and fails from as many sockets as --close-wait-warn and
--close-wait-fail say, and fails as soon as so many as warn were never accepted.
Healthy is 0.
`;
