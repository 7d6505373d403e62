// The Raft paper, figure 2, the AppendEntries RPC. See paper.test.ts.

import test from 'brittle'
import { entriesAfter, GENESIS, nothing } from './fixtures.ts'
import { appendAfter, follower, heartbeat, leader, matched, rejected, stored } from './paper.ts'

// leaderId is no field: the key of the connection says who speaks (`from`). The previous entry is also
// named by its chain hash, and the session lets the answer be told from one to an earlier append.
test('fig. 2 AppendEntries, arguments: term, previous index and term, entries (several), commit index', (t) => {
  const cluster = leader([1])
  for (const text of ['a', 'b']) cluster.propose(1, text)
  const { deadlineMs } = cluster.node(1)
  const entries = [stored(cluster, 4), stored(cluster, 5)]
  const message = appendAfter(stored(cluster, 3), { term: 2, entries })
  t.alike(cluster.message(1, 4, matched(2, 3, 3)), {
    ...nothing(0, deadlineMs),
    messages: [{ to: 4, message: { ...message, session: 3 } }]
  })
  t.alike(cluster.message(1, 2, matched(2, 3)), {
    ...nothing(3, deadlineMs),
    messages: [{ to: 2, message: { ...message, commitIndex: 3 } }]
  })
})

test('fig. 2 AppendEntries, arguments, leaderId: a follower knows the leader and can redirect clients', (t) => {
  const cluster = follower()
  const { deadlineMs } = cluster.node(1)
  const refused = [{ ref: 1, reason: 'notLeader' as const }]
  t.alike(cluster.propose(1, 'a'), { ...nothing(0, deadlineMs), refused })
  t.is(cluster.raft(1).status().leader, null)
  cluster.message(1, 4, appendAfter(stored(cluster, 1), { term: 2 }))
  t.alike(cluster.propose(1, 'a').refused, refused)
  t.is(cluster.raft(1).status().leader, 4)
})

test('fig. 2 AppendEntries, results: the answer carries the current term, and the leader updates itself', (t) => {
  const cluster = leader()
  const effects = cluster.message(1, 2, rejected(5, [1, 0, 0]))
  const hardState = { term: 5, votedFor: null, commitIndex: 0 }
  t.alike(effects, {
    ...nothing(0, effects.deadlineMs),
    write: { token: 3, hardState, install: null, truncateFrom: null, entries: [] }
  })
  const { role, term } = cluster.raft(1).status()
  t.alike([role, term], ['follower', 5])
})

test('fig. 2 AppendEntries, results: success means that the entry at (previousIndex, previousTerm) is here', (t) => {
  const cluster = follower([1, 2])
  const answers = [stored(cluster, 1), stored(cluster, 2), stored(cluster, 3)].map((previous) => {
    const effects = cluster.message(1, 2, appendAfter(previous, { term: 2 }))
    t.alike([effects.write, effects.gated], [null, []])
    return effects.messages
  })
  t.alike(
    answers,
    [1, 2, 3].map((index) => [{ to: 2, message: matched(2, index) }])
  )
})

test('fig. 2 AppendEntries, receiver 1: an earlier term is refused, and nothing else happens', (t) => {
  const cluster = follower([2])
  const { deadlineMs } = cluster.node(1)
  const before = cluster.raft(1).status()
  cluster.nowMs += 10
  const entries = entriesAfter(stored(cluster, 1), [1])
  const stale = appendAfter(stored(cluster, 1), { term: 1, entries, commitIndex: 1 })
  t.alike(cluster.message(1, 2, stale), {
    ...nothing(0, deadlineMs),
    messages: [{ to: 2, message: rejected(2, [1, 0, 0]) }]
  })
  const answer = { kind: 'heartbeatAnswer', term: 2, boot: 1, round: 1 } as const
  const wallMs = 1_700_000_000_000 + Math.floor(cluster.nowMs)
  t.alike(cluster.message(1, 2, heartbeat(1, 1, 1)), {
    ...nothing(0, deadlineMs),
    messages: [{ to: 2, message: { ...answer, wallMs } }]
  })
  t.alike(cluster.raft(1).status(), before)
})

