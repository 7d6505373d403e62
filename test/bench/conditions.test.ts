// What a bench prints around its numbers.

import { tmpdir } from 'node:os'
import test from 'brittle'
import { quantileOf, readConditions, tableLines } from './conditions.ts'

test('a table is as wide as its longest cells', (t) => {
  t.alike(tableLines(['what', 'ms'], [['put, 3 nodes', '1.4'], ['get']]), [
    '| what         | ms  |',
    '| ------------ | --- |',
    '| put, 3 nodes | 1.4 |',
    '| get          |     |'
  ])
})

test('a quantile is the nearest rank', (t) => {
  t.is(quantileOf([3, 1, 2], 0.5), 2)
  t.is(quantileOf([4, 3, 1, 2], 0.5), 2)
  t.is(quantileOf([3, 1, 2], 0.99), 3)
  t.is(quantileOf([7], 0), 7)
  t.ok(Number.isNaN(quantileOf([], 0.5)))
})

test('every condition of this machine is known', async (t) => {
  const conditions = await readConditions(tmpdir())
  t.is(conditions.node, process.version)
  for (const value of Object.values(conditions)) t.ok(value !== '', value)
})
