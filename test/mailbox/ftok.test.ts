import '../support/leaks.js';
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { ftok, SystemError } from 'vecino';
import { compile, temporaryFolder } from '../support/processes.js';
import { code } from './support.js';

const folder = temporaryFolder();

test('ftok: ftok gives the key that the C library gives, for any project', () => {
  const program = compile(
    folder,
    'ftok',
    `#include <stdio.h>
     #include <stdlib.h>
     #include <sys/ipc.h>
     int main(int count, char **words) { printf("%d", ftok(words[1], atoi(words[2]))); return 0; }`,
  );
  for (const project of [1, 65, 127, 128, 255]) {
    const expected = execFileSync(program, [folder, String(project)], { encoding: 'utf8' });
    assert.equal(ftok(folder, project), Number(expected));
  }
});

test('ftok: the key is that of the file, whatever path leads to it', () => {
  const file = join(folder, 'file');
  const link = join(folder, 'link');
  writeFileSync(file, '');
  symlinkSync(file, link);
  assert.equal(ftok(link, 1), ftok(file, 1));
  assert.notEqual(ftok(file, 1), ftok(file, 2));
});

test('ftok: a file that is not there is the error of stat(2)', () => {
  const path = join(folder, 'none');
  assert.throws(
    () => ftok(path, 1),
    (error) => error instanceof SystemError && error.code === 'ENOENT' && error.path === path,
  );
  assert.throws(() => ftok('x'.repeat(5000), 1), code('ENAMETOOLONG'));
});

test('ftok: arguments that are none are refused', () => {
  for (const project of [0, -1, 256, 1.5, Number.NaN, 2 ** 53])
    assert.throws(() => ftok(folder, project), code('ERR_OUT_OF_RANGE'));
  for (const project of ['A', null, undefined])
    assert.throws(() => ftok(folder, project as unknown as number), code('ERR_INVALID_ARG_TYPE'));
  for (const path of ['', 'a\0b']) assert.throws(() => ftok(path, 1), code('ERR_INVALID_ARG_VALUE'));
  assert.throws(() => ftok(null as unknown as string, 1), code('ERR_INVALID_ARG_TYPE'));
});
