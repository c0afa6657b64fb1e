// What the sources and pages leave to the site. The pages of docs/ are named by their headings, in groups, and stay themselves as a
// repository shows them. What a language protocol calls is described once, here.
import { Comment, CommentTag, Converter, KindRouter } from 'typedoc';

const GROUPS = {
  'Start here': ['install', 'comparison', 'cluster', 'python', 'testing', 'stopping', 'upgrading'],
  Channels: ['connection', 'topic', 'queue', 'service', 'codecs'],
  'Memory and locks': [
    'shared-memory',
    'layout',
    'mutex',
    'rwlock',
    'condition-and-barrier',
    'semaphore',
    'sysv-semaphore',
    'file-lock',
    'locks-and-death',
  ],
  'Mailboxes and pipes': ['pipe', 'fifo', 'posix-queue', 'sysv-queue'],
  'Sockets and signals': ['unix-socket', 'tcp', 'readiness', 'servers', 'signals'],
  Project: ['architecture', 'design-notes', 'CONTRIBUTING', 'SECURITY', 'CHANGELOG'],
};
const groupOf = (page) => Object.keys(GROUPS).find((group) => GROUPS[group].includes(page)) ?? 'More';

const PROTOCOLS = {
  '[dispose]': 'What `using` calls.',
  '[asyncDispose]': 'What `await using` calls.',
  '[iterator]': 'What `for (… of …)` calls.',
  '[asyncIterator]': 'What `for await (… of …)` calls.',
  '[custom]': 'What `util.inspect` shows.',
};

/** The names of the files that pages are of: an address must not change because a heading does. */
const files = new WeakMap();
class PageRouter extends KindRouter {
  getIdealBaseName(reflection) {
    return files.has(reflection) ? `docs/${files.get(reflection)}` : super.getIdealBaseName(reflection);
  }
}

/** @param {import('typedoc').Application} app */
export function load(app) {
  app.renderer.defineRouter('pages', PageRouter);
  app.converter.on(Converter.EVENT_CREATE_DOCUMENT, (_context, page) => {
    const file = page.name.split('/').at(-1); // TypeDoc leaves what is common to the paths of all pages
    files.set(page, file);
    page.frontmatter['group'] = groupOf(file);
    const [first] = page.content;
    const heading = /^\s*# (.+)\n/.exec(first?.text ?? '');
    if (heading) page.name = heading[1];
  });
  // The package gives on what its subpaths have: in their groups, not in one list of two hundred.
  app.converter.on(Converter.EVENT_RESOLVE_BEGIN, ({ project }) => {
    for (const name of project.getChildByName('vecino')?.children ?? []) {
      if (!name.isReference()) continue;
      const home = name.getTargetReflectionDeep().parent?.name ?? 'vecino';
      name.comment = new Comment([], [new CommentTag('@group', [{ kind: 'text', text: home }])]);
    }
  });
  const afterGrouping = -1000;
  app.converter.on(
    Converter.EVENT_RESOLVE_END,
    ({ project }) => {
      for (const { title, children } of project.groups ?? [])
        if (title in GROUPS)
          children.sort(
            (one, other) => GROUPS[title].indexOf(files.get(one)) - GROUPS[title].indexOf(files.get(other)),
          );
      for (const reflection of Object.values(project.reflections)) {
        if (reflection.name in PROTOCOLS && reflection.isSignature() && !reflection.hasComment())
          reflection.comment = new Comment([{ kind: 'text', text: PROTOCOLS[reflection.name] }]);
      }
    },
    afterGrouping,
  );
}
