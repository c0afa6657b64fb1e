import '../support/leaks.js';
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { root, temporaryFolder } from '../support/processes.js';

const noGit = spawnSync('git', ['--version']).status !== 0 && 'needs git';
const ENTRY = '\n### Added\n\n- Something that users get.\n';
const CHANGELOG = `# Changelog\n\n## [Unreleased]\n${ENTRY}\n## [0.1.0] - unreleased\n${ENTRY}`;

/** A repository with what is packed, and as much as is needed to pack it. */
class Repository {
  readonly folder = join(temporaryFolder(), 'vecino');
  readonly #temporary = temporaryFolder();

  constructor() {
    const tops = ['package.json', 'package-lock.json', 'tsconfig.base.json', 'tsconfig.json', '.gitignore', 'LICENSE'];
    for (const top of [...tops, 'README.md', 'SECURITY.md', 'docs', 'examples', 'native', 'scripts', 'src'])
      cpSync(join(root, top), join(this.folder, top), { recursive: true, preserveTimestamps: true });
    mkdirSync(join(this.folder, 'bench'));
    cpSync(join(root, 'bench', 'package-lock.json'), join(this.folder, 'bench', 'package-lock.json'));
    mkdirSync(join(this.folder, 'node_modules')); // of its own: the name of a link would not be ignored
    for (const name of readdirSync(join(root, 'node_modules')))
      symlinkSync(join(root, 'node_modules', name), join(this.folder, 'node_modules', name));
    this.git('init', '--quiet', '--initial-branch=main');
    this.setVersion('0.1.0');
    this.write('CHANGELOG.md', CHANGELOG);
  }
  git(...args: string[]): string {
    const identity = ['-c', 'user.name=Test', '-c', 'user.email=test@localhost'];
    return execFileSync('git', [...identity, ...args], { cwd: this.folder, encoding: 'utf8' }).trim();
  }
  read(path: string): string {
    return readFileSync(join(this.folder, path), 'utf8');
  }
  json(path: string) {
    return JSON.parse(this.read(path));
  }
  setVersion(version: string): void {
    const text = this.read('package.json').replace(/"version": "[^"]*"/, `"version": "${version}"`);
    this.write('package.json', text);
  }
  /** Writes a file and commits. */
  write(path: string, text: string): void {
    writeFileSync(join(this.folder, path), text);
    this.git('add', '--all');
    if (this.git('status', '--porcelain') !== '') this.git('commit', '--quiet', '--message', path);
  }
  release(...args: string[]) {
    const script = join(this.folder, 'scripts', 'release.mjs');
    const identity = { GIT_AUTHOR_NAME: 'Test', GIT_AUTHOR_EMAIL: 'test@localhost' };
    const committer = { GIT_COMMITTER_NAME: 'Test', GIT_COMMITTER_EMAIL: 'test@localhost' };
    const env = {
      ...process.env,
      ...identity,
      ...committer,
      TMPDIR: this.#temporary,
      NODE_DISABLE_COMPILE_CACHE: '1',
    };
    return spawnSync(process.execPath, [script, ...args, '--skip-check'], { cwd: '/', encoding: 'utf8', env });
  }
  /** All that a release could change, or leave. */
  state() {
    const packed = join(this.folder, 'build', 'release');
    return {
      head: this.git('rev-parse', 'HEAD'),
      status: this.git('status', '--porcelain'),
      tags: this.git('tag'),
      packed: existsSync(packed) ? readdirSync(packed) : [],
      prebuilds: existsSync(join(this.folder, 'prebuilds')),
      temporary: readdirSync(this.#temporary),
    };
  }
  refuses(message: RegExp, ...args: string[]): void {
    const was = this.state();
    const { status, stderr } = this.release(...args);
    assert.match(stderr, message);
    assert.equal(status, 1);
    assert.deepEqual(this.state(), was);
  }
}

describe('Release', { skip: noGit }, () => {
  if (noGit) return;
  const repository = new Repository();

  test('a version that is none, lower, or there already is refused', () => {
    for (const none of ['1.0', 'v1.0.0', '1.02.0', '1.0.0-01', 'next'])
      repository.refuses(/not a semantic version/, none);
    repository.refuses(/0\.0\.9 is lower than the current version, 0\.1\.0/, '0.0.9');
    repository.refuses(/0\.1\.0-rc\.1 is lower than the current version, 0\.1\.0/, '0.1.0-rc.1');
    repository.git('tag', 'v0.1.0');
    repository.refuses(/v0\.1\.0 exists already/, '0.1.0');
    repository.git('tag', '--delete', 'v0.1.0');
    repository.git('tag', 'v0.0.1');
    repository.refuses(/0\.1\.0 is the current version: choose a higher one/, '0.1.0');
    repository.git('tag', '--delete', 'v0.0.1');
    repository.refuses(/usage: /);
    repository.refuses(/--publish/, '1.0.0', '--publish');
  });

  test('uncommitted changes, new files and other branches are refused', () => {
    const file = join(repository.folder, 'new.txt');
    writeFileSync(file, 'new');
    repository.refuses(/commit or stash first; git status says:\n\?\? new\.txt/, '0.2.0');
    rmSync(file);
    repository.git('switch', '--quiet', '--create', 'work');
    repository.refuses(/releases are made on main, and this is work/, '0.2.0');
    repository.git('switch', '--quiet', 'main');
    repository.git('branch', '--quiet', '--delete', 'work');
  });

  test('a version of which the changelog says nothing, or too much, is refused', () => {
    for (const [changelog, message] of [
      ['# Changelog\n', /no section \[Unreleased\]/],
      ['# Changelog\n\n## [Unreleased]\n\n## [0.1.0] - 2020-01-01\n\n- Old.\n', /says nothing about 0\.2\.0/],
      ['# Changelog\n\n## [Unreleased]\n\n## [0.2.0] - unreleased\n\n## [0.1.0]\n\n- Old.\n', /its section is empty/],
      [`# Changelog\n\n## [Unreleased]\n\n## [0.2.0] - 2020-01-01\n${ENTRY}`, /is released already/],
      [
        `# Changelog\n\n## [Unreleased]\n${ENTRY}\n## [0.2.0] - unreleased\n${ENTRY}`,
        /entries under \[Unreleased\] too/,
      ],
    ] as const) {
      repository.write('CHANGELOG.md', changelog);
      repository.refuses(message, '0.2.0');
    }
    repository.write('CHANGELOG.md', CHANGELOG);
  });

  test('a tarball that lacks something is no release, and everything is as it was', () => {
    repository.git('rm', '--quiet', 'SECURITY.md');
    repository.git('commit', '--quiet', '--message', 'No threat model');
    repository.refuses(/the tarball has no SECURITY\.md[\s\S]*release: .*check-package\.mjs .* failed/, '0.2.0');
    repository.git('reset', '--quiet', '--hard', 'HEAD~1');
  });

  test('a dry run packs and verifies, without what an older build left in dist, and leaves nothing', () => {
    mkdirSync(join(repository.folder, 'dist'), { recursive: true });
    writeFileSync(join(repository.folder, 'dist', 'gone.js'), '');
    const was = repository.state();
    const { status, stdout, stderr } = repository.release('0.2.0-rc.1', '--dry-run');
    assert.equal(status, 0, stderr);
    assert.match(stdout, /vecino-0\.2\.0-rc\.1\.tgz \(\d+ files\) installs without scripts/);
    assert.match(stdout, /Dry run: vecino 0\.2\.0-rc\.1 could be released/);
    assert.deepEqual(repository.state(), was);
  });

  test('a release is committed, tagged and packed; what it prints publishes it', () => {
    const was = repository.state();
    const { status, stdout, stderr } = repository.release('0.2.0');
    assert.equal(status, 0, stderr);
    assert.match(stdout, /git push origin main v0\.2\.0\n {2}npm publish build\/release\/vecino-0\.2\.0\.tgz\n$/);
    const today = /\d{4}-\d\d-\d\d/.exec(repository.git('show', '--no-patch', '--format=%cI'))![0];
    assert.deepEqual(repository.state(), {
      ...was,
      head: repository.git('rev-parse', 'v0.2.0^{commit}'),
      tags: 'v0.2.0',
      packed: ['vecino-0.2.0.tgz'],
    });
    assert.equal(repository.git('rev-parse', 'HEAD~1'), was.head);
    assert.equal(repository.git('log', '-1', '--format=%s'), 'Release 0.2.0');
    assert.equal(repository.git('cat-file', '-t', 'v0.2.0'), 'tag');
    const files = ['CHANGELOG.md', 'bench/package-lock.json', 'examples/*/package.json', 'package-lock.json'];
    const changed = repository
      .git('show', '--name-only', '--format=')
      .replace(/^examples.*json$/gm, 'examples/*/package.json');
    assert.deepEqual([...new Set(changed.split('\n'))], [...files, 'package.json']);
    assert.equal(repository.json('examples/job-queue/package.json').dependencies.vecino, '^0.2.0');
    assert.equal(repository.json('package.json').version, '0.2.0');
    assert.equal(repository.json('package-lock.json').version, '0.2.0');
    assert.equal(repository.json('package-lock.json').packages[''].version, '0.2.0');
    assert.equal(repository.json('bench/package-lock.json').packages['..'].version, '0.2.0');
    const released = /## \[Unreleased\]\n\n## \[0\.2\.0\] - (\S+)\n/.exec(repository.read('CHANGELOG.md'))!;
    assert.ok(Math.abs(Date.parse(released[1]!) - Date.parse(today)) <= 24 * 3600 * 1000);
    assert.equal(
      repository.read('CHANGELOG.md').replace(`## [0.2.0] - ${released[1]}\n`, ''),
      CHANGELOG.replace('## [Unreleased]\n', '## [Unreleased]\n\n'),
    );
  });

  test('a section that was waiting for its version gets the date', () => {
    repository.git('reset', '--quiet', '--hard', 'HEAD~1');
    repository.git('tag', '--delete', 'v0.2.0');
    repository.write('CHANGELOG.md', CHANGELOG.replace(`[Unreleased]\n${ENTRY}`, '[Unreleased]\n'));
    const { status, stdout, stderr } = repository.release('0.1.0');
    assert.equal(status, 0, stderr);
    assert.match(stdout, /git push origin main v0\.1\.0/);
    assert.match(repository.read('CHANGELOG.md'), /## \[Unreleased\]\n\n## \[0\.1\.0\] - \d{4}-\d\d-\d\d\n/);
  });
});
