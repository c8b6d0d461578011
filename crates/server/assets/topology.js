// The drawing of a cluster: machines inside the places of their providers, load balancers with lines to their targets.
//
// One pass makes one SVG; pointers and keys are heard once, on the drawing as a whole. The same is beside it as a table.

import { fill, h, svg, table } from './dom.js';
import { badge, counted, health, number } from './words.js';
import { lay, neighbour } from './layout.js';
import { networks } from './networks.js';

const measure = document.createElement('canvas').getContext('2d');

// A text that fits a width in pixels, with an ellipsis where it had to be cut.
export function fit(words, width, font = '13px system-ui, sans-serif') {
  measure.font = font;
  if (measure.measureText(words).width <= width) return words;
  let low = 0;
  let high = words.length;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (measure.measureText(`${words.slice(0, middle)}…`).width <= width) low = middle;
    else high = middle - 1;
  }
  return `${words.slice(0, low)}…`;
}

const isServer = (machine) => machine.role === 'server' || machine.role === 'both';
const role = (machine) => (machine.role === 'both' ? 'server+agent' : machine.role);
const label = (x, y, words, kind) => svg('text', { x, y, class: kind }, words);

// A step's title without the name that the box has already.
const deed = (title, name) => title.replace(` on ${name}`, '').replace(` ${name}`, '');

function box(spot, index, doing) {
  const { machine, x, y, width, height } = spot;
  const [sign, , kind] = health(machine.state);
  const server = isServer(machine);
  const size = [machine.cpus && `${machine.cpus} CPU`, machine.memory].filter(Boolean).join(' · ');
  return svg('g', { class: `machine ${kind}${server ? ' server' : ''}${doing ? ' doing' : ''}`, 'data-i': index },
    svg('rect', { x, y, width, height, rx: server ? 3 : 12, class: 'body' }),
    server && svg('rect', { x: x + 3, y: y + 3, width: width - 6, height: height - 6, rx: 1, class: 'inner' }),
    label(x + 13, y + 22, fit(machine.name, width - 42, '600 13px system-ui, sans-serif'), 'name'),
    svg('circle', { cx: x + width - 17, cy: y + 18, r: 8, class: 'lamp' }),
    svg('text', { x: x + width - 17, y: y + 22, class: 'sign' }, sign),
    label(x + 13, y + 41, fit(`${role(machine)}${size ? ` · ${size}` : ''}`, width - 24, '11.5px system-ui, sans-serif'), 'small'),
    doing ? label(x + 13, y + 59, fit(`▸ ${deed(doing, machine.name)}`, width - 24, '600 11.5px system-ui, sans-serif'), 'deed') : label(x + 13, y + 59, machine.address ?? 'no address', 'address'));
}

function tile(spot, index, doing) {
  const { machine, x, y, width } = spot;
  const [sign, , kind] = health(machine.state);
  const server = isServer(machine);
  return svg('g', { class: `tile ${kind}${server ? ' server' : ''}${doing ? ' doing' : ''}`, 'data-i': index },
    svg('rect', { x, y, width, height: width, rx: server ? 0 : 3, class: 'body' }),
    doing || kind !== 'good' ? svg('text', { x: x + width / 2, y: y + width - 3, class: 'sign' }, doing ? '▸' : sign)
      : server && svg('rect', { x: x + 3.5, y: y + 3.5, width: width - 7, height: width - 7, class: 'core' }));
}

function places(plan) {
  return plan.places.map(({ place, x, y, width, height }) => {
    const bad = place.machines.filter((machine) => machine.state !== 'good').length;
    const total = place.machines.length;
    return svg('g', { class: 'place' }, svg('rect', { x, y, width, height, rx: 8 }),
      label(x + 14, y + 18, fit(place.name, width - 24, '600 12px system-ui, sans-serif'), 'head'),
      plan.tiles && label(x + 14, y + height - 9, bad ? `${number(total - bad)} of ${number(total)} good` : `${counted(total, 'machine')}`, bad ? 'small care' : 'small'));
  });
}

