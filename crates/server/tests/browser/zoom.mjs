// A run of a thousand steps, each a pixel wide until somebody looks closer; and what no record of a run tells.

import { ask, axeFinds, check, cluster, enter, home, open, page, shot, tooWide } from './browser.mjs';

const STEPS = 1000;
const EACH = 2000;

// The run's answers and records are another one's: a thousand steps, one after the other.
async function changed(one, run, turn = () => {}) {
  const base = await ask(one, `clusters/${cluster}/runs/${run}`);
  const steps = Array.from({ length: STEPS }, (_, i) => ({ ...base.steps[0], id: `step-${i}`, title: `Step ${i}`, stage: 'machines', state: 'done', from: i * EACH, to: (i + 1) * EACH, tells: [], failure: null }));
  const value = { ...base, steps, critical: [], notes: [] };
  turn(value);
  const events = [{ runStarted: { run, cluster, ask: 'apply', fingerprint: '', steps: STEPS, simulated: true, wall: base.summary.wall } }];
  const times = [0];
  for (const step of steps) {
    events.push({ stepStarted: { step: step.id, stage: 'machines', title: step.title } }, { stepEnded: { step: step.id, outcome: 'done' } });
    times.push(step.from, step.to);
  }
  events.push({ runEnded: { end: 'complete', done: STEPS, already: 0, failed: 0, left: 0 } });
  times.push(STEPS * EACH);
  const text = events.map((event, seq) => `id: ${seq}\nevent: record\ndata: ${JSON.stringify({ format: 1, seq, at: times[seq], event })}\n\n`).join('');
  await one.route(`**/runs/${run}`, (route) => (route.request().resourceType() === 'document' ? route.continue() : route.fulfill({ json: value })));
  await one.route(`**/runs/${run}/events`, (route) => route.fulfill({ status: 200, headers: { 'Content-Type': 'text/event-stream' }, body: `${text}event: end\ndata: {}\n\n` }));
}

const widest = (one) => one.evaluate(() => Math.max(0, ...[...document.querySelectorAll('.rows .bar')].map((bar) => Number(bar.getAttribute('width')))));
const range = (one) => one.locator('.zoom .range').textContent();
const marks = (one) => one.locator('.axis text').allTextContents();

async function byKeys(one) {
  const all = await marks(one);
  check('of a thousand steps each is a few pixels wide', (await widest(one)) <= 4, await widest(one));
  await one.locator('.rows').focus();
  await one.keyboard.press('Home');
  for (let i = 0; i < 8; i += 1) await one.keyboard.press('+');
  check('plus makes steps wide', (await widest(one)) > 40, await widest(one));
  check('and the axis has marks for what is in sight', (await marks(one)).join() !== all.join() && (await marks(one)).length > 1, await marks(one));
  check('what is chosen stays in sight', (await one.locator('.rows .row.chosen .bar').count()) === 1);
  check('what is in sight is told', /–/.test(await range(one)) && /Shown from/.test(await one.locator('#said').textContent()), await range(one));
  const first = await range(one);
  await one.keyboard.press('ArrowRight');
  const second = await range(one);
  check('the right arrow goes on in time', first !== second, second);
  await one.keyboard.press('ArrowLeft');
  check('and the left one back', (await range(one)) === first, await range(one));
  const strayed = await one.evaluate(() => {
    const width = document.querySelector('.rows svg').clientWidth;
    return [...document.querySelectorAll('.rows .bar')].filter((bar) => Number(bar.getAttribute('x')) < 0 || Number(bar.getAttribute('x')) + Number(bar.getAttribute('width')) > width + 4).length;
  });
  check('no bar leaves the axis', strayed === 0, strayed);
  await shot(one, 'run-zoomed');
  const near = await widest(one);
  await one.keyboard.press('-');
  check('minus makes them narrow again', (await widest(one)) < near, `${near} ${await widest(one)}`);
  await one.keyboard.press('0');
  check('0 shows all the time', (await widest(one)) <= 4 && (await range(one)) === '' && (await marks(one)).join() === all.join());
}

async function byMouse(one) {
  const box = await one.locator('.rows').boundingBox();
  await one.mouse.move(box.x + box.width * 0.6, box.y + 60);
  await one.mouse.wheel(0, 200);
  check('the wheel scrolls', (await range(one)) === '');
  await one.keyboard.down('Control');
  for (let i = 0; i < 4; i += 1) await one.mouse.wheel(0, -100);
  await one.keyboard.up('Control');
  await one.waitForFunction(() => document.querySelector('.zoom .range').textContent !== '');
  check('with Ctrl it looks closer, at what is below it', true, await range(one));
  check('and does not make the whole page larger', (await one.evaluate(() => window.visualViewport.scale)) === 1);
  await one.locator('[data-zoom=all]').click();
  check('a button shows all again', (await range(one)) === '');
  check('and what it cannot do now it says', (await one.locator('[data-zoom=all][aria-disabled=true]').count()) === 1);
}

// What no record tells: who could not be told of its end, and that a journal does not know the critical path.
async function beside(one, run) {
  check('a critical path that is known is not said to be unknown', (await one.locator('#no-critical').count()) === 0);
  await one.unrouteAll();
  await changed(one, run, (value) => {
    value.critical = null;
    value.notes = ['could not tell Slack: 404'];
  });
  await open(one, `${home}/runs/${run}`);
  await one.locator('#no-critical').waitFor();
  check('one that is not known is said to be', await one.locator('#no-critical').isVisible());
  check('who could not be told of the end is shown with the run', await one.getByText('could not tell Slack: 404').isVisible());
}

export async function zoom() {
  for (const [width, height] of [[1440, 900], [390, 844]]) {
    const one = await page({ width, height });
    await enter(one);
    const { run } = (await ask(one, `clusters/${cluster}/runs`)).runs[0];
    await changed(one, run);
    await open(one, `${home}/runs/${run}`);
    await one.locator('section.note.good').waitFor();
    if (width > 1000) {
      await byKeys(one);
      await byMouse(one);
      await beside(one, run);
    } else {
      for (let i = 0; i < 8; i += 1) await one.locator('[data-zoom=in]').click();
      check('on a telephone buttons look closer', (await widest(one)) > 20, await widest(one));
      const before = await range(one);
      await one.locator('[data-zoom=later]').click();
      check('and go on in time', (await range(one)) !== before, before);
      await shot(one, 'run-zoomed-phone');
    }
    check(`looked at closely, the run is no wider than its window, ${width}`, (await tooWide(one)) <= 0, await tooWide(one));
    const found = await axeFinds(one);
    check(`and axe finds nothing, ${width}`, found.length === 0, found);
    await one.context().close();
  }
}
