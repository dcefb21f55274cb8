import { existsSync } from 'node:fs';
import { hostLocalTime } from '../../evidence/api-log-lines.ts';
import type { Background, BackgroundSection } from '../../evidence/background.ts';
import {
  type ApiLogFacts,
  type Evidence,
  type HostFacts,
  type InstanceFacts,
  LEFT_OUT,
  type Look,
  type LookRequest,
  type SaltConfigFacts,
  type ServiceFacts,
} from '../../evidence/evidence.ts';
import { withOtherPorts } from '../../evidence/instance-ports.ts';
import {
  askedLog,
  chooseInstance,
  choosePlaces,
  type InstancePlaces,
  runningSaltApis,
} from '../../evidence/resolve.ts';
import { DEFAULT_CONFIG_DIRECTORY } from '../../evidence/salt-api-argv.ts';
import { choosePort } from '../../evidence/salt-config.ts';
import { inPlaceOfFile } from '../../evidence/unread-log.ts';
import { stripControl } from '../../untrusted.ts';
import { askApi } from '../ask-api.ts';
import type { Host, LookInProgress } from '../host.ts';
import { within } from '../within.ts';
import { holdersAmong } from './fd-tables.ts';
import { readHostFacts } from './host-facts.ts';
import type { LogThreadOptions } from './log-thread.ts';
import { ProcTables } from './proc-tables.ts';
import {
  blindProcesses,
  describeProcesses,
  listProcesses,
  type ProcessScan,
  scanProcesses,
} from './processes.ts';
import { readSaltConfig } from './salt-config.ts';
import type { PortSockets } from './sockets.ts';

/** The host we run on, read from `/proc` and the file system. */
export class LocalHost implements Host {
  readonly name: string;
  readonly #proc: string;
  readonly #unit: string;
  /** The pass over the process table of the last look; null before the first. */
  #scan: Promise<Scan> | null = null;

