// B43: a completed write says nothing of an entry that a later write replaced, even by its equal.

import test from 'brittle'
import type { Entry } from '../../lib/raft/entry.ts'
import type { Append } from '../../lib/raft/message.ts'
import { Cluster } from './cluster.ts'
import { entriesAfter } from './fixtures.ts'

test('B43: index and term come back after having been overwritten; the first write proves nothing', (t) => {
  const cluster = Cluster.alone(1, [1, 2, 3])
  cluster.isDiskFast = false
  const first = cluster.node(1).disk.stored[0]
  if (first === undefined) return t.fail('an entry')
  const ofTerm2 = entriesAfter(first, [2])
  const append = (term: number, entries: readonly Entry[]): Append => ({
    kind: 'append',
    term,
    session: term,
    previousIndex: 1,
    previousTerm: 1,
    previousHash: first.hash,
    entries,
    commitIndex: 0
  })
  cluster.message(1, 2, append(2, ofTerm2))
  cluster.message(1, 3, append(3, entriesAfter(first, [3])))
  cluster.message(1, 2, append(4, ofTerm2))
  const durable: number[] = []
  const acknowledged: number[] = []
  for (let count = 0; count < 3; count++) {
    cluster.completeWrite(1)
    durable.push(cluster.raft(1).status().durableIndex)
    acknowledged.push(cluster.sent(1, 'appendAnswer').length)
  }
  t.alike(durable, [1, 1, 2])
  t.alike(acknowledged, [1, 2, 3], 'each answer leaves with its own write, in its own term')
  t.alike(cluster.node(1).disk.stored[1], ofTerm2[0])
})

test('B43: a completion that comes late or twice changes nothing', async (t) => {
  const cluster = Cluster.alone(1, [1])
  cluster.tick(1)
  cluster.isDiskFast = false
  cluster.propose(1, 'a')
  const before = cluster.raft(1).status()
  cluster.step(1, { kind: 'durable', token: 1 })
  t.alike(cluster.raft(1).status(), before)
  await t.exception.all(() => cluster.step(1, { kind: 'durable', token: 99 }), /handed out/)
})
