// Takes the pictures of docs/dashboard.md, and says as JSON how many bytes each has.
//
//     node pictures.mjs http://127.0.0.1:9464/ DIRECTORY
import { chromium } from 'playwright-core';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { crc32, deflateSync } from 'node:zlib';

const [address, directory] = process.argv.slice(2);
const browser = await chromium.launch({ executablePath: process.env.CHROMIUM || '/usr/bin/chromium', args: ['--no-sandbox', '--font-render-hinting=none'] });
const context = await browser.newContext({ colorScheme: 'light', viewport: { width: 1060, height: 640 }, bypassCSP: true });
const page = await context.newPage();
await page.goto(address);
await page.waitForSelector('#timeline li');
await page.waitForSelector('#endpoints-table svg');
await page.waitForSelector('#figures svg');
await page.waitForFunction(() => document.querySelector('#services-table').textContent.includes('ranking'));

const chunk = (type, data) => {
  const body = Buffer.concat([Buffer.from(type), data]), length = Buffer.alloc(4), check = Buffer.alloc(4);
  length.writeUInt32BE(data.length);
  check.writeUInt32BE(crc32(body));
  return Buffer.concat([length, body, check]);
};

// The pixels of a picture, with four bits of each colour: a page of text is no worse for it.
async function pixels(png) {
  return await page.evaluate(async (base64) => {
    const image = new Image();
    image.src = 'data:image/png;base64,' + base64;
    await image.decode();
    const canvas = new OffscreenCanvas(image.width, image.height), context = canvas.getContext('2d');
    context.drawImage(image, 0, 0);
    const { data } = context.getImageData(0, 0, image.width, image.height);
    const colours = [];
    for (let at = 0; at < data.length; at += 4) {
      const [red, green, blue] = [0, 1, 2].map((part) => Math.round(data[at + part] / 17));
      colours.push((red << 8) | (green << 4) | blue);
    }
    return { width: image.width, height: image.height, colours };
  }, png.toString('base64'));
}

async function smaller(png) {
  const { width, height, colours } = await pixels(png);
  const counts = new Map();
  for (const colour of colours) counts.set(colour, (counts.get(colour) || 0) + 1);
  const palette = [...counts.keys()].sort((a, b) => counts.get(b) - counts.get(a)).slice(0, 256);
  const apart = (a, b) => [8, 4, 0].reduce((sum, shift) => sum + (((a >> shift) & 15) - ((b >> shift) & 15)) ** 2, 0);
  const nearest = (colour) => palette.reduce((best, each, at) => (apart(each, colour) < apart(palette[best], colour) ? at : best), 0);
  const index = new Map([...counts.keys()].map((colour) => [colour, nearest(colour)]));
  const rows = Buffer.alloc(height * (width + 1));
  colours.forEach((colour, at) => { rows[Math.floor(at / width) * (width + 1) + 1 + (at % width)] = index.get(colour); });
  const header = Buffer.alloc(13);
  header.writeUInt32BE(width, 0);
  header.writeUInt32BE(height, 4);
  header.set([8, 3, 0, 0, 0], 8);
  const plte = Buffer.from(palette.flatMap((colour) => [colour >> 8, (colour >> 4) & 15, colour & 15].map((part) => part * 17)));
  const parts = [chunk('IHDR', header), chunk('PLTE', plte), chunk('IDAT', deflateSync(rows, { level: 9 })), chunk('IEND', Buffer.alloc(0))];
  return Buffer.concat([Buffer.from('89504e470d0a1a0a', 'hex'), ...parts]);
}

const sizes = {};
const take = async (name, options, place = page) => {
  const png = await smaller(await place.screenshot(options));
  writeFileSync(join(directory, `dashboard-${name}.png`), png);
  sizes[name] = png.length;
};
await take('overview', {});
// What stays at the top of the page would lie over its parts.
await page.addStyleTag({ content: 'header { position: static !important }' });
for (const [name, part] of [['callers', '#graph'], ['endpoints', '#endpoints'], ['records', '#records']]) {
  const box = await page.locator(part).boundingBox();
  const clip = { x: 0, y: box.y, width: 1060, height: Math.min(box.height, 420) };
  await take(name, { fullPage: true, clip });
}
await browser.close();
console.log(JSON.stringify(sizes));
