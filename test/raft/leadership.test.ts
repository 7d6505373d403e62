// Losing leadership and refusing it: CheckQuorum, a stalled disk, pre-votes, a heard leader.

import test from 'brittle'
import fc from 'fast-check'
import { Cluster } from './cluster.ts'
import { nothing, timing } from './fixtures.ts'

const heartbeat = { kind: 'heartbeat', term: 2, boot: 1, round: 1, commitIndex: 0 } as const
const preVote = { kind: 'preVote', term: 3, lastIndex: 9, lastTerm: 2 } as const
const vote = { ...preVote, kind: 'vote', isTransfer: false } as const

test('a leader that no quorum answers steps down after an election timeout', (t) => {
  const cluster = Cluster.alone(1, [1, 2, 3])
  cluster.lead(1, [2])
  const electedMs = cluster.nowMs
  cluster.step(1, { kind: 'read', ref: 3 })
  for (let count = 0; count < 100 && cluster.raft(1).status().role === 'leader'; count++) {
    cluster.nowMs = cluster.node(1).deadlineMs
    cluster.tick(1)
  }
  t.is(cluster.nowMs - electedMs, timing.electionMinMs)
  t.alike(cluster.node(1).effects.at(-1)?.refused, [{ ref: 3, reason: 'notLeader' }])
  t.is(cluster.raft(1).status().term, 2, 'in the same term')
})

test('only answers keep a leader: what it sends and what others ask does not (B15)', (t) => {
  const cluster = Cluster.alone(1, [1, 2, 3])
  cluster.lead(1, [2])
  const startMs = cluster.nowMs
  for (let count = 0; count < 12; count++) {
    cluster.nowMs += timing.heartbeatMs
    cluster.message(1, 2, { ...preVote, lastTerm: 0 })
    if (cluster.raft(1).status().role === 'leader') cluster.propose(1, 'a')
    // an answer to the first round, again and again
    cluster.message(1, 2, { kind: 'heartbeatAnswer', term: 2, boot: 1, round: 1, wallMs: 0 })
    cluster.tick(1)
  }
  t.is(cluster.raft(1).status().role, 'follower')
  t.ok(cluster.nowMs - startMs < 2 * timing.electionMinMs)
})

test('a leader whose disk does not answer for an election timeout steps down (B16)', (t) => {
  const cluster = Cluster.alone(1, [1, 2, 3])
  cluster.lead(1, [2])
  cluster.acknowledge(1, 2, 2)
  cluster.isDiskFast = false
  cluster.propose(1, 'a')
  const stalledMs = cluster.nowMs
  for (let round = 2; round < 100 && cluster.raft(1).status().role === 'leader'; round++) {
    cluster.nowMs += timing.heartbeatMs
    cluster.tick(1)
    for (const from of [2, 3]) {
      const answer = { kind: 'heartbeatAnswer', term: 2, boot: 1, round, wallMs: 0 } as const
      cluster.message(1, from, answer)
    }
  }
  t.is(cluster.nowMs - stalledMs, timing.electionMinMs)
  cluster.nowMs += timing.electionMaxMs
  cluster.tick(1)
  t.is(cluster.raft(1).status().role, 'follower', 'and it does not campaign with such a disk')
  cluster.completeWrites(1)
  cluster.nowMs += timing.electionMaxMs
  cluster.tick(1)
  t.is(cluster.raft(1).status().role, 'preCandidate')
})

test('a sole voter with a slow disk goes on: nobody else could lead', (t) => {
  const cluster = Cluster.alone(1, [1])
  cluster.tick(1)
  cluster.isDiskFast = false
  cluster.propose(1, 'a')
  cluster.nowMs += timing.electionMaxMs
  cluster.tick(1)
  t.is(cluster.raft(1).status().role, 'leader')
})

