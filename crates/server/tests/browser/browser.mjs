// A browser before the real server, and how a check is told. What is needed comes from the environment; see `all.mjs`.

import { mkdirSync, existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { chromium } from 'playwright-core';

const wanted = (name) => {
  const value = process.env[name];
  if (!value) throw new Error(`${name} is not set`);
  return value;
};

export const address = wanted('KUBEWRIGHT_DASHBOARD').replace(/\/$/, '');
export const tokens = { operator: wanted('KUBEWRIGHT_OPERATOR_TOKEN'), viewer: wanted('KUBEWRIGHT_VIEWER_TOKEN') };
export const cluster = process.env.KUBEWRIGHT_CLUSTER ?? 'devboard';
const shots = process.env.KUBEWRIGHT_SCREENSHOTS ?? null;
if (shots) mkdirSync(shots, { recursive: true });
const program = process.env.KUBEWRIGHT_CHROMIUM ?? ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'].find(existsSync);
const axe = createRequire(import.meta.url).resolve('axe-core/axe.min.js');

let failures = 0;
// What pages said that they should not have.
export const wrongs = { console: [], policy: [], elsewhere: [] };

// Tells one check, by one line.
export function check(words, held, saw = '') {
  if (!held) failures += 1;
  console.log(`${held ? 'ok  ' : 'FAIL'} ${words}${held || saw === '' ? '' : `: ${typeof saw === 'string' ? saw : JSON.stringify(saw)}`}`);
}

export const failed = () => failures;

// Does one part; what is thrown in it fails it, and not those after it.
export async function part(words, work) {
  try {
    await work();
  } catch (error) {
    check(words, false, String(error.message ?? error).split('\n').slice(0, 3).join(' '));
  }
}

let browser = null;
export async function begin() {
  // A container's root has no sandbox of Chromium's.
  browser = await chromium.launch({ executablePath: program, args: process.getuid?.() === 0 ? ['--no-sandbox'] : [] });
}
export const end = () => browser?.close();

// A page of its own session. All that it does wrong is kept in `wrongs`.
export async function page({ width = 1440, height = 900, scheme = 'light', motion = 'reduce' } = {}) {
  const context = await browser.newContext({ viewport: { width, height }, colorScheme: scheme, reducedMotion: motion, ignoreHTTPSErrors: true });
  await context.addInitScript(() => {
    document.addEventListener('securitypolicyviolation', (event) => console.error(`POLICY ${event.violatedDirective} ${event.blockedURI}`));
  });
  const one = await context.newPage();
  one.setDefaultTimeout(20_000);
  one.on('console', (message) => {
    const text = message.text();
    if (message.type() !== 'error') return;
    // The browser tells of each answer that is a refusal, also of those that the page asked for and shows.
    if (/^Failed to load resource: the server responded with a status of 4\d\d/.test(text)) return;
    (text.startsWith('POLICY') || text.includes('Content Security Policy') ? wrongs.policy : wrongs.console).push(text);
  });
  one.on('pageerror', (error) => wrongs.console.push(String(error.stack ?? error)));
  one.on('request', (request) => {
    const url = request.url();
    if (!url.startsWith(`${address}/`) && !url.startsWith('data:') && !url.startsWith('blob:')) wrongs.elsewhere.push(url);
  });
  return one;
}

// Logs in through the address, as the terminal's link does.
export async function enter(one, role = 'operator') {
  await one.goto(`${address}/#token=${tokens[role]}`);
  await one.getByRole('heading', { level: 1, name: 'Fleet' }).waitFor();
}

export const home = `/clusters/${encodeURIComponent(cluster)}`;

// Opens a page of ours and waits until it stands.
export async function open(one, path) {
  await one.goto(address + path);
  await one.locator('main:not([aria-busy]) h1').waitFor();
}

export async function shot(one, name, whole = true) {
  if (shots) await one.screenshot({ path: join(shots, `${name}.png`), fullPage: whole });
}

// What axe finds, as words.
export async function axeFinds(one) {
  if (!(await one.evaluate(() => Boolean(window.axe)))) {
    // Through the debugger, not as an element: the page's own policy stays as it is.
    const { readFileSync } = await import('node:fs');
    await one.evaluate(readFileSync(axe, 'utf8'));
  }
  const result = await one.evaluate(() => window.axe.run(document, { runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'] }));
  return result.violations.map((one) => `${one.id} (${one.nodes.slice(0, 3).map((node) => node.target.join(' ')).join('; ')})`);
}

// How far a page is wider than its window, in pixels.
export const tooWide = (one) => one.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);

// The JSON of the interface, by the page's own session.
export const ask = (one, path) => one.evaluate(async (url) => (await fetch(url)).json(), `/api/v1/${path}`);
