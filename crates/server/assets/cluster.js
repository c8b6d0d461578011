// One cluster: its drawing, its health by layer, and what is known of the rest.

import { fill, h, refill, say, soon, table } from './dom.js';
import { at, get, listen, post } from './api.js';
import { badge, bytes, counted, health, moment, number, product, runEnd } from './words.js';
import { RUN_HEADS, doing, layers, pretend, progress, runRows, trail, trouble } from './pieces.js';
import { drawing } from './topology.js';
import { changes } from './changes.js';
import { drifted, follow, until } from './fleet.js';
import { asking } from './ask.js';
import { works } from './works.js';

// So many differences are shown at once, and so many at all.
const FEW = 8;
const MOST = 200;

function panel(id, head, words, ...content) {
  return h('section', { class: 'card', id, 'aria-labelledby': `${id}-head` },
    h('div', { class: 'head' }, h('h2', { id: `${id}-head` }, head), h('span', { class: 'grow' }), words), content);
}

function addons(list) {
  const rows = list.map((addon) => [addon.name, badge(health(addon.state), addon.words), addon.namespace ?? '', addon.chart ?? '',
    addon.seen === addon.version ? addon.version : [`${addon.seen ?? 'nothing'} → ${addon.version ?? 'nothing'}`]]);
  return panel('addons', 'Add-ons', h('span', { class: 'dim' }, String(list.length)),
    table('Add-ons', ['Name', 'State', 'Namespace', 'Chart', 'Version'], rows, 'The spec asks for none.'));
}

function certificates(list, summary) {
  const rows = [...list].sort((a, b) => a.until - b.until);
  const shown = (some) => table('Certificates', ['Node', 'State', 'Certificate', 'Ends'], some.map((one) =>
    [one.node, badge(health(one.state)), h('code', { class: 'path' }, one.name), moment(one.until, true)]), 'None were seen.');
  return panel('certificates', 'Certificates', until(summary.certificateUntil, summary.simulated, rows[0]?.state), shown(rows.slice(0, 8)),
    rows.length > 8 && h('details', { id: 'all-certificates' }, h('summary', null, `All ${counted(rows.length, 'certificate')}`), shown(rows.slice(8))));
}

function backups(list, { backupAt: newest, simulated }) {
  const rows = list.map((one) => [h('code', { class: 'path' }, one.name), one.place, moment(one.at, simulated), h('span', { class: 'num' }, bytes(one.bytes)),
    one.rehearsedAt ? ['rehearsed ', moment(one.rehearsedAt, simulated)] : 'never rehearsed', one.words]);
  return panel('backups', 'Backups', newest === null ? badge(['?', '', 'unknown'], 'none known') : ['newest ', moment(newest, simulated)],
    table('Backups', ['Bundle', 'Place', 'Made', 'Size', 'Restore', 'Of it'], rows, 'No bundle is known.'));
}

function drift(list, summary) {
  const rows = (some) => h('ul', { class: 'plain' }, some.map((one) => h('li', null, h('strong', null, one.subject), ' ',
    h('span', { class: 'dim' }, one.words), changes(one.fields))));
  return panel('drift', 'Drift', drifted(summary.drift),
    list === null ? h('p', { class: 'dim' }, 'It was not looked at yet.')
      : list.length === 0 ? h('p', { class: 'dim' }, 'Everything is as the spec says.')
        : [rows(list.slice(0, FEW)), list.length > FEW && h('details', { id: 'all-drift' },
          h('summary', null, `${number(list.length - FEW)} more`), rows(list.slice(FEW, MOST))),
        list.length > MOST && h('p', { class: 'dim' }, `and ${number(list.length - MOST)} more; a plan shows them all`)]);
}

function findings(list, looked) {
  return panel('findings', 'Findings', list.length === 0 && looked === null ? h('span', { class: 'dim' }, 'not looked at') : list.length === 0 ? badge(['✓', '', 'good'], 'none') : badge(['!', '', 'care'], counted(list.length, 'finding')),
    list.length === 0 ? h('p', { class: 'dim' }, looked === null ? 'It was not looked at yet.' : 'Nothing stands out.') : h('ul', null, list.map((words) => h('li', null, words))));
}

