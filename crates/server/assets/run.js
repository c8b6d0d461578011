// One run: live while it moves, and played again from its journal.

import { fill, h, refill, say, soon } from './dom.js';
import { at, get, listen, post } from './api.js';
import { badge, counted, lasting, moment, number, place as inRun, runEnd, stepState } from './words.js';
import { doing, pretend, progress, tally, trail, trouble } from './pieces.js';
import { Story, Told } from './story.js';
import { ahead, timeline } from './timeline.js';
import { replay } from './replay.js';

const LOG = 300;
const NOW = 8;

function tells(list, limit = LOG) {
  const some = list.slice(-limit);
  return h('ol', { class: 'log' }, some.map((entry) => h('li', { class: entry.kind }, h('span', { class: 'at' }, inRun(entry.at)), ' ',
    entry.step !== undefined && entry.step !== null && h('strong', null, `${entry.step.title}: `), entry.message)));
}

function failure(failed) {
  return h('div', { class: 'note bad' }, h('p', null, h('span', { 'aria-hidden': 'true' }, '✕ '), h('strong', null, failed.causes[0])),
    failed.causes.length > 1 && h('ul', null, failed.causes.slice(1).map((cause) => h('li', null, cause))),
    failed.log.length > 0 && h('pre', { class: 'value', tabindex: 0, role: 'region', 'aria-label': 'Last lines of the log' }, failed.log.join('\n')),
    failed.hint && h('p', null, h('strong', null, 'What to do: '), failed.hint));
}

// The chosen step, with its log: what changes with time, and what changes with its records.
function detailHead(step, now) {
  if (!step) return [h('h2', null, 'Log'), h('p', { class: 'dim' }, 'Choose a step to read its log.')];
  return [h('h2', null, step.title), h('p', null, badge(stepState(step.state)), ' ', h('span', { class: 'dim' },
    step.from === null ? '' : `began at ${inRun(step.from)}, ${step.to === null ? 'so far' : 'took'} ${lasting((step.to ?? now) - step.from)}`,
    step.waitedFrom !== null && step.from !== null && step.from > step.waitedFrom ? `, waited ${lasting(step.from - step.waitedFrom)} for ${step.waitsFor}` : ''))];
}

function detailBody(step, story) {
  if (!step) return null;
  const because = step.because ? story.steps.get(step.because) : null;
  return [step.part && h('p', { class: 'dim' }, `Part: ${step.part}`),
  step.state === 'waiting' && h('p', null, step.waitsFor ? `It waits for ${step.waitsFor}.` : 'It waits for steps before it.'),
  because && h('p', null, `It was left out, because this failed: ${because.title}.`),
  step.failure && failure(step.failure),
  step.tells.length > 0 && tells(step.tells)];
}

// What runs at a moment, and what it waits for.
function present(story, now) {
  const { running, held } = story;
  if (running.length + held.length === 0) return null;
  const last = (step) => step.tells.filter((entry) => entry.kind === 'tells' || entry.kind === 'retries').at(-1)?.message;
  return h('section', { class: 'card now', 'aria-label': 'What happens now' }, h('h2', null, 'Now'), h('ul', { class: 'plain' },
    running.slice(0, NOW).map((step) => h('li', null, badge(stepState('running'), step.title), ' ', h('span', { class: 'dim num' }, lasting(Math.max(0, now - step.from))),
      last(step) && h('p', { class: 'dim' }, last(step)))),
    held.slice(0, Math.max(0, NOW - running.length)).map((step) => h('li', null, badge(stepState('waiting'), step.title), h('p', { class: 'dim' }, `waits for ${step.waitsFor}`)))),
  running.length + held.length > NOW && h('p', { class: 'dim' }, `and ${number(running.length + held.length - NOW)} more`));
}

function counts(story) {
  const { done, already, failed, skipped, cancelled, left } = story.counts;
  // A journal does not name the steps that never came to their turn; its end counts them.
  return { steps: story.total, done, already, failed, left: story.ended?.left ?? skipped + cancelled + left, retries: story.retries };
}

function ending(story, run) {
  if (!story.end && run.summary.end !== 'died') return null;
  const end = story.end ?? 'died';
  const [sign, , kind] = runEnd(end);
  const verify = run.verify ?? (story.verify ? { held: story.verify.held, checks: story.checks, wrong: story.verify.wrong } : null);
  const words = { complete: 'Everything is as the spec says', failed: 'Steps failed', notConverged: 'All steps ended well, and yet there is something left to do',
    interrupted: 'It was stopped', died: 'The program that ran it ended before the run did. Plan anew: recovery is to look and plan again' }[end] ?? end;
  return h('section', { class: `note ${kind}`, 'aria-label': 'How it ended' },
    h('p', null, h('span', { 'aria-hidden': 'true' }, `${sign} `), h('strong', null, `${words}.`), ` ${tally(counts(story))} in ${lasting(story.at)}.`),
    verify && h('p', null, `${number(verify.held)} of ${counted(verify.checks, 'check')} hold.`), verify?.wrong.length > 0 && h('ul', null, verify.wrong.map((line) => h('li', null, line))));
}

