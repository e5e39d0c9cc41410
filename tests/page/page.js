// SPDX-License-Identifier: BSL-1.0
// tidepool - what a person sees on the page /pool, and what nobody else may do there.
//
//   node page.js CHROMIUM PORT PORT_WITHOUT_CONTROL DATABASE SQLITE_FILE [FOLDER_FOR_PICTURES]    TOKEN: of control
'use strict';
const assert = require('node:assert');
const http = require('node:http');
const path = require('node:path');
const {spawn} = require('node:child_process');
const {chromium} = require('playwright-core');

const [browserPath, port, plainPort, database, file, pictures] = process.argv.slice(2);
const token = process.env.TOKEN;
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

function ask(method, target, headers = {}, to = port) {
  return new Promise((resolve, reject) => {
    const request = http.request({host: '127.0.0.1', port: to, method, path: target, headers, agent: false}, (answer) => {
      let text = '';
      answer.on('data', (piece) => { text += piece; });
      answer.on('end', () => resolve({status: answer.statusCode, headers: answer.headers, text}));
      answer.on('error', reject);
    });
    request.on('error', reject);
    request.end();
  });
}
const told = async (pool) => JSON.parse((await ask('GET', '/pool/now')).text).pools[pool].inspection;

// --- what needs no browser ----------------------------------------------------------------------------------------------------------
async function refusals() {
  const bearer = {Authorization: 'Bearer ' + token};
  const verb = '/pool/control/0/suspend';
  const status = async (...args) => (await ask(...args)).status;
  // Without the token, with a wrong one, with half of it, with more than it.
  assert.equal(await status('POST', verb), 401);
  assert.equal(await status('POST', verb, {Authorization: 'Bearer ' + 'x'.repeat(token.length)}), 401);
  assert.equal(await status('POST', verb, {Authorization: 'Bearer ' + token.slice(0, 16)}), 401);
  assert.equal(await status('POST', verb, {Authorization: 'Bearer ' + token + 'x'}), 401);
  assert.equal(await status('POST', verb, {Authorization: 'Basic ' + token}), 401);
  assert.equal(await status('GET', verb, bearer), 405);
  // Another site, or a name that leads here.
  assert.equal(await status('POST', verb, {...bearer, Origin: 'http://elsewhere.example'}), 403);
  assert.equal(await status('POST', verb, {...bearer, Origin: 'null'}), 403);
  for (const host of ['elsewhere.example', 'elsewhere.example:' + port, '127.0.0.1.elsewhere.example', '127.0.0.1:', 'localhost:80x']) {
    assert.equal(await status('GET', '/pool', {Host: host}), 403, host);
    assert.equal(await status('POST', verb, {...bearer, Host: host}), 403, host);
  }
  for (const host of ['127.0.0.1', 'localhost', 'localhost:1234', '[::1]', '[::1]:80']) assert.equal(await status('GET', '/pool', {Host: host}), 200, host);
  assert.equal((await told(0)).stats.state, 'healthy');
  // Nonsense, by one who may.
  for (const wrong of ['9/suspend', 'x/suspend', '0', '0/', '0/explode', '0/suspend/1', '0/reclaim/99999', '0/reclaim/-1']) {
    assert.equal(await status('POST', '/pool/control/' + wrong, bearer), 404, wrong);
  }
  // Off without a token of the service's.
  const off = await ask('POST', verb, bearer, plainPort);
  assert.equal(off.status, 403);
  assert.match(off.text, /control is off/);
  // Nobody else may put the page into a frame, or run scripts in it.
  const page = await ask('GET', '/pool');
  assert.match(page.headers['content-security-policy'], /default-src 'none'; script-src 'self'.*frame-ancestors 'none'/);
  assert.equal(page.headers['cache-control'], 'no-store');
  assert.equal(page.headers['access-control-allow-origin'], undefined);
  assert.equal(await status('PUT', '/pool'), 405);
  assert.equal(await status('GET', '/pool/nothing'), 404);
}
/// Too often, right or wrong.
async function tries() {
  const headers = {Authorization: 'Bearer ' + token};
  const answers = await Promise.all(Array.from({length: 30}, () => ask('POST', '/pool/control/0/explode', headers)));
  assert.ok(answers.some((one) => one.status === 429));
}
/// Sixteen readers and no more; one that goes makes room.
async function readers() {
  const open = () => new Promise((resolve, reject) => {
    const request = http.get({host: '127.0.0.1', port: plainPort, path: '/pool/events', agent: false}, (answer) => {
      answer.on('error', () => {});
      answer.resume();
      resolve({status: answer.statusCode, close: () => request.destroy()});
    });
    request.on('error', reject);
  });
  const all = [];
  for (let i = 0; i < 16; ++i) all.push(await open());
  assert.deepEqual(all.map((one) => one.status), Array(16).fill(200));
  const late = await open();
  assert.equal(late.status, 503);
  for (const one of all) one.close();
  late.close();
  let status = 503;
  for (let i = 0; i < 50 && status === 503; ++i) {
    await pause(100);
    const next = await open();
    status = next.status;
    next.close();
  }
  assert.equal(status, 200);
}

