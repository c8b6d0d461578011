// Playing a run again: play, pause, speed, and a slider over its time.

import { fill, h } from './dom.js';
import { lasting, place } from './words.js';

const SPEEDS = [1, 2, 5, 10, 30, 60, 300];

// Shows the controls; `seek` is told each moment. Answers with `{element, stop}`.
export function replay(length, signal, seek) {
  let at = 0;
  let timer = null;
  let last = 0;
  const button = h('button', { type: 'button', class: 'main', id: 'play' }, 'Play');
  const fitting = SPEEDS.find((speed) => length / speed <= 25_000) ?? SPEEDS[SPEEDS.length - 1];
  const speed = h('select', { id: 'speed' }, SPEEDS.map((value) => h('option', { value, selected: value === fitting }, `${value}×`)));
  // A slider stops at whole steps only: the last of them is at the end or behind it.
  const stride = Math.max(1, Math.min(1000, Math.round(length / 200)));
  const slider = h('input', { id: 'moment', type: 'range', min: 0, max: Math.max(1, Math.ceil(length / stride)) * stride, step: stride, value: 0, 'aria-label': 'Moment of the run' });
  const out = h('output', { for: 'moment' });
  const set = (ms) => {
    at = Math.max(0, Math.min(length, ms));
    slider.value = at;
    slider.setAttribute('aria-valuetext', `${lasting(at)} of ${lasting(length)}`);
    fill(out, `${place(at)} of ${place(length)}`);
    seek(at);
  };
  const pause = () => {
    clearInterval(timer);
    timer = null;
    button.textContent = 'Play';
  };
  const play = () => {
    if (at >= length) set(0);
    last = performance.now();
    button.textContent = 'Pause';
    timer = setInterval(() => {
      const now = performance.now();
      set(at + (now - last) * Number(speed.value));
      last = now;
      if (at >= length) pause();
    }, 100);
  };
  button.addEventListener('click', () => (timer === null ? play() : pause()));
  // Whoever takes the slider wants to look, not to race it.
  slider.addEventListener('input', () => {
    pause();
    set(Number(slider.value));
  });
  signal.addEventListener('abort', pause);
  const element = h('div', { class: 'card replay', role: 'group', 'aria-label': 'Replay' }, button, h('label', { class: 'search' }, h('span', null, 'Speed'), speed), slider, out);
  return { element, begin: () => { set(0); play(); }, stop: pause };
}
