import type { Explains } from './explanation.ts';

export const versions: Explains<'versions', { readonly known: boolean }> = {
  id: 'versions',
  title: 'versions',
  decides: false,
  judge({ background }) {
    const look = background.versions;
    const summary = look.seen ? '' : look.why;
    return { status: 'skip', summary, details: [], evidence: { known: look.seen }, causes: [] };
  },
};
