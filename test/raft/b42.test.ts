// B42: a leader counts its own entries when they are durable, not when it appended them.

import test from 'brittle'
import { Cluster } from './cluster.ts'

test('B42: a sole voter commits when its disk has answered', (t) => {
  const cluster = Cluster.alone(1, [1])
  cluster.tick(1)
  cluster.isDiskFast = false
  const effects = cluster.propose(1, 'a')
  t.is(effects.commitIndex, 2)
  t.alike(effects.proposed, [{ ref: 1, term: 2, from: 3, to: 4 }])
  cluster.completeWrite(1)
  t.is(cluster.raft(1).commitIndex, 3)
})

test('B42: of three, one follower and an unfinished own write are no quorum; two followers are', (t) => {
  const cluster = Cluster.alone(1, [1, 2, 3])
  cluster.lead(1, [2])
  cluster.acknowledge(1, 2, 2)
  cluster.isDiskFast = false
  cluster.propose(1, 'a')
  t.is(cluster.acknowledge(1, 2, 3).commitIndex, 2)
  t.is(cluster.acknowledge(1, 3, 3).commitIndex, 3)
  t.is(cluster.raft(1).status().durableIndex, 2, 'committed before it is durable here')
  t.is(cluster.raft(1).entries(3, 4, 1).length, 1, 'and handed out for applying')
})
