// B32: an acknowledgement counts only in the term and the replication session that it answers.

import test from 'brittle'
import { Cluster } from './cluster.ts'

test('B32: an acknowledgement of an earlier session does not commit', (t) => {
  const cluster = Cluster.alone(1, [1, 2, 3])
  cluster.lead(1, [2])
  const early = cluster.sessionOf(1, 2)
  cluster.step(1, { kind: 'linkUp', id: 2 })
  const late = cluster.sessionOf(1, 2)
  t.ok(late > early)
  const result = { kind: 'matched', matchIndex: 2 } as const
  const before = cluster.raft(1).status()
  cluster.message(1, 2, { kind: 'appendAnswer', term: 2, session: early, result })
  t.alike(cluster.raft(1).status(), before)
  cluster.message(1, 2, { kind: 'appendAnswer', term: 2, session: late, result })
  t.is(cluster.raft(1).commitIndex, 2)
})

test('B32: an acknowledgement to an earlier leadership of the same node does not commit', (t) => {
  const cluster = Cluster.alone(1, [1, 2, 3])
  cluster.lead(1, [2])
  const session = cluster.sessionOf(1, 2)
  cluster.message(1, 3, { kind: 'heartbeatAnswer', term: 5, boot: 1, round: 1, wallMs: 0 })
  cluster.lead(1, [3])
  const result = { kind: 'matched', matchIndex: 2 } as const
  for (const term of [2, 6]) {
    cluster.message(1, 2, { kind: 'appendAnswer', term, session, result })
  }
  t.is(cluster.raft(1).status().progress.get(2)?.matchIndex, 0)
  t.is(cluster.raft(1).commitIndex, 0)
})

test('B32: an acknowledgement beyond the own log is nonsense and ignored', (t) => {
  const cluster = Cluster.alone(1, [1, 2, 3])
  cluster.lead(1, [2])
  cluster.acknowledge(1, 2, 99)
  t.is(cluster.raft(1).status().progress.get(2)?.matchIndex, 0)
})

test('B32: a rejection that was overtaken by an acknowledgement is ignored', (t) => {
  const cluster = Cluster.alone(1, [1, 2, 3], { terms: [1, 1] })
  cluster.lead(1, [2])
  cluster.acknowledge(1, 2, 4)
  const session = cluster.sessionOf(1, 2)
  const before = cluster.raft(1).status()
  const result = { kind: 'rejected', previousIndex: 3, hintIndex: 1, hintTerm: 1 } as const
  cluster.message(1, 2, { kind: 'appendAnswer', term: 2, session, result })
  t.alike(cluster.raft(1).status(), before)
})
