import { ROOTS_STATE_DIRECTORY } from '../../trail/directory.ts';
import { KEEP_INCIDENTS, KEEP_MEBIBYTES } from '../../trail/retention.ts';

export const TRAIL_TOPIC = `What is recorded of each fix

Each incident has a directory, mode 0700, under ${ROOTS_STATE_DIRECTORY}, or under
~/.local/state/salt-triage for other users than root; --state-dir names another.
It holds

  - the evidence before and after, and the plan
  - what /proc said of each process before it was killed
  - stacks-PID.txt and .json: the Python calls that its threads were in, equal
    ones told once; names of functions and files, no arguments and no locals
  - what check --growth has kept of the port: CLOSE_WAIT and verdict, a day of
    one a minute
  - journal.jsonl, a line before and after each action: who, what, answer and
    result

One line per action goes to syslog. A full disk does not stop a recovery: the
trail then goes to standard error, and the end says where it is. What others do
to names above the directory leads it nowhere else.

The newest incidents are kept, ${KEEP_INCIDENTS} and ${KEEP_MEBIBYTES} MiB at most: --keep-incidents and
--keep-mebibytes. Runs that changed nothing are dropped before those that did.

  salt-triage history        incidents, newest first
  salt-triage history ID     one of them: its id, a part that no other has, or
                             latest
  salt-triage report ID      the draft of a postmortem of it

A report says of each line whether it was seen, is inferred, or is not known,
and in which file it stands; what nobody has recorded is in it as a question. It
needs no root where the records can be read.

With --anonymize addresses, host and user names are replaced, the same by the
same, and the list of who is who is a file of its own. Names are found by where
they stand and by their form. One that stands alone in a command line, or in
what a client calls itself, is not known as one: read the report before you show
it.
`;
