// A plan is approved, watched, stopped, watched to its end, played again and found in the history.

import { address, ask, check, cluster, enter, home, open, page, shot, tooWide } from './browser.mjs';

const END = 120_000;

async function plan(one) {
  await open(one, home);
  await one.getByRole('button', { name: 'Plan', exact: true }).click();
  await one.locator('main:not([aria-busy]) h1', { hasText: `Plan: apply ${cluster}` }).waitFor();
}

// Presses Tab until the thing has the focus, as somebody without a mouse does.
export async function tabTo(one, selector, most = 400) {
  for (let i = 0; i < most; i += 1) {
    await one.keyboard.press('Tab');
    if (await one.evaluate((wanted) => document.activeElement?.matches(wanted), selector)) return true;
  }
  return false;
}

async function stopped(one) {
  await plan(one);
  const steps = await one.locator('.steps > li').count();
  check('the plan shows its steps', steps > 10, steps);
  await one.getByRole('button', { name: 'Open all' }).click();
  await one.locator('.changes dt').nth(5).waitFor();
  check('opened, the steps show their fields', true);
  await shot(one, 'plan');
  check('a plan says that its world is simulated', await one.locator('.pretend').isVisible());
  check('the approval is reached by keyboard alone', await tabTo(one, '#approve'));
  await one.keyboard.press('Enter');
  await one.locator('main:not([aria-busy]) h1', { hasText: 'Run ' }).waitFor();
  check('approving leads to the run', one.url().includes(`${home}/runs/`), one.url());
  check('a run says that its world is simulated', await one.locator('.pretend').isVisible());
  await one.locator('section.now').waitFor();
  check('what runs now is shown', (await one.locator('section.now li').count()) > 0);
  await one.locator('.bar.live').first().waitFor();
  check('what runs has a bar on the time axis', true);
  await shot(one, 'run-live');
  await one.locator('#stop').click();
  await one.getByText('nothing new starts', { exact: false }).first().waitFor();
  check('stopping says what it means, and offers to give up what runs', await one.locator('#stop', { hasText: /Give up/ }).isVisible().catch(() => false)
    || await one.locator('main section.note').isVisible());
  await one.locator('section.note', { hasText: 'It was stopped' }).waitFor({ timeout: END });
  check('a stopped run ends as stopped', true);
  check('what ended can be stopped no more', (await one.locator('#stop').count()) === 0);
}

async function whole(one, watcher) {
  await plan(one);
  await one.locator('#approve').click();
  await one.locator('main:not([aria-busy]) h1', { hasText: 'Run ' }).waitFor();
  const run = new URL(one.url()).pathname.split('/').pop();
  await enter(watcher, 'viewer');
  await watcher.locator('.moving').first().waitFor();
  check('the fleet shows that a run moves', true);
  await shot(watcher, 'fleet-moving');
  await open(watcher, home);
  await watcher.locator('.machine.doing .deed').first().waitFor();
  check('the drawing shows which machines are worked on, and how', true);
  await shot(watcher, 'cluster-moving');
  await open(watcher, `${home}/runs/${run}`);
  check('a viewer watches a run and has no button that stops it', (await watcher.locator('#stop').count()) === 0);
  await one.locator('.rows').focus();
  await one.keyboard.press('Home');
  const label = await one.evaluate(() => document.getElementById(document.querySelector('.rows').getAttribute('aria-activedescendant'))?.getAttribute('aria-label'));
  check('arrow keys choose a step, and it has a name and a state', /,/.test(label ?? ''), label);
  await one.reload();
  await one.locator('section.note.good', { hasText: 'Everything is as the spec says' }).waitFor({ timeout: END });
  check('a page that was loaded anew in the middle comes to the end', true);
  await watcher.locator('section.note.good').waitFor({ timeout: END });
  check('and so does the viewer’s', true);
  const { summary, critical } = await ask(one, `clusters/${cluster}/runs/${run}`);
  const words = await one.locator('section.note.good').textContent();
  check('the end tells its counts', words.includes(`${summary.done} done`), words);
  await one.locator('.critical').first().waitFor();
  check('the critical path is marked, by a sign too', critical.length > 0 && (await one.locator('.rows .mark').count()) > 0, critical.length);
  await shot(one, 'run-ended');
  return { run, summary };
}

