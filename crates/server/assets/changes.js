// Field by field: what is there and what will be.

import { h } from './dom.js';

const LONG = 90;

function side(value, tag, kind, missing) {
  if (value === null) return h('span', { class: 'dim' }, missing);
  const text = h(tag, { class: kind }, h('span', { class: 'unseen' }, tag === 'del' ? 'was ' : 'becomes '), value);
  return value.length > LONG || value.includes('\n') ? h('pre', { class: 'value' }, text) : h('code', null, text);
}

// A list of changes; what is only added shows no empty first side.
export function changes(list) {
  if (!list?.length) return null;
  return h('dl', { class: 'changes' }, list.map(({ path, from, to }) => h('div', null, h('dt', null, path),
    h('dd', null, from !== null && side(from, 'del', 'from', ''), from !== null && h('span', { class: 'arrow', 'aria-hidden': 'true' }, ' → '),
      side(to, 'ins', 'to', from === null ? 'nothing' : 'taken away')))));
}

// A text's difference: each line with its sign, coloured by it.
export function difference(text) {
  return h('pre', { class: 'difference', tabindex: 0, role: 'region', 'aria-label': 'Difference of a text' }, text.split('\n').map((line) => {
    const kind = line.startsWith('+') ? 'to' : line.startsWith('-') ? 'from' : 'same';
    return h('span', { class: kind }, `${line}\n`);
  }));
}
