// A plan as a difference, and the way to approve it.

import { fill, h, say } from './dom.js';
import { Refused, at, get, post } from './api.js';
import { badge, counted, moment, number, stageName } from './words.js';
import { capital, doing, pretend, trail, trouble } from './pieces.js';
import { changes, difference } from './changes.js';
import { asking } from './ask.js';

// A step's weight: [sign, word, class]. Words of the interface, and what they are called in other rooms.
const WEIGHTS = {
  adds: ['+', 'adds', 'good'], changes: ['~', 'changes', 'care'], removes: ['−', 'takes away', 'bad'], moves: ['·', 'in between', 'idle'],
};
const SAME = { add: 'adds', change: 'changes', deletes: 'removes', delete: 'removes', remove: 'removes', move: 'moves', disturbs: 'changes' };
export const weight = (name) => WEIGHTS[name] ?? WEIGHTS[SAME[name]] ?? WEIGHTS.moves;

// Steps of one kind in a stage beyond these are folded; so many are shown at once.
const ALIKE = 12;
const CHUNK = 100;

function step(one) {
  const [sign, word, kind] = weight(one.weight);
  const head = [h('span', { class: `sign ${kind}`, 'aria-hidden': 'true' }, sign), h('span', { class: 'unseen' }, `${word}: `),
    h('span', { class: 'words' }, h('span', { class: 'name' }, capital(one.title)), ' ', one.part && h('span', { class: 'tag' }, one.part), ' ', h('span', { class: 'dim why' }, one.reason))];
  const more = one.changes.length > 0 || one.text || one.needs.length > 0;
  if (!more) return h('li', null, h('p', { class: 'step' }, head));
  const details = h('details', { class: 'step' }, h('summary', null, head,
    one.changes.length > 0 && h('span', { class: 'count' }, counted(one.changes.length, 'field'))));
  const open = () => {
    if (!details.open || details.childElementCount > 1) return;
    details.append(h('div', { class: 'body' }, changes(one.changes) ?? '', one.text ? difference(one.text) : '',
      h('p', { class: 'dim' }, one.subject, one.needs.length > 0 && ` · after ${one.needs.slice(0, 6).join(', ')}${one.needs.length > 6 ? ` and ${one.needs.length - 6} more` : ''}`)));
  };
  details.addEventListener('toggle', open);
  // What changes or goes is open at once: it is what somebody approves.
  if ((kind === 'care' || kind === 'bad') && (one.changes.length > 0 || one.text)) {
    details.open = true;
    open();
  }
  return h('li', null, details);
}

// A list that shows its beginning, and more when asked.
function growing(list) {
  const items = h('ul', { class: 'steps' });
  const button = h('button', { type: 'button', class: 'quiet' });
  let shown = 0;
  const more = () => {
    items.append(...list.slice(shown, shown + CHUNK).map(step));
    shown = Math.min(list.length, shown + CHUNK);
    button.textContent = `Show more (${number(list.length - shown)})`;
    button.hidden = shown === list.length;
  };
  button.addEventListener('click', () => {
    const next = items.children.length;
    more();
    items.children[next]?.querySelector('summary')?.focus();
  });
  more();
  return [items, button];
}

function kindOf(one) {
  return `${one.id.split('/')[0]} ${weight(one.weight)[1]}`;
}

function stage(name, steps) {
  const kinds = new Map();
  for (const one of steps) kinds.set(kindOf(one), [...(kinds.get(kindOf(one)) ?? []), one]);
  const folded = [...kinds.values()].filter((some) => some.length > ALIKE);
  const single = steps.filter((one) => kinds.get(kindOf(one)).length <= ALIKE);
  return h('section', { class: 'card stage', 'aria-labelledby': `stage-${name}` },
    h('div', { class: 'head' }, h('h2', { id: `stage-${name}` }, stageName(name)), h('span', { class: 'dim' }, counted(steps.length, 'step'))),
    single.length > 0 && growing(single),
    folded.map((some) => {
      const [sign, word, kind] = weight(some[0].weight);
      const details = h('details', { class: 'fold' }, h('summary', null, h('span', { class: `sign ${kind}`, 'aria-hidden': 'true' }, sign),
        h('span', { class: 'unseen' }, `${word}: `), `${counted(some.length, 'step')} like “${some[0].title}”`));
      details.addEventListener('toggle', () => details.childElementCount === 1 && details.append(...growing(some)));
      return details;
    }));
}

function notes(plan) {
  const blocking = plan.notes.filter((note) => note.blocks);
  const others = plan.notes.filter((note) => !note.blocks);
  const list = (some) => h('ul', null, some.map((note) => h('li', null, h('strong', null, `${note.subject}: `), note.message, note.hint && h('span', { class: 'dim' }, ` (${note.hint})`))));
  return [
    blocking.length > 0 && h('section', { class: 'note bad', 'aria-label': 'What blocks' }, h('h2', null, h('span', { 'aria-hidden': 'true' }, '✕ '), 'This blocks the plan'), list(blocking)),
    others.length > 0 && h('section', { class: 'note', 'aria-label': 'Notes' }, h('h2', null, h('span', { 'aria-hidden': 'true' }, 'i '), 'Good to know'), list(others)),
  ];
}

