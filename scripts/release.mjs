// Makes a release: checks everything, packs and verifies the tarball, commits and tags. It publishes and pushes nothing; it prints how.
//   node scripts/release.mjs VERSION [--dry-run] [--skip-check]
//   --dry-run      does all but the commit and the tag, and puts back what it has changed
//   --skip-check   leaves out `npm run check`, and the registry when the tarball is installed (for the test of this script)
//
// CHANGELOG.md says what is new: in a section `## [VERSION] - unreleased`, or in `## [Unreleased]`, which then becomes that of VERSION.
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const root = fileURLToPath(new URL('..', import.meta.url));
const at = (...parts) => join(root, ...parts);
const examples = readdirSync(at('examples'))
  .map((name) => `examples/${name}/package.json`)
  .filter((path) => existsSync(at(path)));
/** What a release changes. */
const CHANGED = ['CHANGELOG.md', 'package.json', 'package-lock.json', 'bench/package-lock.json', ...examples];

class Refused extends Error {}
function refuse(message) {
  throw new Refused(message);
}
const step = (text) => console.log(`\n== ${text}`);
const git = (...args) => execFileSync('git', args, { cwd: root, encoding: 'utf8' }).trim();
function run(command, ...args) {
  const { status, signal, error } = spawnSync(command, args, { cwd: root, stdio: 'inherit' });
  if (status !== 0)
    refuse(`${command} ${args.join(' ')} failed (${error?.message ?? signal ?? `exit code ${status}`})`);
}

/** The parts of a semantic version (semver.org, item 11 orders them); undefined if it is none. */
function parse(text) {
  const number = '(0|[1-9]\\d*)';
  const match = new RegExp(`^${number}\\.${number}\\.${number}(?:-([0-9A-Za-z-]+(?:\\.[0-9A-Za-z-]+)*))?$`).exec(text);
  if (match === null) return undefined;
  const before = match[4]?.split('.') ?? [];
  if (before.some((part) => /^0\d+$/.test(part))) return undefined;
  return { numbers: match.slice(1, 4).map(Number), before };
}
/** Below 0 if `one` comes before `other`. */
function compare(one, other) {
  for (let i = 0; i < 3; i++) if (one.numbers[i] !== other.numbers[i]) return one.numbers[i] - other.numbers[i];
  if (one.before.length === 0 || other.before.length === 0) return other.before.length - one.before.length;
  for (let i = 0; i < Math.min(one.before.length, other.before.length); i++) {
    const [left, right] = [one.before[i], other.before[i]];
    if (left === right) continue;
    const [leftIsNumber, rightIsNumber] = [left, right].map((part) => /^\d+$/.test(part));
    if (leftIsNumber !== rightIsNumber) return leftIsNumber ? -1 : 1;
    return (leftIsNumber ? Number(left) < Number(right) : left < right) ? -1 : 1;
  }
  return one.before.length - other.before.length;
}

