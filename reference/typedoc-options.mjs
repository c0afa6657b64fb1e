// What the site is made of. Whatever a reader could stumble over is an error: a link that leads nowhere, a public name without a
// comment, a type that a public one mentions and nobody can import.
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

export const root = fileURLToPath(new URL('..', import.meta.url));
const { exports: paths } = JSON.parse(readFileSync(`${root}package.json`, 'utf8'));

/** `''` is the package itself, the others are its subpaths. Whatever several have is described where it comes from. */
export const entries = Object.keys(paths)
  .filter((path) => path !== './package.json')
  .map((path) => path.slice(2));
const order = ['channel', 'sync', 'memory', 'mailbox', 'pipe', 'socket', 'signal', 'system', ''];
export const source = (entry, folder, extension) => `${root}${folder}/${entry ? `${entry}/` : ''}index${extension}`;

/** @type {import('typedoc').TypeDocOptions} */
export const options = {
  name: 'vecino',
  tsconfig: `${root}reference/tsconfig.json`,
  entryPoints: entries
    .toSorted((one, other) => order.indexOf(one) - order.indexOf(other))
    .map((entry) => source(entry, 'src', '.ts')),
  plugin: [fileURLToPath(new URL('pages.mjs', import.meta.url))],
  projectDocuments: ['docs/*', 'CONTRIBUTING', 'SECURITY', 'CHANGELOG'].map((name) => `${root}${name}.md`),
  readme: `${root}README.md`,
  includeVersion: true,
  out: `${root}site`,
  cleanOutputDir: true,
  favicon: fileURLToPath(new URL('favicon.svg', import.meta.url)),
  customCss: fileURLToPath(new URL('site.css', import.meta.url)),
  excludeInternal: true,
  router: 'pages',
  excludeExternals: true,
  excludePrivate: true,
  excludeProtected: true,
  disableSources: true,
  hideGenerator: true,
  githubPages: false,
  sort: ['kind', 'alphabetical'],
  sortEntryPoints: false,
  groupOrder: [
    'Start here',
    'Channels',
    'Memory and locks',
    'Mailboxes and pipes',
    'Sockets and signals',
    'Project',
    'More',
    'Modules',
    '*',
  ],
  navigation: { includeGroups: true, includeCategories: true, excludeReferences: true, compactFolders: true },
  searchInDocuments: true,
  searchInComments: true,
  highlightLanguages: [
    'typescript',
    'javascript',
    'json',
    'jsonc',
    'bash',
    'sh',
    'shellsession',
    'console',
    'c',
    'python',
    'tsx',
    'html',
  ],
  validation: { notExported: true, invalidLink: true, invalidPath: true, rewrittenLink: true, notDocumented: true },
  // What a comment could only say again: an object type's `{ utf8: 32 }` in a union.
  intentionallyNotDocumented: [
    ...['atomic', 'array'].map((property) => `vecino/memory.FieldInput.__type.${property}`),
    ...['utf8', 'bytes', 'atomic', 'array', 'length'].map((property) => `vecino/memory.FieldType.__type.${property}`),
    ...['utf8', 'bytes', 'atomic', 'array'].map((property) => `vecino/memory.FieldValue.__type.${property}`),
    ...['atomic', 'array'].map((property) => `vecino/memory.FieldView.__type.${property}`),
    'vecino/memory.LayoutMemory.__type.buffer',
  ],
  // Types that only compute others: what they come to is shown wherever it matters.
  intentionallyNotExported: [
    ...['ReservedName', 'RemoteMethod', 'AnyHandlers', 'AnyCodecName', 'AnyLayout', 'CodecFor', 'ReceivedOf'],
    ...['AtomicValue', 'NumberKind', 'BigKind', 'RecordField', 'AtomicField', 'Memory'],
    ...['Task', 'MaxEvents', 'Timeout', 'KeepAlive', 'Waiter'],
  ],
  treatWarningsAsErrors: true,
  treatValidationWarningsAsErrors: true,
};
