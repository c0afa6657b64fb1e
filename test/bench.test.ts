import './support/leaks.js';
import assert from 'node:assert/strict';
import { test } from 'node:test';

/** What the reports of bench/ are made of; it has no types of its own for us. */
const harness = (file: string) => import(new URL(`../../bench/harness/${file}`, import.meta.url).href);
const { classifier } = await harness('distance.mjs');
const { results, uncompared } = await harness('report.mjs');

interface Run {
  rate: number;
  pings: [number, number];
}
/** What the benchmark knows after the runs of one row. */
function cell(name: string, runs: Run[], row: object = {}) {
  const outcomes = runs.map(({ rate, pings }) => ({ metrics: { rate }, pings }));
  return { row: { name, group: 'test', kinds: ['one-way'], ...row }, kind: 'one-way', size: 64, outcomes };
}
const near: [number, number] = [80, 82];
const far: [number, number] = [590, 575];
const target = [{ against: 'base', atLeast: 0.5 }];

test('Benchmark: runs are near or far as the cache line was, and moved if it was not the same before and after', () => {
  const distance = classifier([80, 84, 590, 570, 79, 600]);
  assert.deepEqual(
    [
      [80, 84],
      [570, 600],
      [79, 590],
    ].map(distance),
    ['near', 'far', 'moved'],
  );
  assert.equal(distance(undefined), 'any');
});

test('Benchmark: pings that are all alike are one group, whatever side of the border they lie on', () => {
  for (const [pings, name] of [
    [[60, 70, 80, 95], 'near'],
    [[190, 210, 195, 185], 'near'],
    [[300, 310, 290, 350], 'far'],
  ] as const)
    for (const ping of pings) assert.equal(classifier([...pings])([ping, pings[0]]), name);
});

test('Benchmark: a ping that was disturbed makes no group of its own', () => {
  const distance = classifier([280, 290, 300, 3_440_000, 285]);
  assert.equal(distance([280, 300]), 'far');
  assert.equal(distance([280, 3_440_000]), 'moved');
});

test('Benchmark: a row is compared with the runs of its baseline in which the cores were as far apart', () => {
  const [ours] = results([
    cell(
      'ours',
      [
        { rate: 60, pings: near },
        { rate: 4, pings: far },
        { rate: 1, pings: [80, 590] },
      ],
      { targets: target },
    ),
    cell('base', [
      { rate: 100, pings: near },
      { rate: 10, pings: far },
    ]),
  ]);
  assert.deepEqual(
    ours.parts.map((part: { cores: string; targets: { value: number | null; met: boolean | null }[] }) => [
      part.cores,
      part.targets.map(({ value, met }) => [value, met]),
    ]),
    [
      ['near', [[0.6, true]]],
      ['far', [[0.4, false]]],
      ['moved', [[null, null]]],
    ],
  );
});

test('Benchmark: a row that never ran with the cores as far apart as the baseline is named, not passed over', () => {
  const made = results([
    cell(
      'ours',
      [
        { rate: 60, pings: near },
        { rate: 61, pings: near },
      ],
      { targets: target },
    ),
    cell('base', [
      { rate: 10, pings: far },
      { rate: 11, pings: far },
    ]),
  ]);
  assert.deepEqual(
    uncompared(made).map(({ row }: { row: string }) => row),
    ['ours'],
  );
});

test('Benchmark: a figure that is hoped for in nineteen of twenty runs is the worst but one of twenty', () => {
  const rates = Array.from({ length: 20 }, (_, index) => ({ rate: 100 + index, pings: near }));
  const [row] = results([cell('ours', rates, { targets: [{ inRuns: 0.95, atLeast: 101 }] })]);
  const [{ value, met }] = row.parts[0].targets;
  assert.deepEqual([value, met], [101, true]);
});
