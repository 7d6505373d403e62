// B51: an answer to an earlier round confirms no later read, across leaderships and boots too.

import test from 'brittle'
import { Cluster } from './cluster.ts'

const answer = { kind: 'heartbeatAnswer', term: 2, boot: 1, wallMs: 0 } as const

function leader(): Cluster {
  const cluster = Cluster.alone(1, [1, 2, 3])
  cluster.lead(1, [2])
  cluster.acknowledge(1, 2, 2)
  return cluster
}

test('B51: answers to a round from before the read, late or repeated, do not confirm it', (t) => {
  const cluster = leader()
  t.alike(cluster.step(1, { kind: 'read', ref: 1 }).messages.length, 2)
  cluster.message(1, 2, { ...answer, round: 2 })
  cluster.step(1, { kind: 'read', ref: 2 })
  for (const from of [2, 3, 2]) {
    for (const round of [1, 2]) {
      t.alike(cluster.message(1, from, { ...answer, round }).reads, [], `${from}, round ${round}`)
    }
  }
  t.alike(cluster.message(1, 3, { ...answer, round: 3 }).reads, [{ ref: 2, index: 2 }])
})

test('B51: reads that come while a round is on the way share the next one', (t) => {
  const cluster = leader()
  cluster.step(1, { kind: 'read', ref: 1 })
  for (const ref of [2, 3]) t.alike(cluster.step(1, { kind: 'read', ref }).messages, [])
  const confirmed = cluster.message(1, 2, { ...answer, round: 2 })
  t.alike(confirmed.reads, [{ ref: 1, index: 2 }])
  t.is(confirmed.messages.filter(({ message }) => message.kind === 'heartbeat').length, 2)
  t.alike(cluster.message(1, 2, { ...answer, round: 3 }).reads, [
    { ref: 2, index: 2 },
    { ref: 3, index: 2 }
  ])
})

test('B51: an answer to another boot, a later round than any, or an ended leadership counts for nothing', (t) => {
  const cluster = leader()
  cluster.step(1, { kind: 'read', ref: 1 })
  t.alike(cluster.message(1, 2, { ...answer, boot: 2, round: 2 }).reads, [])
  t.alike(cluster.message(1, 2, { ...answer, round: 99 }).reads, [])
  const ended = cluster.message(1, 3, { ...answer, term: 3, round: 2 })
  t.alike(ended.reads, [])
  t.alike(ended.refused, [{ ref: 1, reason: 'notLeader' }])
  t.alike(cluster.message(1, 2, { ...answer, round: 2 }).reads, [])
})
