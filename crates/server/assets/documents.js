// The documents that are made from a spec and what was seen.

import { fill, h } from './dom.js';
import { at } from './api.js';
import { pretend, trail } from './pieces.js';
import { chosen } from './choose.js';

const LANGUAGES = [['en', 'English'], ['fr', 'Français']];

export async function documents(place, context) {
  const { summary, select } = await chosen('/documents', context);
  if (!summary) {
    fill(place, h('h1', null, 'Documents'), h('p', null, 'No cluster is served here.'));
    return;
  }
  fill(place, trail(summary.name, 'documents'), h('div', { class: 'title' }, h('h1', null, `Documents of ${summary.name}`), h('span', { class: 'grow' }), select), pretend(summary.simulated),
    h('p', null, 'The infrastructure as it is wished: machines, networks, access, procedures. Made from the spec each time it is opened.'),
    h('ul', { class: 'cards' }, LANGUAGES.map(([language, words]) => h('li', { class: 'card' },
      h('h2', { lang: language }, words),
      h('p', null, h('a', { href: `/api/v1/${at('clusters', summary.name, 'documents', language)}`, target: '_blank', rel: 'noopener', lang: language },
        language === 'fr' ? 'Ouvrir le document' : 'Open the document', h('span', { class: 'unseen' }, language === 'fr' ? ' (nouvel onglet)' : ' (new tab)'), h('span', { 'aria-hidden': 'true' }, ' ↗')))))));
}
