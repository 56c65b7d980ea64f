// Looks at the agent's page as a person does, and says as JSON what there was to see.
//
//     node look.mjs http://127.0.0.1:9464/ 1000
import { chromium } from 'playwright-core';
import { createRequire } from 'node:module';

const [address, rows] = process.argv.slice(2);
const axe = createRequire(import.meta.url).resolve('axe-core/axe.min.js');
const browser = await chromium.launch({ executablePath: process.env.CHROMIUM || '/usr/bin/chromium', args: ['--no-sandbox'] });
const seen = { console: [], violations: {}, shown_ms: [] };
const find = async (page, text, below) => {
  await page.fill('#find', '');
  await page.focus('#find');
  await page.keyboard.type(text);
  await page.waitForFunction((below) => document.querySelectorAll('#endpoints-table tbody tr').length < below, below);
};
for (const scheme of ['light', 'dark']) {
  // The page lets no foreign script in, and axe is one.
  const context = await browser.newContext({ colorScheme: scheme, viewport: { width: 1280, height: 800 }, bypassCSP: true });
  const page = await context.newPage();
  page.on('console', (message) => seen.console.push(message.text()));
  page.on('pageerror', (error) => seen.console.push(String(error)));
  page.on('request', (request) => {
    if (!request.url().startsWith(address) && !request.url().startsWith('data:')) seen.console.push(`foreign: ${request.url()}`);
  });
  // By the page's own clock, which begins with the navigation, and noted in the page itself: neither what the browser's first page
  // takes to start is this page's, nor what this script takes to ask.
  await page.addInitScript((rows) => {
    const observer = new MutationObserver(() => {
      if (document.querySelectorAll('#endpoints-table tbody tr td.a').length < rows) return;
      observer.disconnect();
      // Behind the next frame: then it is to be seen.
      requestAnimationFrame(() => setTimeout(() => { window.shownAt = performance.now(); }));
    });
    observer.observe(document, { childList: true, subtree: true });
  }, Number(rows));
  await page.goto(address, { waitUntil: 'commit' });
  await page.waitForFunction(() => window.shownAt);
  seen.shown_ms.push(await page.evaluate(() => Math.round(window.shownAt)));
  seen.rows = await page.locator('#endpoints-table tbody tr').count();
  seen.first = await page.locator('#endpoints-table tbody tr').first().innerText();
  const live = await page.locator('#live').innerText();
  await page.waitForFunction((before) => document.querySelector('#live').textContent !== before, live);
  seen.updates = (seen.updates ?? 0) + 1;
  await page.waitForSelector('#figures svg');
  await page.addScriptTag({ path: axe });
  // Colours are the same in each row: in the second scheme a few rows of each kind are enough.
  if (scheme === 'dark') await find(page, '10.0.0.7', 20);
  const result = await page.evaluate(() => axe.run());
  seen.violations[scheme] = result.violations.map((each) => `${each.id}: ${each.nodes[0].html} ${each.nodes[0].failureSummary}`);
  await find(page, '10.0.0.7:', 2);
  seen.found = await page.locator('#endpoints-table tbody tr').count();
  await page.keyboard.press('Tab');
  seen.focused = await page.evaluate(() => document.activeElement.getAttribute('aria-labelledby'));
  await context.close();
}
await browser.close();
console.log(JSON.stringify(seen));
