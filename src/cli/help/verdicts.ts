export const VERDICTS_TOPIC = `Verdicts, and what fix does

  healthy            The daemon's own child holds the port, and nothing else is
                     wrong. Fix: nothing to do.
  degraded           It serves, with signs of trouble. Fix: nothing to do.
  orphan-holds-port  An orphan holds the port; the daemon can't bind it.
                     Fix: kill, restart.
  orphan-stray       An orphan is left that holds no port.
                     Fix: kill; start if nothing serves.
  hung               The right process has the port and does not serve, by more
                     than one sign. Fix: stop, kill what stays, start.
  restart-loop       The daemon keeps restarting a child that never gets the
                     port or fails to start, or two daemons fight.
                     Fix: stop, kill what stays, start.
  foreign-holder     Another program has the port. Fix: refused; it is never
                     killed.
  down               Nothing listens. Fix: start.
  unknown            A look failed that the verdict needs, or salt-api may be
                     meant for another port, or nothing of Salt is on this host.
                     Fix: refused.

Unknown is never healthy: a step that could not look says so and why. What may
come up by itself is unknown, too: a salt-api that started less than 20 s ago
and does not listen yet, and a daemon whose port has just come free. fix gives
it the time it needs before it judges.

One silence of GET / is no hang: half-sent requests hold CherryPy's threads for
up to 10 s. It takes CLOSE_WAIT past its limit, a full accept queue, a stopped
server (SIGSTOP), or a second ask without a reply within 11 s, made only where
none of these is seen. fix asks once more before it stops the service, unless it
was silent a moment ago and nobody has been asked since.
`;
