// What only the state machine in memory can do: leave its state on a disk that lags behind, and go on
// from there after a crash.

import test from 'brittle'
import fc from 'fast-check'
import { present } from '../../lib/assert.ts'
import { StorageError } from '../../lib/errors.ts'
import { genesis } from '../../lib/raft/entry.ts'
import type { Entry } from '../../lib/raft/entry.ts'
import {
  MemoryStateDisk,
  MemoryStateMachine
} from '../../lib/state-machine/memory-state-machine.ts'
import type { MemoryStateMachineOptions } from '../../lib/state-machine/memory-state-machine.ts'
import type { ApplyResult } from '../../lib/state-machine/state-machine.ts'
import { all } from './implementations.ts'
import { GENESIS, LogMaker, admit, applied, createInvite, del, found } from './samples.ts'
import { put, requestOf, rethrow } from './samples.ts'

type Options = Partial<MemoryStateMachineOptions>

function open(options: Options): MemoryStateMachine {
  return MemoryStateMachine.open({
    genesis: GENESIS,
    defer: (fn) => fn(),
    onFailed: rethrow,
    ...options
  })
}

/** Everything that can be seen of a machine. */
function seen(machine: MemoryStateMachine) {
  return { applied: machine.applied(), trust: machine.trust(), rows: all(machine) }
}

/** A log in which keys, trust, configuration and sessions change; some entries repeat a request. */
function logOf(count: number): Entry[] {
  const log = new LogMaker()
  const entries = [log.control(found()), log.control(createInvite(2, { uses: 9 }))]
  while (entries.length < count) {
    const number = entries.length
    const key = `k${number % 5}`
    if (number % 13 === 6) entries.push(log.control(admit(2, 10 + (number % 40))))
    else if (number % 7 === 3) entries.push(log.write(del(key)))
    else if (number % 5 === 2) entries.push(log.empty())
    else if (number % 2 === 0) entries.push(log.write(put(key, `v${number}`)))
    else entries.push(log.request(requestOf(number % 3, 1 + (number % 4)), put(key, `r${number}`)))
  }
  return entries
}

test('a crash loses what was applied since the last checkpoint, all of it', async (t) => {
  const disk = new MemoryStateDisk()
  const answers = [false, true, false, false]
  const shouldCheckpoint = (): boolean => present(answers.shift(), 'an answer')
  const machine = open({ disk, shouldCheckpoint })
  const entries = logOf(40)
  const states = [seen(open({ disk }))]
  for (let from = 0; from < 40; from += 10) {
    await applied(machine, entries.slice(from, from + 10))
    states.push(seen(machine))
  }
  t.is(answers.length, 0, 'it is asked once after each apply')
  const again = open({ disk })
  t.is(again.applied().index, 20)
  t.alike(seen(again), states[2])
  await applied(again, entries.slice(20))
  t.alike(seen(again), states[4], 'replaying the rest leads to the same state')
})

test('wherever it crashes and checkpoints, the same log leads to the same state and results', async (t) => {
  const seed = Number(process.env['SEED'] ?? Date.now() % 1_000_000)
  t.comment(`SEED=${seed}`)
  const entries = logOf(60)
  const whole = open({})
  const expected = await applied(whole, entries)
  t.ok(expected.some(isRepeated), 'some requests come twice')
  const step = fc.record({ count: fc.integer({ min: 1, max: 9 }), fate: fc.nat(3) })
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 40 }), async (steps) => {
      const disk = new MemoryStateDisk()
      let fate = 0
      const shouldCheckpoint = (): boolean => fate === 1
      let machine = open({ disk, shouldCheckpoint })
      const results: ApplyResult[] = []
      const run = async (count: number): Promise<void> => {
        const from = machine.applied().index
        results.length = from
        results.push(...(await applied(machine, entries.slice(from, from + count))))
      }
      for (const one of steps) {
        fate = one.fate
        await run(one.count)
        if (fate === 0) machine = open({ disk, shouldCheckpoint })
      }
      await run(60)
      return JSON.stringify([seen(machine), results]) === JSON.stringify([seen(whole), expected])
    }),
    { seed, numRuns: 60 }
  )
})

test('without being told when, the disk catches up after each apply', async (t) => {
  const disk = new MemoryStateDisk()
  const machine = open({ disk })
  const entries = logOf(9)
  await applied(machine, entries.slice(0, 4))
  t.is(open({ disk }).applied().index, 4)
  await applied(machine, entries.slice(4))
  t.alike(seen(open({ disk })), seen(machine))
})

test('what goes on in a machine changes nothing on its disk until it checkpoints', async (t) => {
  const disk = new MemoryStateDisk()
  let isDue = true
  const machine = open({ disk, shouldCheckpoint: () => isDue })
  const entries = logOf(50)
  await applied(machine, entries.slice(0, 25))
  const before = seen(open({ disk }))
  isDue = false
  await applied(machine, entries.slice(25))
  const other = open({ disk, shouldCheckpoint: () => false })
  await applied(other, entries.slice(25, 40))
  t.alike(seen(open({ disk })), before)
  await applied(other, entries.slice(40))
  t.alike(seen(other), seen(machine))
})

test('an entry that cannot be applied leaves the disk where it was', async (t) => {
  const disk = new MemoryStateDisk()
  const failures: string[] = []
  const machine = open({ disk, onFailed: (error) => failures.push(error.code) })
  const log = new LogMaker()
  await applied(machine, [log.write(put('a', '1'))])
  machine.apply([log.write(put('b', '2')), log.entry(200, new Uint8Array(0))], () => {
    t.fail('applied')
  })
  t.is(failures.length, 1)
  t.is(open({ disk }).applied().index, 1)
})

test('the state of another cluster is refused', async (t) => {
  const disk = new MemoryStateDisk()
  await applied(open({ disk }), logOf(3))
  try {
    open({ disk, genesis: genesis(new Uint8Array(16).fill(8)) })
    t.fail('opened')
  } catch (error) {
    t.is(error instanceof StorageError && error.code, 'WRONG_CLUSTER')
  }
  t.is(open({ disk }).applied().index, 3)
})

test('a state that has to be made again is never made of a damaged snapshot, whatever is damaged', async (t) => {
  const disk = new MemoryStateDisk()
  const machine = open({ disk, shouldCheckpoint: () => false })
  await applied(machine, logOf(20))
  machine.snapshot({ onBegun: () => {}, onEnded: () => {} })
  const chunk = present(disk.snapshots[0]?.chunks.get(0), 'a chunk')
  const options = { genesis: GENESIS, disk, defer: (fn: () => void) => fn(), onFailed: rethrow }
  for (let position = 0; position < chunk.length; position += 7) {
    chunk[position] = (chunk[position] ?? 0) ^ 4
    try {
      MemoryStateMachine.restore(options, { base: 10, holds: () => true })
      t.fail(`restored with byte ${position} damaged`)
    } catch (error) {
      if (!(error instanceof StorageError) || error.code !== 'CORRUPTED') throw error
    }
    chunk[position] = (chunk[position] ?? 0) ^ 4
  }
  t.alike(seen(MemoryStateMachine.restore(options, { base: 10, holds: () => true })), seen(machine))
})

/** Whether the result at this place is one of an earlier entry. */
function isRepeated(result: ApplyResult, position: number): boolean {
  return result.kind === 'written' && result.revision !== position + 1
}