/** The changelog with the section of `version` dated. */
function release(changelog, version, date) {
  const heading = (name) => new RegExp(`^## \\[${name.replaceAll('.', '\\.')}\\](.*)$`, 'm').exec(changelog);
  const entries = ({ index, 0: line }) => {
    const rest = changelog.slice(index + line.length);
    const end = rest.search(/^## /m);
    return /^- /m.test(end < 0 ? rest : rest.slice(0, end));
  };
  const put = ({ index, 0: line }, text) => changelog.slice(0, index) + text + changelog.slice(index + line.length);
  const dated = `## [${version}] - ${date}`;
  const own = heading(version);
  const unreleased = heading('Unreleased') ?? refuse('CHANGELOG.md has no section [Unreleased]');
  if (own === null) {
    if (!entries(unreleased)) refuse(`CHANGELOG.md says nothing about ${version}: write it under [Unreleased]`);
    return put(unreleased, `## [Unreleased]\n\n${dated}`);
  }
  if (own[1] !== ' - unreleased') refuse(`CHANGELOG.md says that ${version} is released already: '${own[0]}'`);
  if (!entries(own)) refuse(`CHANGELOG.md says nothing about ${version}: its section is empty`);
  if (entries(unreleased)) refuse(`CHANGELOG.md has entries under [Unreleased] too: move them to [${version}]`);
  return put(own, dated);
}

function main() {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { 'dry-run': { type: 'boolean' }, 'skip-check': { type: 'boolean' } },
  });
  const [version] = positionals;
  if (positionals.length !== 1) refuse('usage: node scripts/release.mjs VERSION [--dry-run] [--skip-check]');
  const next = parse(version) ?? refuse(`'${version}' is not a semantic version such as 1.2.3 or 1.3.0-rc.1`);
  const tag = `v${version}`;
  const { name, version: current } = JSON.parse(readFileSync(at('package.json'), 'utf8'));

  const branch = git('branch', '--show-current');
  if (branch !== 'main') refuse(`releases are made on main, and this is ${branch || 'no branch'}`);
  const dirty = git('status', '--porcelain');
  if (dirty !== '') refuse(`commit or stash first; git status says:\n${dirty}`);
  if (git('tag', '--list', tag) !== '') refuse(`${tag} exists already`);
  const order = compare(next, parse(current));
  if (order < 0) refuse(`${version} is lower than the current version, ${current}`);
  if (order === 0 && git('tag', '--list', 'v*') !== '')
    refuse(`${version} is the current version: choose a higher one`);
  const date = new Date().toISOString().slice(0, 10);
  const changelog = release(readFileSync(at('CHANGELOG.md'), 'utf8'), version, date);

  const tarball = join('build', 'release', `${name}-${version}.tgz`);
  const before = git('rev-parse', 'HEAD');
  let done = false;
  // Whatever ends this before the tag, a signal too: the checkout is as it was.
  const undo = () => {
    if (done) return;
    git('reset', '--quiet', '--soft', before);
    git('checkout', '--quiet', 'HEAD', '--', ...CHANGED);
    rmSync(at(tarball), { force: true });
  };
  process.on('exit', undo);
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => process.exit(1));

  step(`version ${version}`);
  writeFileSync(at('CHANGELOG.md'), changelog);
  run('npm', 'version', version, '--no-git-tag-version', '--allow-same-version', '--silent');
  const benchLock = JSON.parse(readFileSync(at('bench', 'package-lock.json'), 'utf8'));
  benchLock.packages['..'].version = version;
  writeFileSync(at('bench', 'package-lock.json'), `${JSON.stringify(benchLock, undefined, 2)}\n`);
  for (const path of examples)
    writeFileSync(at(path), readFileSync(at(path), 'utf8').replace(/"vecino": "[^"]*"/, `"vecino": "^${version}"`));

  step(values['skip-check'] ? 'check: skipped' : 'check');
  if (!values['skip-check']) run('npm', 'run', '--silent', 'check');

  step('pack');
  mkdirSync(at('build', 'release'), { recursive: true });
  run('npm', 'pack', '--silent', '--pack-destination', join('build', 'release'));
  run(process.execPath, join('scripts', 'check-package.mjs'), tarball, ...(values['skip-check'] ? ['--offline'] : []));
  const changed = git('status', '--porcelain');
  const strange = changed.split('\n').filter((line) => !CHANGED.includes(line.trim().split(' ').at(-1)));
  if (changed !== '' && strange.length > 0) refuse(`the checks have changed other files:\n${strange.join('\n')}`);

  if (values['dry-run']) {
    console.log(
      `\nDry run: ${name} ${version} could be released. Nothing was committed or tagged; the files are as they were.`,
    );
    return;
  }
  step('commit and tag');
  git('commit', '--quiet', '--all', '--message', `Release ${version}`);
  git('tag', '--annotate', tag, '--message', `${name} ${version}`);
  done = true;
  const label = next.before.length > 0 ? ' --tag next' : '';
  console.log(
    `Committed, and tagged ${tag}. To publish it:\n  git push origin main ${tag}\n  npm publish ${tarball}${label}`,
  );
}

try {
  main();
} catch (error) {
  if (!(error instanceof Refused) && !error.code?.startsWith('ERR_PARSE_ARGS')) throw error;
  console.error(`release: ${error.message}`);
  process.exit(1);
}
