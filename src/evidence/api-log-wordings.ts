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

/** Failed binds, failed starts of other kinds, deaths of a child (salt-facts §1.5, §3, §4.1, §10). */
export const SEARCHED_WORDINGS: readonly SearchedWording[] = [
  { needle: ' not free o' }, // Port 443 not free on
  { needle: 'could be cr' }, // No socket could be created
  { needle: 'do unable t', traced: true }, // Rest_tornado unable to bind to port
  { needle: 's already i' }, // Address already in use
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