test('a pre-vote, granted or refused, changes no state at all (B9)', (t) => {
  for (const lastTerm of [0, 2]) {
    const cluster = Cluster.alone(1, [1, 2, 3])
    cluster.tick(1)
    const before = [cluster.raft(1).status(), cluster.node(1).deadlineMs]
    cluster.nowMs += 10
    const effects = cluster.message(1, 2, { ...preVote, lastTerm })
    const isGranted = lastTerm === 2
    const answer = { kind: 'preVoteAnswer', term: 3, isGranted, ownTerm: 1 } as const
    const deadlineMs = cluster.node(1).deadlineMs
    t.alike(effects, { ...nothing(0, deadlineMs), messages: [{ to: 2, message: answer }] })
    t.alike([cluster.raft(1).status(), deadlineMs], before)
  }
})

test('a granted pre-vote implies that the same vote would be granted (B8)', (t) => {
  const seed = Date.now() % 1_000_000
  t.comment(`seed ${seed}`)
  const numbers = { term: fc.integer({ min: 1, max: 5 }), lastTerm: fc.integer({ min: 1, max: 4 }) }
  const asked = fc.record({ ...numbers, lastIndex: fc.integer({ min: 1, max: 3 }) })
  const before = fc.record({ hasVoted: fc.boolean(), isHeard: fc.boolean() })
  let grantedCount = 0
  const property = fc.property(asked, before, (request, { hasVoted, isHeard }) => {
    const cluster = Cluster.alone(1, [1, 2, 3], { terms: [2] })
    if (hasVoted) cluster.message(1, 3, { ...vote, term: 3 })
    if (isHeard) cluster.message(1, 3, { ...heartbeat, term: 3 })
    cluster.network = []
    cluster.message(1, 2, { kind: 'preVote', ...request })
    cluster.message(1, 2, { kind: 'vote', isTransfer: false, ...request })
    if (cluster.sent(1, 'preVoteAnswer')[0]?.message.isGranted !== true) return true
    grantedCount++
    return cluster.sent(1, 'voteAnswer')[0]?.message.isGranted === true
  })
  fc.assert(property, { seed, numRuns: 500 })
  t.ok(grantedCount > 0, `${grantedCount} were granted`)
})

test('while a leader is heard, votes are not answered and terms not adopted', (t) => {
  const cluster = Cluster.alone(1, [1, 2, 3])
  cluster.message(1, 2, heartbeat)
  cluster.network = []
  cluster.nowMs += timing.electionMinMs - 1
  const effects = cluster.message(1, 3, vote)
  t.alike(effects, nothing(0, effects.deadlineMs))
  cluster.message(1, 3, preVote)
  t.alike(cluster.network[0]?.message, {
    kind: 'preVoteAnswer',
    term: 3,
    isGranted: false,
    ownTerm: 2
  })
  cluster.message(1, 2, preVote)
  t.ok(cluster.sent(1, 'preVoteAnswer')[1]?.message.isGranted, 'the leader that asks leads no more')
  cluster.nowMs += 1
  cluster.message(1, 3, vote)
  t.is(cluster.raft(1).status().term, 3, 'silence for an election timeout frees the vote')
})

test('a leader refuses votes as long as a quorum answers it, and no longer', (t) => {
  const cluster = Cluster.alone(1, [1, 2, 3])
  cluster.lead(1, [2])
  cluster.message(1, 3, vote)
  t.is(cluster.raft(1).status().role, 'leader')
  // the process slept: its first event afterwards is somebody's request
  cluster.nowMs += 60_000
  cluster.message(1, 3, { ...vote, lastIndex: 9 })
  t.alike([cluster.raft(1).status().role, cluster.raft(1).status().term], ['follower', 3])
})

test('a lost link to the leader frees the vote at once and keeps the term', (t) => {
  const cluster = Cluster.alone(1, [1, 2, 3])
  cluster.message(1, 2, heartbeat)
  cluster.step(1, { kind: 'leaderLinkLost', id: 3 })
  t.is(cluster.raft(1).status().leader, 2, 'another link says nothing')
  const effects = cluster.step(1, { kind: 'leaderLinkLost', id: 2 })
  const { leader, term, role } = cluster.raft(1).status()
  t.alike([leader, term, role], [null, 2, 'follower'])
  t.ok(effects.deadlineMs < cluster.nowMs + 4 * timing.heartbeatMs, 'and it asks soon')
  cluster.network = []
  cluster.message(1, 3, preVote)
  t.ok(cluster.sent(1, 'preVoteAnswer')[0]?.message.isGranted)
  cluster.message(1, 2, { ...heartbeat, round: 2 })
  t.is(cluster.raft(1).status().leader, 2, 'its next message is accepted as usual')
})

