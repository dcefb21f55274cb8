/**
 * What explains a state and is no part of it: looked at after what a verdict is made from, and only
 * where somebody wants to know why.
 */
import type { ClientsFacts } from './clients-facts.ts';
import { LEFT_OUT, type Look } from './evidence.ts';
import type { MasterFacts } from './master-facts.ts';
import type { SettingsFacts } from './settings-facts.ts';
import type { VersionsFacts } from './versions-facts.ts';
import type { WorkersFacts } from './workers-facts.ts';

export interface Background {
  readonly clients: Look<ClientsFacts>;
  readonly workers: Look<WorkersFacts>;
  readonly master: Look<MasterFacts>;
  readonly versions: Look<VersionsFacts>;
  readonly settings: Look<SettingsFacts>;
}

export type BackgroundSection = keyof Background;

/** In the order that they are shown in. */
export const BACKGROUND = [
  'clients',
  'workers',
  'master',
  'versions',
  'settings',
] as const satisfies readonly BackgroundSection[];

/** Nobody has looked; evidence from before there was a background has this one. */
export const NO_BACKGROUND: Background = {
  clients: LEFT_OUT,
  workers: LEFT_OUT,
  master: LEFT_OUT,
  versions: LEFT_OUT,
  settings: LEFT_OUT,
};
