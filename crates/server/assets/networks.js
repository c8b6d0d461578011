// Networks as strips: where in a range its addresses lie. What is no range of IPv4 is told in words alone.

import { h, svg } from './dom.js';
import { counted, number } from './words.js';

const FEW = 12;

// An address as a number, or null.
function value(address) {
  const parts = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})$/.exec(address ?? '');
  return parts ? parts.slice(1).reduce((sum, part) => sum * 256 + Number(part), 0) : null;
}

// The first address of a range and how many it has, or null.
function range(cidr) {
  const [address, length] = (cidr ?? '').split('/');
  const first = value(address);
  if (first === null || !(Number(length) >= 0 && Number(length) <= 32)) return null;
  const size = 2 ** (32 - Number(length));
  return { first: Math.floor(first / size) * size, size };
}

function strip(network, span) {
  const marks = network.addresses.map(({ address }) => value(address)).filter((at) => at !== null && at >= span.first && at < span.first + span.size);
  const x = (at) => (((at - span.first) / span.size) * 994 + 3).toFixed(1);
  return svg('svg', { class: 'strip', viewBox: '0 0 1000 18', preserveAspectRatio: 'none', height: 18, 'aria-hidden': 'true' },
    svg('rect', { x: 0, y: 3, width: 1000, height: 12, rx: 3 }),
    svg('path', { d: marks.map((at) => `M${x(at)} 1v16`).join('') }));
}

// All networks of a topology.
export function networks(list) {
  if (list.length === 0) return null;
  return h('div', { class: 'networks' }, h('h3', null, 'Networks'), list.map((network) => {
    const span = range(network.cidr);
    const few = network.addresses.length <= FEW;
    const names = (some) => h('ul', { class: 'addresses' }, some.map(({ address, name }) => h('li', null, h('code', null, address), ' ', name)));
    return h('div', { class: 'network' },
      h('p', null, h('strong', null, network.name), ' ', h('code', null, network.cidr), h('span', { class: 'dim' }, ` ${network.kind === network.name ? '' : `${network.kind} · `}`,
        network.addresses.length > 0 ? `${counted(network.addresses.length, 'address', 'addresses')}${span ? ` of ${number(span.size)}` : ''}` : span ? `${number(span.size)} addresses` : '')),
      span && network.addresses.length > 0 && strip(network, span),
      network.addresses.length > 0 && (few ? names(network.addresses)
        : h('details', null, h('summary', null, 'Addresses'), names(network.addresses.slice(0, 500)),
          network.addresses.length > 500 && h('p', { class: 'dim' }, `and ${number(network.addresses.length - 500)} more; the table of machines has all`))));
  }));
}