// What is to be known of a run and that none of its records tells.
function beside(known) {
  const unknown = known.critical === null && known.steps.length > 0;
  return [known.notes.length > 0 && h('section', { class: 'note care', 'aria-label': 'What else is to be known' }, h('ul', null, known.notes.map((words) => h('li', null, words)))),
    unknown && h('p', { class: 'dim', id: 'no-critical' }, 'Its critical path is not known: its journal does not say which step needs which. It is known of runs that this dashboard began since it was started.')];
}

// How fast a pretend world's clock was seen to go; the next run's is likely the same.
let learned = 1;

// The time in a run between its records. A pretend world's clock may go faster than ours: how fast is seen from what came.
function clock() {
  let first = null;
  let mark = null;
  let latest = null;
  let pace = 1;
  return {
    hear(ms, simulated) {
      const real = performance.now();
      first ??= real;
      if (!simulated) pace = 1;
      else if (!latest) pace = learned;
      latest = { ms, real };
      // What was there before we came arrives at once, and says nothing of the pace.
      if (real - first < 300) mark = latest;
      else if (simulated && real - mark.real > 400) {
        pace = (ms - mark.ms) / (real - mark.real);
        learned = pace;
        mark = latest;
      }
    },
    now: (least) => (latest ? Math.max(least, latest.ms + (performance.now() - latest.real) * pace) : least),
  };
}

// The button that stops a run: once, and once more.
function stopping(name, id, told) {
  const once = 'Nothing new starts; what runs comes to its end.';
  const twice = 'What runs now is given up. The next plan looks what it came to.';
  const button = h('button', { type: 'button', id: 'stop' }, 'Stop the run');
  const words = h('p', { class: 'dim' }, once);
  const element = h('div', { class: 'card stopping', role: 'group', 'aria-label': 'Stop the run' }, button, words);
  const times = (count) => {
    if (count < 1) return;
    button.classList.add('danger');
    button.textContent = count > 1 ? 'What runs is given up' : 'Give up what runs';
    words.textContent = count > 1 ? 'It was asked twice to stop.' : `It stops: nothing new starts. ${twice}`;
    if (count > 1) button.setAttribute('aria-disabled', 'true');
  };
  button.addEventListener('click', async () => {
    if (button.getAttribute('aria-disabled') === 'true') return;
    button.setAttribute('aria-disabled', 'true');
    try {
      const answer = await post(at('clusters', name, 'runs', id, 'cancel'));
      button.removeAttribute('aria-disabled');
      times(answer.times);
      say(answer.times > 1 ? 'What runs is given up.' : 'The run stops: nothing new starts.');
    } catch (error) {
      button.removeAttribute('aria-disabled');
      fill(told, trouble(error, 'It was not stopped'));
    }
  });
  return { element, times };
}