function balancerBox({ balancer, x, y, width, height }) {
  const [sign, , kind] = health(balancer.state);
  return svg('g', { class: `balancer ${kind}` },
    svg('path', { d: `M${x + 12} ${y}H${x + width - 12}L${x + width} ${y + height / 2}L${x + width - 12} ${y + height}H${x + 12}L${x} ${y + height / 2}Z`, class: 'body' }),
    label(x + 22, y + 22, fit(balancer.name, width - 60, '600 13px system-ui, sans-serif'), 'name'),
    svg('circle', { cx: x + width - 26, cy: y + 18, r: 8, class: 'lamp' }),
    svg('text', { x: x + width - 26, y: y + 22, class: 'sign' }, sign),
    label(x + 22, y + 38, fit(`${balancer.kind} · ${counted(balancer.targets.length, 'target')}`, width - 40, '11.5px system-ui, sans-serif'), 'small'),
    label(x + 22, y + 53, balancer.address ?? 'no address', 'address'));
}

function scene(plan, busy) {
  const one = plan.tiles ? tile : box;
  return [
    plan.frames.map(({ provider, x, y, width, height }) => svg('g', { class: 'provider' },
      svg('rect', { x: x + 0.5, y: y + 0.5, width: width - 1, height: height - 1, rx: 10 }),
      label(x + 14, y + 20, provider.kind && provider.kind !== provider.name ? `${provider.name} (${provider.kind})` : provider.name, 'head'))),
    places(plan),
    plan.wires.map((wire, i) => svg('g', { class: `wire lane${i % 3}` }, svg('path', { d: wire.path }),
      wire.heads.map(([x, y]) => svg('path', { d: `M${x - 4} ${y - 7}h8l-4 7z`, class: 'head' })))),
    plan.balancers.map(balancerBox),
    plan.spots.map((spot, i) => one(spot, i, busy.get(spot.machine.name))),
  ];
}

function words(machine, place) {
  const [sign, word, kind] = health(machine.state);
  return [h('strong', null, machine.name), ' ', badge([sign, word, kind]), ' ', machine.words,
    h('span', { class: 'dim' }, ` · ${role(machine)}, ${machine.kind} at ${place}`, machine.number ? ` · number ${machine.number}` : null,
      machine.address ? ` · ${machine.address}` : null, machine.cpus ? ` · ${machine.cpus} CPU` : null,
      machine.memory ? ` · ${machine.memory} memory` : null, machine.disk ? ` · ${machine.disk} disk` : null)];
}

