// Every page in light and dark, on a screen, a tablet and a telephone; and by keyboard alone.

import { ask, axeFinds, check, cluster, enter, home, open, page, shot, tooWide } from './browser.mjs';
import { tabTo } from './runs.mjs';

const SIZES = [['screen', 1440, 900], ['tablet', 820, 1180], ['phone', 390, 844]];

async function everywhere() {
  for (const scheme of ['light', 'dark']) {
    for (const [size, width, height] of SIZES) {
      const one = await page({ width, height, scheme });
      await enter(one);
      const { runs } = await ask(one, `clusters/${cluster}/runs`);
      await open(one, home);
      await one.getByRole('button', { name: 'Plan', exact: true }).click();
      await one.locator('main:not([aria-busy]) h1', { hasText: 'Plan: ' }).waitFor();
      const paths = [['fleet', '/'], ['cluster', home], ['plan', new URL(one.url()).pathname], ['ask', `${home}/plan`], ['run', `${home}/runs/${encodeURIComponent(runs[0].run)}`],
        ['runs', `${home}/history`], ['checks', '/checks'], ['documents', '/documents'], ['nowhere', '/no/such/page']];
      for (const [name, path] of paths) {
        await open(one, path);
        if (name === 'run') await one.locator('.bar').first().waitFor();
        await shot(one, `${name}-${size}-${scheme}`);
        // What is folded is looked at as well.
        await one.evaluate(() => document.querySelectorAll('main details').forEach((details) => { details.open = true; }));
        await one.waitForTimeout(100);
        const found = await axeFinds(one);
        check(`axe finds nothing on ${name}, ${scheme}, ${size}`, found.length === 0, found);
        const wide = await tooWide(one);
        check(`${name} is no wider than a ${size}, ${scheme}`, wide <= 0, `${wide} pixels`);
        if (name !== 'nowhere') check(`${name} says that the world is simulated, ${scheme}, ${size}`, (await one.locator('.pretend, .pretend-tag').count()) > 0);
      }
      await one.context().close();
    }
  }
}

async function byKeyboard() {
  const one = await page();
  await enter(one);
  await open(one, home);
  await one.evaluate(() => document.activeElement.blur());
  await one.keyboard.press('Tab');
  check('the first thing that Tab reaches skips to the content', await one.evaluate(() => document.activeElement.classList.contains('skip')));
  check('the drawing is reached by keyboard', await tabTo(one, '.canvas'));
  check('where one stands is seen', await one.evaluate(() => getComputedStyle(document.activeElement).outlineStyle !== 'none'));
  await one.keyboard.press('ArrowRight');
  const first = await one.locator('.told strong').textContent();
  await one.keyboard.press('ArrowRight');
  const second = await one.locator('.told strong').textContent();
  check('arrow keys go from machine to machine', first && second && first !== second, `${first} ${second}`);
  await one.keyboard.press('+');
  const box = await one.locator('.canvas svg').getAttribute('viewBox');
  await one.keyboard.press('0');
  check('plus makes it larger, and 0 shows all of it', box !== await one.locator('.canvas svg').getAttribute('viewBox'), box);
  await one.locator('#as-table > summary').focus();
  await one.keyboard.press('Enter');
  const { topology } = await ask(one, `clusters/${cluster}`);
  const machines = topology.providers.flatMap((provider) => provider.places.flatMap((place) => place.machines));
  check('the table has every machine of the drawing', (await one.locator('#as-table table').first().locator('tbody tr').count()) === machines.length
    && (await one.locator('.canvas [data-i]').count()) === machines.length, machines.length);

  await one.locator('#theme').selectOption('dark');
  const dark = await one.evaluate(() => getComputedStyle(document.body).backgroundColor);
  await one.reload();
  await one.locator('main:not([aria-busy]) h1').waitFor();
  check('the chosen colours stay', dark === await one.evaluate(() => getComputedStyle(document.body).backgroundColor), dark);
  await one.locator('#theme').selectOption('light');
  check('and change', dark !== await one.evaluate(() => getComputedStyle(document.body).backgroundColor));

  await one.locator('nav[aria-label="Main"] a', { hasText: 'Checks' }).focus();
  await one.keyboard.press('Enter');
  await one.locator('h1', { hasText: 'Checks' }).waitFor();
  await one.waitForFunction(() => document.activeElement?.tagName === 'H1');
  check('after going somewhere the focus is at its head', true);
  await one.goBack();
  await one.locator('h1', { hasText: cluster }).waitFor();
  check('the browser’s way back works', true);
  await one.context().close();
}

// Looking anew, and looking at the checks: both are asked for, and what comes of them arrives by itself.
async function looks() {
  const one = await page();
  await enter(one);
  await open(one, home);
  const { summary } = await ask(one, `clusters/${cluster}`);
  await one.getByRole('button', { name: 'Look again' }).click();
  const later = async () => (await ask(one, `clusters/${cluster}`)).summary.lookedAt > summary.lookedAt;
  for (let i = 0; i < 60 && !(await later()); i += 1) await one.waitForTimeout(500);
  check('a cluster is looked at anew when it is asked for', await later());
  await open(one, '/checks');
  await one.getByRole('button', { name: 'Check now' }).click();
  await one.locator('.check .marks rect').first().waitFor({ timeout: 60_000 });
  check('checks are looked at when it is asked for, and shown without loading anew', (await one.locator('.check .badge').count()) > 0);
  await one.context().close();
}

async function documents() {
  const one = await page();
  await enter(one);
  await open(one, '/documents');
  const [opened] = await Promise.all([one.context().waitForEvent('page'), one.getByRole('link', { name: /Open the document/ }).click()]);
  await opened.waitForLoadState();
  check('a document opens in a tab of its own', (await opened.locator('h1').count()) > 0, opened.url());
  await one.context().close();
}

export async function pages() {
  await looks();
  await everywhere();
  await byKeyboard();
  await documents();
}