// --- what a person sees -------------------------------------------------------------------------------------------------------------
async function look(browser) {
  const context = await browser.newContext({viewport: {width: 1180, height: 900}});
  const page = await context.newPage();
  const troubles = [], elsewhere = [];
  page.on('console', (line) => { if (line.type() === 'error') troubles.push(line.text()); });
  page.on('pageerror', (failed) => troubles.push(String(failed)));
  page.on('request', (request) => { if (new URL(request.url()).host !== '127.0.0.1:' + port) elsewhere.push(request.url()); });
  await page.goto('http://127.0.0.1:' + port + '/pool');
  await page.waitForSelector('#line.good');
  const readers = database === 'sqlite' ? 1 : 0;  // SQLite: one pool writes, another one reads
  assert.equal(await page.locator('.pool').count(), readers + 1);
  const pool = page.locator('.pool').nth(readers);
  const text = (name) => pool.locator('[data-text="' + name + '"]').textContent();
  const until = async (what, test) => {
    for (let i = 0; i < 100; ++i) {
      if (await test()) return;
      await pause(100);
    }
    assert.fail('the page never showed ' + what);
  };
  assert.equal(await text('state'), 'healthy');
  assert.equal(await pool.locator('[data-id="no-leases"]').isVisible(), true);

  // A lease that is held for too long: who, from where, and that it is a leak.
  const slow = ask('GET', '/slow/6000');
  slow.catch(() => {});
  const rows = pool.locator('[data-id="leases"] tr');
  await until('a leak', async () => await rows.count() === 1 && /leak/.test(await rows.nth(0).textContent()));
  assert.match(await rows.nth(0).textContent(), /^#\d+[2-9]\.\d sleakhandlers\.hpp:\d+slow query/);
  assert.match(await pool.locator('[data-id="tiles"]').textContent(), /leaks out \/ ever1 \/ \d/);
  assert.match(await page.locator('#log').textContent(), /lease of connection \d+ held 2\.\d+ s.* label slow query/);

  // The verbs, by one who has the token.
  const click = (verb) => pool.locator('[data-verb="' + verb + '"]').click();
  await click('suspend');
  await until('that a token is wanted', async () => await page.locator('#told').textContent() === 'the token is missing');
  await page.fill('#token', 'not the token at all');
  await click('suspend');
  await until('a refusal', async () => await page.locator('#told').textContent() === 'suspend: wrong token');
  assert.equal(await text('state'), 'healthy');
  await page.fill('#token', token);
  await click('suspend');
  await until('a suspended pool', async () => await text('state') === 'suspended');
  const waiting = ask('GET', '/accounts/7');
  await until('who waits', async () => /handlers\.hpp:\d+/.test(await pool.locator('[data-id="callers"]').textContent()));
  await click('resume');
  await until('a pool at work', async () => await text('state') === 'healthy');
  assert.equal((await waiting).status, 200);

  // Its connection is taken from the one who holds it for too long; the place serves others.
  await slow;
  ask('GET', '/slow/12000').catch(() => {});
  await rows.nth(0).locator('button').click();
  await until('that nobody holds it', async () => await rows.count() === 0);
  assert.equal((await told(readers)).stats.closed_by_reason.reclaimed, 1);
  assert.equal((await ask('GET', '/accounts/8')).status, 200);
  await until('what was done by hand', async () => /by hand: reclaim \d+/.test(await page.locator('#log').textContent()));

  await pool.locator('[data-id="min"]').fill('1');
  await pool.locator('[data-id="max"]').fill('5');
  await click('resize');
  await until('its new size', async () => /size, min to max1 to 5/.test(await pool.locator('[data-id="tiles"]').textContent()));
  await pool.locator('[data-id="max"]').fill('0');
  await click('resize');
  await until('that a size is refused', async () => /refuses this size/.test(await page.locator('#told').textContent()));
  const generation = (await told(readers)).stats.generation;
  await click('recycle');
  await until('that it was done', async () => (await told(readers)).stats.generation === generation + 1);
  if (readers) assert.equal(await page.locator('.pool').nth(0).locator('[data-id="resize"]').isVisible(), false);

  await labels(page);

  // On a telephone nothing is cut off.
  await page.setViewportSize({width: 390, height: 800});
  assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= window.innerWidth), 'wider than a telephone');
  // A refused verb is an answer of 401 or 400, which the browser tells as well.
  assert.deepEqual(troubles.filter((line) => !/status of (400|401)/.test(line)), []);
  assert.deepEqual(elsewhere, []);
  await context.close();

  const plain = await browser.newPage();
  await plain.goto('http://127.0.0.1:' + plainPort + '/pool');
  await plain.waitForSelector('#line.good');
  assert.equal(await plain.locator('#control-off').isVisible(), true);
  assert.equal(await plain.locator('.verbs').first().isVisible(), false);
  await plain.close();
}
/// A label that a client has chosen is text. While another process holds the lock, whoever writes holds a lease.
async function labels(page) {
  if (database !== 'sqlite') return;
  const hold = spawn('python3', ['-c', 'import sqlite3, sys, time\n' +
    'db = sqlite3.connect(sys.argv[1], timeout=10, isolation_level=None)\ndb.execute("begin immediate")\nprint("held", flush=True)\ntime.sleep(1.8)', file]);
  const held = await new Promise((resolve) => {
    hold.on('error', () => resolve(false));
    hold.on('exit', () => resolve(false));
    hold.stdout.on('data', () => resolve(true));
  });
  if (!held) return console.log('no python3 with sqlite3: no look at labels');
  const label = '<img src=x onerror=window.hacked=1>'.replaceAll(' ', '%20');
  const booked = ask('PUT', '/transfers/' + encodeURI(label).replaceAll('%3C', '<').replaceAll('%3E', '>') + '/1/2/5');
  const cell = page.locator('.pool').nth(0).locator('[data-id="leases"] td').nth(3);
  await cell.waitFor({timeout: 5000});
  assert.match(await cell.textContent(), /^transfer <img/);
  assert.equal(await cell.locator('*').count(), 0);
  assert.equal(await page.evaluate(() => window.hacked), undefined);
  assert.equal((await booked).status, 200);
}

