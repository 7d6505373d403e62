// The Raft paper, figure 2, "Rules for Servers": all, followers, candidates, leaders. See paper.test.ts.

import test from 'brittle'
import { unreachable } from '../../lib/assert.ts'
import type { Role } from '../../lib/raft/effects.ts'
import { chained, ENTRY_KIND } from '../../lib/raft/entry.ts'
import type { Message } from '../../lib/raft/message.ts'
import type { Cluster } from './cluster.ts'
import { nothing, timing } from './fixtures.ts'
import {
  appendAfter,
  candidate,
  committed,
  follower,
  grantPreVotes,
  heartbeat,
  lastEffects,
  leader,
  matched,
  OTHERS,
  preCandidate,
  rejected,
  stored,
  vote,
  voteAnswer
} from './paper.ts'

/** Node 1 in `role`; as a leader or candidate in term 2, else in term 1. */
function inRole(role: Role): Cluster {
  switch (role) {
    case 'follower':
      return follower()
    case 'preCandidate':
      return preCandidate()
    case 'candidate':
      return candidate()
    case 'leader':
      return leader()
    default:
      return unreachable(role)
  }
}

const ROLES: readonly Role[] = ['follower', 'preCandidate', 'candidate', 'leader']

// The driver applies (replica/); what it may apply is named by the effects of the step.
test('fig. 2 Rules, all servers: what is newly committed is named in the same step and handed out in order', (t) => {
  const cluster = follower([1, 1])
  const { messages, commitIndex } = cluster.message(
    1,
    2,
    appendAfter(stored(cluster, 3), { term: 1, commitIndex: 3 })
  )
  t.alike([messages, commitIndex], [[{ to: 2, message: matched(1, 3) }], 3])
  t.alike(committed(cluster), cluster.node(1).disk.stored)
})

// Not by two kinds: the term in a pre-vote is hypothetical (leadership.test.ts), and a vote is dropped
// while a leader is heard: the leader hears itself as long as a quorum answers it.
test('fig. 2 Rules, all servers: a later term in a request or an answer is adopted, by a follower from then on', (t) => {
  const previous = stored(follower(), 1)
  const messages: readonly Message[] = [
    { kind: 'preVoteAnswer', term: 2, isGranted: false, ownTerm: 7 },
    vote(7, 0, 0),
    voteAnswer(7, false),
    appendAfter(previous, { term: 7 }),
    matched(7, 1),
    heartbeat(7),
    { kind: 'heartbeatAnswer', term: 7, boot: 1, round: 1, wallMs: 0 },
    { kind: 'timeoutNow', term: 7 }
  ]
  for (const role of ROLES) {
    for (const message of messages) {
      if (role === 'leader' && message.kind === 'vote') continue
      const cluster = inRole(role)
      const { write } = cluster.message(1, 3, message)
      const after = cluster.raft(1).status()
      t.alike([after.term, after.role], [7, 'follower'], `${role}, ${message.kind}`)
      t.alike(write?.hardState, { term: 7, votedFor: null, commitIndex: 0 })
    }
  }
})

test('fig. 2 Rules, followers: requests of candidates and leaders are answered, to who asked', (t) => {
  const asked: readonly (readonly [Message, Message['kind']])[] = [
    [{ kind: 'preVote', term: 3, lastIndex: 1, lastTerm: 1 }, 'preVoteAnswer'],
    [vote(2, 1, 1), 'voteAnswer'],
    [appendAfter(stored(follower(), 1), { term: 2 }), 'appendAnswer'],
    [heartbeat(2), 'heartbeatAnswer']
  ]
  for (const [message, kind] of asked) {
    const cluster = follower()
    cluster.message(1, 4, message)
    t.alike(
      cluster.network.map(({ to, message: answer }) => [to, answer.kind]),
      [[4, kind]]
    )
  }
})

// What follows the timeout is a pre-vote, which changes no state; the candidate comes after it.
test('fig. 2 Rules, followers: an election timeout without a message of the leader or a vote given leads to an election', (t) => {
  const cluster = follower()
  const { deadlineMs } = cluster.node(1)
  cluster.nowMs = deadlineMs - 1
  t.alike(cluster.tick(1), nothing(0, deadlineMs), 'not a millisecond early')
  cluster.nowMs = deadlineMs
  const effects = cluster.tick(1)
  const message = { kind: 'preVote', term: 2, lastIndex: 1, lastTerm: 1 } as const
  t.alike(effects, {
    ...nothing(0, effects.deadlineMs),
    messages: OTHERS.map((to) => ({ to, message }))
  })
  t.alike([cluster.raft(1).status().role, cluster.raft(1).status().term], ['preCandidate', 1])
  grantPreVotes(cluster)
  t.alike([cluster.raft(1).status().role, cluster.raft(1).status().term], ['candidate', 2])
})

