import type { Explains } from './explanation.ts';

export const master: Explains<'master', { readonly known: boolean }> = {
  id: 'master',
  title: 'master',
  decides: false,
  judge({ background }) {
    const look = background.master;
    const summary = look.seen ? '' : look.why;
    return { status: 'skip', summary, details: [], evidence: { known: look.seen }, causes: [] };
  },
};
