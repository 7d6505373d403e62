// The life of a healthy cluster: founding, election, replication, reads, restart.

import test from 'brittle'
import { Cluster } from './cluster.ts'
import { CLUSTER_ID, member, timing } from './fixtures.ts'
import { foundingEntries, foundingHardState } from '../../lib/raft/founding.ts'

test('a founder leads at its first tick and commits without waiting', (t) => {
  const cluster = new Cluster()
  const node = cluster.add(1, foundingEntries(CLUSTER_ID, member(1), 5))
  node.disk.hardState = foundingHardState(member(1))
  node.raft = node.boots()
  cluster.tick(1)
  const status = cluster.raft(1).status()
  t.alike(
    [status.role, status.term, status.leader, status.commitIndex, status.lastIndex],
    ['leader', 2, 1, 2, 2]
  )
  cluster.propose(1, 'a')
  t.is(cluster.raft(1).commitIndex, 3)
  t.is(cluster.nowMs, 0)
})

test('a sole voter leads again at the first tick after a restart', (t) => {
  const cluster = Cluster.of([1])
  cluster.tick(1)
  cluster.crash(1)
  cluster.restart(1)
  t.is(cluster.raft(1).status().role, 'leader')
  t.is(cluster.raft(1).status().term, 3)
})

test('three voters elect one leader, and what is proposed to it commits everywhere', (t) => {
  const cluster = Cluster.of([1, 2, 3])
  for (const id of [1, 2, 3]) cluster.tick(id)
  cluster.run(timing.electionMaxMs * 2)
  const [leader, ...others] = cluster.leaders()
  t.is(others.length, 0)
  if (leader === undefined) return t.fail('nobody leads')
  cluster.propose(leader.id, 'a')
  cluster.settle()
  t.is(leader.raft.commitIndex, 3)
  cluster.run(timing.heartbeatMs)
  for (const id of [1, 2, 3]) t.is(cluster.raft(id).commitIndex, 3)
  t.alike(cluster.node(1).disk.last.hash, cluster.node(2).disk.last.hash)
})

test('a node without a log never campaigns and takes the log of whoever leads', (t) => {
  const cluster = Cluster.of([1])
  cluster.nodes.set(9, cluster.add(9))
  cluster.tick(9)
  cluster.nowMs = 60_000
  cluster.tick(9)
  t.alike(cluster.raft(9).status().role, 'follower')
  cluster.tick(1)
  const change = { add: [member(9, 'learner')], promote: [], demote: [], remove: [] }
  cluster.step(1, { kind: 'change', ref: 1, change })
  cluster.settle()
  cluster.run(timing.heartbeatMs * 2)
  t.is(cluster.raft(9).commitIndex, 3)
  t.is(cluster.raft(9).status().leader, 1)
  t.alike(cluster.raft(9).status().configuration, cluster.raft(1).status().configuration)
})

test('a whole cluster that restarts elects a leader and loses nothing', (t) => {
  const cluster = Cluster.of([1, 2, 3])
  cluster.elect(2)
  for (const text of ['a', 'b', 'c']) cluster.propose(2, text)
  cluster.settle()
  const committed = cluster.raft(2).commitIndex
  for (const id of [1, 2, 3]) cluster.crash(id)
  for (const id of [1, 2, 3]) cluster.restart(id)
  cluster.run(timing.electionMaxMs * 3)
  t.is(cluster.leaders().length, 1)
  for (const id of [1, 2, 3]) t.ok(cluster.raft(id).commitIndex > committed)
})