function effects(plan) {
  const box = (kind, sign, head, list) => list.length > 0 && h('section', { class: `note ${kind}`, 'aria-label': head }, h('h2', null, h('span', { 'aria-hidden': 'true' }, `${sign} `), head),
    h('ul', null, list.slice(0, 200).map((words) => h('li', null, words))), list.length > 200 && h('p', null, `and ${number(list.length - 200)} more`));
  return [box('bad', '−', 'This is deleted', plan.deletes.map((words) => words.replace(/^(delete|remove) /, ''))), box('care', '!', 'This is disturbed', plan.disturbs)];
}

function totals(plan) {
  const sums = new Map();
  for (const one of plan.steps) sums.set(weight(one.weight), (sums.get(weight(one.weight)) ?? 0) + 1);
  return h('p', { class: 'totals' }, counted(plan.steps.length, 'step'), ': ', Object.values(WEIGHTS).filter((one) => sums.has(one)).map((one) => [badge(one, `${number(sums.get(one))} ${one[1]}`), ' ']));
}

function approval(name, plan, { session, go }) {
  if (plan.empty) return h('p', { class: 'note good' }, h('span', { 'aria-hidden': 'true' }, '✓ '), 'Nothing to do: everything is as asked.');
  if (plan.blocked) return h('p', { class: 'note bad' }, 'A blocked plan cannot run. Mend what blocks it, then plan anew.');
  if (session.role !== 'operator') return h('p', { class: 'note' }, 'You are logged in as a viewer: an operator may approve this plan.');
  const told = h('div', { role: 'alert' });
  const typed = plan.takes && h('input', { id: 'typed', autocomplete: 'off', spellcheck: 'false', autocapitalize: 'off', required: true });
  const button = h('button', { type: 'submit', class: plan.takes ? 'main danger' : 'main', id: 'approve' }, `Approve and run ${counted(plan.steps.length, 'step')}`);
  const form = h('form', { class: `card approve${plan.takes ? ' danger' : ''}` }, h('h2', null, 'Approve'),
    h('p', null, 'It is planned once more first. Where the steps have become others, nothing is done.'),
    plan.takes && [h('label', { for: 'typed' }, 'This deletes. Type the cluster’s name, ', h('strong', null, plan.takes), ', to allow it'), typed],
    told, button);
  form.addEventListener('submit', doing(button, 'Beginning…', async () => {
    if (typed && typed.value.trim() !== plan.takes) {
      fill(told, h('p', { class: 'note bad' }, `That is not the cluster’s name. Type ${plan.takes}.`));
      typed.setAttribute('aria-invalid', 'true');
      typed.focus();
      return;
    }
    try {
      const { run } = await post(`${at('clusters', name)}/runs`, { plan: plan.id, fingerprint: plan.fingerprint, name: typed ? typed.value.trim() : null });
      say('The run has begun.');
      go(`/clusters/${encodeURIComponent(name)}/runs/${encodeURIComponent(run)}`);
    } catch (error) {
      fill(told, trouble(error, 'The run did not begin'));
    }
  }));
  return form;
}

export async function plan(place, context) {
  const { cluster: name, plan: id, signal, go } = context;
  const known = await get(at('clusters', name), signal);
  const told = h('div', { role: 'alert' });
  const title = (words) => h('div', { class: 'title' }, h('div', null, h('h1', null, words)), h('span', { class: 'grow' }), h('div', { class: 'deeds' }, asking(name, known, told, go)));
  let made = null;
  if (id) {
    try {
      made = await get(at('clusters', name, 'plans', id), signal);
    } catch (error) {
      if (!(error instanceof Refused) || error.status !== 404) throw error;
      fill(told, trouble(error, 'This plan is gone'));
    }
  }
  if (!made) {
    fill(place, trail(name, 'plan'), title(`Plan ${name}`), pretend(known.summary.simulated), told,
      h('p', null, 'A plan shows every difference between the spec and the world, and touches nothing. Make one with the button above.'));
    return;
  }
  const stages = new Map();
  for (const one of made.steps) stages.set(one.stage, [...(stages.get(one.stage) ?? []), one]);
  const opens = (open) => place.querySelectorAll('details.step').forEach((details) => { details.open = open; });
  fill(place, trail(name, 'plan'), title(`Plan: ${made.ask} ${name}`), pretend(known.summary.simulated), told,
    h('p', { class: 'dim' }, 'Made ', moment(made.at), ' · fingerprint ', h('code', { title: made.fingerprint }, made.fingerprint.slice(0, 12))),
    notes(made), effects(made), made.steps.length > 0 && h('div', { class: 'head' }, totals(made), h('span', { class: 'grow' }),
      h('button', { type: 'button', class: 'quiet', on: { click: () => {
        const form = place.querySelector('.approve') ?? place.lastElementChild;
        form.scrollIntoView();
        form.querySelector('input, button')?.focus();
      } } }, 'To the approval'),
      h('button', { type: 'button', class: 'quiet', on: { click: () => opens(true) } }, 'Open all'),
      h('button', { type: 'button', class: 'quiet', on: { click: () => opens(false) } }, 'Close all')),
    [...stages].map(([stageOf, steps]) => stage(stageOf, steps)), approval(name, made, context));
}
