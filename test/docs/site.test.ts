import '../support/leaks.js';
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { dirname, extname, join, relative } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { Browser, noBrowser } from '../support/browser.js';
import { root, temporaryFolder } from '../support/processes.js';

const folder = join(root, 'site');
const profile = join(temporaryFolder(), 'profile');
const notBuilt = !existsSync(join(folder, 'index.html')) && 'needs the site (npm run site)';
const pages = notBuilt
  ? []
  : readdirSync(folder, { recursive: true, encoding: 'utf8' })
      .filter((name) => name.endsWith('.html'))
      .map((name) => join(folder, name));
const addressOf = (page: string) => pathToFileURL(page).href;
const decode = (text: string) => text.replaceAll('&amp;', '&').replaceAll('&quot;', '"').replaceAll('&lt;', '<');

test('Site: every link of every page leads to a page and to a place in it', { skip: notBuilt }, () => {
  const texts = new Map(pages.map((page) => [page, readFileSync(page, 'utf8')]));
  const places = new Map(
    [...texts].map(([page, text]) => [
      page,
      new Set([...text.matchAll(/ id="([^"]*)"/g)].map(([, id]) => decode(id!))),
    ]),
  );
  const broken: string[] = [];
  for (const [page, text] of texts) {
    for (const [, raw] of text.matchAll(/ (?:href|src)="([^"]*)"/g)) {
      const link = decode(raw!);
      if (/^(https?|mailto|data):/.test(link)) continue;
      const url = new URL(link, addressOf(page));
      const hash = decodeURIComponent(url.hash.slice(1));
      url.hash = '';
      let to = fileURLToPath(url);
      if (existsSync(to) && statSync(to).isDirectory()) to = join(to, 'index.html');
      if (!existsSync(to)) broken.push(`${relative(folder, page)}: ${link}`);
      else if (hash && places.has(to) && !places.get(to)!.has(hash)) broken.push(`${relative(folder, page)}: ${link}`);
    }
  }
  assert.deepEqual(broken, []);
});

test('Site: no page loads anything from elsewhere', { skip: notBuilt }, () => {
  for (const page of pages) {
    for (const [tag] of readFileSync(page, 'utf8').matchAll(/<(?:script|link|img|iframe|source)\b[^>]*>/g))
      assert.doesNotMatch(tag, /(?:src|href)="(?:https?:)?\/\//, relative(folder, page));
  }
});

/** The site as a web server gives it; over `file:` a browser complains of its icons. */
const server = createServer((request, response) => {
  const path = join(folder, decodeURIComponent(new URL(request.url!, 'http://site').pathname));
  if (!existsSync(path)) return void response.writeHead(404).end();
  const type = TYPES[extname(path)];
  const headers = { 'cache-control': 'max-age=600', ...(type !== undefined && { 'content-type': type }) };
  response.writeHead(200, headers).end(readFileSync(path));
});
const TYPES: Record<string, string> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript',
  '.css': 'text/css',
  '.svg': 'image/svg+xml',
};

