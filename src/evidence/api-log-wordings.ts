/**
 * The words that a log is searched for, told once: the scanner looks for them here, and the script
 * that reduces a log on a host behind ssh is made of them.
 */

interface SearchedWording {
  /** Eleven bytes of it, the least common in a debug log; nothing that a regular expression reads. */
  readonly needle: string;
  /** Begins a record in whose traceback the reason stands. */
  readonly traced?: true;
}

/** A wording of "the port can't be bound"; the port is the first group, where it is told. */
interface WordingOfBind extends SearchedWording {
  readonly wording: string;
  /** In a report. */
  readonly words: string;
  /** As an exception says it. */
  readonly bare: RegExp;
  /** As CherryPy's `ChannelFailures` repeats it. */
  readonly repeated: RegExp | null;
}

const EXCEPTION = '^\\s*[A-Za-z_][\\w.]{0,200}: ';
const NOT_FREE = "Port u?'?(\\d{1,5})'? not free on ";
const HELD_ADDRESS = "\\(u?'[^']{0,256}', (\\d{1,5})[^)]{0,64}\\): \\[Errno (?:98|48)\\]";
/**
 * Goes on with each address that failed since CherryPy 3.3; before, it says nothing more. Only
 * EADDRINUSE is a port that is held: EACCES is a lack of rights (salt-facts §4.1).
 */
const NO_SOCKET = `No socket could be created(?!\\w)(?:.*?${HELD_ADDRESS}|.*\\[Errno (?:98|48)\\]|(?!.*\\[Errno \\d+\\]))`;

/** Every wording of a failed bind (salt-facts §4.1, §9). */
export const BIND_WORDINGS = [
  {
    wording: 'port-not-free',
    words: 'Port PORT not free',
    needle: ' not free o',
    bare: new RegExp(EXCEPTION + NOT_FREE),
    repeated: new RegExp(`\\(u?["']${NOT_FREE}`),
  },
  {
    wording: 'no-socket-created',
    words: 'No socket could be created',
    needle: 'could be cr',
    bare: new RegExp(EXCEPTION + NO_SOCKET, 's'),
    repeated: new RegExp(NO_SOCKET, 's'),
  },
  {
    wording: 'tornado-unable',
    words: 'unable to bind to port',
    needle: 'do unable t',
    traced: true,
    bare: /^\s*rest_tornado unable to bind to port (\d{1,5})/i,
    repeated: null,
  },
  {
    wording: 'address-in-use',
    words: 'Address already in use',
    needle: 's already i',
    bare: /^\s*(?:socket\.error|error|OSError|IOError): \[Errno (?:98|48)\] (?:error while attempting to bind on address \(u?'[^']{0,256}', (\d{1,5})[^)]{0,64}\): )?address already in use/i,
    repeated: /\((?:98|48), ["']Address already in use/,
  },
] as const satisfies readonly WordingOfBind[];

/** How a failed bind was worded. */
export type BindWording = (typeof BIND_WORDINGS)[number]['wording'];

/** Failed binds, failed starts of other kinds, deaths of a child (salt-facts §1.5, §3, §4.1, §10). */
export const SEARCHED_WORDINGS: readonly SearchedWording[] = [
  ...BIND_WORDINGS,
  { needle: 'd with exit' }, // died with exit status
  { needle: "'start' lis", traced: true }, // Error in 'start' listener
  { needle: "ess 'RunNet", traced: true }, // … the multiprocessing process 'RunNetapi-1' was caught
  { needle: 'd a certifi' }, // Could not find a certificate
  { needle: 'ired if SSL' }, // Options 'ssl_crt' and 'ssl_key' are required if SSL is not disabled
  { needle: 'ot loading ' }, // Not loading 'rest_cherrypy'. 'port' not specified in config
  { needle: 'netapi conf' }, // Did not find any netapi configurations
];

/**
 * The last line of a traceback, which names the exception, for JavaScript and awk alike. What a
 * message of several lines goes on with does not match.
 */
export const EXCEPTION_LINE =
  '^[A-Za-z_][A-Za-z0-9_.]*(: |(Error|Exception|Exit|Interrupt|Timeout)$)';
