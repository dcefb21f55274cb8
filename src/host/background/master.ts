import { LEFT_OUT } from '../../evidence/evidence.ts';
import type { BackgroundReader } from './background-reader.ts';

/** Reads the facts of `master`. */
export const readMaster: BackgroundReader<'master'> = async () => LEFT_OUT;
