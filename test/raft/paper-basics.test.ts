// The Raft paper, section 5.1: Raft basics. See paper.test.ts.

import test from 'brittle'
import type { Message } from '../../lib/raft/message.ts'
import { Cluster } from './cluster.ts'
import { nothing, timing } from './fixtures.ts'
import {
  appendAfter,
  candidate,
  follower,
  grantPreVotes,
  heartbeat,
  leader,
  matched,
  OTHERS,
  preCandidate,
  rejected,
  stored,
  vote,
  VOTERS,
  voteAnswer
} from './paper.ts'

test('§5.1 five servers tolerate two failures, and not three', (t) => {
  const cluster = Cluster.of(VOTERS)
  cluster.elect(1)
  for (const id of [4, 5]) cluster.crash(id)
  cluster.propose(1, 'a')
  cluster.settle()
  t.is(cluster.raft(1).commitIndex, 3)
  cluster.crash(3)
  cluster.propose(1, 'b')
  cluster.settle()
  cluster.run(timing.electionMaxMs)
  t.is(cluster.raft(1).commitIndex, 3)
})

// A fourth state lies between the follower and the candidate: the pre-candidate asks first.
test('§5.1, fig. 4: a server is follower, candidate or leader, and goes through them in that order', (t) => {
  const cluster = follower()
  const seen: string[] = []
  const note = (): void => void seen.push(cluster.raft(1).status().role)
  note()
  cluster.nowMs = cluster.node(1).deadlineMs
  cluster.tick(1)
  note()
  grantPreVotes(cluster)
  note()
  for (const from of [4, 5]) cluster.message(1, from, voteAnswer(2))
  note()
  cluster.message(1, 4, heartbeat(3))
  note()
  t.alike(seen, ['follower', 'preCandidate', 'candidate', 'leader', 'follower'])
})

test('§5.1 in normal operation there is one leader, and all others follow it', (t) => {
  const cluster = Cluster.of(VOTERS)
  for (const id of VOTERS) cluster.tick(id)
  cluster.run(timing.electionMaxMs * 3)
  const ids = cluster.leaders().map(({ id }) => id)
  t.is(ids.length, 1)
  const views = (): unknown =>
    [...cluster.nodes.values()].map(({ id, raft }) => {
      const { role, leader: followed, term } = raft.status()
      return [id, role, followed, term]
    })
  const before = views()
  const expected = VOTERS.map((id) => [id, ids.includes(id) ? 'leader' : 'follower', ids[0], 2])
  t.alike(before, expected)
  cluster.run(timing.electionMaxMs * 10)
  t.alike(views(), before, 'and it stays so')
})

test('§5.1 followers are passive: they send nothing but answers', (t) => {
  const cluster = follower()
  const previous = stored(cluster, 1)
  cluster.message(1, 2, heartbeat(2))
  cluster.propose(1, 'a')
  cluster.step(1, { kind: 'read', ref: 1 })
  cluster.step(1, { kind: 'linkUp', id: 3 })
  cluster.message(1, 2, appendAfter(previous, { term: 2, commitIndex: 1 }))
  cluster.message(1, 3, matched(2, 1))
  cluster.nowMs = cluster.node(1).deadlineMs - 1
  cluster.tick(1)
  t.alike(
    cluster.network.map(({ to, message }) => [to, message.kind]),
    [
      [2, 'heartbeatAnswer'],
      [2, 'appendAnswer']
    ]
  )
})

// The core refuses and names the leader; service/ forwards (forwarding.ts).
test('§5.1 only the leader serves clients; a follower refuses and can say who leads', (t) => {
  const cluster = follower()
  const { deadlineMs } = cluster.message(1, 4, heartbeat(2))
  const refused = [{ ref: 5, reason: 'notLeader' as const }]
  t.alike(cluster.propose(1, 'a', 5), { ...nothing(0, deadlineMs), refused })
  t.alike(cluster.step(1, { kind: 'read', ref: 5 }), { ...nothing(0, deadlineMs), refused })
  t.is(cluster.raft(1).status().leader, 4)
  const leading = leader()
  t.alike(leading.propose(1, 'a', 5).proposed, [{ ref: 5, term: 2, from: 3, to: 4 }])
})

// With PreVote an attempt that nobody would support begins no term.
test('§5.1 terms are consecutive integers, and each begins with an election', (t) => {
  const cluster = candidate()
  const terms: number[] = [cluster.raft(1).status().term]
  for (let count = 0; count < 3; count++) {
    cluster.nowMs = cluster.node(1).deadlineMs
    cluster.tick(1)
    t.is(cluster.raft(1).status().term, terms.at(-1), 'nobody supports it yet')
    grantPreVotes(cluster)
    terms.push(cluster.raft(1).status().term)
  }
  t.alike(terms, [2, 3, 4, 5])
})

