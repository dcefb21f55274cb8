import { LEFT_OUT } from '../../evidence/evidence.ts';
import type { BackgroundReader } from './background-reader.ts';

/** Reads the facts of `settings`. */
export const readSettings: BackgroundReader<'settings'> = async () => LEFT_OUT;