// The refusal names where the logs can agree at best, so that the leader need not try every index.
test('fig. 2 AppendEntries, receiver 2: refused without an entry at previousIndex of previousTerm', (t) => {
  const { stored: entries } = follower([1, 2, 2]).node(1).disk
  const cases = [
    { what: 'the log is shorter', previousIndex: 9, previousTerm: 2, hint: [4, 2] },
    { what: 'an earlier term is there', previousIndex: 4, previousTerm: 3, hint: [4, 2] },
    { what: 'a later term is there', previousIndex: 4, previousTerm: 1, hint: [2, 1] }
  ] as const
  for (const { what, previousIndex, previousTerm, hint } of cases) {
    const cluster = follower([1, 2, 2])
    cluster.message(1, 2, heartbeat(3))
    const previous = { index: previousIndex, term: previousTerm, hash: GENESIS.hash }
    const fresh = entriesAfter(previous, [3])
    const message = appendAfter(previous, { term: 3, entries: fresh, commitIndex: 4 })
    const effects = cluster.message(1, 2, message)
    t.alike(
      effects,
      {
        ...nothing(0, effects.deadlineMs),
        messages: [{ to: 2, message: rejected(3, [previousIndex, ...hint]) }]
      },
      what
    )
    t.alike(cluster.node(1).disk.stored, entries)
  }
})

// Never at or below the commit index: there it is a divergence and ends the node (b30.test.ts).
test('fig. 2 AppendEntries, receiver 3: an entry that conflicts goes, with all that follow it', (t) => {
  const cluster = follower([1, 1, 1, 1])
  cluster.message(1, 2, heartbeat(2))
  const second = stored(cluster, 2)
  const fresh = entriesAfter(second, [2])
  const effects = cluster.message(1, 2, appendAfter(second, { term: 2, entries: fresh }))
  t.alike(effects, {
    ...nothing(0, effects.deadlineMs),
    write: { token: 2, hardState: null, install: null, truncateFrom: 3, entries: fresh },
    gated: [{ to: 2, token: 2, message: matched(2, 3) }]
  })
  t.alike(
    cluster.node(1).disk.stored.map(({ index, term }) => [index, term]),
    [
      [1, 1],
      [2, 1],
      [3, 2]
    ]
  )
})

test('fig. 2 AppendEntries, receiver 3: entries that are the same here stay, and so does what follows them', (t) => {
  const cluster = follower([1, 1, 1])
  cluster.message(1, 2, heartbeat(2))
  const before = [...cluster.node(1).disk.stored]
  const entries = [stored(cluster, 2), stored(cluster, 3)]
  const message = appendAfter(stored(cluster, 1), { term: 2, entries })
  const effects = cluster.message(1, 2, message)
  t.alike(effects, {
    ...nothing(0, effects.deadlineMs),
    messages: [{ to: 2, message: matched(2, 3) }]
  })
  t.alike(cluster.node(1).disk.stored, before)
})

test('fig. 2 AppendEntries, receiver 4: entries that are not in the log yet are appended, and only those', (t) => {
  const cluster = follower([1, 1])
  cluster.message(1, 2, heartbeat(2))
  const third = stored(cluster, 3)
  const fresh = entriesAfter(third, [1, 2])
  const message = appendAfter(stored(cluster, 1), {
    term: 2,
    entries: [stored(cluster, 2), third, ...fresh]
  })
  const effects = cluster.message(1, 2, message)
  t.alike(effects, {
    ...nothing(0, effects.deadlineMs),
    write: { token: 2, hardState: null, install: null, truncateFrom: null, entries: fresh },
    gated: [{ to: 2, token: 2, message: matched(2, 5) }]
  })
})

// "Last new entry" is read as previousIndex + count: also in an empty append, where the paper leaves it open.
test("fig. 2 AppendEntries, receiver 5: commits up to the lesser of the leader's commit and the last new entry", (t) => {
  const cases = [
    { what: 'the leader has committed less', count: 2, leaderCommit: 2, expected: 2 },
    { what: 'it has committed more', count: 1, leaderCommit: 9, expected: 2 },
    { what: 'nothing is new', count: 0, leaderCommit: 9, expected: 1 },
    { what: 'it has committed nothing', count: 2, leaderCommit: 0, expected: 0 }
  ]
  for (const { what, count, leaderCommit, expected } of cases) {
    const cluster = follower([1, 1, 1])
    const entries = cluster.node(1).disk.stored.slice(1, 1 + count)
    const message = appendAfter(stored(cluster, 1), { term: 1, entries, commitIndex: leaderCommit })
    const effects = cluster.message(1, 2, message)
    const messages = [{ to: 2, message: matched(1, 1 + count) }]
    t.alike(effects, { ...nothing(expected, effects.deadlineMs), messages }, what)
  }
})
