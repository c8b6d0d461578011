// How things are called and written. Each state has a sign and a word, so that colour is never the only one to tell.

import { h } from './dom.js';

const plain = new Intl.NumberFormat();
const tenths = new Intl.NumberFormat(undefined, { minimumFractionDigits: 1, maximumFractionDigits: 1 });
const day = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium', timeStyle: 'short' });
const clock = new Intl.DateTimeFormat(undefined, { timeStyle: 'medium' });
const apart = new Intl.RelativeTimeFormat(undefined, { numeric: 'auto' });

export const number = (value) => plain.format(value);
export const clockAt = (wall) => clock.format(new Date(wall * 1000));

// "1 node", "3 nodes".
export function counted(count, word, many = `${word}s`) {
  return `${number(count)} ${count === 1 ? word : many}`;
}

// Milliseconds as "420 ms", "13.2 s", "3 min 07 s", "2 h 05 min".
export function lasting(ms) {
  if (ms < 1000) return `${Math.round(ms)} ms`;
  if (ms < 59950) return `${tenths.format(ms / 1000)} s`;
  const seconds = Math.round(ms / 1000);
  const two = (value) => String(value).padStart(2, '0');
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${two(seconds % 60)} s`;
  const minutes = Math.round(seconds / 60);
  return `${number(Math.floor(minutes / 60))} h ${two(minutes % 60)} min`;
}

// A place in a run: "0:07", "3:07", "1:02:30".
export function place(ms) {
  const seconds = Math.floor(ms / 1000);
  const two = (value) => String(value).padStart(2, '0');
  const rest = `${two(Math.floor(seconds / 60) % 60)}:${two(seconds % 60)}`;
  return seconds < 3600 ? rest.replace(/^0/, '') : `${Math.floor(seconds / 3600)}:${rest}`;
}

const UNITS = [['year', 31557600], ['month', 2629800], ['day', 86400], ['hour', 3600], ['minute', 60]];

// How far a moment is from now: "2 hours ago", "in 12 days".
export function since(wall) {
  const away = wall - Date.now() / 1000;
  const [unit, length] = UNITS.find(([, seconds]) => Math.abs(away) >= seconds * 1.5) ?? ['second', 1];
  return apart.format(Math.round(away / length), unit);
}

// A moment as an element: near in words, exact where one points at it.
export function moment(wall, exact = false) {
  const date = new Date(wall * 1000);
  const words = exact ? day.format(date) : since(wall);
  return h('time', { datetime: date.toISOString(), title: exact ? since(wall) : day.format(date) }, words);
}

export const momentText = (wall) => day.format(new Date(wall * 1000));

// Bytes in the unit that reads best.
export function bytes(count) {
  const units = ['byte', 'kilobyte', 'megabyte', 'gigabyte', 'terabyte'];
  let value = count;
  let unit = 0;
  while (value >= 1000 && unit < units.length - 1) {
    value /= 1000;
    unit += 1;
  }
  return new Intl.NumberFormat(undefined, { style: 'unit', unit: units[unit], maximumFractionDigits: value < 10 ? 1 : 0 }).format(value);
}

const STATES = {
  good: ['✓', 'good'], care: ['!', 'needs care'], bad: ['✕', 'bad'], unknown: ['?', 'unknown'],
};

// Health: [sign, word, class].
export function health(state) {
  const name = state in STATES ? state : 'unknown';
  return [...STATES[name], name];
}

const STEPS = {
  waiting: ['◦', 'waiting', 'idle'], running: ['▸', 'running', 'live'], done: ['✓', 'done', 'good'],
  already: ['=', 'already true', 'good'], failed: ['✕', 'failed', 'bad'], skipped: ['↷', 'skipped', 'care'],
  cancelled: ['⊘', 'cancelled', 'care'], left: ['–', 'left', 'care'],
};

// Where a step stands: [sign, word, class].
export const stepState = (state) => STEPS[state] ?? ['?', state, 'unknown'];

const ENDS = {
  complete: ['✓', 'complete', 'good'], failed: ['✕', 'failed', 'bad'], notConverged: ['≠', 'did not settle', 'bad'],
  interrupted: ['⊘', 'stopped', 'care'], died: ['†', 'died', 'bad'],
};

// How a run ended: [sign, word, class].
export const runEnd = (end) => (end ? ENDS[end] ?? ['?', end, 'unknown'] : ['▸', 'running', 'live']);

const LAYERS = {
  machines: 'Machines', hosts: 'Hosts', members: 'Members', balancers: 'Load balancers', network: 'Network',
  addons: 'Add-ons', checks: 'Checks',
};
export const layerName = (name) => LAYERS[name] ?? name;

const STAGES = {
  machines: 'Machines', hosts: 'Hosts', 'load-balancers': 'Load balancers', 'control-plane': 'Control plane',
  workers: 'Workers', addons: 'Add-ons', removal: 'Removal', backup: 'Backup',
};
export const stageName = (stage) => STAGES[stage] ?? stage;

const PRODUCTS = { k3s: 'K3s', rke2: 'RKE2', kubeadm: 'kubeadm', talos: 'Talos', k0s: 'k0s' };
export const product = (name) => PRODUCTS[name] ?? name;

// A sign with its word, coloured. `word` may say more than the state's own.
export function badge([sign, word, kind], words = word) {
  return h('span', { class: `badge ${kind}` }, h('span', { class: 'sign', 'aria-hidden': 'true' }, sign), ' ', words);
}
