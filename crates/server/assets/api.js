// The interface of the server: questions, deeds, and streams of events.

const ROOT = '/api/v1/';
let csrf = null;
let lost = () => {};

// What the server refused, in its own words.
export class Refused extends Error {
  constructor(status, error) {
    super(error?.message ?? `the server answered ${status}`);
    this.status = status;
    this.code = error?.code ?? 'unknown';
    this.hint = error?.hint ?? null;
    this.details = error?.details ?? [];
  }
}

// Who is told when the session is over.
export function whenLost(tell) {
  lost = tell;
}

// A path below the interface of which every part is escaped.
export function at(...parts) {
  return parts.map(encodeURIComponent).join('/');
}

async function request(method, path, body, signal) {
  const headers = { Accept: 'application/json' };
  if (body !== undefined) headers['Content-Type'] = 'application/json';
  if (method !== 'GET' && csrf) headers['X-Kubewright-Csrf'] = csrf;
  let answer;
  try {
    answer = await fetch(ROOT + path, {
      method, headers, signal, credentials: 'same-origin', cache: 'no-store',
      body: body === undefined ? undefined : JSON.stringify(body),
    });
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new Refused(0, { message: 'the server does not answer', hint: 'Look whether it still runs, then try again.' });
  }
  const text = await answer.text();
  let value = null;
  try {
    value = text ? JSON.parse(text) : null;
  } catch {
    throw new Refused(answer.status, { message: `the server answered ${answer.status} without JSON` });
  }
  if (!answer.ok) throw new Refused(answer.status, value?.error);
  return value;
}

async function kept(method, path, body, signal) {
  try {
    return await request(method, path, body, signal);
  } catch (error) {
    if (error instanceof Refused && error.status === 401) lost();
    throw error;
  }
}

// Asks.
export const get = (path, signal) => kept('GET', path, undefined, signal);
// Does.
export const post = (path, body = {}) => kept('POST', path, body);

// The session that the cookie stands for, or null.
export async function session() {
  try {
    const value = await request('GET', 'session');
    csrf = value.csrf;
    return value;
  } catch (error) {
    if (error instanceof Refused && error.status === 401) return null;
    throw error;
  }
}

// A token for a session.
export async function login(token) {
  const value = await request('POST', 'session', { token });
  csrf = value.csrf;
  return value;
}

// Ends the session.
export async function logout() {
  await request('DELETE', 'session');
  csrf = null;
}

// A tab that nobody looks at gives its streams back after so long: a browser has six for one server and no more.
const HIDDEN = 20_000;

// Listens to a stream until `signal` ends it. The browser comes back by itself with the place where it was
// (`Last-Event-ID`); where it gave up, or the tab was hidden, we begin again, and whoever hears must know what he has heard
// already. `state` is told "open", "lost" or "over"; `again` is called when the stream is there once more.
export function listen(path, events, signal, { state = () => {}, again = () => {} } = {}) {
  let source = null;
  let timer = null;
  let opened = false;
  let over = false;
  const stop = () => {
    clearTimeout(timer);
    source?.close();
    source = null;
  };
  const begin = () => {
    if (signal.aborted || over || source) return;
    source = new EventSource(ROOT + path);
    source.onopen = () => {
      state('open');
      if (opened) again();
      opened = true;
    };
    source.onerror = () => {
      if (!source) return;
      state('lost');
      if (source.readyState !== EventSource.CLOSED) return;
      stop();
      // A stream that is refused does not say why; a session that is over does.
      timer = setTimeout(() => session().then((value) => (value ? begin() : lost()), begin), 2000);
    };
    for (const [name, hear] of Object.entries(events)) {
      source.addEventListener(name, (event) => {
        if (hear(event.data ? JSON.parse(event.data) : null) !== false) return;
        over = true;
        stop();
        state('over');
      });
    }
  };
  const seen = () => {
    clearTimeout(timer);
    if (document.hidden) timer = setTimeout(stop, HIDDEN);
    else begin();
  };
  document.addEventListener('visibilitychange', seen, { signal });
  signal.addEventListener('abort', stop);
  begin();
}
