import { blind, type ProcessFacts, seen } from '../../evidence/evidence.ts';
import { parseProcessStat } from '../../evidence/proc-text.ts';
import { saltPrograms } from '../../evidence/salt-programs.ts';
import {
  type ProgramLimits,
  parseOpenFilesLimit,
  parseResidentBytes,
} from '../../evidence/settings-facts.ts';
import { MOST_MATCHES } from '../raw-host.ts';
import type { BackgroundReader } from './background-reader.ts';

/**
 * Reads how much the salt-api processes use of what they may. What the config and the unit set is in
 * the evidence of the first look.
 */
export const readSettings: BackgroundReader<'settings'> = async ({ raw, evidence }) => {
  const chosen = saltPrograms(evidence);
  if (chosen.length === 0) return blind('missing', 'no salt-api runs whose limits could be read');
  const of = (name: string) => chosen.map(({ pid }) => `/proc/${pid}/${name}`);
  const [texts, links] = await Promise.all([
    raw.readTexts([...of('limits'), ...of('status'), ...of('stat')]),
    // One call each: a full table of one must not hide another's.
    Promise.all(of('fd/*').map((pattern) => raw.readLinks([pattern]))),
  ]);
  const programs = chosen.flatMap((facts, at) => {
    return programOf(facts, texts, links[at]?.size ?? 0);
  });
  if (programs.length === 0) return blind('missing', 'salt-api ended meanwhile');
  return seen({ programs });
};

function programOf(
  { pid, startTicks }: ProcessFacts,
  texts: ReadonlyMap<string, string>,
  open: number,
): ProgramLimits[] {
  const text = (name: string) => texts.get(`/proc/${pid}/${name}`) ?? '';
  if (parseProcessStat(text('stat'))?.startTicks !== startTicks) return [];
  return [
    {
      pid,
      startTicks,
      // A daemon has open files; none are seen without its rights.
      openFiles: open === 0 ? null : open,
      moreOpen: open >= MOST_MATCHES,
      mostFiles: parseOpenFilesLimit(text('limits')),
      residentBytes: parseResidentBytes(text('status')),
    },
  ];
}
