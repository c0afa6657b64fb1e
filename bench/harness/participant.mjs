// @ts-check
/**
 * What a fresh process of a run executes: loads the one row, takes its role, prints its outcome, ends. The process that asks starts
 * the one that answers, because some ways (`process.send`, inherited descriptors) go from parent to child only.
 *
 * @typedef {import('./row.js').Row} Row
 * @typedef {{ file: string, row: string, role: 'ask' | 'answer', kind: import('./row.js').Kind, size: number, smoke: boolean,
 *   warmUp: number, duration: number, peerCpus: number[], place: import('./row.js').Place, arguments?: string[],
 *   descriptors?: number[] }} Assignment
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeSync } from 'node:fs';
import { Socket } from 'node:net';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { answerAround, askAround, callBatches, receiveAll, sendAll } from './loops.mjs';
import { pinned } from './pinned.mjs';
import { loadRows } from './rows.mjs';

const me = fileURLToPath(import.meta.url);
/** Where a peer says that it is ready, and sees that it may end. */
const READY = 3;

/** @type {Assignment} */
const assignment = JSON.parse(process.argv[2]);
const { kind, size, smoke, place } = assignment;
const row = (await loadRows(assignment.file)).find(({ name }) => name === assignment.row);
if (row === undefined) throw new Error(`${assignment.file} has no row ${assignment.row}`);

/** @param {import('./row.js').Outcome} outcome */
const say = (outcome) => writeSync(1, `${JSON.stringify(outcome)}\n`);
/** @template T @param {T | undefined} part @param {string} name @returns {T} */
function need(part, name) {
  if (part === undefined) throw new Error(`row ${assignment.row} has no ${name}(), which "${kind}" needs`);
  return part;
}
const side = { ...place, kind, size, smoke };

async function ask() {
  /** @type {import('node:child_process').ChildProcess | undefined} */
  let peer;
  /** @type {import('./row.js').AskSide['startPeer']} */
  const startPeer = ({ stdio = [], serialization = 'json', arguments: given = [] } = {}) => {
    const descriptors = stdio.map((_, index) => READY + 1 + index);
    /** @type {Assignment} */
    const theirs = { ...assignment, role: 'answer', arguments: given, descriptors };
    const [command, ...args] = pinned(assignment.peerCpus, process.execPath, me, JSON.stringify(theirs));
    peer = spawn(command, args, { stdio: ['ignore', 'inherit', 'inherit', 'pipe', ...stdio], serialization });
    // If it fails it has said why, and whatever we wait for will not come.
    peer.once('exit', (code) => code !== 0 && process.exit(1));
    return peer;
  };
  const begin = need(row?.ask, 'ask');
  const port = await begin({ ...side, startPeer });
  if (peer === undefined) throw new Error(`row ${assignment.row}: ask() did not call side.startPeer()`);
  const ended = once(peer, 'exit');
  const line = /** @type {import('node:net').Socket} */ (peer.stdio[READY]);
  await once(line, 'data');
  if (kind === 'round-trip') say(await askAround(port, { ...assignment, burst: row?.burst }));
  else await sendAll(port, assignment);
  line.destroy();
  await ended;
  port.close?.();
}
async function answer() {
  const begin = need(row?.answer, 'answer');
  const { descriptors = [], arguments: given = [] } = assignment;
  const port = await begin({ ...side, descriptors, arguments: given });
  writeSync(READY, '.');
  if (kind === 'round-trip') await answerAround(port);
  else say(await receiveAll(port));
  await once(new Socket({ fd: READY }).resume(), 'close'); // what is still being written must arrive first
  port.close?.();
}

/** @param {string} file @param {string[]} args */
async function command(file, ...args) {
  const child = spawn(place.programs['command.c'], [file, ...args], { stdio: ['ignore', 'pipe', 'pipe', 'pipe'] });
  const [stdout, stderr, usage] = await Promise.all(
    child.stdio.slice(1).map((stream) => text(/** @type {import('node:stream').Readable} */ (stream))),
  );
  if (usage === '') throw new Error(`${file} could not be watched: ${stderr.trim()}`);
  const { status, seconds, maxRss } = JSON.parse(usage);
  if (status !== 0) throw new Error(`${file} ended with ${status}: ${stderr.trim()}`);
  return { seconds, maxRss, stdout, stderr };
}

try {
  if (kind === 'call') say(await callBatches(await need(row.calls, 'calls')(side), row.batch ?? 100, assignment));
  else if (kind === 'measure') say({ metrics: await need(row.measure, 'measure')({ ...side, command }) });
  else await (assignment.role === 'ask' ? ask() : answer());
  process.exit(0);
} catch (error) {
  writeSync(2, `${error instanceof Error ? error.message : error}\n`);
  process.exit(1);
}
