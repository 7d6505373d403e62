// B7: a node of a later term that cannot win and a leader of an earlier one find each other.

import test from 'brittle'
import { Cluster } from './cluster.ts'
import { timing } from './fixtures.ts'

test('B7: a follower of a later term ends the earlier leadership and follows the next one', (t) => {
  const cluster = Cluster.of([1, 2, 3])
  cluster.elect(1)
  cluster.crash(3)
  cluster.propose(1, 'a')
  cluster.settle()
  // it campaigned alone, durably, and lacks what was committed meanwhile
  cluster.node(3).disk.hardState = { term: 9, votedFor: 3, commitIndex: 1 }
  cluster.restart(3)
  cluster.settle()
  cluster.run(timing.electionMaxMs * 4)
  const leader = cluster.leaders()[0]
  t.ok(leader !== undefined && leader.id !== 3 && leader.raft.status().term > 9)
  for (const id of [1, 2, 3]) t.alike(cluster.node(id).disk.stored, leader?.disk.stored)
})

test('B7: a leader answers an asker of its own log behind a later term by following it', (t) => {
  const cluster = Cluster.alone(1, [1, 2, 3])
  cluster.lead(1, [2])
  cluster.network = []
  cluster.message(1, 3, { kind: 'heartbeatAnswer', term: 9, boot: 1, round: 1, wallMs: 0 })
  t.alike([cluster.raft(1).status().role, cluster.raft(1).status().term], ['follower', 9])
})
