// B18: a leader that has not committed in its own term changes no configuration.

import test from 'brittle'
import { Cluster } from './cluster.ts'

const change = { add: [], promote: [], demote: [4], remove: [] }

test('B18: a change is refused until the first entry of the term is committed', (t) => {
  const cluster = Cluster.alone(1, [1, 2, 3, 4])
  const node = cluster.node(1)
  // the configuration in use is committed; nothing of the new term is
  node.disk.hardState = { term: 1, votedFor: null, commitIndex: 1 }
  node.raft = node.boots()
  cluster.lead(1, [2, 3])
  t.alike(cluster.step(1, { kind: 'change', ref: 1, change }).refused, [
    { ref: 1, reason: 'changeInProgress' }
  ])
  cluster.acknowledge(1, 2, 2)
  t.alike(
    cluster.step(1, { kind: 'change', ref: 2, change }).refused,
    [{ ref: 2, reason: 'changeInProgress' }],
    'two of four are no quorum'
  )
  cluster.acknowledge(1, 3, 2)
  t.alike(cluster.step(1, { kind: 'change', ref: 3, change }).proposed, [
    { ref: 3, term: 2, from: 3, to: 4 }
  ])
})

test('B18: the published schedule: two leaders that change in turn never have disjoint quorums', (t) => {
  // 1 leads, appends a change that nobody gets; 2 leads with 3 and 4, changes too; 1 returns
  const cluster = Cluster.of([1, 2, 3, 4])
  cluster.elect(1)
  cluster.isLost = ({ from, to }) => from === 1 || to === 1
  cluster.step(1, { kind: 'change', ref: 1, change: { ...change, demote: [2] } })
  t.is(
    cluster.raft(1).status().configuration.outgoing.length,
    4,
    'its own quorum is the old one too'
  )
  cluster.elect(2)
  cluster.step(2, { kind: 'change', ref: 1, change: { ...change, demote: [1] } })
  cluster.settle()
  t.is(cluster.raft(2).commitIndex, cluster.raft(2).status().lastIndex)
  const committed = cluster.raft(1).commitIndex
  cluster.step(1, { kind: 'propose', ref: 2, entries: [{ kind: 2, payload: new Uint8Array(1) }] })
  cluster.settle()
  t.is(cluster.raft(1).commitIndex, committed, 'the old leader commits nothing')
  cluster.isLost = () => false
  cluster.linkUp(2)
  cluster.run(1_000)
  t.alike(cluster.node(1).disk.stored, cluster.node(2).disk.stored, 'and takes the other log')
})
