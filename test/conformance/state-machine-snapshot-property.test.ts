// Random histories: whatever the grouping, the restarts in the middle of an apply and the slices of the
// compaction, SQLite makes the snapshot that the machine in memory makes; and whoever adopts it goes on as one who
// has applied the whole log, down to the bytes of the next snapshot.

import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { isDeepStrictEqual } from 'node:util'
import fc from 'fast-check'
import test from 'brittle'
import { present } from '../../lib/assert.ts'
import { MemoryStateMachine } from '../../lib/state-machine/memory-state-machine.ts'
import type { SnapshotInfo, StateMachine } from '../../lib/state-machine/state-machine.ts'
import { applyInGroups, entriesOf, history } from '../state-machine/histories.ts'
import { all } from '../state-machine/implementations.ts'
import {
  GENESIS,
  adopted,
  applied,
  cut,
  openSqlite,
  rethrow,
  transferred
} from '../state-machine/samples.ts'

const RUNS = process.env['ASPEN_FULL'] === '1' ? 150 : 10

test(
  'any history makes the same snapshot everywhere, and adopting it is as good as applying it',
  { timeout: 900_000 },
  async (t) => {
    const seed = Number(process.env['SEED'] ?? Date.now() % 2 ** 31)
    t.comment(`seed ${seed}; run again with SEED=${seed}`)
    const directory = await t.tmp()
    let run = 0
    await fc.assert(
      fc.asyncProperty(history, fc.nat(1_000), async (given, place) => {
        const entries = entriesOf(given)
        const at = 1 + (place % entries.length)
        const [before, after] = [entries.slice(0, at), entries.slice(at)]
        const folders = ['whole', 'target'].map((name) => join(directory, `${run}-${name}`))
        run++
        for (const folder of folders) mkdirSync(folder)
        const [whole = '', other = ''] = folders

        const memory = openMemory()
        for (const entry of before) await applied(memory, [entry])
        const { machine: sqlite } = await applyInGroups(whole, before, given)
        const info = await both(memory, sqlite)

        const heirs = [openMemory(), openSqlite(other)]
        for (const [number, heir] of heirs.entries()) {
          const source = number === 0 ? sqlite : memory
          await adopted(heir, await transferred(source, info, heir))
        }
        const machines = [memory, sqlite, ...heirs]
        const results = []
        for (const machine of machines) results.push(await applied(machine, after))
        mustBeSame(results, 'results')
        mustBeSame(machines.map(viewOf), 'what can be read')
        const next = []
        for (const machine of machines) next.push(await cut(machine))
        mustBeSame(next, 'the next snapshot')
        for (const machine of machines) await machine.close()
      }),
      { seed, numRuns: Number(process.env['RUNS'] ?? RUNS) }
    )
    t.pass()
  }
)

/** The snapshot that both make. */
async function both(a: StateMachine, b: StateMachine): Promise<SnapshotInfo> {
  const snapshots = [await cut(a), await cut(b)]
  mustBeSame(snapshots, 'the snapshot')
  return present(snapshots[0], 'a snapshot')
}

function openMemory(): MemoryStateMachine {
  return MemoryStateMachine.open({ genesis: GENESIS, defer: setImmediate, onFailed: rethrow })
}

function viewOf(machine: StateMachine): unknown {
  return { applied: machine.applied(), trust: machine.trust(), rows: all(machine) }
}

function mustBeSame(values: readonly unknown[], what: string): void {
  const plain = values.map(plainOf)
  const other = plain.find((value) => !isDeepStrictEqual(value, plain[0]))
  if (other === undefined) return
  throw new Error(`${what} differs:\n${JSON.stringify(plain[0])}\n${JSON.stringify(other)}`)
}

/** Bytes as hex, so that a difference can be read. */
function plainOf(value: unknown): unknown {
  const text = JSON.stringify(value, (_, each: unknown) =>
    each instanceof Uint8Array ? Buffer.from(each).toString('hex') : each
  )
  return JSON.parse(text)
}
