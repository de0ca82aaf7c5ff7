// Every main page in both colour schemes and on a small screen: nothing that axe finds wrong with it (WCAG 2.2 AA), and nothing wider than the screen.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { type Console, openConsole, violationsOn } from './browser.ts';

const pages = [
  '/',
  '/vms',
  '/create',
  '/vms/web/overview',
  '/vms/web/snapshots',
  '/vms/web/resources',
  '/images',
  '/tasks',
  '/access',
  '/settings',
];
const looks = {
  light: { colorScheme: 'light', viewport: { width: 1280, height: 800 } },
  'dark, on a small screen': { colorScheme: 'dark', viewport: { width: 360, height: 740 } },
} as const;

describe('pages of the web console', () => {
  let console: Console;
  before(async () => {
    console = await openConsole();
    const { client } = console.host;
    await client.vm.create({ image: 'tiny', name: 'web', memoryBytes: 64 * 2 ** 20 });
    await client.vm.start({ vm: 'web' });
    await client.snapshot.create({ vm: 'web', label: 'clean' });
  });
  after(() => console[Symbol.asyncDispose]());

  for (const [look, options] of Object.entries(looks)) {
    test(`in ${look} have nothing that axe finds wrong`, async () => {
      const page = await console.ownerPage(options);
      const wrong: string[] = [];
      for (const path of pages) {
        await page.goto(`${console.url}${path}`);
        await page.getByRole('heading', { level: 1 }).waitFor();
        await page.locator('[aria-busy=true]').first().waitFor({ state: 'detached' });
        for (const violation of await violationsOn(page)) wrong.push(`${path} ${violation}`);
        const { scrollWidth, clientWidth } = (await page.evaluate(
          '({ scrollWidth: document.documentElement.scrollWidth, clientWidth: document.documentElement.clientWidth })',
        )) as { scrollWidth: number; clientWidth: number };
        if (scrollWidth > clientWidth) wrong.push(`${path} is ${scrollWidth} px wide on a screen of ${clientWidth} px`);
      }
      assert.deepEqual(wrong, []);
      await page.context().close();
    });
  }

  test('are in German where the browser asks for it', async () => {
    const page = await console.ownerPage({ locale: 'de-DE' });
    await page.getByRole('heading', { name: 'Überblick' }).waitFor();
    await page.getByRole('button', { name: 'VM erstellen' }).waitFor();
    await page.context().close();
  });
});
