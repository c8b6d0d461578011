// The choice of a cluster on pages that show one at a time: its name is in the address.

import { h } from './dom.js';
import { get } from './api.js';

// `{name, summary, select}`: the cluster that the address asks for, or the first.
export async function chosen(path, { signal, go }) {
  const { clusters } = await get('clusters', signal);
  const asked = new URLSearchParams(location.search).get('cluster');
  const summary = clusters.find((one) => one.name === asked) ?? clusters[0] ?? null;
  const select = clusters.length > 1 && h('label', { class: 'search' }, h('span', null, 'Cluster'),
    h('select', { id: 'cluster', on: { change: (event) => go(`${path}?cluster=${encodeURIComponent(event.target.value)}`) } },
      clusters.map((one) => h('option', { value: one.name, selected: one === summary }, one.name))));
  return { summary, select };
}
