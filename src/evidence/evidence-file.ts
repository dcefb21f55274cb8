/** The text that `--save` writes and `--from` reads: evidence, checked against its schema. */
import * as v from 'valibot';
import { ExitCode, TriageError } from '../errors.ts';
import { redactArgv, stripControl } from '../untrusted.ts';
import { BIND_WORDINGS } from './api-log-wordings.ts';
import { BACKGROUND, NO_BACKGROUND } from './background.ts';
import { backgroundSchema } from './background-schema.ts';
import {
  blind,
  type Evidence,
  MAX_EVENT_TIMES,
  MAX_LOG_PORTS,
  MAX_START_FAILURES,
  SALT_SIGNS,
  START_FAILURE_KINDS,
  seen,
  TCP_STATES,
} from './evidence.ts';
import { MAX_OPTION_TEXT, SALT_OPTIONS } from './salt-options.ts';
import {
  flag,
  list,
  look,
  MAX_SHORT,
  maybePort,
  maybeText,
  maybeTime,
  milliseconds,
  portNumber,
  ports,
  signed,
  text,
  texts,
  ticks,
  whole,
} from './schema-parts.ts';

const FORMAT = 'salt-triage-evidence';
const SCHEMA_VERSION = 1;

/** Bytes of the largest file that is read; a host with 50,000 peers makes about 1 MiB. */
export const MAX_EVIDENCE_TEXT = 64 * 1024 * 1024;
/** Values of the fullest file that is read, 100 for each of 10,000 processes: 200 MiB of memory. */
const MAX_VALUES = 1_000_000;
/** The schema nests six deep. */
const MAX_DEPTH = 16;
/** Each is a word about every process; a look reads a handful (`choosePidFiles`). */
const MAX_PID_FILES = 50;

const silentBefore = v.exactOptional(milliseconds);

const peers = list(
  v.strictObject({
    address: text,
    state: v.picklist(TCP_STATES),
    ...v.entriesFromList(['accepted', 'unaccepted', 'unreadBytes'], whole),
  }),
);

const listener = v.strictObject({
  family: v.picklist(['ipv4', 'ipv6']),
  address: text,
  ...v.entriesFromList(['inode', 'uid', 'acceptQueue'], whole),
});

const processFacts = v.strictObject({
  ...v.entriesFromList(['pid', 'ppid', 'threads', 'portConnections'], whole),
  ...v.entriesFromList(['startTicks', 'cpuTicks'], ticks),
  ...v.entriesFromList(['processGroup', 'session', 'uid'], signed),
  ...v.entriesFromList(['cgroup', 'waitChannel'], maybeText),
  ...v.entriesFromList(
    ['networkNamespace', 'pidNamespace', 'rootDirectory'],
    v.picklist(['ours', 'other', 'unseen']),
  ),
  state: v.pipe(text, v.length(1)),
  argv: list(text),
  comm: text,
  environment: v.nullable(v.strictObject({ configDirectory: maybeText })),
  saltSigns: v.optional(v.nullable(list(v.picklist(SALT_SIGNS), 16)), null),
  fds: v.picklist(['read', 'denied', 'skipped']),
  listens: list(whole, 10_000),
  otherPorts: ports,
});

const systemdUnit = v.strictObject({
  ...v.entriesFromList(['unit', 'loadState', 'activeState', 'subState'], text),
  ...v.entriesFromList(['controlGroup', 'killMode', 'result'], text),
  ...v.entriesFromList(['mainPid', 'restarts'], whole),
  ...v.entriesFromList(['partOf', 'stopsAlso'], texts),
  // Files from before these were looked at have none of them.
  exitStatus: v.optional(whole, 0),
  statusText: v.optional(text, ''),
  sockets: v.optional(list(text), []),
  dropIns: v.optional(list(v.strictObject({ path: text, sets: list(text) })), []),
  startsSaltApi: v.optional(flag, false),
  ports: v.optional(ports, []),
});

const relatedUnit = v.strictObject({ unit: text, activeState: text, ports });

const netapi = v.strictObject({
  module: v.picklist(['rest_cherrypy', 'rest_tornado', 'rest_wsgi']),
  port: portNumber,
  file: text,
  host: text,
  tls: flag,
  backlog: whole,
});

