// Who gets in, and how.

import { address, ask, axeFinds, check, cluster, enter, home, open, page, shot, tokens } from './browser.mjs';

export async function session() {
  const one = await page();
  await one.goto(`${address}${home}`);
  await one.getByLabel('Token').waitFor();
  check('without a session every page asks for a token', true);
  check('the token field has the focus', await one.getByLabel('Token').evaluate((field) => field === document.activeElement));
  check('axe finds nothing on the login page', (await axeFinds(one)).length === 0, await axeFinds(one));
  await shot(one, 'login');

  await one.keyboard.type('not-a-token');
  await one.keyboard.press('Enter');
  await one.getByRole('alert').filter({ hasText: 'refused' }).waitFor();
  check('a wrong token is refused in words', true);
  check('who was refused is at the token field again', await one.getByLabel('Token').evaluate((field) => field === document.activeElement));
  await shot(one, 'login-refused');

  await one.getByLabel('Token').fill(tokens.operator);
  await one.getByRole('button', { name: 'Log in' }).click();
  await one.getByRole('heading', { level: 1, name: cluster }).waitFor();
  check('a right one leads to the page that was asked for', one.url() === `${address}${home}`, one.url());
  check('no token is kept where scripts can read it', await one.evaluate((token) =>
    !JSON.stringify({ ...localStorage, ...sessionStorage }).includes(token) && !document.cookie.includes(token), tokens.operator));

  await one.getByRole('button', { name: 'Log out' }).click();
  await one.getByLabel('Token').waitFor();
  await one.reload();
  await one.getByLabel('Token').waitFor();
  check('after logging out nothing is shown, also when it is loaded anew', true);

  await enter(one);
  check('a token in the address logs in, and is taken out of the address', !one.url().includes('token'), one.url());
  // The page stands already: only the part behind the # becomes another.
  await one.goto(`${address}/#token=wrong-one`);
  await one.getByRole('alert').filter({ hasText: 'refused' }).waitFor();
  check('a wrong one in the address is refused, and taken out as well', !one.url().includes('token'), one.url());

  await enter(one, 'viewer');
  check('a viewer is told so', (await one.locator('.role').textContent()) === 'viewer');
  await open(one, home);
  await one.getByRole('button', { name: 'Plan', exact: true }).click();
  await one.locator('main:not([aria-busy]) h1', { hasText: 'Plan' }).waitFor();
  check('a viewer may look at a plan', one.url().includes('/plan/'), one.url());
  check('a viewer has no button that approves', (await one.locator('#approve').count()) === 0);
  const { role } = await ask(one, 'session');
  check('and the server knows him as one', role === 'viewer', role);
  await one.context().close();
}
