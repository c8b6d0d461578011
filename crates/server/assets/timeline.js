// A run on a time axis: one bar for each step, in the plan's order below its stages.
//
// Only what is in sight is drawn, so thousands of steps cost what thirty do. For keys and readers it is a list box: the
// arrow keys choose a step, whose log stands beside it.

import { fill, h, say, svg } from './dom.js';
import { lasting, place, stageName, stepState } from './words.js';
import { fit } from './topology.js';
import { KEYS, holding, moved, scaled, sight, zooming } from './zoom.js';

const STEPS = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 21600, 43200, 86400].map((s) => s * 1000);
const NARROW = 620;

// The distance of ticks for a length and a width, in milliseconds.
function tick(length, width) {
  const most = Math.max(2, Math.floor(width / 66));
  return STEPS.find((step) => length / step <= most) ?? STEPS[STEPS.length - 1];
}

// The end of the axis: a little ahead of now, on a round time, so that bars do not shrink all the time.
export function ahead(ms) {
  const wanted = Math.max(ms * 1.04, 10_000);
  const round = STEPS.filter((step) => step <= wanted / 6).pop() ?? 1000;
  return Math.ceil(wanted / round) * round;
}

function sentence(step, now, critical) {
  const [, word] = stepState(step.state);
  const time = step.from === null ? step.waitsFor ? `waits for ${step.waitsFor}` : ''
    : `began at ${place(step.from)}, ${step.to === null ? 'so far' : 'took'} ${lasting((step.to ?? now) - step.from)}`;
  return [step.title, word, time, critical ? 'on the critical path' : '', stageName(step.stage)].filter(Boolean).join(', ');
}

function bars(step, scene, y) {
  const { now, slim, x } = scene;
  const top = slim ? y + 24 : y + 6;
  const tall = slim ? 12 : 16;
  const [, , kind] = stepState(step.state);
  const out = [];
  if (step.waitedFrom !== null) {
    const to = step.from ?? step.to ?? now;
    const [left, right] = scene.cut(step.waitedFrom, to);
    if (right > left) out.push(svg('rect', { class: 'wait', x: left, y: top + tall / 2 - 3, width: Math.max(1, right - left), height: 6 }));
  }
  if (step.from !== null) {
    const to = step.to ?? now;
    const [left, edge] = scene.cut(step.from, to);
    // What lies before or behind what is in sight has no bar there.
    if (edge < left) return out;
    const wide = Math.max(3, edge - left);
    out.push(svg('rect', { class: `bar ${kind}`, x: left, y: top, width: wide, height: tall, rx: 3 }));
    if (scene.critical.has(step.id)) out.push(svg('rect', { class: 'critical', x: left, y: top + tall + 1, width: wide, height: 3 }));
    const words = lasting(to - step.from);
    const right = left + wide + 6;
    const room = right + words.length * 7 < scene.width - 4;
    if (room || left - words.length * 7 - 6 > scene.x0) out.push(svg('text', { class: room ? 'long' : 'long end', x: room ? right : left - 6, y: top + tall - 3 }, words));
  }
  return out;
}

// A row is drawn for eyes, and above it lies what is chosen and read: a box without words, whose name says all.
function draw(row, step, scene, y) {
  const [sign, , kind] = stepState(step.state);
  const critical = scene.critical.has(step.id);
  const font = '13px system-ui, sans-serif';
  const room = (scene.slim ? scene.width - 50 : scene.x0 - 46) - (critical ? 16 : 0);
  const chosen = scene.chosen === step.id;
  row.drawn.setAttribute('class', `row ${kind}${chosen ? ' chosen' : ''}`);
  fill(row.drawn, svg('rect', { class: 'ground', x: 0, y, width: scene.width, height: scene.row }),
    svg('text', { class: `sign ${kind}`, x: 16, y: y + 18 }, sign),
    svg('text', { class: 'title', x: 30, y: y + 18 }, fit(step.title, room, font)),
    critical && svg('text', { class: 'mark', x: scene.slim ? scene.width - 16 : scene.x0 - 16, y: y + 18 }, '◆'),
    bars(step, scene, y));
  row.option.setAttribute('aria-label', sentence(step, scene.now, critical));
  row.option.setAttribute('aria-selected', String(chosen));
  for (const [name, value] of Object.entries({ x: 0, y, width: scene.width, height: scene.row })) row.option.setAttribute(name, value);
}

function fresh(id) {
  return { key: '', drawn: svg('g', { 'aria-hidden': 'true' }),
    option: svg('rect', { role: 'option', class: 'option', id: `step-${id.replace(/[^\w-]/g, '_')}`, 'data-step': id }) };
}

const FILTERS = [['all', 'All steps'], ['moves', 'What moves now'], ['failed', 'What went wrong'], ['critical', 'Critical path']];
const WRONG = new Set(['failed', 'skipped', 'cancelled', 'left']);

function wanted(step, filter, words, critical) {
  if (words && !`${step.title} ${step.part}`.toLowerCase().includes(words)) return false;
  if (filter === 'moves') return step.state === 'running' || (step.state === 'waiting' && step.waitsFor !== null);
  if (filter === 'failed') return WRONG.has(step.state) || step.tries > 0;
  return filter !== 'critical' || critical.has(step.id);
}

