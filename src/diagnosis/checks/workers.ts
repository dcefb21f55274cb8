import type { Explains } from './explanation.ts';

export const workers: Explains<'workers', { readonly known: boolean }> = {
  id: 'workers',
  title: 'workers',
  decides: false,
  judge({ background }) {
    const look = background.workers;
    const summary = look.seen ? '' : look.why;
    return { status: 'skip', summary, details: [], evidence: { known: look.seen }, causes: [] };
  },
};
