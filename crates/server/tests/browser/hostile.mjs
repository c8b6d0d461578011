// Answers that a server of ours gives when the world is hostile or huge.

import { check, cluster, enter, home, open, page, shot, tooWide } from './browser.mjs';

const EVIL = '<img src=x onerror="document.title=\'owned\'"><script>document.title="owned"</script>';

// Answers for one path are changed on their way.
async function change(one, path, turn) {
  await one.route((url) => url.pathname === `/api/v1/${path}`, async (route) => {
    const response = await route.fetch();
    const value = await response.json();
    turn(value);
    await route.fulfill({ response, json: value });
  });
}

async function markup() {
  const one = await page();
  await enter(one);
  await change(one, `clusters/${cluster}`, (value) => {
    value.summary.description = EVIL;
    value.summary.fault = EVIL;
    value.findings = [EVIL];
    value.topology.providers[0].places[0].machines[0].name = EVIL;
    value.topology.networks.push({ name: EVIL, cidr: 'not a range', kind: EVIL, addresses: [{ address: EVIL, name: EVIL }] });
    value.addons = [{ name: EVIL, namespace: EVIL, chart: EVIL, version: EVIL, seen: null, state: EVIL, words: EVIL }];
  });
  await open(one, home);
  await one.waitForTimeout(300);
  check('markup in what was seen is shown as text', (await one.locator('main').textContent()).includes('<img src=x')
    && (await one.locator('main img, main script').count()) === 0 && (await one.title()) !== 'owned');
  check('and makes the page no wider', (await tooWide(one)) <= 0, await tooWide(one));
  await one.context().close();
}

async function thousand() {
  const one = await page();
  await enter(one);
  await change(one, `clusters/${cluster}`, (value) => {
    const [model] = value.topology.providers[0].places[0].machines;
    value.topology.providers = [{ name: 'many', kind: 'proxmox', places: Array.from({ length: 25 }, (_, place) => ({ name: `hypervisor-${place + 1}`,
      machines: Array.from({ length: 40 }, (_unused, i) => ({ ...model, name: `node-${place * 40 + i}`, role: i === 0 && place < 3 ? 'server' : 'agent', state: i === 7 ? 'bad' : 'good' })) })) }];
    value.topology.balancers = [{ name: 'api', kind: 'haproxy', address: '10.0.0.5', targets: ['node-0', 'node-40', 'node-80'], state: 'good' }];
  });
  await open(one, home);
  await one.locator('.tile').first().waitFor();
  check('a thousand machines are a thousand tiles', (await one.locator('.tile').count()) === 1000);
  check('a load balancer has lines to the places of its targets', (await one.locator('.wire path.head').count()) === 3);
  await one.locator('.canvas').focus();
  // How long a move takes, the machine decides; how much of the drawing it touches is ours.
  const { touched, seen } = await one.evaluate(async () => {
    const canvas = document.querySelector('.canvas');
    const names = new Set();
    let touched = 0;
    const watch = new MutationObserver((all) => { for (const it of all) touched += 1 + it.addedNodes.length + it.removedNodes.length; });
    watch.observe(document.body, { subtree: true, childList: true, attributes: true });
    for (let i = 0; i < 40; i += 1) {
      canvas.dispatchEvent(new KeyboardEvent('keydown', { key: i % 2 ? 'ArrowDown' : 'ArrowRight', bubbles: true }));
      await new Promise((next) => { requestAnimationFrame(next); });
      names.add(document.querySelector('.told strong').textContent);
    }
    return { touched, seen: names.size };
  });
  check('arrow keys leave a place for the one beside it', seen > 30, `${seen} machines in 40 moves`);
  check('moving among them touches few of them', touched > 0 && touched < 40 * 50, `${touched} changes in 40 moves`);
  await shot(one, 'thousand');
  await one.context().close();
}

async function gone() {
  const one = await page();
  await enter(one);
  await one.route('**/api/v1/clusters', (route) => route.fulfill({ status: 500, json: { error: { code: 'internal', message: 'the world is away', hint: 'wait', details: [] } } }));
  const kept = one.listeners('console');
  one.removeAllListeners('console');
  await open(one, '/');
  check('an answer that is an error is told with its words and its hint', (await one.locator('.note.bad').textContent()).includes('The world is away')
    && (await one.locator('.note.bad').textContent()).includes('Wait'));
  kept.forEach((listener) => one.on('console', listener));
  await one.context().close();
}

export async function hostile() {
  await markup();
  await thousand();
  await gone();
}
