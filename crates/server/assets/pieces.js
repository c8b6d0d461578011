// Pieces that several views show.

import { h } from './dom.js';
import { badge, counted, health, layerName, lasting, moment, number, runEnd } from './words.js';

// What went wrong, with what to do.
export function trouble(error, head = null) {
  return h('div', { class: 'note bad' },
    h('p', null, h('span', { class: 'sign', 'aria-hidden': 'true' }, '✕ '), h('strong', null, head ?? capital(error.message)),
      head && error.message && `: ${error.message}`),
    error.details?.length > 0 && h('ul', null, error.details.map((line) => h('li', null, line))),
    error.hint && h('p', { class: 'dim' }, capital(error.hint)));
}

export const capital = (words) => (words ? words[0].toUpperCase() + words.slice(1) : words);

// That nothing here is real.
export function pretend(simulated) {
  return simulated && h('p', { class: 'pretend' }, h('strong', null, 'Simulated.'), ' This is a pretend world: nothing real is touched.');
}

// The pages of one cluster, and where one is among them.
export function trail(name, here) {
  const base = `/clusters/${encodeURIComponent(name)}`;
  const link = (path, words, key) => h('a', { href: path, 'aria-current': here === key ? 'page' : null }, words);
  return h('nav', { class: 'trail', 'aria-label': `Cluster ${name}` },
    link(base, 'Overview', 'cluster'), link(`${base}/plan`, 'Plan', 'plan'), link(`${base}/history`, 'Runs', 'history'),
    link(`/checks?cluster=${encodeURIComponent(name)}`, 'Checks', 'checks'), link(`/documents?cluster=${encodeURIComponent(name)}`, 'Documents', 'documents'));
}

// Health by layer: each with its sign, its name and its words.
export function layers(list, brief = false) {
  if (list.length === 0) return h('p', { class: 'dim' }, 'Nobody has looked yet.');
  return h('ul', { class: brief ? 'layers brief' : 'layers', 'aria-label': 'Health by layer' }, list.map((layer) => {
    const [sign, word, kind] = health(layer.state);
    return h('li', { class: kind, title: layer.words },
      h('span', { class: `sign ${kind}`, 'aria-hidden': 'true' }, sign), ' ',
      h('span', { class: 'layer' }, layerName(layer.name)), h('span', { class: brief ? 'unseen' : 'words' }, ` ${brief ? word : layer.words || word}`));
  }));
}

// The worst state of layers that are known; unknown where none is.
export function worst(list) {
  for (const state of ['bad', 'care']) if (list.some((layer) => layer.state === state)) return state;
  return list.some((layer) => layer.state === 'good') ? 'good' : 'unknown';
}

// How many of a run's steps have ended, as a bar with words.
export function progress(summary, label = 'Progress of the run') {
  const ended = summary.done + summary.already + summary.failed + summary.left;
  const words = `${number(ended)} of ${counted(summary.steps, 'step')}${summary.failed ? `, ${number(summary.failed)} failed` : ''}`;
  return h('div', { class: 'progress' },
    h('progress', { max: Math.max(summary.steps, 1), value: ended, 'aria-label': `${label}: ${words}` }), h('span', null, words));
}

// The counts of a run in one line.
export function tally(summary) {
  return [['done', 'done'], ['already', 'already true'], ['failed', 'failed'], ['left', 'never started'], ['retries', 'tried again']]
    .filter(([key]) => summary[key] > 0).map(([key, words]) => `${number(summary[key])} ${words}`).join(', ') || 'nothing was done';
}

// Runs as rows of a table.
export function runRows(name, runs, exact = true) {
  return runs.map((run) => [
    h('a', { href: `/clusters/${encodeURIComponent(name)}/runs/${encodeURIComponent(run.run)}` }, run.run),
    run.ask,
    badge(runEnd(run.end)),
    moment(run.wall, exact),
    h('span', { class: 'num' }, run.end ? lasting(run.took) : '…'),
    tally(run),
  ]);
}
export const RUN_HEADS = ['Run', 'Asked', 'End', 'Began', 'Took', 'Steps'];

// Who sits at a button that makes the server work sees that it does.
export function doing(button, words, work) {
  return async (event) => {
    event?.preventDefault();
    if (button.getAttribute('aria-disabled') === 'true') return;
    const before = button.textContent;
    button.setAttribute('aria-disabled', 'true');
    button.textContent = words;
    try {
      await work();
    } finally {
      button.removeAttribute('aria-disabled');
      button.textContent = before;
    }
  };
}
