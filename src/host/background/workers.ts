import { LEFT_OUT } from '../../evidence/evidence.ts';
import type { BackgroundReader } from './background-reader.ts';

/** Reads the facts of `workers`. */
export const readWorkers: BackgroundReader<'workers'> = async () => LEFT_OUT;