// --- pictures -----------------------------------------------------------------------------------------------------------------------
async function take(browser) {
  const end = Date.now() + 55000;
  const client = async (i) => {
    for (let n = 0; Date.now() < end; ++n) {
      await ask(...(n % 3 === 0 ? ['PUT', '/transfers/p' + i + '-' + n + '/' + (1 + (i * 31 + n) % 900) + '/' + (901 + (n * 7 + i) % 90) + '/1'] : ['GET', '/accounts/' + (1 + (i * 17 + n) % 1000)])).catch(() => {});
      if (n % 20 === i) await ask('GET', '/slow/' + (100 + 90 * (i % 12))).catch(() => {});
      await pause(4 + 3 * (i % 5));
    }
  };
  const load = Array.from({length: 18}, (_, i) => client(i));
  load.push(ask('GET', '/slow/46000').catch(() => {}), ask('GET', '/slow/44000').catch(() => {}));
  const pages = [];
  for (const [name, width, height, colorScheme] of [['pool_page', 1180, 780, 'light'], ['pool_page_dark', 1180, 780, 'dark'], ['pool_page_phone', 390, 1180, 'light']]) {
    const page = await (await browser.newContext({viewport: {width, height}, colorScheme})).newPage();
    await page.goto('http://127.0.0.1:' + port + '/pool');
    pages.push([name, page]);
  }
  await pause(33000);
  for (const [name, page] of pages) {
    await page.bringToFront();
    await page.screenshot({path: path.join(pictures, name + '.png')});
  }
  await Promise.all(pages.map(([, page]) => page.close()));
  await Promise.all(load);
}

(async () => {
  const browser = await chromium.launch({executablePath: browserPath, args: ['--no-sandbox', '--disable-gpu']});
  try {
    if (pictures) await take(browser);
    await refusals();
    await readers();
    await look(browser);
    await tries();
    console.log('the page: everything is as it has to be, on ' + database);
  } finally {
    await browser.close();
  }
})().catch((failed) => {
  console.error(failed);
  process.exit(1);
});