// The head of the page, which changes with each look.
function summaryHead(summary, moving) {
  const run = summary.running ? moving.get(summary.running) : null;
  const path = `/clusters/${encodeURIComponent(summary.name)}/runs/`;
  return [
    summary.fault && h('div', { class: 'note bad' }, h('p', null, h('span', { 'aria-hidden': 'true' }, '✕ '), h('strong', null, 'It cannot be looked at. '), summary.fault)),
    summary.running && h('div', { class: 'card moving' }, h('p', null, badge(['▸', '', 'live'], `${run?.ask ?? 'A run'} ${run ? 'runs' : 'moves'} now`), ' ',
      h('a', { href: path + encodeURIComponent(summary.running) }, 'Watch it')), run && progress(run)),
    h('section', { class: 'card', 'aria-labelledby': 'health-head' },
      h('div', { class: 'head' }, h('h2', { id: 'health-head' }, 'Health'), h('span', { class: 'grow' }),
        h('span', { class: 'dim' }, summary.looking ? 'looking now…' : summary.lookedAt === null ? 'not looked at yet' : ['looked ', moment(summary.lookedAt)])),
      layers(summary.layers)),
  ];
}

function titles(summary) {
  return [h('p', { class: 'dim lead' }, summary.description ? `${summary.description} · ` : null, product(summary.distribution), ' ', summary.version, ' · ',
    h('strong', null, summary.nodesReady), ` of ${counted(summary.nodes, 'node')} Ready`,
    summary.environment && [' · ', h('span', { class: 'tag' }, summary.environment)]),
  !summary.running && summary.lastRun && h('p', { class: 'dim lead' }, 'Last run: ', summary.lastRun.ask, ' ', badge(runEnd(summary.lastRun.end)), ' ', moment(summary.lastRun.wall))];
}

export async function cluster(place, { cluster: name, signal, go }) {
  let known = await get(at('clusters', name), signal);
  const moving = new Map();
  const told = h('div', { role: 'alert' });
  const lead = h('div');
  const banner = h('div', null, pretend(known.summary.simulated));
  const head = h('div', { class: 'stack' });
  const rest = h('div', { class: 'panels' });
  const { element, update, mark } = drawing(known.topology, signal);
  const watch = works(name, signal, mark);
  const look = h('button', { type: 'button' }, 'Look again');
  look.addEventListener('click', doing(look, 'Asking…', async () => {
    try {
      await post(at('clusters', name, 'look'));
      say('The cluster is being looked at.');
    } catch (error) {
      fill(told, trouble(error));
    }
  }));
  const drawHead = () => {
    refill(lead, titles(known.summary));
    refill(head, summaryHead(known.summary, moving));
  };
  const drawRest = () => refill(rest, findings(known.findings, known.summary.lookedAt), drift(known.drift, known.summary), addons(known.addons),
    certificates(known.certificates, known.summary), backups(known.backups, known.summary),
    panel('runs', 'Last runs', h('a', { href: `/clusters/${encodeURIComponent(name)}/history` }, 'All runs'),
      table('Last runs', RUN_HEADS, runRows(name, known.runs.slice(0, 6), false), 'Nothing has run yet.')));
  fill(place, trail(name, 'cluster'), h('div', { class: 'title' }, h('div', null, h('h1', null, name), lead), h('span', { class: 'grow' }),
    h('div', { class: 'deeds' }, look, asking(name, known, told, go))), banner, told, head, element, rest);
  drawHead();
  drawRest();
  const again = soon(async () => {
    try {
      const summary = known.summary;
      known = await get(at('clusters', name), signal);
      if (known.summary.lookedAt === null) known.summary.lookedAt = summary.lookedAt;
      drawHead();
      drawRest();
      update(known.topology);
    } catch {
      // What is shown stays; the next event asks again.
    }
  }, signal, 1000);
  const news = async (summary) => {
    const other = summary.lookedAt !== known.summary.lookedAt || summary.running !== known.summary.running;
    known.summary = summary;
    try {
      await follow(summary, moving, signal);
    } catch {
      // The bar is missing then; the link is not.
    }
    if (signal.aborted) return;
    watch(summary.running);
    drawHead();
    if (other) again();
  };
  if (known.summary.running) news(known.summary);
  listen(`${at('clusters', name)}/events`, { cluster: news }, signal, { again });
}