// Hears pointers and keys of a drawing, and moves what is seen of it.
function hands(stage, state, tell) {
  const view = state.view;
  const look = () => {
    // What is larger than its frame is dragged by a finger; what fits leaves fingers to the page.
    stage.classList.toggle('zoomed', view.zoom > 1);
    stage.querySelector('svg')?.setAttribute('viewBox', `${view.x} ${view.y} ${state.plan.width / view.zoom} ${state.plan.height / view.zoom}`);
  };
  const bound = () => {
    view.x = Math.max(0, Math.min(view.x, state.plan.width - state.plan.width / view.zoom));
    view.y = Math.max(0, Math.min(view.y, state.plan.height - state.plan.height / view.zoom));
    look();
  };
  const zoom = (factor, at = null) => {
    const before = view.zoom;
    view.zoom = Math.max(1, Math.min(8, view.zoom * factor));
    const [fx, fy] = at ?? [0.5, 0.5];
    view.x += state.plan.width * fx * (1 / before - 1 / view.zoom);
    view.y += state.plan.height * fy * (1 / before - 1 / view.zoom);
    bound();
  };
  const choose = (index) => {
    state.chosen = index;
    const spot = state.plan.spots[index];
    stage.querySelector('.chosen')?.remove();
    if (!spot) return tell(null);
    stage.querySelector('svg').append(svg('rect', { x: spot.x - 3, y: spot.y - 3, width: spot.width + 6, height: spot.height + 6, rx: 4, class: 'chosen' }));
    const [w, t] = [state.plan.width / view.zoom, state.plan.height / view.zoom];
    if (spot.x < view.x || spot.x + spot.width > view.x + w) view.x = spot.x + spot.width / 2 - w / 2;
    if (spot.y < view.y || spot.y + spot.height > view.y + t) view.y = spot.y + spot.height / 2 - t / 2;
    bound();
    return tell(spot);
  };
  const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
  stage.addEventListener('keydown', (event) => {
    const { spots } = state.plan;
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === '+' || event.key === '=') zoom(1.4);
    else if (event.key === '-') zoom(1 / 1.4);
    else if (event.key === '0') zoom(1 / 8);
    else if (event.key === 'Home') choose(0);
    else if (event.key === 'End') choose(spots.length - 1);
    else if (event.key === 'Escape') choose(-1);
    else if (ARROWS[event.key] && spots.length > 0) {
      const from = spots[state.chosen];
      const next = from ? neighbour(spots, from, ...ARROWS[event.key]) : spots[0];
      if (next) choose(spots.indexOf(next));
    } else return;
    event.preventDefault();
  });
  let held = null;
  stage.addEventListener('pointerdown', (event) => { held = { x: event.clientX, y: event.clientY, moved: false }; });
  stage.addEventListener('pointermove', (event) => {
    if (!held || view.zoom === 1 || event.buttons !== 1) return;
    const scale = state.plan.width / view.zoom / stage.clientWidth;
    view.x -= (event.clientX - held.x) * scale;
    view.y -= (event.clientY - held.y) * scale;
    held = { x: event.clientX, y: event.clientY, moved: true };
    bound();
  });
  stage.addEventListener('click', (event) => {
    const hit = event.target.closest('[data-i]');
    if (!held?.moved) choose(hit ? Number(hit.getAttribute('data-i')) : -1);
    held = null;
  });
  // Tiles have no room for words: those of the one below a mouse stand under the drawing.
  stage.addEventListener('pointerover', (event) => {
    const hit = event.pointerType === 'mouse' && state.plan?.tiles && state.chosen < 0 ? event.target.closest('[data-i]') : null;
    if (hit) tell(state.plan.spots[Number(hit.getAttribute('data-i'))]);
  });
  stage.addEventListener('wheel', (event) => {
    // Without a key the page scrolls, as people are used to.
    if (!event.ctrlKey && !event.metaKey) return;
    event.preventDefault();
    const area = stage.getBoundingClientRect();
    zoom(event.deltaY < 0 ? 1.2 : 1 / 1.2, [(event.clientX - area.left) / area.width, (event.clientY - area.top) / area.height]);
  }, { passive: false });
  return { zoom, choose, look };
}

function asTable(topology) {
  const rows = topology.providers.flatMap((provider) => provider.places.flatMap((place) => place.machines.map((machine) => [
    machine.name, badge(health(machine.state)), machine.words, role(machine), machine.address ?? '', place.name, provider.name, machine.kind,
    machine.number ?? '', machine.cpus ?? '', machine.memory ?? '', machine.disk ?? ''])));
  const heads = ['Machine', 'State', 'Seen', 'Role', 'Address', 'Place', 'Provider', 'Kind', 'Number', 'CPUs', 'Memory', 'Disk'];
  return [table('Machines', heads, rows, 'No machines.'),
    topology.balancers.length > 0 && table('Load balancers', ['Load balancer', 'State', 'Kind', 'Address', 'Targets'],
      topology.balancers.map((one) => [one.name, badge(health(one.state)), one.kind, one.address ?? '', one.targets.join(', ')]))];
}

const LEGEND = [['server', 'server: double frame'], ['agent', 'agent: single frame']];

