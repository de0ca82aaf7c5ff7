// The web console as its users meet it: signing in, working with VMs, being told why not.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { Page } from 'playwright-core';
import { type Console, openConsole } from './browser.ts';

const memoryBytes = 64 * 2 ** 20;
const password = 'correct horse battery';

describe('the web console', () => {
  let console: Console;
  let page: Page;
  const state = (word: string) => page.locator('main .state', { hasText: word }).first();
  const vm = (name: string, tab = 'overview') => `${console.url}/vms/${name}/${tab}`;

  before(async () => {
    console = await openConsole();
    const { client } = console.host;
    await client.vm.create({ image: 'tiny', name: 'first', memoryBytes });
    await client.user.create({ user: 'vera', password, role: 'viewer' });
  });
  after(() => console[Symbol.asyncDispose]());

  test('a link of the host signs its owner in, once, and leaves the address bar', async () => {
    const { link } = await console.host.client.session.link({});
    page = await console.page();
    await page.goto(link);
    await page.getByRole('heading', { name: 'Overview' }).waitFor();
    assert.equal(new URL(page.url()).hash, '');
    const other = await console.page();
    await other.goto(link);
    await other.getByText('unknown, used or older').waitFor();
    await other.context().close();
  });

  test('the page is served with a strict policy, and its files for ever', async () => {
    const answer = await page.request.get(`${console.url}/vms`, { headers: { accept: 'text/html' } });
    const policy = answer.headers()['content-security-policy'] ?? '';
    assert.match(policy, /script-src 'self';/);
    assert.match(policy, /frame-ancestors 'none'/);
    assert.doesNotMatch(policy, /unsafe/);
    const html = await answer.text();
    assert.doesNotMatch(html, /<script>|https?:\/\/(?!www\.w3\.org)/);
    const script = /src="(\/assets\/[^"]+\.js)"/.exec(html)?.[1] ?? '';
    const file = await page.request.get(`${console.url}${script}`);
    assert.match(file.headers()['cache-control'] ?? '', /immutable/);
    assert.equal(file.headers()['x-content-type-options'], 'nosniff');
    assert.equal((await page.request.get(`${console.url}/assets/..%2findex.html`)).status(), 404);
  });

  test('a VM is created with two clicks, and the same is shown as a command', async () => {
    await page.getByRole('navigation').getByRole('link', { name: 'VMs', exact: true }).click();
    await page.getByRole('link', { name: 'first' }).waitFor();
    await page.getByRole('button', { name: 'Create VM' }).click();
    await page.getByRole('combobox', { name: 'Image' }).click();
    await page.getByRole('option', { name: 'tiny', exact: true }).click();
    await page.getByRole('textbox', { name: 'Name', exact: true }).fill('second');
    await page.getByText('viv run tiny second').waitFor();
    await page.getByRole('button', { name: 'Create', exact: true }).click();
    await page.getByRole('heading', { name: 'second' }).waitFor();
    await state('running').waitFor();
  });

  test('it is stopped after a question, started, snapshotted and forked', async () => {
    await page.getByRole('button', { name: 'Stop', exact: true }).click();
    await page.getByRole('alertdialog').getByRole('button', { name: 'Stop' }).click();
    await state('stopped').waitFor();
    await page.getByRole('button', { name: 'Start', exact: true }).click();
    await state('running').waitFor();
    await page.goto(vm('second', 'snapshots'));
    await page.getByText('No snapshots yet').waitFor();
    await page.getByRole('tabpanel').getByRole('button', { name: 'Take snapshot' }).click();
    await page.getByRole('textbox', { name: 'Label' }).fill('clean');
    await page.getByRole('dialog').getByRole('button', { name: 'Take snapshot' }).click();
    const row = page.getByRole('list', { name: 'Snapshots as a tree' }).getByRole('listitem').filter({ hasText: 'clean' });
    await row.getByText('current').waitFor();
    assert.equal((await console.host.client.snapshot.list({ vm: 'second' }))[0]?.label, 'clean');
  });

  test('what others do is on the screen without a reload', async () => {
    await page.goto(`${console.url}/vms`);
    await page.getByRole('link', { name: 'first' }).waitFor();
    await console.host.client.vm.create({ image: 'tiny', name: 'third', memoryBytes });
    await page.getByRole('link', { name: 'third' }).waitFor();
    const row = page.getByRole('row').filter({ has: page.getByRole('link', { name: 'third' }) });
    await row.getByText('stopped').waitFor();
    await console.host.client.vm.start({ vm: 'third' });
    await row.getByText('running').waitFor();
  });

  test('several are acted on together; a row that the filter hides is not', async () => {
    await page.getByRole('checkbox', { name: 'Select all rows shown' }).check();
    await page.getByRole('textbox', { name: /^Filter/ }).fill('third');
    await page.getByText('1 selected').waitFor();
    await page.getByRole('toolbar').getByRole('button', { name: 'Stop' }).click();
    await page.getByRole('alertdialog').getByRole('button', { name: 'Stop' }).click();
    await page.getByText('Stop: 1 of 1 done').waitFor();
    assert.equal((await console.host.client.vm.show({ vm: 'second' })).state, 'running');
    assert.equal((await console.host.client.vm.show({ vm: 'third' })).state, 'stopped');
    await page.getByRole('textbox', { name: /^Filter/ }).fill('');
  });

  test('the serial console shows what the guest wrote', async () => {
    await page.goto(vm('second', 'console'));
    await page.getByText('Connected').waitFor();
    await page.locator('.xterm').waitFor();
  });

  test('the palette finds a VM by its name', async () => {
    await page.keyboard.press('Escape');
    await page.getByRole('button', { name: /^Search/ }).click();
    await page.getByPlaceholder(/A VM, a page/).fill('third');
    await page.getByRole('option', { name: /third/ }).first().click();
    await page.getByRole('heading', { name: 'third' }).waitFor();
  });

  test('a VM is removed after a question that says what is lost', async () => {
    await page.getByRole('button', { name: /^More/ }).click();
    await page.getByRole('menuitem', { name: 'Remove' }).click();
    await page.getByRole('alertdialog').getByText('cannot be undone').waitFor();
    await page.getByRole('alertdialog').getByRole('button', { name: 'Remove' }).click();
    await page.getByRole('heading', { name: 'VMs' }).waitFor();
    await page.getByRole('link', { name: 'third' }).waitFor({ state: 'detached' });
  });

  test('a viewer signs in by password, and disabled controls say why', async () => {
    const other = await console.page();
    await other.goto(vm('second'));
    await other.getByRole('textbox', { name: 'User name' }).fill('vera');
    await other.getByLabel('Password', { exact: false }).first().fill('wrong password!');
    await other.getByRole('button', { name: 'Sign in' }).click();
    await other.getByRole('alert').getByText('is wrong').waitFor();
    await other.getByLabel('Password', { exact: false }).first().fill(password);
    await other.getByRole('button', { name: 'Sign in' }).click();
    await other.getByRole('heading', { name: 'second' }).waitFor();
    const stop = other.getByRole('button', { name: 'Stop', exact: true });
    await stop.hover();
    await other.getByRole('tooltip').getByText('vera has no role with vm.stop').waitFor();
    await stop.click({ force: true });
    assert.equal(await other.getByRole('alertdialog').count(), 0);
    await other.goto(`${console.url}/networks`);
    await other.getByRole('button', { name: 'Create network' }).and(other.locator('[aria-disabled=true]')).first().waitFor();
    // A session that ends: a dialog over the page, which stays.
    const [session] = (await console.host.client.session.list({})).filter(({ user }) => user === 'vera');
    await console.host.client.session.remove({ session: session?.id ?? '' });
    await other.getByRole('link', { name: 'Images', exact: true }).click();
    await other.getByRole('dialog').getByText('Your session has ended').waitFor();
    await other.getByRole('dialog').getByLabel('Password', { exact: false }).first().fill(password);
    await other.getByRole('dialog').getByRole('button', { name: 'Sign in', exact: true }).click();
    await other.getByText('Your session has ended').waitFor({ state: 'detached' });
    await other.getByRole('heading', { name: 'Images' }).waitFor();
    await other.context().close();
  });

  test('no page has violated the policy or thrown an error', () => assert.deepEqual(console.problems, []));
});