const optionValue = v.union([
  v.pipe(text, v.maxLength(MAX_OPTION_TEXT)),
  v.pipe(v.number(), v.finite()),
  flag,
]);

/** What failed binds add up to, of the whole log and of one port. */
const bindFailures = {
  events: whole,
  firstAt: maybeTime,
  lastAt: maybeTime,
  times: list(milliseconds, MAX_EVENT_TIMES),
  pids: list(whole, MAX_SHORT),
  wordings: v.strictObject(
    v.entriesFromList(
      BIND_WORDINGS.map(({ wording }) => wording),
      v.exactOptional(whole),
    ),
  ),
  samples: texts,
};

const startFailure = v.strictObject({
  kind: v.picklist(START_FAILURE_KINDS),
  port: maybePort,
  module: maybeText,
  count: whole,
  lastAt: maybeTime,
  sample: text,
});

const logSource = v.variant('kind', [
  v.strictObject({
    kind: v.literal('file'),
    path: text,
    origin: v.picklist(['option', 'argv', 'config', 'default']),
  }),
  v.strictObject({ kind: v.literal('journal'), unit: text }),
]);

// In the order of the keys in what is printed.
const afterMs = milliseconds;
const answer = v.variant('kind', [
  v.strictObject({
    kind: v.literal('answered'),
    status: whole,
    afterMs,
    tls: flag,
    server: v.exactOptional(v.pipe(text, v.maxLength(100))),
    silentBefore,
  }),
  v.strictObject({ kind: v.literal('no-reply'), afterMs, tls: flag, silentBefore }),
  v.strictObject({ kind: v.literal('no-connection'), afterMs, silentBefore }),
  v.strictObject({ kind: v.literal('refused'), silentBefore }),
  v.strictObject({ kind: v.literal('broken'), afterMs, error: text, silentBefore }),
]);

const evidenceSchema = v.strictObject({
  schemaVersion: v.literal(1),
  host: v.strictObject({
    ...v.entriesFromList(['name', 'bootId'], text),
    ...v.entriesFromList(['now', 'bootedAt'], milliseconds),
    utcOffsetMinutes: v.pipe(signed, v.minValue(-1440), v.maxValue(1440)),
    ticksPerSecond: v.pipe(whole, v.minValue(1)),
    uid: whole,
  }),
  instance: v.strictObject({
    configDirectory: text,
    defaultConfigured: flag,
    origin: v.picklist(['option', 'environment', 'argv', 'default']),
  }),
  port: v.strictObject({
    number: portNumber,
    origin: v.variant('kind', [
      v.strictObject({ kind: v.literal('option') }),
      v.strictObject({ kind: v.literal('config'), file: text, key: text }),
      v.strictObject({ kind: v.literal('default'), why: text }),
    ]),
  }),
  policy: v.strictObject({ closeWaitWarn: whole, closeWaitFail: whole }),
  config: look(
    v.strictObject({
      directory: text,
      ...v.entriesFromList(['files', 'problems'], texts),
      netapi: v.nullable(netapi),
      otherNetapis: v.exactOptional(list(netapi, 10)),
      ...v.entriesFromList(['apiLogFile', 'logFile', 'pidFile'], maybeText),
      user: v.exactOptional(v.strictObject({ name: text, uid: v.nullable(signed) })),
      options: v.exactOptional(
        v.strictObject(v.entriesFromList(SALT_OPTIONS, v.exactOptional(optionValue))),
      ),
    }),
  ),
  sockets: look(
    v.strictObject({
      listeners: list(listener, 10_000),
      peers,
      overflow: peers,
      ipv6: flag,
      alsoListening: v.exactOptional(list(portNumber, 10)),
    }),
  ),
  processes: look(
    v.strictObject({
      ...v.entriesFromList(['total', 'deniedFds', 'deniedArgv'], whole),
      processes: list(processFacts, 10_000),
      hidden: flag,
    }),
  ),
  service: look(
    v.strictObject({
      pidFiles: list(
        v.strictObject({ path: text, pid: v.nullable(whole), modifiedAt: milliseconds }),
        MAX_PID_FILES,
      ),
      systemd: look(v.nullable(systemdUnit)),
      // Files from before these were looked at have none of them.
      systemdRuns: v.optional(flag, false),
      otherUnits: v.optional(list(systemdUnit, 100), []),
      relatedUnits: v.optional(list(relatedUnit, MAX_SHORT), []),
      initScript: flag,
      openRc: flag,
      installed: v.optional(flag),
    }),
  ),
  apiLog: look(
    v.strictObject({
      source: logSource,
      files: list(v.strictObject({ path: text, bytesRead: whole }), MAX_SHORT),
      windowFrom: maybeTime,
      ...bindFailures,
      ports: list(whole, MAX_SHORT),
      byPort: v.exactOptional(
        list(v.strictObject({ port: maybePort, ...bindFailures }), MAX_LOG_PORTS),
      ),
      startFailures: v.exactOptional(list(startFailure, MAX_START_FAILURES)),
      childDeaths: whole,
      lastChildDeathAt: v.exactOptional(maybeTime),
      dated: flag,
      notes: texts,
    }),
  ),
  answer: look(answer),
  background: v.optional(backgroundSchema, NO_BACKGROUND),
}) satisfies v.GenericSchema<unknown, Evidence>;

