import { existsSync } from 'node:fs';
import { hostLocalTime } from '../../evidence/api-log-lines.ts';
import type { LookRequest } from '../../evidence/evidence.ts';
import {
  type ApiLogFacts,
  blind,
  type HostFacts,
  type InstanceFacts,
  type Look,
  type PortChoice,
  type SaltConfigFacts,
  type ServiceFacts,
} from '../../evidence/evidence.ts';
import { withOtherPorts } from '../../evidence/instance-ports.ts';
import {
  belongsTo,
  chooseInstance,
  chooseLog,
  choosePidFiles,
  mayNameFiles,
} from '../../evidence/resolve.ts';
import {
  DEFAULT_CONFIG_DIRECTORY,
  readSaltApiArgv,
  type SaltApiArgv,
  withEnvironment,
} from '../../evidence/salt-api-argv.ts';
import { choosePort } from '../../evidence/salt-config.ts';
import { inPlaceOfFile } from '../../evidence/unread-log.ts';
import { stripControl } from '../../untrusted.ts';
import { askApi } from '../ask-api.ts';
import type { Host, LookInProgress } from '../host.ts';
import { readHostFacts } from './host-facts.ts';
import {
  blindProcesses,
  describeProcesses,
  holdersAmong,
  type ProcessScan,
  readMemberships,
  scanProcesses,
} from './processes.ts';
import { readSaltConfig } from './salt-config.ts';
import type { ServiceRequest } from './service.ts';
import { readPortSockets } from './sockets.ts';

/** The host we run on, read from `/proc` and the file system. */
export class LocalHost implements Host {
  readonly name: string;
  readonly #proc: string;
  readonly #unit: string;

