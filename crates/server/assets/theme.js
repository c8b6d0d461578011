// Light, dark, or as the system has it. The choice stays on this computer.

import { h } from './dom.js';

const KEY = 'kubewright-theme';

function chosen() {
  try {
    return localStorage.getItem(KEY) ?? 'system';
  } catch {
    return 'system';
  }
}

function wear(theme) {
  if (theme === 'system') document.documentElement.removeAttribute('data-theme');
  else document.documentElement.setAttribute('data-theme', theme);
}

// Puts on what was chosen.
export const dress = () => wear(chosen());

// The choice, for the head of the page.
export function themes() {
  const now = chosen();
  return h('label', { class: 'theme' }, h('span', { class: 'unseen' }, 'Colours'),
    h('select', { id: 'theme', on: { change: (event) => {
      try {
        localStorage.setItem(KEY, event.target.value);
      } catch {
        // A browser that keeps nothing still changes now.
      }
      wear(event.target.value);
    } } },
    [['system', 'As the system'], ['light', 'Light'], ['dark', 'Dark']].map(([value, words]) =>
      h('option', { value, selected: value === now }, words))));
}
