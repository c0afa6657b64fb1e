/**
 * Puts the two files of msgpackr that are used into dist/, so that a user's project gets no further package: msgpackr asks for a
 * native helper with an install script, which is not needed here.
 */
import { cpSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const from = fileURLToPath(new URL('../node_modules/msgpackr/', import.meta.url));
const to = fileURLToPath(new URL('../dist/msgpackr/', import.meta.url));
mkdirSync(to, { recursive: true });
for (const file of ['pack.js', 'unpack.js', 'iterators.js', 'LICENSE']) cpSync(from + file, to + file);
writeFileSync(`${to}pack.d.ts`, readFileSync(`${from}index.d.ts`, 'utf8'));