describe('Site in Chromium', { skip: notBuilt || noBrowser }, () => {
  let browser: Browser;
  const said: string[] = [];
  const asked: string[] = [];
  let origin: string;
  before(async () => {
    await once(server.listen(0, '127.0.0.1'), 'listening');
    origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    browser = await Browser.start(profile);
    browser.on((method, params) => {
      if (method === 'Runtime.exceptionThrown' || method === 'Log.entryAdded') said.push(JSON.stringify(params));
      if (method === 'Runtime.consoleAPICalled' && ['error', 'warning', 'assert'].includes(params['type'] as string))
        said.push(JSON.stringify(params['args']));
      if (method === 'Network.requestWillBeSent') asked.push((params['request'] as { url: string }).url);
    });
  });
  after(async () => {
    await browser?.close();
    server.close();
    server.closeAllConnections();
  });

  /** `name` is kept for people to look at. */
  async function show(page: string, width: number, scheme: 'light' | 'dark', name?: string): Promise<void> {
    await browser.call('Emulation.setDeviceMetricsOverride', {
      width,
      height: 1000,
      deviceScaleFactor: 1,
      mobile: width < 500,
    });
    await browser.call('Emulation.setEmulatedMedia', { features: [{ name: 'prefers-color-scheme', value: scheme }] });
    await browser.open(`${origin}/${page}`);
    if (name === undefined) return;
    const pictures = join(root, 'build', 'site-pictures');
    mkdirSync(pictures, { recursive: true });
    writeFileSync(join(pictures, `${name}-${width}-${scheme}.png`), await browser.screenshot());
  }
  const quiet = () => {
    assert.deepEqual(said.splice(0), []);
    assert.deepEqual(
      asked.splice(0).filter((url) => !url.startsWith(`${origin}/`) && !/^(data|about|blob):/.test(url)),
      [],
    );
  };

  test('pages that the start page and their navigation lead to load without a word on the console', async () => {
    await show('index.html', 1440, 'light');
    const links = (where: string) =>
      `[...document.querySelectorAll('${where} a[href]')].map((link) => link.href.replace(/#.*/, ''))`;
    // A script draws the navigation from an index of all pages, some time after the page has loaded.
    const navigation = await browser.evaluate<string[]>(`new Promise((resolve) => {
      const look = () => (${links('#tsd-nav-container')}.length ? resolve(${links('#tsd-nav-container')}) : setTimeout(look, 20));
      look();
    })`);
    const folderOf = (link: string) => dirname(link.slice(origin.length + 1));
    assert.deepEqual(
      navigation.filter((link) => !existsSync(join(folder, link.slice(origin.length)))),
      [],
    );
    // The pages of one kind have one form: two of each, and all that somebody has written.
    const chosen = new Set(
      (await browser.evaluate<string[]>(links('body'))).filter((link) => folderOf(link) === 'docs'),
    );
    assert.ok(chosen.size > 20, `${chosen.size} pages`);
    for (const kind of new Set(navigation.map(folderOf)))
      for (const link of navigation.filter((link) => folderOf(link) === kind).slice(0, 2)) chosen.add(link);
    for (const link of chosen) {
      await browser.open(link);
      assert.equal(await browser.evaluate('document.querySelectorAll("h1").length > 0'), true, link);
      quiet();
    }
  });

  test('the search finds a class, a function and a page by its words', async () => {
    for (const [words, expected] of [
      ['Mutex', 'classes/vecino_sync.Mutex.html'],
      ['listChannels', 'functions/vecino_channel.listChannels.html'],
      ['cluster', 'docs/cluster.html'],
    ]) {
      await show('index.html', 1440, 'light');
      const found = await browser.evaluate<string[]>(`new Promise((resolve) => {
        document.querySelector('#tsd-search-trigger').click();
        const input = document.querySelector('#tsd-search-input');
        const results = () => [...document.querySelectorAll('#tsd-search-results a')].map((link) => link.href);
        const look = () => (results().length ? resolve(results()) : setTimeout(look, 20));
        const ask = () => {
          if (document.querySelector('#tsd-search-status').textContent.includes('Preparing')) return setTimeout(ask, 20);
          input.value = ${JSON.stringify(words)};
          input.dispatchEvent(new Event('input', { bubbles: true }));
          look();
        };
        ask();
      })`);
      assert.ok(
        found.some((link) => link.includes(expected!)),
        `${words}: ${found.join(' ')}`,
      );
      quiet();
    }
  });

  const looks = [
    'index',
    'docs/queue',
    'classes/vecino_channel.Queue',
    'modules/vecino',
    'docs/install',
    'docs/SECURITY',
    'variables/vecino_system.errno',
  ];
  for (const width of [390, 1440]) {
    for (const scheme of ['light', 'dark'] as const) {
      test(`nothing is wider than a ${scheme} window of ${width} pixels`, async () => {
        for (const name of looks) {
          await show(`${name}.html`, width, scheme, name.replaceAll('/', '-'));
          const wide = await browser.evaluate<
            string[]
          >(`document.documentElement.scrollWidth <= ${width} && innerWidth <= ${width} ? [] :
            [...document.querySelectorAll('body *')].filter((one) => one.getBoundingClientRect().right > ${width} + 1)
              .slice(0, 5).map((one) => one.outerHTML.slice(0, 120))`);
          assert.deepEqual(wide, [], name);
          const dark = await browser.evaluate<boolean>(
            `(([r, g, b]) => r + g + b < 384)(getComputedStyle(document.body).backgroundColor.match(/\\d+/g).map(Number))`,
          );
          assert.equal(dark, scheme === 'dark', name);
          quiet();
        }
      });
    }
  }
});
