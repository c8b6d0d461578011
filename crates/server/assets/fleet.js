// All clusters: who is well, who is not, and what moves.

import { fill, h, refill, soon } from './dom.js';
import { at, get, listen } from './api.js';
import { badge, counted, health, moment, number, product, runEnd } from './words.js';
import { layers, pretend, progress, worst } from './pieces.js';

const ORDER = { bad: 0, care: 1, unknown: 2, good: 3 };

function fact(name, value, kind = null) {
  return h('div', null, h('dt', null, name), h('dd', { class: kind }, value));
}

// A certificate that ends soon is said so, with a sign. A pretend world has a time of its own, by which ours judges nothing:
// there only the server knows, and tells it as `state`.
export function until(wall, simulated, state = null) {
  if (wall === null) return h('span', { class: 'dim' }, 'not known');
  const words = moment(wall, simulated);
  const days = (wall - Date.now() / 1000) / 86400;
  const judged = state ?? (simulated ? 'good' : days < 0 ? 'bad' : days < 30 ? 'care' : 'good');
  if (judged === 'bad') return badge(['✕', '', 'bad'], ['ended ', words]);
  return judged === 'care' ? badge(['!', '', 'care'], ['ends ', words]) : h('span', null, 'ends ', words);
}

export function drifted(drift) {
  if (drift === null) return h('span', { class: 'dim' }, 'not looked at');
  return drift === 0 ? badge(['✓', '', 'good'], 'none') : badge(['!', '', 'care'], counted(drift, 'difference'));
}

function card(summary, moving) {
  const path = `/clusters/${encodeURIComponent(summary.name)}`;
  const state = worst(summary.layers);
  const run = summary.lastRun?.run === summary.running ? summary.lastRun : moving.get(summary.running);
  return h('li', { class: `card cluster ${state}` },
    h('div', { class: 'head' },
      h('h2', null, h('a', { href: path }, summary.name)),
      summary.environment && h('span', { class: 'tag' }, summary.environment),
      summary.simulated && h('span', { class: 'tag pretend-tag' }, 'simulated'),
      h('span', { class: 'grow' }), badge(health(state))),
    h('p', { class: 'dim' }, summary.description || null),
    summary.fault && h('p', { class: 'note bad' }, h('span', { 'aria-hidden': 'true' }, '✕ '), summary.fault),
    layers(summary.layers, true),
    h('dl', { class: 'facts' },
      fact('Nodes Ready', [h('strong', null, number(summary.nodesReady)), ` of ${number(summary.nodes)}`],
        summary.nodesReady < summary.nodes ? 'care' : null),
      fact('Version', [product(summary.distribution), ' ', summary.version]),
      fact('Drift', drifted(summary.drift)),
      fact('Certificates', until(summary.certificateUntil, summary.simulated)),
      fact('Newest backup', summary.backupAt === null ? h('span', { class: 'dim' }, 'none known') : moment(summary.backupAt, summary.simulated)),
      fact('Looked', summary.looking ? 'looking now…' : summary.lookedAt === null ? 'not yet' : moment(summary.lookedAt))),
    summary.running
      ? h('div', { class: 'moving' }, h('a', { href: `${path}/runs/${encodeURIComponent(summary.running)}` },
        badge(['▸', '', 'live'], run ? `${run.ask} runs` : 'a run moves')), run && progress(run, `Run of ${summary.name}`))
      : summary.lastRun && h('p', { class: 'last' }, 'Last run: ', h('a', { href: `${path}/runs/${encodeURIComponent(summary.lastRun.run)}` },
        summary.lastRun.ask), ' ', badge(runEnd(summary.lastRun.end)), ' ', moment(summary.lastRun.wall)));
}

// What runs, asked not more often than need be: a summary names the run, the run knows its steps.
export async function follow(summary, moving, signal) {
  const { running } = summary;
  if (!running) return;
  if (summary.lastRun?.run === running) moving.set(running, summary.lastRun);
  else if (!(Date.now() - (moving.get(running)?.asked ?? 0) < 2000)) {
    const { runs } = await get(at('clusters', summary.name, 'runs'), signal);
    const run = runs.find((one) => one.run === running);
    if (run) moving.set(running, { ...run, asked: Date.now() });
  }
}

export async function fleet(place, { signal }) {
  const { clusters } = await get('clusters', signal);
  const known = new Map(clusters.map((summary) => [summary.name, summary]));
  const moving = new Map();
  let filter = '';
  const banner = h('div');
  const sum = h('p', { class: 'dim' });
  const cards = h('ul', { class: 'cards' });
  const draw = () => {
    const all = [...known.values()].sort((a, b) => ORDER[worst(a.layers)] - ORDER[worst(b.layers)] || a.name.localeCompare(b.name));
    const shown = all.filter((summary) => `${summary.name} ${summary.description} ${summary.environment}`.toLowerCase().includes(filter));
    const ready = all.reduce((sofar, summary) => sofar + summary.nodesReady, 0);
    const nodes = all.reduce((sofar, summary) => sofar + summary.nodes, 0);
    fill(banner, pretend(all.length > 0 && all.every((summary) => summary.simulated)));
    fill(sum, `${counted(all.length, 'cluster')}, ${number(ready)} of ${counted(nodes, 'node')} Ready`, filter && `; ${number(shown.length)} shown`);
    refill(cards, shown.map((summary) => card(summary, moving)));
  };
  const later = soon(draw, signal, 250);
  const search = known.size > 6 && h('label', { class: 'search' }, h('span', null, 'Find'),
    h('input', { type: 'search', on: { input: (event) => {
      filter = event.target.value.toLowerCase();
      draw();
    } } }));
  fill(place, h('div', { class: 'title' }, h('h1', null, 'Fleet'), sum, h('span', { class: 'grow' }), search), banner, cards);
  if (known.size === 0) fill(cards, h('li', { class: 'card' }, 'No cluster is served here.'));
  else draw();
  const news = (summary) => {
    known.set(summary.name, summary);
    follow(summary, moving, signal).then(later, later);
  };
  clusters.forEach((summary) => summary.running && news(summary));
  const again = () => get('clusters', signal).then((value) => value.clusters.forEach(news), () => {});
  listen('events', { cluster: news }, signal, { again });
}
