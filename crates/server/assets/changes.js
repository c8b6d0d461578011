// Field by field: what is there and what will be.

import { h } from './dom.js';

const LONG = 90;

// What is known of an object's whole content: a digest, which tells people only that it is another one.
const isDigest = (value) => value === null || /^[0-9a-f]{12}$/.test(value);

function content(from, to) {
  if (from === null) return h('ins', { class: 'to', title: to }, 'is made');
  return to === null ? h('del', { class: 'from', title: from }, 'taken away') : h('span', { title: `${from} → ${to}` }, 'its content changes');
}

function side(value, tag, kind, missing) {
  if (value === null) return h('span', { class: 'dim' }, missing);
  const text = h(tag, { class: kind }, h('span', { class: 'unseen' }, tag === 'del' ? 'was ' : 'becomes '), value);
  return value.length > LONG || value.includes('\n') ? h('pre', { class: 'value' }, text) : h('code', null, text);
}

// One field. What is only added shows no empty first side.
function field({ path, from, to }) {
  const digests = isDigest(from) && isDigest(to) && from !== to;
  const sides = () => [from !== null && [side(from, 'del', 'from', ''), h('span', { class: 'arrow', 'aria-hidden': 'true' }, ' → ')],
    side(to, 'ins', 'to', from === null ? 'nothing' : 'taken away')];
  return h('div', null, h('dt', null, path), h('dd', null, digests ? content(from, to) : sides()));
}

// A list of changes, or null where there are none.
export function changes(list) {
  return list?.length ? h('dl', { class: 'changes' }, list.map(field)) : null;
}

// A text's difference: each line with its sign, coloured by it.
export function difference(text) {
  return h('pre', { class: 'difference', tabindex: 0, role: 'region', 'aria-label': 'Difference of a text' }, text.split('\n').map((line) => {
    const kind = line.startsWith('+') ? 'to' : line.startsWith('-') ? 'from' : 'same';
    return h('span', { class: kind }, `${line}\n`);
  }));
}
