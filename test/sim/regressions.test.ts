// Seeds that have failed once. Each bug that they showed also has a directed scenario: what a seed
// does changes with the simulator. And: one seed is one run, to the last event.

import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import test from 'brittle'
import { isRecord } from '../../lib/encoding.ts'
import { simulate } from '../../lib/testing/simulation.ts'
import { failureText } from './report.ts'

interface Regression {
  readonly seed: number
  /** the last commit at which the seed failed */
  readonly commit: string
  readonly reason: string
}

const PATH = join(import.meta.dirname, '../../../test/sim/regressions.json')

test('seeds that failed once pass', async (t) => {
  for (const { seed, commit, reason } of regressions()) {
    const { failure } = await simulate(seed)
    if (failure !== null) t.fail(`${reason} (${commit})\n${failureText({ seed, ...failure })}`)
    t.pass(`${seed}: ${reason}`)
  }
})

test('the same seed gives the same run, another seed another one', async (t) => {
  const traces: string[] = []
  for (const seed of [1, 1, 2]) traces.push((await simulate(seed)).trace)
  t.ok(traces.every((trace) => /^[0-9a-f]{16}$/.test(trace)))
  t.is(traces[0], traces[1])
  t.not(traces[0], traces[2])
})

test('what a seed would draw can be replaced', async (t) => {
  const { options, coverage } = await simulate(3, { nodeCount: 1, faultyMs: 1_000 })
  t.is(options.nodeCount, 1)
  t.ok(coverage.entries().some(([name, count]) => name === 'elections' && count > 0))
})

function regressions(): readonly Regression[] {
  const list: unknown = JSON.parse(readFileSync(PATH, 'utf8'))
  if (!Array.isArray(list)) throw new Error('regressions.json is a list')
  return list.map((item: unknown) => {
    const { seed, commit, reason } = isRecord(item) ? item : {}
    if (typeof seed === 'number' && typeof commit === 'string' && typeof reason === 'string') {
      return { seed, commit, reason }
    }
    throw new Error(`not a regression: ${JSON.stringify(item)}`)
  })
}