// Draws a topology and answers with `{element, update, mark}`.
export function drawing(first, signal) {
  const state = { topology: first, plan: null, busy: new Map(), chosen: -1, view: { x: 0, y: 0, zoom: 1 } };
  const told = h('p', { class: 'told', role: 'status' });
  const stage = h('div', { class: 'canvas', tabindex: 0, role: 'group', 'aria-roledescription': 'drawing', 'aria-describedby': 'topology-keys' });
  const hint = 'Choose a machine to read more.';
  let last = null;
  const say = (spot) => {
    // The same is not told twice, for whoever listens.
    const key = spot ? JSON.stringify(spot.machine) : hint;
    if (key !== last) fill(told, spot ? words(spot.machine, spot.place) : h('span', { class: 'dim' }, hint));
    last = key;
  };
  const { zoom, choose, look } = hands(stage, state, say);
  const nets = h('div');
  const more = h('details', { id: 'as-table' }, h('summary', null, 'The same as a table'));
  more.addEventListener('toggle', () => {
    more.querySelectorAll('.scroll').forEach((old) => old.remove());
    if (more.open) more.append(...asTable(state.topology).filter(Boolean));
  });
  const draw = () => {
    const { topology } = state;
    const width = Math.floor(stage.clientWidth);
    if (width === 0) return;
    state.plan = lay(topology, width);
    stage.classList.toggle('tiles', state.plan.tiles);
    stage.replaceChildren(svg('svg', { viewBox: `0 0 ${width} ${state.plan.height}`, height: state.plan.height, 'aria-hidden': 'true' }, scene(state.plan, state.busy)));
    look();
    const count = state.plan.spots.length;
    if (count === 0) stage.replaceChildren(h('p', { class: 'dim' }, 'No machine is known.'));
    stage.setAttribute('aria-label', `Topology: ${counted(count, 'machine')} in ${counted(state.plan.places.length, 'place')}, ${counted(topology.balancers.length, 'load balancer')}`);
    if (state.chosen >= 0 && state.chosen < count) choose(state.chosen);
    else say(null);
  };
  const update = (topology) => {
    state.topology = topology;
    draw();
    fill(nets, networks(topology.networks));
    if (more.open) more.dispatchEvent(new Event('toggle'));
  };
  // Machines that are worked on now, by the titles of their steps: only what changed is drawn anew.
  const mark = (busy) => {
    const before = state.busy;
    state.busy = busy;
    state.plan?.spots.forEach((spot, i) => {
      const { name } = spot.machine;
      if (before.get(name) === busy.get(name)) return;
      stage.querySelector(`[data-i="${i}"]`)?.replaceWith((state.plan.tiles ? tile : box)(spot, i, busy.get(name)));
    });
  };
  let wide = 0;
  const watch = new ResizeObserver(() => {
    if (Math.floor(stage.clientWidth) === wide) return;
    wide = Math.floor(stage.clientWidth);
    draw();
  });
  watch.observe(stage);
  signal.addEventListener('abort', () => watch.disconnect());
  const tool = (words, name, act) => h('button', { type: 'button', class: 'quiet', 'aria-label': name, on: { click: act } }, words);
  const element = h('section', { class: 'card topology', 'aria-labelledby': 'topology-head' },
    h('div', { class: 'head' }, h('h2', { id: 'topology-head' }, 'Topology'), h('span', { class: 'grow' }),
      h('ul', { class: 'legend' }, LEGEND.map(([kind, text]) => h('li', null, h('span', { class: `swatch ${kind}`, 'aria-hidden': 'true' }), text)),
        [['✓', 'good', 'good'], ['!', 'care', 'care'], ['✕', 'bad', 'bad'], ['?', 'unknown', 'unknown']].map((one) => h('li', null, badge(one)))),
      tool('+', 'Larger', () => zoom(1.4)), tool('−', 'Smaller', () => zoom(1 / 1.4)), tool('⤢', 'All of it', () => zoom(1 / 8))),
    stage, told,
    h('p', { id: 'topology-keys', class: 'unseen' }, 'Arrow keys go from machine to machine, plus and minus make it larger and smaller, 0 shows all of it.'),
    nets, more);
  fill(nets, networks(first.networks));
  return { element, update, mark };
}
