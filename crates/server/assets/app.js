// The shell: who is logged in, which view a path means, and what stands around each view.
//
// A view is a function `(place, {session, signal, go, ...names of the path})`. `signal` ends with the view: streams,
// timers and listeners go with it.

import { fill, h, say } from './dom.js';
import { Refused, login as exchange, logout, session as ask, whenLost } from './api.js';
import { dress, themes } from './theme.js';
import { trouble } from './pieces.js';
import { login } from './login.js';
import { fleet } from './fleet.js';
import { cluster } from './cluster.js';
import { plan } from './plan.js';
import { run } from './run.js';
import { history } from './history.js';
import { checks } from './checks.js';
import { documents } from './documents.js';

const ROUTES = [
  ['/', fleet, 'Fleet'],
  ['/clusters/:cluster', cluster, 'Cluster'],
  ['/clusters/:cluster/plan', plan, 'Plan'],
  ['/clusters/:cluster/plan/:plan', plan, 'Plan'],
  ['/clusters/:cluster/runs/:run', run, 'Run'],
  ['/clusters/:cluster/history', history, 'History'],
  ['/checks', checks, 'Checks'],
  ['/documents', documents, 'Documents'],
].map(([path, view, name]) => ({ parts: path.split('/'), view, name }));

const top = document.getElementById('top');
const content = document.getElementById('content');
const foot = document.getElementById('foot');
let session = null;
let leaving = new AbortController();

// The route of a path, and the names in it.
function route(path) {
  const parts = (path.length > 1 ? path.replace(/\/$/, '') : path).split('/');
  for (const { parts: wanted, view, name } of ROUTES) {
    if (wanted.length !== parts.length) continue;
    const names = {};
    const fits = wanted.every((part, i) => {
      if (!part.startsWith(':')) return part === parts[i];
      try {
        names[part.slice(1)] = decodeURIComponent(parts[i]);
      } catch {
        return false;
      }
      return parts[i] !== '';
    });
    if (fits) return { view, name, names };
  }
  return null;
}

function frame() {
  const here = location.pathname;
  const link = (path, words) => h('a', {
    href: path, 'aria-current': here === path ? 'page' : path === '/' && here.startsWith('/clusters') ? 'true' : null,
  }, words);
  fill(top,
    h('a', { class: 'brand', href: '/' }, h('img', { src: '/assets/icon.svg', alt: '', width: 24, height: 24 }), 'kubewright'),
    session && h('nav', { 'aria-label': 'Main' }, link('/', 'Fleet'), link('/checks', 'Checks'), link('/documents', 'Documents')),
    h('div', { class: 'who' }, themes(),
      session && h('span', { class: 'role', title: session.role === 'operator' ? 'May approve, run and cancel' : 'May look' }, session.role),
      session && h('button', { type: 'button', class: 'quiet', on: { click: end } }, 'Log out')));
  fill(foot, session ? `kubewright ${session.version ?? ''}` : null);
}

async function end() {
  try {
    await logout();
  } catch {
    // Over is over, also where the server did not hear it.
  }
  session = null;
  say('Logged out.');
  show();
}

// Shows what the address says.
async function show(arrived = true) {
  leaving.abort();
  leaving = new AbortController();
  const { signal } = leaving;
  frame();
  const place = h('div', { class: 'view' });
  fill(content, place);
  if (!session) {
    document.title = 'Log in · kubewright';
    login(place, { enter });
    return;
  }
  const found = route(location.pathname);
  if (!found) {
    document.title = 'Not found · kubewright';
    fill(place, h('h1', { tabindex: -1 }, 'There is no such page'), h('p', null, h('a', { href: '/' }, 'Go to the fleet')));
    place.querySelector('h1').focus();
    return;
  }
  document.title = [found.names.run ?? found.name, found.names.cluster, 'kubewright'].filter(Boolean).join(' · ');
  content.setAttribute('aria-busy', 'true');
  try {
    await found.view(place, { ...found.names, session, signal, go });
  } catch (error) {
    if (signal.aborted || (error instanceof Refused && error.status === 401)) return;
    fill(place, h('h1', { tabindex: -1 }, found.name), trouble(error));
  } finally {
    if (!signal.aborted) content.removeAttribute('aria-busy');
  }
  if (signal.aborted || !arrived) return;
  // Whoever listens or has no mouse begins at the head of what is new.
  const head = place.querySelector('h1');
  if (head && (document.activeElement === document.body || content.contains(document.activeElement) || top.contains(document.activeElement))) {
    head.setAttribute('tabindex', '-1');
    head.focus({ preventScroll: true });
  }
}

// Goes to another page of ours.
function go(path, replace = false) {
  if (replace) window.history.replaceState(null, '', path);
  else window.history.pushState(null, '', path);
  window.scrollTo(0, 0);
  show();
}

async function enter(token) {
  session = await exchange(token);
  say(`Logged in as ${session.role}.`);
  show();
}

document.addEventListener('click', (event) => {
  const link = event.target instanceof Element ? event.target.closest('a[href]') : null;
  if (!link || event.defaultPrevented || event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
  const url = new URL(link.href, location.href);
  if (url.origin !== location.origin || link.target || link.hasAttribute('download') || url.hash) return;
  if (url.pathname.startsWith('/api/') || url.pathname.startsWith('/assets/') || url.pathname === '/metrics') return;
  event.preventDefault();
  go(url.pathname + url.search);
});
window.addEventListener('popstate', () => show());
whenLost(() => {
  if (!session) return;
  session = null;
  say('The session is over. Log in again.');
  show();
});

// A token in the address logs in at once, and is taken out of it first: neither history nor screen keeps it.
async function begin() {
  const token = new URLSearchParams(location.hash.slice(1)).get('token');
  if (token !== null) window.history.replaceState(null, '', location.pathname + location.search);
  try {
    session = token === null ? await ask() : await exchange(token);
  } catch (error) {
    session = null;
    leaving.abort();
    frame();
    const place = h('div', { class: 'view' });
    fill(content, place);
    document.title = 'Log in · kubewright';
    login(place, { enter, error });
    return;
  }
  show(false);
}

// Whoever pastes the terminal's link where a page of ours stands already loads nothing anew.
window.addEventListener('hashchange', () => {
  if (new URLSearchParams(location.hash.slice(1)).has('token')) begin();
});
dress();
begin();
