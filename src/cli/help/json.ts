export const JSON_TOPIC = `JSON

Each document is one line, and has standard output to itself. New fields may
come; what there is keeps its meaning while schemaVersion is 1. The JSON Schema
of all of them: salt-triage help json --schema

diagnose --json

  schemaVersion          1; raised when a field changes its meaning or goes away
  host, takenAt, port    name, ISO 8601 by the host's clock, number
  verdict                code, summary, evidence[], wouldChange, next, nextNote
  steps[]                id, status (pass warn fail unknown skip), summary,
                         evidence; ids and order: see help checks
  causes[]               what explains it, most telling first: id, basis (seen
                         inferred), summary, details[], advice; none where
                         nobody looked
  explanations[]         what the look behind the steps found: id (clients
                         workers master versions settings), status, summary,
                         evidence
  exitCode               what the command exits with

The evidence of explanations:

  clients       calls, from, lastCallAt, silentFrom, steps[{address, agent, at,
                before, after, factor}] (calls a minute), clients[{address,
                agent, users, calls, kinds, closeWait, established}],
                loginsInFlight, onlyAddress
  workers       threadPool, processes[{pid, startTicks, role, threads, sampled,
                denied, forMaster, waits[]}]; each of waits has how many threads
                wait alike: threads, state, name, call, channel, on[{kind
                (listener caller called), address, port}]
  master        state (answers frozen partly-frozen absent starting elsewhere
                not-known), asked (address, retPort, publishPort,
                socketDirectory), processes[{pid, ppid, startTicks, state,
                threads, title}], listeners[], backlog (acceptQueue, unread,
                unsent), stuck, ipc
  versions      releases (salt cherrypy cheroot python; each version, from:
                answer installed package), replaced (what came since the start),
                defects[] (id, affects, effect, fixedIn[], source, seen[]),
                vulnerabilities[]
  settings      options, withoutEffect[], threadPool, workerThreads, killMode,
                programs[] (pid, openFiles, mostFiles, residentBytes)

The evidence of each step:

  port-holder   state (free daemon other-daemon orphan foreign unproven unseen
                unknown), listeners[], holders[],
                otherPorts[{port, module, state, pids}]
  orphans       processes[] (the orphans) and others[]; these and holders[] have
                pid, ppid, startTicks, argv, role, reasons[]
  close-wait    count, unaccepted, loopback, unreadBytes,
                byPeer[{address, count}], states, acceptQueue
  api-log       of the examined port: path, events, eventsSinceDaemon, firstAt,
                lastAt, loopIntervalSeconds, looping, pids[], samples[]; also
                otherPorts[{port, events, lastAt}], startFailures[] and the one
                that stands, startFailure (kind, port, module, count, lastAt,
                sample)
  api-answers   answer (kind: answered no-reply no-connection refused broken;
                server: what it calls itself; silentBefore: ms that an ask
                before this one was silent)

Roles: manager child fork job orphan unclear elsewhere foreign.

Of several hosts each is a document of its own, one a line, with target: the
name it was given, and without causes, which are looked for on one host at a
time. One that could not be judged has error {message, advice} in place of
verdict and steps.

fix --json

  schemaVersion, host, takenAt, port, exitCode
                  as above; target is the name that a host behind ssh was given
  dryRun          true for --dry-run
  result          recovered not-recovered planned (dry run) nothing-to-do
                  refused
  service         kind, label; null where none was found
  plan            kind (mend nothing-to-do refused), verdict, steps[],
                  remarks[], or why and advice
  steps[]         what was planned or came up, each with status (done not-needed
                  declined refused failed not-started), detail, durationMs; a
                  kill has pid, startTicks, bootId, argv, role, reasons[],
                  facts[], loss
  before, after   documents of diagnose; after is null where nothing was done
  trail           the directory of the incident

check --format json

  schemaVersion, host, port, verdict, summary
                  verdict is the code alone; host, port: null where not known
  state           ok warning critical unknown; exitCode: 0 1 2 3 for these
  durationMs      how long it took
  readings        by name, each with value (null where it could not be
                  determined), unit (seconds or null), warning, critical; names:
                  close_wait unaccepted accept_queue orphans failed_binds
                  threads answer_time, and with --growth close_wait_rate
  steps[]         id, status, summary

check --format zabbix is one flat line: state as a number, verdict, summary,
duration in seconds, and by its name each reading that could be determined.

settings --json

  settings[]      key, value (as one would type it; null where nothing is set),
                  origin (command-line environment file default), source (the
                  option, variable or file; null for a default)
  files[]         path, there

history --json

  incidents[]     newest first: id, directory, host, port, beganAt, endedAt,
                  verdict, result, actions[], who
  incident        of history ID: the same, with before, after, plan, journal[]

Saved evidence

diagnose --save FILE writes everything that the verdict was made from, always as
a new file of mode 0600; it follows no link and replaces nothing but a plain
file. --save - writes it to standard output, and the report to standard error.
--from FILE, or --from -, gives the same verdict from it on another machine, by
its own limits or by those that are typed; its Next is for the host that it was
saved on. Refused are what is no plain file, is larger than 64 MiB or holds more
than any host shows.
`;