  /** @param options `proc`: a tree of `/proc`'s shape; `unit`: the service's name */
  constructor(options: { readonly proc?: string; readonly unit?: string } = {}) {
    this.#proc = options.proc ?? '/proc';
    this.#unit = options.unit ?? 'salt-api';
    this.name = readHostFacts(this.#proc).name;
  }

  look(request: LookRequest, leave?: AbortSignal): LookInProgress {
    const { leaveOut = [] } = request;
    const proc = this.#proc;
    const host = readHostFacts(proc);
    const pids = listProcesses(proc);
    const tables = pids
      .then(
        ({ length }) => length,
        () => 0,
      )
      .then((processes) => ProcTables.open(proc, processes));
    const socketsOf = async (port: number) => (await tables).sockets(port);
    // The thread that shares the work starts while the processes are read.
    const scan = Promise.all([pids, tables])
      .then(([all]) => scanProcesses(all, proc))
      .catch((error: unknown) => blindProcesses(error, proc));
    this.#scan = scan;
    const asked = request.port === undefined ? null : socketsOf(request.port);
    const instance = scan.then((found) => this.#instance(request, host, { found, asked }));
    const config = instance.then((chosen) => this.#config(chosen, request));
    const port = config.then((found) => choosePort(request.port, found));
    const sockets = asked ?? port.then((chosen) => socketsOf(chosen.number));
    const places = Promise.all([scan, instance, config]).then(([found, chosen, settings]) => {
      const running = runningSaltApis(saltApiOf(found), host.uid);
      const all = choosePlaces(request, { instance: chosen, config: settings, running });
      return { ...all, configDirectory: chosen.configDirectory };
    });
    // A log that was asked for is read while all that is found out.
    const asLog = askedLog(request);
    const log = asLog === null ? places.then((chosen) => chosen.log) : Promise.resolve(asLog);
    const processes = Promise.all([scan, sockets, places, tables])
      .then(([found, table, chosen, { fds }]) => {
        if ('seen' in found) return found;
        const files = { log: chosen.log.path, configDirectory: chosen.configDirectory };
        return describeProcesses(found, table, files, { proc, readTables: fds });
      })
      .finally(async () => (await tables).end());
    const known = Promise.all([sockets, config, port, processes]).then(
      ([table, settings, chosen, holders]) => ({
        sockets: table.facts,
        config: settings,
        port: chosen,
        processes: holders,
      }),
    );
    const how = leave === undefined ? {} : { leave };
    const ask = async (timeoutMs: number | null) => askApi(timeoutMs, await known, how);
    return {
      host: Promise.resolve(host),
      instance,
      config,
      port,
      sockets: Promise.all([sockets, config, port]).then(([table, settings, chosen]) =>
        withOtherPorts(table.facts, {
          config: settings,
          examined: chosen.number,
          listening: table.otherListeners.values(),
        }),
      ),
      processes,
      service: places.then((chosen) => this.#service(chosen, request)),
      apiLog: log.then((chosen) => {
        return leaveOut.includes('apiLog') ? LEFT_OUT : this.#apiLog(chosen, request, host);
      }),
      answer: leaveOut.includes('answer') ? Promise.resolve(LEFT_OUT) : ask(request.probeTimeoutMs),
      askAgain: ask,
    };
  }

  async lookBehind(
    evidence: Omit<Evidence, 'background'>,
    wanted: readonly BackgroundSection[],
    request: LookRequest,
  ): Promise<Partial<Background>> {
    const [{ lookBackground }, { LocalRawHost }] = await Promise.all([
      import('../background/look-background.ts'),
      import('./local-raw-host.ts'),
    ]);
    const scan = await this.#scan;
    const raw = new LocalRawHost(scan !== null && !('seen' in scan) ? scan.masters : undefined);
    return lookBackground({ raw, evidence, request }, wanted);
  }

  async #instance(
    request: LookRequest,
    { uid }: HostFacts,
    { found, asked }: { readonly found: Scan; readonly asked: Promise<PortSockets> | null },
  ): Promise<InstanceFacts> {
    const argvsOf = (processes: ProcessScan['saltApi']) =>
      runningSaltApis(processes, uid).map(({ argv }) => argv);
    const argvs = argvsOf(saltApiOf(found));
    // A port that was asked for may name the instance, where the argv leave a choice: fd tables may be
    // long, and the table of sockets is.
    const several = new Set(argvs.map(({ configDirectory }) => configDirectory)).size > 1;
    const holding =
      asked !== null && several
        ? await holdersAmong(saltApiOf(found), await asked, this.#proc)
        : [];
    return chooseInstance(request, {
      argvs,
      holding: argvsOf(holding),
      environment: process.env['SALT_CONFIG_DIR'],
      defaultConfigured: existsSync(`${DEFAULT_CONFIG_DIRECTORY}/master`),
    });
  }

  #config(instance: InstanceFacts, request: LookRequest): Promise<Look<SaltConfigFacts>> {
    const directory =
      instance.origin === 'argv' ? instance.configDirectory : request.configDirectory;
    return within(readSaltConfig({ directory }), request.lookTimeoutMs, 'the Salt config');
  }

  async #service(places: InstancePlaces, request: LookRequest): Promise<Look<ServiceFacts>> {
    const { readService } = await import('./service.ts');
    const { pidFiles, members } = places;
    const timeoutMs = request.lookTimeoutMs;
    const look = readService({ pidFiles, members, unit: this.#unit, timeoutMs });
    return within(look, timeoutMs + 1000, 'the service');
  }

  async #apiLog(
    { path, origin }: InstancePlaces['log'],
    request: LookRequest,
    { now }: HostFacts,
  ): Promise<Look<ApiLogFacts>> {
    const { readApiLog } = await import('./api-log.ts');
    const window = {
      windowFrom: request.sinceMs === null ? null : now - request.sinceMs,
      now,
      localTime: hostLocalTime,
      timeoutMs: request.lookTimeoutMs,
    };
    const aside = async (options: LogThreadOptions) =>
      (await import('./log-thread.ts')).readApiLogAside(options);
    const look = await readApiLog({ path, origin, ...window, aside });
    if (look.seen || look.cause !== 'missing' || origin === 'option') return look;
    const { readJournal } = await import('./journal.ts');
    return inPlaceOfFile(stripControl(path), await readJournal({ unit: this.#unit, ...window }));
  }
}

type Scan = ProcessScan | Look<never>;

function saltApiOf(scan: Scan): ProcessScan['saltApi'] {
  return 'seen' in scan ? [] : scan.saltApi;
}
