// A browser for the tests of the web console: Debian's Chromium against a real daemon over fake QEMU. Every page it opens is watched for violations of the
// Content-Security-Policy and for errors of scripts.
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { type Browser, type BrowserContextOptions, chromium, type Page } from 'playwright-core';
import { type TestHost, testHost } from '../daemon/test-host.ts';

const program = '/usr/bin/chromium';
const axeFile = createRequire(import.meta.url).resolve('axe-core/axe.min.js');
/** Generous: the machine may have a dozen other tests to run. */
const patienceMs = 60_000;

export interface Console extends AsyncDisposable {
  readonly host: TestHost;
  readonly url: string;
  /** A page in a context of its own: nobody is signed in there. */
  page(options?: BrowserContextOptions): Promise<Page>;
  /** A page that a link from the host has signed in as its owner. */
  ownerPage(options?: BrowserContextOptions): Promise<Page>;
  /** What went wrong on any page: violations of the policy, errors of scripts. */
  readonly problems: string[];
}

export async function openConsole(): Promise<Console> {
  const host = await testHost({ qemu: 'fake' });
  let browser: Browser | undefined;
  const problems: string[] = [];
  try {
    await host.start();
    const { url } = await host.client.listener.set({ listen: '127.0.0.1:0' });
    // Root cannot use Chromium's sandbox; the pages are the daemon's own.
    browser = await chromium.launch({ executablePath: program, args: ['--no-sandbox', '--disable-gpu'], timeout: patienceMs });
    const open = browser;
    const page = async (options: BrowserContextOptions = {}) => {
      const context = await open.newContext({ ignoreHTTPSErrors: true, locale: 'en-US', ...options });
      context.setDefaultTimeout(patienceMs);
      const fresh = await context.newPage();
      fresh.on('pageerror', (error) => problems.push(error.message));
      fresh.on('console', (message) => {
        if (/Content.Security.Policy|violates the following/i.test(message.text())) problems.push(message.text());
      });
      return fresh;
    };
    return {
      host,
      url,
      problems,
      page,
      async ownerPage(options) {
        const fresh = await page(options);
        const { link } = await host.client.session.link({});
        await fresh.goto(link);
        await fresh.getByRole('navigation').first().waitFor({ state: 'attached' });
        return fresh;
      },
      async [Symbol.asyncDispose]() {
        await open.close();
        await host[Symbol.asyncDispose]();
      },
    };
  } catch (error) {
    await browser?.close();
    await host[Symbol.asyncDispose]();
    throw error;
  }
}

interface Violation {
  readonly id: string;
  readonly nodes: readonly { readonly html: string; readonly failureSummary?: string }[];
}

/** What axe finds wrong with the page as it is: one line for each kind of violation. Run through the debugger, which the page's policy does not bind. */
export async function violationsOn(page: Page): Promise<string[]> {
  const axe = await readFile(axeFile, 'utf8');
  // Transitions that are under way have colours of their own.
  await page.evaluate(
    'Promise.allSettled(document.getAnimations().map((one) => one.effect.getTiming().iterations === Infinity || one.finished)).then(() => {})',
  );
  await page.evaluate(axe);
  const violations = (await page.evaluate(
    "axe.run(document, { runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa'] }).then(({ violations }) => violations)",
  )) as Violation[];
  return violations.map(
    ({ id, nodes }) => `${id}: ${nodes.map(({ html, failureSummary }) => `${html.slice(0, 200)} (${failureSummary ?? ''})`).join(' | ')}`,
  );
}
