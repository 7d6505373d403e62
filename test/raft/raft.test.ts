// The door: all that each operation returns, step by step, on the way of one node from its start to
// a committed entry.

import test from 'brittle'
import { present } from '../../lib/assert.ts'
import { bytesOf } from '../../lib/encoding.ts'
import { MAX_PENDING_READS } from '../../lib/limits.ts'
import { chained, ENTRY_KIND } from '../../lib/raft/entry.ts'
import { foundingEntries, foundingHardState } from '../../lib/raft/founding.ts'
import { Cluster } from './cluster.ts'
import {
  CLUSTER_ID,
  configurationOf,
  configurationsIn,
  GENESIS,
  member,
  nothing,
  timing
} from './fixtures.ts'

const vote = { kind: 'vote', term: 2, lastIndex: 1, lastTerm: 1, isTransfer: false } as const

test('from the first tick to the request for votes: every effect of every step', (t) => {
  const cluster = Cluster.alone(1, [1, 2, 3])
  cluster.isDiskFast = false
  const started = cluster.tick(1)
  t.alike(started, nothing(0, started.deadlineMs), 'it waits for an election timeout')
  t.ok(started.deadlineMs >= timing.electionMinMs && started.deadlineMs < timing.electionMaxMs)

  cluster.nowMs = started.deadlineMs
  const asking = cluster.tick(1)
  const preVote = { kind: 'preVote', term: 2, lastIndex: 1, lastTerm: 1 } as const
  t.alike(asking, {
    ...nothing(0, asking.deadlineMs),
    messages: [
      { to: 2, message: preVote },
      { to: 3, message: preVote }
    ]
  })

  const granted = { kind: 'preVoteAnswer', term: 2, isGranted: true, ownTerm: 1 } as const
  const campaigning = cluster.message(1, 3, granted)
  const hardState = { term: 2, votedFor: 1, commitIndex: 0 }
  t.alike(campaigning, {
    ...nothing(0, campaigning.deadlineMs),
    write: { token: 1, hardState, install: null, truncateFrom: null, entries: [] },
    gated: [
      { to: 2, token: 1, message: vote },
      { to: 3, token: 1, message: vote }
    ]
  })
  const counted = cluster.step(1, { kind: 'durable', token: 1 })
  t.alike(counted, nothing(0, campaigning.deadlineMs), 'the own vote alone is no quorum')
})

test('from the last vote to a committed entry: every effect of every step', (t) => {
  const cluster = Cluster.alone(1, [1, 2, 3])
  const first = cluster.node(1).disk.last
  cluster.isDiskFast = false
  cluster.lead(1, [3])
  const won = present(cluster.node(1).effects.at(-1), 'effects')
  const payload = new Uint8Array(0)
  const empty = chained(first, { term: 2, kind: ENTRY_KIND.empty, timeMs: 1_000, payload })
  const previous = { previousIndex: 1, previousTerm: 1, previousHash: first.hash }
  const append = { kind: 'append', term: 2, ...previous, entries: [empty], commitIndex: 0 } as const
  const heartbeat = { kind: 'heartbeat', term: 2, boot: 1, round: 1, commitIndex: 0 } as const
  t.alike(won, {
    ...nothing(0, cluster.nowMs + timing.heartbeatMs),
    write: { token: 2, hardState: null, install: null, truncateFrom: null, entries: [empty] },
    messages: [
      { to: 2, message: { ...append, session: 1 } },
      { to: 3, message: { ...append, session: 2 } },
      { to: 2, message: heartbeat },
      { to: 3, message: heartbeat }
    ]
  })
  t.alike(cluster.acknowledge(1, 3, 2), nothing(0, won.deadlineMs), 'it is not durable here')
  const committed = cluster.step(1, { kind: 'durable', token: 2 })
  // 3 has everything and is told soon; 2 hears it from what it still has to be sent
  const noticeMs = cluster.nowMs + 10
  t.alike(committed, nothing(2, noticeMs))
  t.alike(cluster.raft(1).entries(2, 3, 100), [empty])

  // no other clock is known yet, so the log's time stands still
  const write = { term: 2, kind: ENTRY_KIND.write, timeMs: 1_000, payload: bytesOf('a') }
  const entry = chained(empty, write)
  const next = { previousIndex: 2, previousTerm: 2, previousHash: empty.hash }
  const hardState = { term: 2, votedFor: 1, commitIndex: 2 }
  t.alike(cluster.propose(1, 'a', 9), {
    ...nothing(2, noticeMs),
    write: { token: 3, hardState, install: null, truncateFrom: null, entries: [entry] },
    proposed: [{ ref: 9, term: 2, from: 3, to: 4 }],
    messages: [
      { to: 3, message: { ...append, ...next, session: 2, entries: [entry], commitIndex: 2 } }
    ]
  })
})

