// B50: a new leader answers no read before an entry of its own term is committed.

import test from 'brittle'
import { Cluster } from './cluster.ts'
import { timing } from './fixtures.ts'

test('B50: a read that comes before the first commit of the term waits for it, then for a round', (t) => {
  const cluster = Cluster.alone(1, [1, 2, 3])
  cluster.lead(1, [2])
  const answer = { kind: 'heartbeatAnswer', term: 2, boot: 1, wallMs: 0 } as const
  cluster.step(1, { kind: 'read', ref: 7 })
  t.alike(
    cluster.message(1, 2, { ...answer, round: 1 }).reads,
    [],
    'the leader knows no commit yet'
  )
  const committed = cluster.acknowledge(1, 2, 2)
  t.alike([committed.commitIndex, committed.reads], [2, []])
  t.alike(
    committed.messages.map(({ message }) => message.kind === 'heartbeat' && message.round),
    [2, 2],
    'a round begins at once'
  )
  t.alike(cluster.message(1, 2, { ...answer, round: 2 }).reads, [{ ref: 7, index: 2 }])
})

test('B50: a round that began before the first commit of the term does not serve', (t) => {
  const cluster = Cluster.alone(1, [1, 2, 3])
  cluster.lead(1, [2])
  cluster.step(1, { kind: 'read', ref: 7 })
  cluster.nowMs += timing.heartbeatMs
  cluster.tick(1)
  cluster.acknowledge(1, 2, 2)
  const answer = { kind: 'heartbeatAnswer', term: 2, boot: 1, wallMs: 0 } as const
  t.alike(cluster.message(1, 2, { ...answer, round: 2 }).reads, [])
  t.alike(cluster.message(1, 2, { ...answer, round: 3 }).reads, [{ ref: 7, index: 2 }])
})

test('B50: reads of a sole voter are answered in the same step', (t) => {
  const cluster = Cluster.alone(1, [1], { learners: [2] })
  cluster.tick(1)
  const effects = cluster.step(1, { kind: 'read', ref: 7 })
  t.alike(effects.reads, [{ ref: 7, index: 2 }])
  t.alike(effects.messages, [])
})
