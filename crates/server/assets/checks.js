// What was proven, over time: a strip for each check.

import { fill, h, refill, say, soon, svg } from './dom.js';
import { at, get, listen, post } from './api.js';
import { badge, counted, moment, momentText, number } from './words.js';
import { doing, pretend, trail, trouble } from './pieces.js';
import { chosen } from './choose.js';

const LAST = 48;

// One mark for each result, oldest at the left: high and filled where it held, low and crossed where it did not.
function strip(results) {
  const some = results.slice(-LAST);
  return svg('svg', { class: 'marks', viewBox: `0 0 ${some.length * 8} 22`, width: some.length * 8, height: 22, 'aria-hidden': 'true' }, some.map(({ held, at: wall, saw }, i) => {
    const x = i * 8;
    return svg('g', { class: held ? 'good' : 'bad' }, svg('title', null, `${momentText(wall)}: ${held ? 'held' : 'failed'}; ${saw}`),
      svg('rect', { x, y: held ? 3 : 11, width: 6, height: held ? 16 : 8 }), !held && svg('path', { d: `M${x} 2l6 6M${x + 6} 2l-6 6` }));
  }));
}

function check({ name, results }) {
  const last = results[results.length - 1];
  const failed = results.filter(({ held }) => !held);
  return h('li', { class: 'check' },
    h('div', null, h('strong', null, name), ' ', last ? badge(last.held ? ['✓', 'holds', 'good'] : ['✕', 'fails', 'bad']) : badge(['?', 'never looked at', 'unknown']),
      last && h('p', { class: 'dim' }, last.saw, ' · ', moment(last.at))),
    h('div', null, strip(results),
      h('p', { class: 'dim' }, results.length > 0 && `held ${number(results.length - failed.length)} of ${counted(results.length, 'time')}`),
      failed.length > 0 && h('details', { id: `failed-${name}` }, h('summary', null, `When it failed (${number(failed.length)})`),
        h('ul', null, failed.slice(-20).reverse().map(({ at: wall, saw }) => h('li', null, moment(wall, true), ': ', saw))))));
}

export async function checks(place, context) {
  const { signal } = context;
  const { summary, select } = await chosen('/checks', context);
  if (!summary) {
    fill(place, h('h1', null, 'Checks'), h('p', null, 'No cluster is served here.'));
    return;
  }
  const { name } = summary;
  const told = h('div', { role: 'alert' });
  const list = h('section', { class: 'card', 'aria-label': `Checks of ${name}` });
  const draw = (all) => refill(list, all.length === 0 ? h('p', { class: 'dim' }, 'No check was looked at yet.')
    : h('ul', { class: 'plain checks' }, [...all].sort((a, b) => Number(a.results.at(-1)?.held ?? 0) - Number(b.results.at(-1)?.held ?? 0)).map(check)));
  const load = async () => draw((await get(at('clusters', name, 'checks'), signal)).checks);
  const look = h('button', { type: 'button', class: 'main' }, 'Check now');
  look.addEventListener('click', doing(look, 'Asking…', async () => {
    try {
      fill(told);
      await post(at('clusters', name, 'checks'));
      say('The checks are being looked at.');
    } catch (error) {
      fill(told, trouble(error));
    }
  }));
  fill(place, trail(name, 'checks'), h('div', { class: 'title' }, h('h1', null, `Checks of ${name}`), h('span', { class: 'grow' }), select, look), pretend(summary.simulated), told,
    h('p', { class: 'dim' }, 'What the spec says must hold, each time it was looked at: a high mark where it held, a low one with a cross where it did not.'), list);
  await load();
  const again = soon(() => load().catch(() => {}), signal, 1000);
  listen(`${at('clusters', name)}/events`, { cluster: again }, signal, { again });
}