test('a follower that holds the whole log hears of a commit soon, or from an append', (t) => {
  const cluster = Cluster.alone(1, [1, 2, 3])
  cluster.lead(1, [2])
  const heartbeatDueMs = cluster.nowMs + timing.heartbeatMs
  const told = { kind: 'heartbeat', term: 2, boot: 1, round: 1, commitIndex: 2 } as const
  cluster.acknowledge(1, 2, 2)
  cluster.nowMs += 9
  t.alike(cluster.tick(1).messages, [])
  // its own time does not begin again with another one's
  const { deadlineMs } = cluster.acknowledge(1, 3, 2)
  t.is(deadlineMs, cluster.nowMs + 1)
  cluster.nowMs = deadlineMs
  t.alike(cluster.tick(1), {
    ...nothing(2, heartbeatDueMs),
    messages: [2, 3].map((to) => ({ to, message: told }))
  })

  cluster.propose(1, 'a')
  t.is(cluster.acknowledge(1, 2, 3).deadlineMs, cluster.nowMs + 10)
  cluster.propose(1, 'b')
  cluster.nowMs += 10
  t.alike(cluster.tick(1), nothing(3, heartbeatDueMs), 'the append has told it')
})

test('what only a leader does, others refuse, and nothing happens', (t) => {
  const cluster = Cluster.alone(1, [1, 2, 3])
  const { deadlineMs } = cluster.tick(1)
  const refused = [{ ref: 1, reason: 'notLeader' as const }]
  const change = { add: [], promote: [], demote: [2], remove: [] }
  const expected = { ...nothing(0, deadlineMs), refused }
  t.alike(cluster.propose(1, 'a'), expected)
  t.alike(cluster.step(1, { kind: 'change', ref: 1, change }), expected)
  t.alike(cluster.step(1, { kind: 'read', ref: 1 }), expected)
  t.alike(cluster.step(1, { kind: 'transfer', ref: 1, target: 2 }), expected)
})

test('reads beyond the limit are refused', (t) => {
  const cluster = Cluster.alone(1, [1, 2, 3])
  cluster.lead(1, [2])
  for (let ref = 0; ref < MAX_PENDING_READS; ref++) cluster.step(1, { kind: 'read', ref })
  t.alike(cluster.step(1, { kind: 'read', ref: 99_999 }).refused, [
    { ref: 99_999, reason: 'overloaded' }
  ])
})

test('what is not committed is not handed out', async (t) => {
  const cluster = Cluster.alone(1, [1, 2, 3])
  await t.exception.all(() => cluster.raft(1).entries(1, 2, 100), /committed/)
})

test('a node starts with the commit index that it knows, at most its last entry', (t) => {
  const cluster = Cluster.alone(1, [1, 2, 3], { terms: [1, 1] })
  const node = cluster.node(1)
  node.disk.hardState = { term: 1, votedFor: null, commitIndex: 2 }
  node.raft = node.boots()
  t.is(node.raft.commitIndex, 2)
  node.disk.hardState = { term: 1, votedFor: null, commitIndex: 9 }
  node.raft = node.boots()
  t.is(node.raft.commitIndex, 3)
})

test('the founding log names one voter and needs nothing else', (t) => {
  const [entry, ...others] = foundingEntries(CLUSTER_ID, member(5), 77)
  if (entry === undefined) return t.fail('an entry')
  t.alike(others, [])
  t.alike([entry.index, entry.term, entry.kind, entry.timeMs], [1, 1, ENTRY_KIND.configuration, 77])
  t.alike(configurationsIn([entry]), [{ index: 1, configuration: configurationOf([5]) }])
  t.alike(chained(GENESIS, entry), entry)
  t.alike(foundingHardState(member(5)), { term: 1, votedFor: 5, commitIndex: 1 })
})

test('a leader of another cluster is found out by the hash of the genesis', (t) => {
  const cluster = new Cluster()
  cluster.add(1)
  const hash = new Uint8Array(32).fill(9)
  const previous = { previousIndex: 0, previousTerm: 0, previousHash: hash }
  const append = { kind: 'append', term: 1, session: 1, entries: [], commitIndex: 0 } as const
  const effects = cluster.message(1, 2, { ...append, ...previous })
  t.alike(effects.diverged, { leader: 2, index: 0 })
  t.alike([effects.messages, effects.gated], [[], []])
})