export async function run(place, { cluster: name, run: id, session, signal }) {
  let known = await get(at('clusters', name, 'runs', id), signal);
  const records = [];
  let live = new Story(known.steps);
  let shown = live;
  let player = null;
  let over = known.summary.end !== null;
  // Its end comes while somebody looks.
  const seen = !over;
  let quarter = 0;
  let chosen = null;
  const ticking = clock();
  const told = h('div', { role: 'alert' });
  const [lead, end, bar, now, link, replays, stops] = Array.from({ length: 7 }, () => h('div'));
  const [asideHead, asideBody] = [h('div'), h('div')];
  const aside = h('section', { class: 'card detail', 'aria-label': 'The chosen step' }, asideHead, asideBody);
  const line = timeline(signal, (step) => {
    chosen = step;
    draw();
  });
  const stop = stopping(name, id, told);
  const whole = h('div', { class: 'whole', tabindex: 0, role: 'region', 'aria-label': 'Everything that was told' });
  const all = h('details', { class: 'card' }, h('summary', null, 'Everything that was told'), whole);
  all.addEventListener('toggle', () => draw());
  const time = () => (player ? player.now : over ? live.at : ticking.now(live.at));

  function draw() {
    const t = time();
    // What is critical is known when all has ended.
    const critical = new Set(over ? known.critical ?? [] : []);
    const wall = live.wall ?? known.summary.wall;
    refill(lead, h('p', { class: 'dim lead' }, badge(runEnd(player ? null : over ? live.end ?? known.summary.end : null), player ? 'replay' : undefined), ' ', known.summary.ask, ' · began ', moment(wall, true), ' · ',
      h('span', { class: 'num' }, lasting(t)), (player || !over) && shown.counts.running > 0 && ` · ${counted(shown.counts.running, 'step')} running`, shown.retries > 0 && ` · ${number(shown.retries)} tried again`));
    fill(end, !player && over ? ending(live, known) : null, over && beside(known));
    fill(bar, progress(counts(shown)));
    fill(now, over && !player ? null : present(shown, t));
    const step = shown.steps.get(chosen);
    fill(asideHead, detailHead(step, t));
    // What did not change stays, so that text can be chosen and copied while the run moves.
    const key = step && [step.id, step.state, step.tells.length, step.waitsFor].join();
    if (asideBody.key !== key) fill(asideBody, detailBody(step, shown));
    asideBody.key = key;
    if (all.open && (whole.key !== shown.log.length || whole.of !== shown)) {
      // Who reads at the end stays at the end; who reads above it stays where he is.
      const below = whole.scrollHeight - whole.scrollTop - whole.clientHeight < 30;
      fill(whole, tells(shown.log));
      if (below) whole.scrollTop = whole.scrollHeight;
      whole.key = shown.log.length;
      whole.of = shown;
    }
    line.show({ story: shown, now: t, end: player || over ? Math.max(player?.length ?? live.at, 1) : ahead(t), critical, live: !over && !player });
  }
  const later = soon(draw, signal);

  function finish(whole = false) {
    // Who could not be told of its end is known after its last record.
    if (over && !stop.element.isConnected && !(whole && seen)) return;
    over = true;
    stop.element.remove();
    get(at('clusters', name, 'runs', id), signal).then((value) => {
      known = value;
      later();
    }, () => {});
  }
  function offer() {
    fill(replays, h('button', { type: 'button', id: 'replay', on: { click: () => {
      const tale = new Told(known.steps, records);
      const controls = replay(tale.length, signal, (ms) => {
        player.now = ms;
        shown = tale.at(ms);
        draw();
      });
      player = { now: 0, length: tale.length };
      const back = h('button', { type: 'button', class: 'quiet', on: { click: () => {
        controls.stop();
        player = null;
        shown = live;
        offer();
        draw();
        replays.querySelector('button').focus();
      } } }, 'Back to the end');
      controls.element.append(back);
      fill(replays, controls.element);
      controls.begin();
      controls.element.querySelector('button').focus();
    } } }, 'Play it again'));
  }
  function hear(record) {
    if (record.seq < live.next) return;
    records.push(record);
    live.hear(record);
    ticking.hear(record.at, live.simulated);
    const ended = record.event.stepEnded;
    if (ended?.outcome?.failed && !over) say(`Failed: ${live.steps.get(ended.step)?.title ?? ended.step}.`);
    if (record.event.stopAsked) stop.times(live.stops);
    if (!over && Math.floor((live.over / live.total) * 4) > quarter && !live.end) {
      quarter = Math.floor((live.over / live.total) * 4);
      say(`${quarter * 25} percent of the steps have ended.`);
    }
    if (live.end) {
      if (!over) say(`The run has ended: ${runEnd(live.end)[1]}. ${tally(counts(live))}.`);
      finish();
    }
    later();
  }

  fill(place, trail(name, 'history'), h('div', { class: 'title' }, h('div', null, h('h1', null, `Run ${id}`), lead), h('span', { class: 'grow' }), h('div', { class: 'deeds' }, replays)),
    pretend(known.summary.simulated), told, link, end, bar, stops, h('div', { class: 'split' }, line.element, h('div', { class: 'stack' }, now, aside)), all,
    h('p', null, h('a', { href: `/clusters/${encodeURIComponent(name)}` }, `Back to ${name}`)));
  if (!over && session.role === 'operator') stops.append(stop.element);
  chosen = known.steps.find((step) => step.state === 'failed')?.id ?? null;
  draw();
  if (chosen) line.pick(chosen);
  const timer = setInterval(() => !over && !player && draw(), matchMedia('(prefers-reduced-motion: reduce)').matches ? 1000 : 250);
  signal.addEventListener('abort', () => clearInterval(timer));
  listen(`${at('clusters', name, 'runs', id)}/events`, {
    record: hear,
    end: () => {
      finish(true);
      offer();
      later();
      return false;
    },
  }, signal, { state: (state) => fill(link, state === 'lost' && h('p', { class: 'note care', role: 'status' }, h('span', { 'aria-hidden': 'true' }, '! '), 'The connection is lost; it is taken up again where it was.')) });
}