test('fig. 2 Rules, followers: the leader and a vote that is given start the timeout again; nothing else does', (t) => {
  const previous = stored(follower(), 1)
  const lacking = { index: 9, term: 1, hash: previous.hash }
  const cases: readonly { what: string; from: number; message: Message; isReset: boolean }[] = [
    { what: 'an append', from: 5, message: appendAfter(previous, { term: 2 }), isReset: true },
    { what: 'a refused one', from: 5, message: appendAfter(lacking, { term: 2 }), isReset: true },
    { what: 'a heartbeat', from: 5, message: heartbeat(2, 2), isReset: true },
    { what: 'a vote given', from: 3, message: vote(3, 1, 1), isReset: true },
    { what: 'a vote refused', from: 3, message: vote(3, 0, 0), isReset: false },
    {
      what: 'an append of an earlier term',
      from: 5,
      message: appendAfter(previous, { term: 1 }),
      isReset: false
    },
    { what: 'a second leader of the term', from: 4, message: heartbeat(2, 3), isReset: false },
    { what: 'a stray answer', from: 4, message: matched(2, 1), isReset: false }
  ]
  for (const { what, from, message, isReset } of cases) {
    const cluster = follower()
    const { deadlineMs } = cluster.message(1, 5, heartbeat(2))
    cluster.nowMs = deadlineMs - 1
    cluster.message(1, from, message)
    const after = cluster.node(1).deadlineMs
    t.is(after >= cluster.nowMs + timing.electionMinMs, isReset, what)
    t.is(after === deadlineMs, !isReset, what)
  }
})

test('fig. 2 Rules, candidates: an election is one term more, the own vote, a new timeout, and requests to all others', (t) => {
  const cluster = preCandidate([1, 1])
  cluster.nowMs = cluster.node(1).deadlineMs - 1
  const effects = grantPreVotes(cluster)
  const hardState = { term: 2, votedFor: 1, commitIndex: 0 }
  t.alike(effects, {
    ...nothing(0, effects.deadlineMs),
    write: { token: 1, hardState, install: null, truncateFrom: null, entries: [] },
    gated: OTHERS.map((to) => ({ to, token: 1, message: vote(2, 3, 1) }))
  })
  t.ok(effects.deadlineMs >= cluster.nowMs + timing.electionMinMs)
  t.ok(effects.deadlineMs < cluster.nowMs + timing.electionMaxMs)
})

test('fig. 2 Rules, candidates: the votes of a majority make a leader, one less do not', (t) => {
  const cluster = candidate()
  const { deadlineMs } = cluster.node(1)
  t.alike(cluster.message(1, 4, voteAnswer(2)), nothing(0, deadlineMs))
  t.is(cluster.raft(1).status().role, 'candidate')
  cluster.message(1, 2, voteAnswer(2))
  t.is(cluster.raft(1).status().role, 'leader')
})

test('fig. 2 Rules, candidates: an append or heartbeat of the new leader makes a follower', (t) => {
  for (const message of [heartbeat(2), appendAfter(stored(candidate(), 1), { term: 2 })]) {
    const cluster = candidate()
    cluster.message(1, 5, message)
    const { role, term, leader: followed } = cluster.raft(1).status()
    t.alike([role, term, followed], ['follower', 2, 5])
    t.alike(cluster.node(1).disk.hardState, { term: 2, votedFor: 1, commitIndex: 0 })
  }
})

// The new election begins with pre-votes again, in the old term.
test('fig. 2 Rules, candidates: an election timeout begins a new election', (t) => {
  const cluster = candidate()
  cluster.nowMs = cluster.node(1).deadlineMs
  const effects = cluster.tick(1)
  const message = { kind: 'preVote', term: 3, lastIndex: 1, lastTerm: 1 } as const
  t.alike(effects, {
    ...nothing(0, effects.deadlineMs),
    messages: OTHERS.map((to) => ({ to, message }))
  })
  const { write, gated } = grantPreVotes(cluster)
  t.alike(write?.hardState, { term: 3, votedFor: 1, commitIndex: 0 })
  t.alike(
    gated,
    OTHERS.map((to) => ({ to, token: 2, message: vote(3, 1, 1) }))
  )
})

// Besides the heartbeats it sends the empty entry with which each term begins here.
test('fig. 2 Rules, leaders: upon election everybody gets a heartbeat at once', (t) => {
  const cluster = candidate()
  cluster.message(1, 2, voteAnswer(2))
  cluster.isDiskFast = false
  const effects = cluster.message(1, 3, voteAnswer(2))
  const first = stored(cluster, 1)
  const payload = new Uint8Array(0)
  const empty = chained(first, { term: 2, kind: ENTRY_KIND.empty, timeMs: 1_000, payload })
  const append = appendAfter(first, { term: 2, entries: [empty] })
  t.alike(effects, {
    ...nothing(0, cluster.nowMs + timing.heartbeatMs),
    write: { token: 2, hardState: null, install: null, truncateFrom: null, entries: [empty] },
    messages: [
      ...OTHERS.map((to, at) => ({ to, message: { ...append, session: at + 1 } })),
      ...OTHERS.map((to) => ({ to, message: heartbeat(2) }))
    ]
  })
})

