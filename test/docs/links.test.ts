import '../support/leaks.js';
import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { dirname, join, relative, sep } from 'node:path';
import { test } from 'node:test';
import { root } from '../support/processes.js';

/** Folders without pages that anybody has written. */
const MADE = new Set(['node_modules', 'dist', 'build', 'site', 'api', '.git', 'prebuilds']);
function* pagesIn(folder: string): Iterable<string> {
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name);
    if (entry.isDirectory() && !MADE.has(entry.name)) yield* pagesIn(path);
    else if (entry.isFile() && entry.name.endsWith('.md')) yield path;
  }
}
const pages = [...pagesIn(root)];
const nameOf = (page: string) => relative(root, page);

/** Without what is code, in which brackets are no links and a # begins no heading. */
const prose = (page: string) => readFileSync(page, 'utf8').replace(/^( *)```[\s\S]*?^\1```$/gm, '');
/** The places of a page, as GitHub and TypeDoc name them. */
function places(page: string): Set<string> {
  const found = new Set<string>();
  for (const [, heading] of prose(page).matchAll(/^#{1,6} +(.+?) *#*$/gm)) {
    const text = heading!.replace(/\[([^\]]*)\]\([^)]*\)/g, '$1').toLowerCase();
    const slug = text.replace(/[^\p{L}\p{N}\p{M}_\- ]/gu, '').replaceAll(' ', '-');
    let name = slug;
    for (let again = 1; found.has(name); again++) name = `${slug}-${again}`;
    found.add(name);
  }
  return found;
}
interface Link {
  page: string;
  text: string;
  /** The file, and the place in it. */
  to: string;
  place: string;
}
const links: Link[] = pages.flatMap((page) =>
  [
    ...prose(page)
      .replace(/`[^`\n]*`/g, '')
      .matchAll(/\]\(<?([^)\s>]+)>?(?: "[^"]*")?\)/g),
  ]
    .map(([, text]) => text!)
    .filter((text) => !/^[a-z]+:/.test(text))
    .map((text) => {
      const [path, place = ''] = text.split('#');
      return { page, text, to: path === '' ? page : join(dirname(page), decodeURIComponent(path!)), place };
    }),
);

test('Pages: every link leads to a file of the repository, and to a place in it', () => {
  for (const name of ['README.md', 'CONTRIBUTING.md', 'CHANGELOG.md', 'SECURITY.md', 'docs/architecture.md'])
    assert.ok(pages.map(nameOf).includes(name), name);
  assert.ok(links.length > 200, `${links.length} links`);
  const broken = links.filter(({ to, place }) => {
    if (!existsSync(to) || !`${to}${sep}`.startsWith(`${root}${sep}`)) return true;
    return place !== '' && statSync(to).isFile() && !places(to).has(place);
  });
  assert.deepEqual(
    broken.map(({ page, text }) => `${nameOf(page)}: ${text}`),
    [],
  );
});

test('Pages: what is in the package links to what is not there only for those who have the repository', () => {
  const packed: string[] = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')).files;
  const inPackage = (name: string) =>
    name === 'README.md' || packed.some((top) => name === top || name.startsWith(`${top}/`));
  const elsewhere = links
    .filter(({ page, to }) => inPackage(nameOf(page)) && !inPackage(nameOf(to)))
    .map(({ to }) => nameOf(to))
    .filter((to) => !/^(bench|examples)\//.test(to) && to !== 'CONTRIBUTING.md');
  assert.deepEqual(elsewhere, []);
});

test('Pages: who begins with the README can reach every page by links', () => {
  const reached = new Set([join(root, 'README.md')]);
  for (const from of reached)
    for (const { page, to } of links) if (page === from && to.endsWith('.md')) reached.add(to);
  const lost = pages.map(nameOf).filter((name) => !name.startsWith('.') && !reached.has(join(root, name)));
  assert.deepEqual(lost, []);
});
