import type { Evidence } from '../evidence/evidence.ts';
import type { Host, LookInProgress } from './host.ts';

/** A host as it was when its evidence was saved: every look is over before it begins. */
export class RecordedHost implements Host {
  readonly name: string;
  readonly #evidence: Evidence;

  constructor(evidence: Evidence) {
    this.name = evidence.host.name;
    this.#evidence = evidence;
  }

  /** Gives what was recorded; a request can't make it look at anything else. */
  look(): LookInProgress {
    const { host, instance, config, port, sockets, processes, service, apiLog, answer } =
      this.#evidence;
    return {
      host: Promise.resolve(host),
      instance: Promise.resolve(instance),
      config: Promise.resolve(config),
      port: Promise.resolve(port),
      sockets: Promise.resolve(sockets),
      processes: Promise.resolve(processes),
      service: Promise.resolve(service),
      apiLog: Promise.resolve(apiLog),
      answer: Promise.resolve(answer),
      askAgain: null,
    };
  }
}