test('fig. 2 Rules, leaders: heartbeats are repeated while nothing happens, before any election timeout', (t) => {
  const cluster = leader()
  for (let round = 2; round < 6; round++) {
    const dueMs = cluster.node(1).deadlineMs
    t.is(dueMs - cluster.nowMs, timing.heartbeatMs)
    cluster.nowMs = dueMs - 1
    t.alike(cluster.tick(1), nothing(0, dueMs))
    cluster.nowMs = dueMs
    t.alike(cluster.tick(1), {
      ...nothing(0, dueMs + timing.heartbeatMs),
      messages: OTHERS.map((to) => ({ to, message: heartbeat(2, round) }))
    })
  }
})

// The answer is the driver's: the core says at once where the entry is, and with `commitIndex` when it
// may be applied, after which the replica answers (replica tests).
test("fig. 2 Rules, leaders: a client's command is appended, and answered for when it is committed", (t) => {
  const cluster = leader()
  for (const from of [2, 3]) cluster.acknowledge(1, from, 2)
  cluster.isDiskFast = false
  const effects = cluster.propose(1, 'x', 9)
  t.alike(effects.proposed, [{ ref: 9, term: 2, from: 3, to: 4 }])
  t.alike(
    effects.write?.entries.map(({ index, term }) => [index, term]),
    [[3, 2]]
  )
  const commits = [
    effects.commitIndex,
    cluster.acknowledge(1, 2, 3).commitIndex,
    cluster.acknowledge(1, 3, 3).commitIndex
  ]
  t.alike(commits, [2, 2, 2], 'two of five have it, and the leader not durably')
  cluster.completeWrite(1)
  t.is(lastEffects(cluster).commitIndex, 3)
})

// As long as the place where the logs agree is not known, one append at a time (README, Replication).
test('fig. 2 Rules, leaders: a follower whose nextIndex is not beyond the log gets the entries from there on', (t) => {
  const cluster = leader()
  for (const text of ['a', 'b']) cluster.propose(1, text)
  const { deadlineMs } = cluster.node(1)
  const entries = [stored(cluster, 3), stored(cluster, 4)]
  const append = appendAfter(stored(cluster, 2), { term: 2, entries })
  t.alike(cluster.message(1, 2, matched(2, 2)), {
    ...nothing(0, deadlineMs),
    messages: [{ to: 2, message: append }]
  })
  t.alike(cluster.message(1, 2, matched(2, 3)), nothing(0, deadlineMs), 'there is nothing else')
})

test('fig. 2 Rules, leaders: success moves nextIndex and matchIndex of that follower', (t) => {
  const cluster = leader()
  const matches = (): unknown =>
    [...cluster.raft(1).status().progress.values()].map(({ matchIndex }) => matchIndex)
  t.alike(matches(), [0, 0, 0, 0])
  cluster.acknowledge(1, 3, 2)
  t.alike(matches(), [0, 2, 0, 0])
  t.alike(
    cluster.propose(1, 'a').messages.map(({ to, message }) => [to, message]),
    [[3, appendAfter(stored(cluster, 2), { term: 2, session: 2, entries: [stored(cluster, 3)] })]],
    'what comes next begins behind it'
  )
})

// Not by one, but to where the logs can agree at best (5.3's optimization); the first try is empty.
test('fig. 2 Rules, leaders: a refusal lowers nextIndex and tries again, until it succeeds', (t) => {
  const cluster = leader([1, 1, 1, 2, 2])
  const { deadlineMs } = cluster.node(1)
  const probe = (index: number): unknown => ({
    ...nothing(0, deadlineMs),
    messages: [{ to: 2, message: appendAfter(stored(cluster, index), { term: 3 }) }]
  })
  t.alike(cluster.message(1, 2, rejected(3, [6, 5, 1])), probe(4))
  t.alike(cluster.message(1, 2, rejected(3, [4, 2, 1])), probe(2))
  const { stored: log } = cluster.node(1).disk
  // what is only on disk, and what is in memory, go in two appends
  const rest = [
    appendAfter(stored(cluster, 2), { term: 3, entries: log.slice(2, 6) }),
    appendAfter(stored(cluster, 6), { term: 3, entries: log.slice(6) })
  ]
  t.alike(cluster.message(1, 2, matched(3, 2)), {
    ...nothing(0, deadlineMs),
    messages: rest.map((message) => ({ to: 2, message }))
  })
})

test('fig. 2 Rules, leaders: the highest N of this term on a majority is the commit index', (t) => {
  const cluster = leader([1])
  for (const text of ['a', 'b', 'c']) cluster.propose(1, text)
  const commits = [
    [2, 2],
    [3, 2],
    [3, 4],
    [2, 6],
    [4, 6],
    [5, 5]
  ].map(([from = 0, index = 0]) => [from, index, cluster.acknowledge(1, from, index).commitIndex])
  t.alike(commits, [
    // on a majority, but of term 1
    [2, 2, 0],
    [3, 2, 0],
    // 1 and 3 are no majority of five
    [3, 4, 0],
    [2, 6, 4],
    [4, 6, 6],
    [5, 5, 6]
  ])
})
