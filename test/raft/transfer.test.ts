// Handing leadership over (thesis 3.10; B12, B55).

import test from 'brittle'
import { Cluster } from './cluster.ts'
import { timing } from './fixtures.ts'

/** Node 1 leads 2 and 3, which are phantoms; its first entry is committed by node 2. */
function leader(): Cluster {
  const cluster = Cluster.alone(1, [1, 2, 3], { learners: [4] })
  cluster.lead(1, [2])
  cluster.acknowledge(1, 2, 2)
  return cluster
}

test('a target that holds the whole log is asked at once', (t) => {
  const cluster = leader()
  const effects = cluster.step(1, { kind: 'transfer', ref: 5, target: 2 })
  t.alike(effects.proposed, [{ ref: 5, term: 2, from: 3, to: 3 }])
  t.alike(effects.messages, [{ to: 2, message: { kind: 'timeoutNow', term: 2 } }])
  t.is(cluster.raft(1).status().transferTarget, 2)
})

test('a target that is behind is asked when it has caught up; nothing is taken meanwhile', (t) => {
  const cluster = leader()
  const change = { add: [], promote: [4], demote: [], remove: [] }
  t.alike(cluster.step(1, { kind: 'transfer', ref: 5, target: 3 }).messages, [])
  const refused = [{ ref: 6, reason: 'transferring' as const }]
  t.alike(cluster.propose(1, 'late', 6).refused, refused)
  t.alike(cluster.step(1, { kind: 'change', ref: 6, change }).refused, refused)
  t.alike(cluster.step(1, { kind: 'transfer', ref: 6, target: 2 }).refused, refused)
  const effects = cluster.acknowledge(1, 3, 2)
  t.alike(effects.messages, [{ to: 3, message: { kind: 'timeoutNow', term: 2 } }])
})

test('a transfer that does not happen is given up after an election timeout', (t) => {
  const cluster = leader()
  cluster.step(1, { kind: 'transfer', ref: 5, target: 3 })
  const answer = { kind: 'heartbeatAnswer', term: 2, boot: 1, wallMs: 1_700_000_000_000 } as const
  for (let round = 2; round <= 12; round++) {
    cluster.nowMs += timing.heartbeatMs
    cluster.tick(1)
    cluster.message(1, 2, { ...answer, round, wallMs: answer.wallMs + cluster.nowMs })
  }
  t.is(cluster.raft(1).status().transferTarget, null)
  t.is(cluster.propose(1, 'a').proposed.length, 1)
})

test('learners, strangers and the leader itself are no targets', (t) => {
  const cluster = leader()
  for (const target of [1, 4, 9]) {
    const { refused } = cluster.step(1, { kind: 'transfer', ref: 5, target })
    t.alike(refused, [{ ref: 5, reason: 'invalidChange' }])
  }
})

test('the target campaigns at once, and its request overrules that a leader is heard', (t) => {
  const cluster = Cluster.of([1, 2, 3])
  cluster.elect(1)
  const before = cluster.nowMs
  cluster.step(1, { kind: 'transfer', ref: 5, target: 3 })
  cluster.settle()
  t.is(cluster.nowMs, before, 'no timeout is waited for')
  t.alike([cluster.raft(3).status().role, cluster.raft(3).status().term], ['leader', 3])
  t.is(cluster.raft(1).status().leader, 3)
})

test('only the leader that is followed may ask for an election (B12)', (t) => {
  const cluster = Cluster.alone(1, [1, 2, 3])
  const heartbeat = { kind: 'heartbeat', term: 2, boot: 1, round: 1, commitIndex: 0 } as const
  cluster.message(1, 2, heartbeat)
  for (const [from, term] of [
    [3, 2],
    [2, 1],
    [3, 4]
  ] as const) {
    cluster.message(1, from, { kind: 'timeoutNow', term })
    t.is(cluster.raft(1).status().role, 'follower')
  }
  cluster.message(1, 2, { ...heartbeat, term: 4 })
  cluster.message(1, 2, { kind: 'timeoutNow', term: 4 })
  t.alike([cluster.raft(1).status().role, cluster.raft(1).status().term], ['candidate', 5])
  t.ok(cluster.sent(1, 'vote').every(({ message }) => message.isTransfer))
})
