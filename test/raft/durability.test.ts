// What is on disk, as a node may say it of itself: term and last index of the last completed write.

import test from 'brittle'
import fc from 'fast-check'
import { assert } from '../../lib/assert.ts'
import { Durability } from '../../lib/raft/durability.ts'
import type { PlannedWrite } from '../../lib/raft/durability.ts'
import { Cluster } from './cluster.ts'
import { entriesAfter } from './fixtures.ts'

const seed = Number(process.env['ASPEN_SEED'] ?? Date.now() % 1_000_000)

test('a term is on disk when its write is, and not when it was adopted', (t) => {
  const cluster = Cluster.alone(1, [1, 2, 3])
  cluster.isDiskFast = false
  t.alike(cluster.raft(1).status().onDisk, { term: 1, lastIndex: 1 }, 'what the start found')
  const heartbeat = { kind: 'heartbeat', term: 7, boot: 1, round: 1, commitIndex: 0 } as const
  cluster.message(1, 2, heartbeat)
  t.is(cluster.raft(1).status().term, 7)
  t.alike(cluster.raft(1).status().onDisk, { term: 1, lastIndex: 1 })
  cluster.completeWrite(1)
  t.alike(cluster.raft(1).status().onDisk, { term: 7, lastIndex: 1 })
})

test('a node that never wrote has nothing on disk', (t) => {
  const cluster = new Cluster()
  cluster.add(1)
  t.alike(cluster.raft(1).status().onDisk, { term: 0, lastIndex: 0 })
})

test('a truncation in progress does not look like a loss: term and last index are of one write', (t) => {
  const cluster = Cluster.alone(1, [1, 2, 3], { terms: [2, 2, 2] })
  cluster.isDiskFast = false
  const first = cluster.node(1).disk.stored[0]
  if (first === undefined) return t.fail('an entry')
  const previous = { previousIndex: 1, previousTerm: 1, previousHash: first.hash }
  const [entry] = entriesAfter(first, [3])
  if (entry === undefined) return t.fail('an entry')
  const append = { kind: 'append', term: 3, session: 1, ...previous, commitIndex: 0 } as const
  cluster.message(1, 3, { ...append, entries: [entry] })
  const { onDisk, durableIndex } = cluster.raft(1).status()
  t.is(durableIndex, 1, 'the present log is durable up to here')
  t.alike(onDisk, { term: 2, lastIndex: 4 }, 'and this is what a crash now would leave')
  cluster.completeWrite(1)
  t.alike(cluster.raft(1).status().onDisk, { term: 3, lastIndex: 2 })
})

interface Model {
  readonly real: Durability
  readonly writes: PlannedWrite[]
  /** how many of them are complete */
  done: number
}

const START = { term: 3, lastIndex: 5 }

function runWrite(model: Model, isTermNew: boolean, lastIndex: number): void {
  const { real, writes } = model
  const before = writes.at(-1) ?? START
  const term = before.term + (isTermNew ? 1 : 0)
  const firstIndex = lastIndex === before.lastIndex ? null : Math.min(lastIndex, before.lastIndex)
  const write = { firstIndex, lastIndex, term, isTermNew, isVoteNew: false, nowMs: 0 }
  writes.push(write)
  assert(real.start(write) === writes.length, 'tokens are counted')
}

test(`it is always what the last completed write left (seed ${seed})`, (t) => {
  const write = fc.record({ isTermNew: fc.boolean(), lastIndex: fc.integer({ min: 1, max: 9 }) })
  const completion = fc.record({ upTo: fc.integer({ min: 0, max: 4 }) })
  const holds = (steps: readonly object[]): void => {
    const model: Model = { real: new Durability(START), writes: [], done: 0 }
    for (const step of steps) {
      if ('upTo' in step) {
        const token = Math.min(model.done + Number(step.upTo) - 1, model.writes.length)
        if (token >= 0) model.real.complete(token)
        model.done = Math.max(model.done, token)
      } else if ('isTermNew' in step && 'lastIndex' in step) {
        runWrite(model, step.isTermNew === true, Number(step.lastIndex))
      }
      const { term, lastIndex } = model.writes[model.done - 1] ?? START
      const { onDisk } = model.real
      assert(onDisk.term === term && onDisk.lastIndex === lastIndex, JSON.stringify(onDisk))
    }
  }
  const steps = fc.array(fc.oneof(write, completion), { maxLength: 30 })
  fc.assert(fc.property(steps, holds), { seed, numRuns: 500 })
  t.pass()
})
