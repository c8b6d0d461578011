// The dashboard as people see it: `node all.mjs` drives Chromium against a server that runs.
//
// KUBEWRIGHT_DASHBOARD          its address, as http://127.0.0.1:8420
// KUBEWRIGHT_OPERATOR_TOKEN     a token of each role
// KUBEWRIGHT_VIEWER_TOKEN
// KUBEWRIGHT_CLUSTER            a cluster in a pretend world that is not built yet; devboard
// KUBEWRIGHT_SCREENSHOTS        a folder for pictures of the pages; none are taken without
// KUBEWRIGHT_CHROMIUM           the browser, where it is not in /usr/bin
//
// Each check is one line; the end is 1 where one failed.

import { begin, check, end, failed, part, wrongs } from './browser.mjs';
import { session } from './session.mjs';
import { runs } from './runs.mjs';
import { pages } from './pages.mjs';
import { zoom } from './zoom.mjs';
import { hostile } from './hostile.mjs';

await begin();
try {
  await part('logging in and out', session);
  await part('plans and runs', runs);
  await part('every page', pages);
  await part('a run that is looked at closely', zoom);
  await part('hostile and huge answers', hostile);
  check('no page wrote an error to the console', wrongs.console.length === 0, wrongs.console.slice(0, 5));
  check('no page violated its content security policy', wrongs.policy.length === 0, wrongs.policy.slice(0, 5));
  check('no page asked for anything from elsewhere', wrongs.elsewhere.length === 0, wrongs.elsewhere.slice(0, 5));
} finally {
  await end();
}
console.log(failed() === 0 ? 'all held' : `${failed()} failed`);
process.exit(failed() === 0 ? 0 : 1);
