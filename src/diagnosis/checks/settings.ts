import type { Explains } from './explanation.ts';

export const settings: Explains<'settings', { readonly known: boolean }> = {
  id: 'settings',
  title: 'settings',
  decides: false,
  judge({ background }) {
    const look = background.settings;
    const summary = look.seen ? '' : look.why;
    return { status: 'skip', summary, details: [], evidence: { known: look.seen }, causes: [] };
  },
};