// CheckQuorum may end it earlier (leadership.test.ts); then nobody leads for the rest of the term.
test('§5.1 who wins an election leads for the rest of the term', (t) => {
  const cluster = leader()
  const { deadlineMs } = cluster.node(1)
  const strays: readonly Message[] = [
    voteAnswer(2, false),
    { kind: 'preVoteAnswer', term: 2, isGranted: false, ownTerm: 2 }
  ]
  for (const message of strays) t.alike(cluster.message(1, 5, message), nothing(0, deadlineMs))
  const secondLeader = { term: 2, leader: 1, claimant: 5 }
  const named = { ...nothing(0, deadlineMs), secondLeader }
  t.alike(cluster.message(1, 5, heartbeat(2, 9)), named)
  const append = appendAfter(stored(cluster, 1), { term: 2 })
  t.alike(cluster.message(1, 5, append), nothing(0, deadlineMs))
  t.alike(cluster.message(1, 5, vote(2, 9, 2)), {
    ...nothing(0, deadlineMs),
    messages: [{ to: 5, message: voteAnswer(2, false) }]
  })
  t.is(cluster.raft(1).status().role, 'leader')
})

test('§5.1 a server may miss an election or whole terms, and learns of the latest from any message', (t) => {
  const cluster = follower()
  const effects = cluster.message(1, 2, appendAfter(stored(cluster, 1), { term: 40 }))
  t.alike(effects.write?.hardState, { term: 40, votedFor: null, commitIndex: 0 })
  t.alike(effects.gated, [{ to: 2, token: 1, message: matched(40, 1) }])
})

test("§5.1 every message, request or answer, carries its sender's term", (t) => {
  const ownTerm = (message: Message): number => {
    // the term asked about is one above the own
    if (message.kind === 'preVote') return message.term - 1
    return message.kind === 'preVoteAnswer' ? message.ownTerm : message.term
  }
  for (const cluster of [follower([4]), preCandidate([4]), candidate([4]), leader([4])]) {
    cluster.message(1, 2, { kind: 'preVote', term: 9, lastIndex: 9, lastTerm: 9 })
    cluster.message(1, 2, vote(4, 2, 4))
    cluster.message(1, 2, heartbeat(4))
    const { role, term } = cluster.raft(1).status()
    t.ok(cluster.network.length >= 3, role)
    t.alike([...new Set(cluster.network.map(({ message }) => ownTerm(message)))], [term])
  }
})

test('§5.1 the smaller term is updated to the larger, and is durable before it is shown', (t) => {
  const cluster = follower()
  cluster.isDiskFast = false
  const { gated, messages, write } = cluster.message(1, 2, vote(6, 0, 0))
  t.alike(write?.hardState, { term: 6, votedFor: null, commitIndex: 0 })
  t.alike([messages, gated], [[], [{ to: 2, token: 1, message: voteAnswer(6, false) }]])
})

test('§5.1 a candidate or leader whose term is out of date is a follower at once', (t) => {
  for (const cluster of [candidate(), leader(), preCandidate()]) {
    cluster.message(1, 2, voteAnswer(8, false))
    const { role, term, leader: followed } = cluster.raft(1).status()
    t.alike([role, term, followed], ['follower', 8, null])
  }
})

test('§5.1 requests of an earlier term are refused by every role, which stays what it is', (t) => {
  for (const cluster of [follower([5]), preCandidate([5]), candidate([5]), leader([5])]) {
    const before = cluster.raft(1).status()
    const previous = stored(cluster, 1)
    const { deadlineMs } = cluster.node(1)
    const says = (message: Message): unknown => ({
      ...nothing(0, deadlineMs),
      messages: [{ to: 2, message }]
    })
    t.alike(cluster.message(1, 2, vote(4, 9, 4)), says(voteAnswer(before.term, false)))
    const append = appendAfter(previous, { term: 4 })
    t.alike(cluster.message(1, 2, append), says(rejected(before.term, [1, 0, 0])))
    t.alike(cluster.raft(1).status(), before)
  }
})

// Requests for votes are asked again when a link opens, and anew after an election timeout; appends and
// heartbeats are repeated (§5.3).
test('§5.1 requests that get no answer are repeated', (t) => {
  const cluster = candidate()
  const { deadlineMs } = cluster.node(1)
  t.alike(cluster.step(1, { kind: 'linkUp', id: 3 }), {
    ...nothing(0, deadlineMs),
    messages: [{ to: 3, message: vote(2, 1, 1) }]
  })
  const asking = preCandidate()
  t.alike(asking.step(1, { kind: 'linkUp', id: 3 }), {
    ...nothing(0, asking.node(1).deadlineMs),
    messages: [{ to: 3, message: { kind: 'preVote', term: 2, lastIndex: 1, lastTerm: 1 } }]
  })
})

test('§5.1 requests go to all in parallel: in one step, without waiting for any answer', (t) => {
  const recipients = (kind: Message['kind'], cluster: Cluster): readonly number[] =>
    cluster.network.filter(({ message }) => message.kind === kind).map(({ to }) => to)
  t.alike(recipients('preVote', preCandidate()), OTHERS)
  t.alike(recipients('vote', candidate()), OTHERS)
  t.alike(recipients('append', leader()), OTHERS)
  t.alike(recipients('heartbeat', leader()), OTHERS)
})
