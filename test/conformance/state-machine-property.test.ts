// Random histories: both state machines give the same results, rows, trust state and state hash, for
// any grouping into apply calls, and with SQLite closed and opened again at random moments, also in
// the middle of an apply.

import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { isDeepStrictEqual } from 'node:util'
import fc from 'fast-check'
import test from 'brittle'
import { MemoryStateMachine } from '../../lib/state-machine/memory-state-machine.ts'
import type { ApplyResult, StateMachine } from '../../lib/state-machine/state-machine.ts'
import { applyInGroups, entriesOf, history } from '../state-machine/histories.ts'
import { all } from '../state-machine/implementations.ts'
import {
  GENESIS,
  applied,
  asBytes,
  databaseIn,
  isWhole,
  rethrow
} from '../state-machine/samples.ts'

test(
  'both state machines agree on any history, grouped and interrupted anyhow',
  { timeout: 600_000 },
  async (t) => {
    const seed = Number(process.env['SEED'] ?? Date.now() % 2 ** 31)
    t.comment(`seed ${seed}; run again with SEED=${seed}`)
    const directory = await t.tmp()
    let run = 0
    await fc.assert(
      fc.asyncProperty(history, async (given) => {
        const entries = entriesOf(given)
        const memory = MemoryStateMachine.open({
          genesis: GENESIS,
          defer: setImmediate,
          onFailed: rethrow
        })
        const expected: ApplyResult[] = []
        for (const entry of entries) expected.push(...(await applied(memory, [entry])))

        const path = join(directory, `${run++}`)
        mkdirSync(path)
        const { machine, results } = await applyInGroups(path, entries, given)
        try {
          for (const [index, result] of results)
            same(result, expected[index - 1], `result ${index}`)
          same(viewOf(machine), viewOf(memory), 'what can be read')
          if (!isWhole(databaseIn(path)))
            throw new Error('the rows are not what the state hash says')
        } finally {
          await machine.close()
        }
      }),
      { seed, numRuns: Number(process.env['RUNS'] ?? 150) }
    )
    t.pass()
  }
)

function viewOf(machine: StateMachine): unknown {
  const pages = ['', 'a', 'ab', '\xff'].map((prefix) =>
    machine.scan({ prefix: asBytes(prefix), after: asBytes('a'), limit: 2 })
  )
  return { applied: machine.applied(), trust: machine.trust(), rows: all(machine), pages }
}

function same(actual: unknown, expected: unknown, what: string): void {
  const [left, right] = [shownOf(actual), shownOf(expected)]
  if (!isDeepStrictEqual(JSON.parse(left), JSON.parse(right)))
    throw new Error(`${what} differs:\n${left}\n${right}`)
}

/** Bytes as hex, so that a difference can be read. */
function shownOf(value: unknown): string {
  return JSON.stringify(value, (_, each: unknown) =>
    each instanceof Uint8Array ? Buffer.from(each).toString('hex') : each
  )
}