// Makes the drawing. `choose` is told the id of a step. Answers with `{element, show}`.
export function timeline(signal, choose) {
  const axis = h('div', { class: 'axis', 'aria-hidden': 'true' });
  const canvas = svg('svg', { role: 'none' });
  const box = h('div', { class: 'rows', tabindex: 0, role: 'listbox', 'aria-label': 'Steps of the run, in time', 'aria-keyshortcuts': 'Plus - 0 ArrowLeft ArrowRight' }, canvas);
  const empty = h('p', { class: 'dim', hidden: true }, 'No step is like this.');
  const state = { story: null, now: 0, end: 10_000, critical: new Set(), chosen: null, filter: 'all', words: '', items: [], follow: true, live: false, view: null };
  const kept = new Map();

  const measure = () => {
    const width = box.clientWidth;
    const slim = width < NARROW;
    const x0 = slim ? 14 : Math.round(Math.min(360, width * 0.36));
    const { from, span } = sight(state.view, state.end);
    const scale = (width - x0 - (slim ? 14 : 70)) / span;
    const x = (ms) => x0 + (ms - from) * scale;
    // A span of time in pixels, as much of it as is in sight; the right end is left of the left one where nothing is.
    const cut = (one, other) => (other < from || one > from + span ? [0, -1] : [x(Math.max(one, from)), x(Math.min(other, from + span))]);
    return { width, slim, row: slim ? 42 : 28, x0, scale, from, span, x, cut };
  };
  const arrange = (scene) => {
    const stages = new Map();
    for (const step of state.story.steps.values()) {
      if (!wanted(step, state.filter, state.words, state.critical)) continue;
      if (!stages.has(step.stage)) stages.set(step.stage, []);
      stages.get(step.stage).push(step);
    }
    state.items = [];
    let y = 0;
    for (const [stage, steps] of stages) {
      state.items.push({ stage, y, height: 28, steps });
      y += 28;
      for (const step of steps) {
        state.items.push({ step, y, height: scene.row });
        y += scene.row;
      }
    }
    return y;
  };
  const drawAxis = (scene) => {
    const step = tick(scene.span, scene.span * scene.scale);
    const marks = [];
    for (let at = Math.ceil(scene.from / step) * step; at <= scene.from + scene.span; at += step) marks.push(at);
    fill(axis, svg('svg', { width: scene.width, height: 24 }, marks.map((at) => svg('text', { x: scene.x(at), y: 16 }, place(at)))));
    return marks.map(scene.x);
  };
  const paint = () => {
    if (!state.story || box.clientWidth === 0) return;
    if (state.follow && state.live) state.view = holding(state.view, state.end, state.now);
    zoom.show(state.view, state.end);
    const scene = { ...measure(), now: state.now, critical: state.critical, chosen: state.chosen };
    const height = Math.max(1, arrange(scene));
    empty.hidden = state.items.length > 0;
    const xs = drawAxis(scene);
    canvas.setAttribute('width', scene.width);
    canvas.setAttribute('height', height);
    if (state.follow && state.live) {
      const first = state.items.find((item) => item.step?.state === 'running');
      if (first && (first.y < box.scrollTop || first.y > box.scrollTop + box.clientHeight - 3 * scene.row)) box.scrollTop = first.y - box.clientHeight / 3;
    }
    const from = box.scrollTop - 100;
    const to = box.scrollTop + box.clientHeight + 100;
    const shown = state.items.filter((item) => item.y + item.height > from && item.y < to);
    const nodes = [svg('path', { class: 'grid', d: xs.map((x) => `M${x.toFixed(1)} ${Math.max(0, from)}V${Math.min(height, to)}`).join('') })];
    for (const item of shown) {
      if (!item.step) {
        const over = item.steps.filter((step) => step.state !== 'waiting' && step.state !== 'running').length;
        nodes.push(svg('text', { class: 'stage', x: 8, y: item.y + 19, 'aria-hidden': 'true' }, `${stageName(item.stage) || 'Other'}  ${over} of ${item.steps.length}`));
        continue;
      }
      let row = kept.get(item.step.id);
      const key = [item.step.state, item.step.tries, item.y, scene.width, scene.from, scene.span, item.step.state === 'running' || (item.step.waitsFor && item.step.from === null) ? state.now : '', state.chosen === item.step.id, state.critical.has(item.step.id)].join();
      if (!row) {
        row = fresh(item.step.id);
        kept.set(item.step.id, row);
      }
      if (row.key !== key) draw(row, item.step, scene, item.y);
      row.key = key;
      nodes.push(row.drawn, row.option);
    }
    nodes.push(svg('path', { class: 'now', d: state.live && scene.cut(state.now, state.now)[1] > 0 ? `M${scene.x(state.now)} ${Math.max(0, from)}V${Math.min(height, to)}` : '' }));
    canvas.replaceChildren(...nodes);
    const at = shown.find((item) => item.step?.id === state.chosen);
    if (at) box.setAttribute('aria-activedescendant', kept.get(state.chosen).option.id);
    else box.removeAttribute('aria-activedescendant');
  };
  const pick = (id, reveal) => {
    state.chosen = id;
    const item = state.items.find((one) => one.step?.id === id);
    if (item && reveal) {
      if (item.y < box.scrollTop + 28) box.scrollTop = item.y - 28;
      else if (item.y + item.height > box.scrollTop + box.clientHeight) box.scrollTop = item.y + item.height - box.clientHeight;
    }
    choose(id);
    paint();
  };
  // What is chosen stays in sight, or else what happens now, or the first step of those that are read.
  const fixed = () => {
    if (state.live && state.follow) return state.now;
    const read = state.items.find((item) => item.step && item.y + item.height > box.scrollTop && item.step.from !== null)?.step;
    const chosen = state.story.steps.get(state.chosen);
    const step = chosen && chosen.from !== null ? chosen : read;
    return step ? (step.from + (step.to ?? state.now)) / 2 : state.now;
  };
  const turn = (deed, at = null) => {
    if (!state.story) return;
    if (deed === 'in' || deed === 'out') state.view = scaled(state.view, state.end, deed === 'in' ? 1 / 2 : 2, at ?? fixed());
    else if (deed === 'all') state.view = null;
    else {
      unfollow();
      state.view = moved(state.view, state.end, deed === 'later' ? 1 / 4 : -1 / 4);
    }
    const { from, span } = sight(state.view, state.end);
    paint();
    say(state.view === null ? 'All the time is shown.' : `Shown from ${place(from)} to ${place(from + span)}.`);
  };
  box.addEventListener('keydown', (event) => {
    const deed = Object.hasOwn(KEYS, event.key) ? KEYS[event.key] : null;
    if (deed && !event.ctrlKey && !event.metaKey && !event.altKey) {
      event.preventDefault();
      turn(deed);
      return;
    }
    const steps = state.items.filter((item) => item.step).map((item) => item.step.id);
    const now = steps.indexOf(state.chosen);
    const page = Math.max(1, Math.floor(box.clientHeight / 28) - 2);
    const to = { ArrowDown: now + 1, ArrowUp: now < 0 ? 0 : now - 1, PageDown: now + page, PageUp: now - page, Home: 0, End: steps.length - 1 }[event.key];
    if (to === undefined || steps.length === 0 || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    state.follow = false;
    chase.checked = false;
    pick(steps[Math.max(0, Math.min(steps.length - 1, to))], true);
  });
  box.addEventListener('click', (event) => {
    const hit = event.target.closest('[data-step]');
    if (hit) pick(hit.getAttribute('data-step'), false);
  });
  const chase = h('input', { type: 'checkbox', checked: true, on: { change: (event) => {
    state.follow = event.target.checked;
    paint();
  } } });
  const unfollow = () => {
    state.follow = false;
    chase.checked = false;
  };
  // With Ctrl, which is also what fingers on a touch pad come as; without it the wheel scrolls.
  box.addEventListener('wheel', (event) => {
    if (!event.ctrlKey) {
      unfollow();
      return;
    }
    event.preventDefault();
    const scene = measure();
    const at = scene.from + (event.clientX - box.getBoundingClientRect().left - scene.x0) / scene.scale;
    turn(event.deltaY < 0 ? 'in' : 'out', Math.max(scene.from, Math.min(scene.from + scene.span, at)));
  }, { passive: false });
  box.addEventListener('touchmove', unfollow, { passive: true });
  let frame = null;
  box.addEventListener('scroll', () => {
    frame ??= requestAnimationFrame(() => {
      frame = null;
      paint();
    });
  }, { passive: true });
  const watch = new ResizeObserver(paint);
  watch.observe(box);
  signal.addEventListener('abort', () => watch.disconnect());
  const chased = h('label', { class: 'check-label' }, chase, 'Follow');
  const mark = h('li', null, h('span', { class: 'mark', 'aria-hidden': 'true' }, '◆'), ' critical path');
  const zoom = zooming((deed) => turn(deed));
  const tools = h('div', { class: 'head tools' },
    h('label', { class: 'search' }, h('span', null, 'Show'), h('select', { on: { change: (event) => {
      state.filter = event.target.value;
      paint();
    } } }, FILTERS.map(([value, words]) => h('option', { value }, words)))),
    h('label', { class: 'search' }, h('span', null, 'Find'), h('input', { type: 'search', on: { input: (event) => {
      state.words = event.target.value.toLowerCase();
      paint();
    } } })), chased, zoom.element, h('span', { class: 'grow' }),
    h('ul', { class: 'legend' }, h('li', null, h('span', { class: 'swatch wait', 'aria-hidden': 'true' }), 'waits'), mark));
  const element = h('section', { class: 'card timeline', 'aria-labelledby': 'timeline-head' }, h('h2', { id: 'timeline-head', class: 'unseen' }, 'Timeline'), tools, axis, box, empty);
  const show = (next) => {
    Object.assign(state, next);
    chased.hidden = !state.live;
    mark.hidden = state.critical.size === 0;
    paint();
  };
  return { element, show, pick: (id) => pick(id, true) };
}
