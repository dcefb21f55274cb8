import { LEFT_OUT } from '../../evidence/evidence.ts';
import type { BackgroundReader } from './background-reader.ts';

/** Reads the facts of `versions`. */
export const readVersions: BackgroundReader<'versions'> = async () => LEFT_OUT;
