/** The ports of an instance: those that its configuration gives it, and who is heard on them. */
import {
  type Look,
  type NetapiFacts,
  type SaltConfigFacts,
  type SocketFacts,
  seen,
} from './evidence.ts';

/** Every netapi module that has a port; empty where the config tells none. */
export function configuredNetapis(config: Look<SaltConfigFacts>): readonly NetapiFacts[] {
  if (!config.seen || config.value.netapi === null) return [];
  return [config.value.netapi, ...(config.value.otherNetapis ?? [])];
}

/** Ports that are configured beside the examined one, ascending. */
export function otherConfiguredPorts(config: Look<SaltConfigFacts>, examined: number): number[] {
  const ports = configuredNetapis(config).map(({ port }) => port);
  return [...new Set(ports)].filter((port) => port !== examined).sort((a, b) => a - b);
}

/**
 * The socket facts with what is heard on the instance's other configured ports.
 * @param listening every other port that somebody listens on
 */
export function withOtherPorts(
  sockets: Look<SocketFacts>,
  {
    config,
    examined,
    listening,
  }: {
    readonly config: Look<SaltConfigFacts>;
    readonly examined: number;
    readonly listening: Iterable<number>;
  },
): Look<SocketFacts> {
  const others = otherConfiguredPorts(config, examined);
  if (!sockets.seen || others.length === 0) return sockets;
  const heard = new Set(listening);
  return seen({ ...sockets.value, alsoListening: others.filter((port) => heard.has(port)) });
}