type Frozen<T> = T extends object ? { readonly [K in keyof T]: Frozen<T[K]> } : T;

/** What the schema takes; that it is `Evidence`, both ways, is checked where it is used. */
type FileEvidence = Frozen<v.InferOutput<typeof evidenceSchema>>;

/**
 * The text of an evidence file: one line of JSON. It holds what the host showed, argv and log lines
 * included, secrets in them masked, since it is made to be carried elsewhere: write it with mode
 * 0600. What {@link parseEvidence} would refuse to read is left out and said to be.
 */
export function writeEvidence(evidence: Evidence): string {
  let clean: FileEvidence = withoutSecrets(evidence);
  // Each list may be within its bounds, but not all of them together: the longest go first.
  for (const section of ['processes', 'sockets'] as const) {
    if (whyTooMuch(fileText(clean)) === null) break;
    clean = { ...clean, [section]: blind('unsupported', TOO_MUCH) };
  }
  return fileText(withinBounds(clean));
}

function fileText(evidence: FileEvidence): string {
  const document = { format: FORMAT, schemaVersion: SCHEMA_VERSION, evidence };
  // As escapes: the file may be shown on a terminal, and what is judged must not change.
  const text = JSON.stringify(document).replace(
    /[\u007f-\u009f\u00ad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
  return `${text}\n`;
}

const TOO_MUCH = 'it held more than a file of evidence may, so it was not saved';
const SECTIONS = ['config', 'sockets', 'processes', 'service', 'apiLog', 'answer'] as const;

/** A host can be made to show more than is read back; such a section goes unseen. */
function withinBounds(evidence: Evidence): FileEvidence {
  let within: Evidence = evidence;
  for (const name of SECTIONS) {
    if (v.safeParse(evidenceSchema.entries[name], evidence[name], { abortEarly: true }).success) {
      continue;
    }
    within = { ...within, [name]: blind('unsupported', TOO_MUCH) };
  }
  for (const name of BACKGROUND) {
    const { background } = within;
    const schema = backgroundSchema.entries[name];
    if (v.safeParse(schema, background[name], { abortEarly: true }).success) continue;
    const without = { ...background, [name]: blind('unsupported', TOO_MUCH) };
    within = { ...within, background: without };
  }
  return within;
}

/**
 * Reads an evidence file. Files that were saved with a digest of themselves are read as well.
 *
 * @throws TriageError `usage` for text that is no evidence file or one of a newer version,
 *   `unknown` for an evidence file that is damaged or beyond all bounds
 */
export function parseEvidence(text: string): Evidence {
  const tooMuch = whyTooMuch(text);
  if (tooMuch !== null) throw damaged(tooMuch);
  const result = v.safeParse(evidenceSchema, readEnvelope(text), { abortEarly: true });
  if (!result.success) throw damaged(describeIssue(result.issues[0]));
  return withoutControls(result.output);
}

/** Evidence from elsewhere, within the bounds of a file and without what a screen would act on. */
export function boundedEvidence(evidence: Evidence): Evidence {
  return withoutControls(withinBounds(evidence));
}

/** Judged word by word, as on the host itself; all else is only shown. */
const JUDGED: ReadonlySet<string> = new Set(['argv', 'cgroup', 'controlGroup', 'configDirectory']);

/** Everything that a stranger's text could do to a screen is gone where it comes in. */
function withoutControls<T>(value: T): T;
function withoutControls(value: unknown): unknown {
  if (typeof value === 'string') return stripControl(value);
  if (Array.isArray(value)) return value.map((item: unknown) => withoutControls(item));
  if (typeof value !== 'object' || value === null) return value;
  const entries = Object.entries(value) as [string, unknown][];
  return Object.fromEntries(
    entries.map(([key, inner]) => [key, JUDGED.has(key) ? inner : withoutControls(inner)]),
  );
}

/** Bounds what JSON.parse would make of it, before it does. @returns null for what is well */
function whyTooMuch(text: string): string | null {
  if (text.length > MAX_EVIDENCE_TEXT) {
    return `it is larger than ${MAX_EVIDENCE_TEXT / 1024 / 1024} MiB`;
  }
  let depth = 0;
  let values = 0;
  for (let at = 0; at < text.length; at += 1) {
    switch (text.charAt(at)) {
      case '"':
        at = endOfString(text, at);
        break;
      case '[':
      case '{':
        depth += 1;
        values += 1;
        break;
      case ',':
        values += 1;
        break;
      case ']':
      case '}':
        depth -= 1;
    }
    if (depth > MAX_DEPTH) return `it nests more than ${MAX_DEPTH} deep`;
    if (values > MAX_VALUES) return `it holds more than ${MAX_VALUES} values`;
  }
  return null;
}

/** Where a string of JSON that begins at `at` ends, or the text does. */
function endOfString(text: string, at: number): number {
  let index = at + 1;
  while (index < text.length && text.charAt(index) !== '"') {
    index += text.charAt(index) === '\\' ? 2 : 1;
  }
  return index;
}

/** Masked words keep their positions, so that the verdict is the same. */
function withoutSecrets(evidence: Evidence): Evidence {
  if (!evidence.processes.seen) return evidence;
  const processes = evidence.processes.value.processes.map((facts) => {
    return { ...facts, argv: redactArgv(facts.argv) };
  });
  return { ...evidence, processes: seen({ ...evidence.processes.value, processes }) };
}

/** What an evidence file says that it holds, not yet checked. */
function readEnvelope(text: string): unknown {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    // A file of ours that was cut off is no JSON any more, but it is still one of ours.
    if (text.slice(0, 200).includes(`"${FORMAT}"`)) {
      throw damaged('it is not whole: no valid JSON', error);
    }
    throw notEvidence('it is not JSON', error);
  }
  const envelope = v.safeParse(
    v.looseObject({ format: v.literal(FORMAT), schemaVersion: v.number() }),
    value,
  );
  if (!envelope.success) throw notEvidence(`it does not say "format":"${FORMAT}"`);
  const { schemaVersion, evidence } = envelope.output;
  if (schemaVersion !== SCHEMA_VERSION) {
    throw new TriageError(
      `the evidence file has schema version ${schemaVersion}; this salt-triage reads ${SCHEMA_VERSION}`,
      'read it with the salt-triage version that saved it',
      ExitCode.usage,
    );
  }
  return evidence;
}

function notEvidence(why: string, cause?: unknown): TriageError {
  return new TriageError(
    `this is not a salt-triage evidence file: ${why}`,
    'give --from a file that `salt-triage diagnose --save FILE` wrote',
    ExitCode.usage,
    { cause },
  );
}

function damaged(why: string, cause?: unknown): TriageError {
  return new TriageError(
    `the evidence file is damaged: ${why}`,
    'copy it again from where it was saved, or take new evidence with --save',
    ExitCode.unknown,
    { cause },
  );
}

/** Where the evidence is wrong, without quoting it: what it holds is a stranger's. */
function describeIssue(issue: v.BaseIssue<unknown>): string {
  const where = v.getDotPath(issue);
  if (where === null) return 'it holds no evidence';
  return `${stripControl(where).slice(0, 120)} is not as expected`;
}