async function replayed(one, { run, summary }) {
  await open(one, `${home}/runs/${run}`);
  await one.locator('#replay').focus();
  await one.keyboard.press('Enter');
  const slider = one.locator('#moment');
  await one.waitForFunction(() => Number(document.querySelector('#moment').value) > 0);
  check('a run is played again', true);
  await one.locator('#speed').selectOption('1');
  await one.keyboard.press('Tab');
  await slider.focus();
  await one.keyboard.press('Home');
  check('the slider stops the playing', (await one.locator('#play').textContent()) === 'Play');
  const first = await one.locator('.progress span').textContent();
  for (let i = 0; i < 5; i += 1) await one.keyboard.press('PageUp');
  const middle = await one.locator('.progress span').textContent();
  check('the slider goes to any moment', first !== middle, `${first} ${middle}`);
  check('a replay shows what ran at its moment', await one.locator('section.now').isVisible());
  await shot(one, 'replay');
  await one.keyboard.press('End');
  const last = await one.locator('.progress span').textContent();
  check('at its end every step has ended', last.startsWith(`${summary.steps} of ${summary.steps}`), last);
  await one.getByRole('button', { name: 'Back to the end' }).click();
  await one.locator('section.note.good').waitFor();
}

// The stream is cut in the middle; the browser has to come back with its place, and hear no record twice.
async function resumed(one, { run }) {
  const heard = [];
  const inside = await one.context().newCDPSession(one);
  await inside.send('Network.enable');
  inside.on('Network.eventSourceMessageReceived', (message) => message.eventName === 'record' && heard.push(message.eventId));
  let cut = null;
  await one.route('**/runs/*/events', async (route) => {
    if (cut !== null) return route.continue();
    const response = await route.fetch();
    const blocks = (await response.text()).split('\n\n').filter((block) => /^event: ?record$/m.test(block));
    const half = blocks.slice(0, Math.floor(blocks.length / 2));
    cut = half.length;
    return route.fulfill({ status: 200, headers: { 'Content-Type': 'text/event-stream' }, body: `retry: 200\n${half.join('\n\n')}\n\n` });
  });
  await open(one, `${home}/runs/${run}`);
  await one.locator('section.note.good').waitFor();
  check('a cut stream is taken up again where it was', cut > 5 && heard.length > cut && new Set(heard).size === heard.length, { cut, heard: heard.length, different: new Set(heard).size });
  await one.unroute('**/runs/*/events');
}

async function after(one) {
  await open(one, `${home}/history`);
  check('the history lists the runs, newest first', (await one.locator('tbody tr').count()) >= 2
    && /complete/.test(await one.locator('tbody tr').first().textContent()) && /stopped/.test(await one.locator('tbody tr').nth(1).textContent()));
  await shot(one, 'history');
  await plan(one);
  check('afterwards there is nothing to do, and nothing to approve', (await one.getByText('Nothing to do').isVisible()) && (await one.locator('#approve').count()) === 0);

  await open(one, home);
  await one.locator('.menu > summary').focus();
  await one.keyboard.press('Enter');
  await one.locator('#ask').selectOption('destroy');
  await one.getByRole('button', { name: 'Make this plan' }).click();
  await one.locator('main:not([aria-busy]) h1', { hasText: `Plan: destroy ${cluster}` }).waitFor();
  check('a plan that deletes says what', (await one.getByRole('heading', { name: 'This is deleted' }).isVisible()));
  await shot(one, 'plan-destroy');
  await one.locator('#typed').fill('another');
  await one.locator('#approve').click();
  await one.getByRole('alert').filter({ hasText: 'not the cluster’s name' }).waitFor();
  check('without the cluster’s name nothing is deleted', one.url().includes('/plan/'), one.url());
  const { summary } = await ask(one, `clusters/${cluster}`);
  check('and nothing runs', summary.running === null, summary.running);
  await one.goto(`${address}${home}/plan/no-such-plan`);
  await one.getByText('This plan is gone').waitFor();
  check('a plan that is not kept any more is told', true);
  check('which is no wider than the window', (await tooWide(one)) <= 0);
}

export async function runs() {
  const one = await page();
  const watcher = await page();
  await enter(one);
  await stopped(one);
  const done = await whole(one, watcher);
  await watcher.context().close();
  await replayed(one, done);
  await resumed(one, done);
  await after(one);
  await one.context().close();
}
