// Elements from values. Text always goes in as text: what comes from a log or a user can never become markup.

const SVG = 'http://www.w3.org/2000/svg';

function put(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name === 'on') {
      for (const [event, listener] of Object.entries(value)) element.addEventListener(event, listener);
    } else if (name === 'value') {
      element.value = value;
    } else {
      element.setAttribute(name, value === true ? '' : String(value));
    }
  }
  add(element, children);
  return element;
}

// Appends nodes, texts and lists of them; leaves out what is null or false.
export function add(element, ...children) {
  for (const child of children.flat(Infinity)) {
    if (child === null || child === undefined || child === false) continue;
    element.append(child instanceof Node ? child : String(child));
  }
  return element;
}

// An element of HTML. `on` in the attributes holds listeners by event.
export function h(tag, attributes, ...children) {
  return put(document.createElement(tag), attributes, children);
}

// An element of SVG.
export function svg(tag, attributes, ...children) {
  return put(document.createElementNS(SVG, tag), attributes, children);
}

// Puts other children into an element.
export function fill(element, ...children) {
  element.replaceChildren();
  return add(element, children);
}

// Puts other children into an element that people may stand in: who was at a thing with an id or an address is there
// again, so that news does not throw anybody out of the place where he reads.
export function refill(element, ...children) {
  const at = element.contains(document.activeElement) ? document.activeElement : null;
  const id = at?.id;
  const href = at?.getAttribute('href');
  const open = new Set([...element.querySelectorAll('details[open][id]')].map((details) => details.id));
  fill(element, ...children);
  for (const details of element.querySelectorAll('details[id]')) if (open.has(details.id)) details.open = true;
  if (id) document.getElementById(id)?.focus({ preventScroll: true });
  else if (href) {
    [...element.querySelectorAll('a[href]')].find((a) => a.getAttribute('href') === href)?.focus({ preventScroll: true });
  }
}

// A table that scrolls by itself where it is too wide. `rows` are lists of cells; the first cell heads its row.
export function table(caption, heads, rows, empty = 'nothing') {
  if (rows.length === 0) return h('p', { class: 'dim' }, empty);
  const cell = (content, i) => h(i === 0 ? 'th' : 'td', i === 0 ? { scope: 'row' } : null, content);
  return h('div', { class: 'scroll', tabindex: 0, role: 'region', 'aria-label': `${caption}: table` },
    h('table', null,
      h('caption', { class: 'unseen' }, caption),
      h('thead', null, h('tr', null, heads.map((head) => h('th', { scope: 'col' }, head)))),
      h('tbody', null, rows.map((row) => h('tr', null, row.map(cell))))));
}

// Says something to people who listen rather than look. Sparingly: ends, failures, and what somebody asked for.
export function say(words) {
  const said = document.getElementById('said');
  if (said.textContent !== words) said.textContent = words;
}

// Draws again at most once a frame, and not more than about eight times a second.
export function soon(draw, signal, every = 120) {
  let timer = null;
  signal?.addEventListener('abort', () => clearTimeout(timer));
  return () => {
    if (timer !== null || signal?.aborted) return;
    timer = setTimeout(() => {
      timer = null;
      draw();
    }, every);
  };
}
