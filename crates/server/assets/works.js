// Which machines are worked on now: a run's events, as marks in the drawing of its cluster.

import { at, get, listen } from './api.js';
import { soon } from './dom.js';
import { Story } from './story.js';

// Answers with a function that is told which run moves, or null. `mark` gets the titles of running steps by machine.
export function works(name, signal, mark) {
  let now = null;
  let leaving = new AbortController();
  signal.addEventListener('abort', () => leaving.abort());
  return async (run) => {
    if (run === now) return;
    now = run;
    leaving.abort();
    mark(new Map());
    if (run === null || signal.aborted) return;
    leaving = new AbortController();
    const here = leaving.signal;
    let known = null;
    try {
      known = await get(at('clusters', name, 'runs', run), here);
    } catch {
      // The drawing has no marks then; all else is there.
      return;
    }
    const story = new Story(known.steps);
    const tell = soon(() => {
      const titles = new Map();
      // A step's name is its deed and what it is about.
      for (const step of story.running) titles.set(step.id.slice(step.id.indexOf('/') + 1), step.title);
      mark(titles);
    }, here, 250);
    listen(`${at('clusters', name, 'runs', run)}/events`, {
      record: (record) => {
        story.hear(record);
        tell();
      },
      end: () => {
        mark(new Map());
        return false;
      },
    }, here);
  };
}