  /** @param options `proc`: a tree of `/proc`'s shape; `unit`: the service's name */
  constructor(options: { readonly proc?: string; readonly unit?: string } = {}) {
    this.#proc = options.proc ?? '/proc';
    this.#unit = options.unit ?? 'salt-api';
    this.name = readHostFacts(this.#proc).name;
  }

  look(request: LookRequest): LookInProgress {
    const host = readHostFacts(this.#proc);
    const scan = this.#scan();
    const argvs = scan.then((found) => ('failed' in found ? [] : argvsOf(found.saltApi, host.uid)));
    // A port that was asked for may name the instance, so its sockets come first.
    const asked = request.port === undefined ? null : readPortSockets(request.port, this.#proc);
    const instance = Promise.all([scan, argvs, asked]).then(async ([found, all, table]) => {
      // Fd tables may be long: they are read for it only where the argv leave a choice.
      const several = new Set(all.map(({ configDirectory }) => configDirectory)).size > 1;
      const holding =
        'failed' in found || table === null || !several
          ? []
          : await holdersAmong(found.saltApi, table, this.#proc);
      return chooseInstance(request, {
        argvs: all,
        holding: argvsOf(holding, host.uid),
        environment: process.env['SALT_CONFIG_DIR'],
        defaultConfigured: existsSync(`${DEFAULT_CONFIG_DIRECTORY}/master`),
      });
    });
    const config = instance.then((chosen) => this.#config(chosen, request));
    const port = config.then((found) => choosePort(request.port, found));
    const sockets = asked ?? port.then((chosen) => readPortSockets(chosen.number, this.#proc));
    const ours = Promise.all([argvs, instance]).then(([found, chosen]) =>
      found.filter((argv) => belongsTo(argv, chosen)),
    );
    const files = Promise.all([config, ours, instance]).then(([found, all, chosen]) => ({
      log: chooseLog(request, { config: found, argvs: all }).path,
      configDirectory: chosen.configDirectory,
    }));
    const processes = Promise.all([scan, sockets, files]).then(([found, table, saltFiles]) => {
      if ('failed' in found) return blindProcesses(found.failed, this.#proc);
      return describeProcesses(found, table, saltFiles, this.#proc);
    });
    const members = async () => {
      const [found, chosen] = await Promise.all([scan, instance]);
      if ('failed' in found) return [];
      const own = believable(found.saltApi, host.uid).filter(({ argv }) => belongsTo(argv, chosen));
      return readMemberships(
        own.map(({ pid }) => pid),
        this.#proc,
      );
    };
    const service = Promise.all([config, ours, instance]).then(([found, argvs, chosen]) =>
      this.#service({ pidFiles: choosePidFiles(found, argvs, chosen), members }, request),
    );
    const apiLog = Promise.all([config, ours, port]).then(([found, argv, chosen]) =>
      this.#apiLog(request, { host, config: found, argvs: argv, port: chosen }),
    );
    const ask = (probeTimeoutMs: number | null) =>
      Promise.all([sockets, config, port, processes]).then(([{ facts }, found, chosen, holders]) =>
        askApi(probeTimeoutMs, {
          sockets: facts,
          config: found,
          port: chosen,
          processes: holders,
        }),
      );
    return {
      host: Promise.resolve(host),
      instance,
      config,
      port,
      sockets: Promise.all([sockets, config, port]).then(([table, found, chosen]) =>
        withOtherPorts(table.facts, {
          config: found,
          examined: chosen.number,
          listening: table.otherListeners.values(),
        }),
      ),
      processes,
      service,
      apiLog,
      answer: ask(request.probeTimeoutMs),
      askAgain: ask,
    };
  }

  async #scan(): Promise<ProcessScan | { readonly failed: unknown }> {
    try {
      return await scanProcesses(this.#proc);
    } catch (error) {
      return { failed: error };
    }
  }

  #config(instance: InstanceFacts, request: LookRequest): Promise<Look<SaltConfigFacts>> {
    const directory =
      instance.origin === 'argv' ? instance.configDirectory : request.configDirectory;
    return within(readSaltConfig({ directory }), request.lookTimeoutMs, 'the salt config');
  }

  async #service(
    known: Pick<ServiceRequest, 'pidFiles' | 'members'>,
    request: LookRequest,
  ): Promise<Look<ServiceFacts>> {
    const { readService } = await import('./service.ts');
    const look = readService({
      ...known,
      unit: this.#unit,
      timeoutMs: request.lookTimeoutMs,
    });
    return within(look, request.lookTimeoutMs + 1000, 'the service');
  }

  async #apiLog(
    request: LookRequest,
    found: {
      readonly host: HostFacts;
      readonly config: Look<SaltConfigFacts>;
      readonly argvs: readonly SaltApiArgv[];
      readonly port: PortChoice;
    },
  ): Promise<Look<ApiLogFacts>> {
    const { readApiLog, readJournal } = await import('./api-log.ts');
    const { path, origin } = chooseLog(request, found);
    const window = {
      windowFrom: request.sinceMs === null ? null : found.host.now - request.sinceMs,
      now: found.host.now,
      localTime: hostLocalTime,
      timeoutMs: request.lookTimeoutMs,
    };
    const look = await readApiLog({ path, origin, ...window });
    if (look.seen || look.cause !== 'missing' || origin === 'option') return look;
    return inPlaceOfFile(stripControl(path), await readJournal({ unit: this.#unit, ...window }));
  }
}

/** The command lines of our own network namespace, youngest process first. */
function argvsOf(saltApi: ProcessScan['saltApi'], ours: number): SaltApiArgv[] {
  return believable(saltApi, ours).map(({ argv }) => argv);
}

function believable(
  saltApi: ProcessScan['saltApi'],
  ours: number,
): { readonly pid: number; readonly argv: SaltApiArgv }[] {
  return saltApi
    .filter(({ networkNamespace }) => networkNamespace !== 'other')
    .filter(({ uid }) => mayNameFiles(uid, ours))
    .toSorted((a, b) => b.stat.startTicks - a.stat.startTicks)
    .flatMap(({ stat: { pid }, argv, environment }) => {
      const read = readSaltApiArgv(argv);
      return read === null ? [] : [{ pid, argv: withEnvironment(read, environment) }];
    });
}

async function within<T>(look: Promise<Look<T>>, ms: number, what: string): Promise<Look<T>> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<Look<T>>((resolve) => {
    const why = `${what} could not be read within ${Math.round(ms / 1000)} s`;
    timer = setTimeout(() => resolve(blind('timeout', why)), ms);
  });
  try {
    return await Promise.race([look, late]);
  } finally {
    clearTimeout(timer);
  }
}