test('a lost pre-candidate returns to the leader of its term', (t) => {
  const cluster = Cluster.alone(1, [1, 2, 3])
  cluster.message(1, 2, heartbeat)
  cluster.nowMs += timing.electionMaxMs
  cluster.tick(1)
  t.is(cluster.raft(1).status().role, 'preCandidate')
  cluster.message(1, 2, { ...heartbeat, round: 2 })
  t.alike([cluster.raft(1).status().role, cluster.raft(1).status().leader], ['follower', 2])
})

test('a heartbeat round that was overtaken is neither answered nor heard', (t) => {
  const cluster = Cluster.alone(1, [1, 2, 3])
  cluster.message(1, 2, { ...heartbeat, round: 5 })
  const deadlineMs = cluster.node(1).deadlineMs
  cluster.nowMs += 50
  t.alike(cluster.message(1, 2, { ...heartbeat, round: 4 }), nothing(0, deadlineMs))
  t.is(cluster.message(1, 2, { ...heartbeat, round: 5 }).messages.length, 1, 'a copy is answered')
})

test('what shows a new term waits until the term is durable', (t) => {
  const cluster = Cluster.alone(1, [1, 2, 3])
  cluster.isDiskFast = false
  const first = cluster.message(1, 2, heartbeat)
  t.alike(first.messages, [])
  t.alike(
    first.gated.map(({ token, message }) => [token, message.kind]),
    [[1, 'heartbeatAnswer']]
  )
  t.is(cluster.message(1, 3, preVote).gated[0]?.token, 1)
  cluster.completeWrite(1)
  t.is(cluster.message(1, 2, { ...heartbeat, round: 2 }).messages.length, 1)
})

test('a member whose link opens is asked for what it was not asked for', (t) => {
  const cluster = Cluster.alone(1, [1, 2, 3], { learners: [4] })
  cluster.tick(1)
  cluster.nowMs += timing.electionMaxMs
  cluster.tick(1)
  const asked = cluster.step(1, { kind: 'linkUp', id: 3 }).messages
  t.alike(asked, [{ to: 3, message: { kind: 'preVote', term: 2, lastIndex: 1, lastTerm: 1 } }])
  t.alike(cluster.step(1, { kind: 'linkUp', id: 4 }).messages, [], 'a learner is asked nothing')
  cluster.isDiskFast = false
  cluster.message(1, 2, { kind: 'preVoteAnswer', term: 2, isGranted: true, ownTerm: 1 })
  const again = cluster.step(1, { kind: 'linkUp', id: 3 })
  const request = { kind: 'vote', term: 2, lastIndex: 1, lastTerm: 1, isTransfer: false } as const
  t.alike([again.messages, again.gated], [[], [{ to: 3, message: request, token: 1 }]])
})

test('two nodes that lose their leader together seldom draw one deadline (B17)', (t) => {
  const deadlines = new Set<number>()
  for (const id of [1, 2, 3, 4, 5]) {
    const cluster = Cluster.alone(id, [1, 2, 3, 4, 5])
    deadlines.add(cluster.tick(id).deadlineMs)
  }
  t.is(deadlines.size, 5)
  const spread = [...deadlines]
  t.ok(Math.min(...spread) >= timing.electionMinMs && Math.max(...spread) < timing.electionMaxMs)
})

test('a message from itself is a broken invariant', async (t) => {
  const cluster = Cluster.alone(1, [1, 2, 3])
  await t.exception.all(() => cluster.message(1, 1, heartbeat), /itself/)
})
