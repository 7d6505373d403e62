// B34: an append holds what follows its previous entry, without a gap, also when the log is compacted
// between two steps: what cannot be sent is not sent at all.

import test from 'brittle'
import fc from 'fast-check'
import { assert } from '../../lib/assert.ts'
import { ENTRY_KIND } from '../../lib/raft/entry.ts'
import { Cluster } from './cluster.ts'
import { configurationEntry, configurationOf, entriesAfter, GENESIS } from './fixtures.ts'

const first = configurationEntry(GENESIS, configurationOf([1, 2, 3]))
const history = [
  first,
  ...entriesAfter(
    first,
    Array.from({ length: 20 }, () => 1)
  )
]
const seed = Number(process.env['SEED'] ?? Date.now() % 1_000_000)

interface Act {
  readonly kind: 'compact' | 'reject' | 'match' | 'heartbeat' | 'linkUp' | 'propose'
  readonly at: number
}

function act(cluster: Cluster, { kind, at }: Act): void {
  const { raft, disk } = cluster.node(1)
  const { term, lastIndex, commitIndex } = raft.status()
  const session = cluster.sessionOf(1, 3)
  const index = Math.min(at, lastIndex)
  if (kind === 'compact') {
    const to = Math.min(at, commitIndex, lastIndex - 1)
    if (to > disk.base.index) disk.compact(to)
  } else if (kind === 'reject') {
    const result = {
      kind: 'rejected',
      previousIndex: index,
      hintIndex: at % 5,
      hintTerm: 1
    } as const
    cluster.message(1, 3, { kind: 'appendAnswer', term, session, result })
  } else if (kind === 'match') {
    cluster.acknowledge(1, 3, index)
  } else if (kind === 'heartbeat') {
    cluster.nowMs += 200
    cluster.tick(1)
    const { round } = cluster.sent(1, 'heartbeat').at(-1)?.message ?? { round: 0 }
    cluster.message(1, 3, { kind: 'heartbeatAnswer', term, boot: 1, round, wallMs: 0 })
    cluster.message(1, 2, { kind: 'heartbeatAnswer', term, boot: 1, round, wallMs: 0 })
  } else if (kind === 'linkUp') {
    cluster.step(1, { kind: 'linkUp', id: 3 })
  } else {
    const payload = new Uint8Array(100)
    cluster.step(1, { kind: 'propose', ref: 1, entries: [{ kind: ENTRY_KIND.write, payload }] })
    cluster.acknowledge(1, 2, cluster.raft(1).status().lastIndex)
  }
}

test(`B34: whatever is compacted meanwhile, appends have no gap (seed ${seed})`, (t) => {
  const kinds = ['compact', 'reject', 'match', 'heartbeat', 'linkUp', 'propose'] as const
  const acts = fc.array(fc.record({ kind: fc.constantFrom(...kinds), at: fc.nat(25) }), {
    maxLength: 40
  })
  let appends = 0
  const holds = (steps: readonly Act[]): void => {
    const cluster = new Cluster()
    cluster.add(1, history)
    cluster.lead(1, [2])
    cluster.acknowledge(1, 2, 22)
    for (const step of steps) act(cluster, step)
    for (const { message } of cluster.sent(1, 'append')) {
      appends++
      message.entries.forEach(({ index }, at) => {
        assert(index === message.previousIndex + 1 + at, `${index} after ${message.previousIndex}`)
      })
    }
  }
  fc.assert(fc.property(acts, holds), { seed, numRuns: 300 })
  t.ok(appends > 1_000, `${appends} appends`)
})
