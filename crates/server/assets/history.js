// All runs of a cluster, newest first.

import { fill, h, refill, soon, svg, table } from './dom.js';
import { at, get, listen } from './api.js';
import { counted, lasting, runEnd } from './words.js';
import { RUN_HEADS, pretend, runRows, trail } from './pieces.js';

// How long each run took, oldest at the left. The table beside it says the same.
function strip(runs) {
  const ended = runs.filter((run) => run.end).slice(0, 60).reverse();
  if (ended.length < 2) return null;
  const most = Math.max(...ended.map((run) => run.took), 1);
  const width = 14;
  return h('figure', { class: 'card' }, h('figcaption', null, `How long the last ${counted(ended.length, 'run')} took, the longest ${lasting(most)}`),
    svg('svg', { class: 'bars', width: ended.length * (width + 4), height: 74, 'aria-hidden': 'true' }, ended.map((run, i) => {
      const tall = Math.max(3, (run.took / most) * 54);
      const [sign, , kind] = runEnd(run.end);
      return svg('g', { class: kind }, svg('title', null, `${run.run}: ${run.ask}, ${lasting(run.took)}`),
        svg('rect', { x: i * (width + 4), y: 56 - tall, width, height: tall, rx: 2 }), svg('text', { x: i * (width + 4) + width / 2, y: 70 }, sign));
    })));
}

export async function history(place, { cluster: name, signal }) {
  const [{ summary }, first] = await Promise.all([get(at('clusters', name), signal), get(at('clusters', name, 'runs'), signal)]);
  const list = h('div', { class: 'stack' });
  const draw = (runs) => refill(list, strip(runs), h('section', { class: 'card' }, table(`Runs of ${name}`, RUN_HEADS, runRows(name, runs), 'Nothing has run yet.')));
  fill(place, trail(name, 'history'), h('h1', null, `Runs of ${name}`), pretend(summary.simulated),
    h('p', { class: 'dim' }, 'Each run is kept as a journal: open one to read it, or to play it again.'), list);
  draw(first.runs);
  const again = soon(async () => {
    try {
      draw((await get(at('clusters', name, 'runs'), signal)).runs);
    } catch {
      // What is shown stays; the next event asks again.
    }
  }, signal, 1500);
  let seen = `${summary.running} ${summary.lastRun?.run}`;
  listen(`${at('clusters', name)}/events`, { cluster: (now) => {
    const key = `${now.running} ${now.lastRun?.run}`;
    if (key !== seen) again();
    seen = key;
  } }, signal, { again });
}
