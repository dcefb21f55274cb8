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

/** Nobody has looked; evidence from before there was a background has this one. In the order of what is shown. */
export const NO_BACKGROUND: Background = {
  clients: LEFT_OUT,
  workers: LEFT_OUT,
  master: LEFT_OUT,
  versions: LEFT_OUT,
  settings: LEFT_OUT,
};

export const BACKGROUND = Object.keys(NO_BACKGROUND) as readonly BackgroundSection[];
