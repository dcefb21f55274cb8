import { LEFT_OUT } from '../../evidence/evidence.ts';
import type { BackgroundReader } from './background-reader.ts';

/** Reads the facts of `clients`. */
export const readClients: BackgroundReader<'clients'> = async () => LEFT_OUT;
