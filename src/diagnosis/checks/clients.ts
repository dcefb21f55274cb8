import type { Explains } from './explanation.ts';

export const clients: Explains<'clients', { readonly known: boolean }> = {
  id: 'clients',
  title: 'clients',
  decides: false,
  judge({ background }) {
    const look = background.clients;
    const summary = look.seen ? '' : look.why;
    return { status: 'skip', summary, details: [], evidence: { known: look.seen }, causes: [] };
  },
};
