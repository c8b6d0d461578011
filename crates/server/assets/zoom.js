// The part of a time axis that is in sight: all of it, or a range that is made smaller, larger and moved.

import { fill, h } from './dom.js';
import { place } from './words.js';

// The shortest range, in milliseconds: the axis has no mark below a second.
const LEAST = 1000;

const inside = (view, end) => (view === null || view.span >= end ? null
  : { span: view.span, from: Math.max(0, Math.min(end - view.span, view.from)) });

// What is in sight of an axis that ends there, as {from, span}. `view` is null for all of it.
export const sight = (view, end) => inside(view, end) ?? { from: 0, span: end };

// The view with a range so many times as long; what is at the moment `at` stays where it is, or comes to the middle.
export function scaled(view, end, times, at) {
  const old = sight(view, end);
  const span = Math.max(Math.min(LEAST, end), old.span * times);
  const part = (at - old.from) / old.span;
  return inside({ span, from: at - (part >= 0 && part <= 1 ? part : 0.5) * span }, end);
}

// The view a part of its length later.
export function moved(view, end, part) {
  const old = sight(view, end);
  return inside({ span: old.span, from: old.from + part * old.span }, end);
}

// The view with a moment in sight.
export function holding(view, end, at) {
  const old = sight(view, end);
  return at >= old.from && at <= old.from + old.span * 0.95 ? inside(view, end) : inside({ span: old.span, from: at - old.span * 0.8 }, end);
}

// What a key asks for; none where it is another's.
export const KEYS = { '+': 'in', '=': 'in', '-': 'out', 0: 'all', ArrowLeft: 'earlier', ArrowRight: 'later' };

// The buttons that do what the keys do, for who has none. `deed` is told which. Answers with `{element, show}`.
export function zooming(deed) {
  const button = (key, sign, words) => h('button', { type: 'button', class: 'quiet', 'data-zoom': key, 'aria-label': words, title: words, on: { click: (event) => {
    if (event.currentTarget.getAttribute('aria-disabled') !== 'true') deed(key);
  } } }, sign);
  const parts = { earlier: button('earlier', '◂', 'Earlier'), out: button('out', '−', 'Show more time'), all: button('all', 'All', 'Show all the time'),
    in: button('in', '+', 'Show less time, larger'), later: button('later', '▸', 'Later') };
  const range = h('span', { class: 'dim num range' });
  const element = h('div', { class: 'zoom', role: 'group', 'aria-label': 'Time in sight' }, Object.values(parts), range);
  const off = (key, is) => (is ? parts[key].setAttribute('aria-disabled', 'true') : parts[key].removeAttribute('aria-disabled'));
  const show = (view, end) => {
    const { from, span } = sight(view, end);
    for (const key of ['out', 'all']) off(key, view === null);
    off('in', span <= LEAST);
    off('earlier', from <= 0);
    off('later', from + span >= end);
    fill(range, view === null ? '' : `${place(from)} – ${place(from + span)}`);
  };
  return { element, show };
}
