// Asking for a plan: what the spec says, or one of the deeds that take away.

import { fill, h } from './dom.js';
import { at, post } from './api.js';
import { doing, trouble } from './pieces.js';

const ASKS = [
  ['apply', 'Apply', 'Make everything as the spec says.'],
  ['replace', 'Replace', 'Make chosen nodes anew.'],
  ['rebuild', 'Rebuild', 'Save, destroy, build anew and prove it.'],
  ['destroy', 'Destroy', 'Take away everything that is ours.'],
];

// A button for the plan that is asked most, and a menu with the others. A plan touches nothing.
export function asking(name, known, told, go) {
  const names = known.topology.providers.flatMap((provider) => provider.places.flatMap((place) => place.machines.map((machine) => machine.name)));
  const make = async (ask, nodes = [], only = []) => {
    try {
      fill(told);
      const plan = await post(`${at('clusters', name)}/plans`, { ask, nodes, only });
      go(`/clusters/${encodeURIComponent(name)}/plan/${encodeURIComponent(plan.id)}`);
    } catch (error) {
      fill(told, trouble(error, 'No plan could be made'));
    }
  };
  const main = h('button', { type: 'button', class: 'main', id: 'make-plan' }, 'Plan');
  main.addEventListener('click', doing(main, 'Planning…', () => make('apply')));
  const choice = h('select', { id: 'ask' }, ASKS.map(([value, words]) => h('option', { value }, words)));
  const what = h('p', { class: 'dim' }, ASKS[0][2]);
  const nodes = h('fieldset', { class: 'nodes', hidden: true }, h('legend', null, 'Nodes to make anew'),
    names.map((node) => h('label', null, h('input', { type: 'checkbox', name: 'node', value: node }), node)));
  choice.addEventListener('change', () => {
    what.textContent = ASKS.find(([value]) => value === choice.value)[2];
    nodes.hidden = choice.value !== 'replace';
  });
  const only = h('input', { id: 'only', autocomplete: 'off', spellcheck: 'false', 'aria-describedby': 'only-what' });
  const button = h('button', { type: 'submit' }, 'Make this plan');
  const form = h('form', null, h('label', { for: 'ask' }, 'Ask for'), choice, what, nodes, h('label', { for: 'only' }, 'Only these parts'), only,
    h('p', { class: 'dim', id: 'only-what' }, 'Stages or parts, as “hosts, monitoring”; empty for all.'), button);
  form.addEventListener('submit', doing(button, 'Planning…', () =>
    make(choice.value, choice.value === 'replace' ? [...nodes.querySelectorAll(':checked')].map((box) => box.value) : [],
      only.value.split(/[\s,]+/).filter(Boolean))));
  const menu = h('details', { class: 'menu' }, h('summary', null, 'Other plans'), form);
  menu.addEventListener('keydown', (event) => {
    if (event.key !== 'Escape' || !menu.open) return;
    menu.open = false;
    menu.querySelector('summary').focus();
  });
  // It goes when somebody goes on with something else.
  menu.addEventListener('focusout', (event) => {
    if (event.relatedTarget && !menu.contains(event.relatedTarget)) menu.open = false;
  });
  return [main, menu];
}
