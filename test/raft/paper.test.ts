// The Raft paper (Ongaro and Ousterhout, "In Search of an Understandable Consensus Algorithm (Extended
// Version)"), sentence by sentence. Figure 2 is here (State, RequestVote), in paper-append.test.ts
// (AppendEntries) and paper-rules.test.ts (Rules for Servers); section 5 in paper-basics.test.ts (5.1),
// paper-elections.test.ts (5.2), paper-replication.test.ts (5.3) and paper-safety.test.ts (5.4 to 5.6).
// Names cite and paraphrase. Where this core differs on purpose, the test holds the sentence as it is here and
// its comment names the difference. Differences throughout:
//
//   - AppendEntries without entries is two messages here: an empty `append` looks for the place where two
//     logs agree, a `heartbeat` keeps followers and carries the commit index (a datagram, often).
//   - An answer never leaves before what it promises is durable, so it is often `gated`.

import test from 'brittle'
import { bytesOf } from '../../lib/encoding.ts'
import type { HardState } from '../../lib/raft/effects.ts'
import { chained, ENTRY_KIND } from '../../lib/raft/entry.ts'
import { Cluster } from './cluster.ts'
import { entriesAfter, nothing } from './fixtures.ts'
import {
  appendAfter,
  candidate,
  follower,
  heartbeat,
  leader,
  matched,
  OTHERS,
  stored,
  vote,
  voteAnswer
} from './paper.ts'

test('fig. 2 State: what is persistent is on stable storage before a request is answered', (t) => {
  const cluster = follower([1])
  const fresh = entriesAfter(stored(cluster, 2), [2])
  cluster.isDiskFast = false
  const voted = cluster.message(1, 3, vote(2, 2, 1))
  const hardState = { term: 2, votedFor: 3, commitIndex: 0 }
  t.alike(voted, {
    ...nothing(0, voted.deadlineMs),
    write: { token: 1, hardState, install: null, truncateFrom: null, entries: [] },
    gated: [{ to: 3, token: 1, message: voteAnswer(2) }]
  })
  const appended = cluster.message(
    1,
    3,
    appendAfter(stored(cluster, 2), { term: 2, entries: fresh })
  )
  t.alike(appended, {
    ...nothing(0, appended.deadlineMs),
    write: { token: 2, hardState: null, install: null, truncateFrom: null, entries: fresh },
    gated: [{ to: 3, token: 2, message: matched(2, 3) }]
  })
  t.alike(cluster.network, [], 'nothing has left')
  cluster.completeWrite(1)
  t.alike(cluster.network, [{ from: 1, to: 3, message: voteAnswer(2) }])
  cluster.completeWrite(1)
  t.alike(cluster.network.at(-1), { from: 1, to: 3, message: matched(2, 3) })
})

test('fig. 2 State: a vote in a term that is on stable storage already waits for its own write', (t) => {
  const cluster = follower()
  cluster.message(1, 2, vote(2, 0, 0))
  t.alike(cluster.node(1).disk.hardState, { term: 2, votedFor: null, commitIndex: 0 })
  cluster.isDiskFast = false
  const effects = cluster.message(1, 3, vote(2, 1, 1))
  const hardState = { term: 2, votedFor: 3, commitIndex: 0 }
  t.alike(effects, {
    ...nothing(0, effects.deadlineMs),
    write: { token: 2, hardState, install: null, truncateFrom: null, entries: [] },
    gated: [{ to: 3, token: 2, message: voteAnswer(2) }]
  })
})

test('fig. 2 State, currentTerm: 0 on first boot, then the latest term seen, never less, over restarts', (t) => {
  const cluster = new Cluster()
  cluster.add(1)
  const seen: number[] = [cluster.raft(1).status().term]
  for (const term of [2, 1, 7, 7, 3]) {
    cluster.message(1, 2, heartbeat(term))
    seen.push(cluster.raft(1).status().term)
  }
  cluster.crash(1)
  cluster.restart(1)
  seen.push(cluster.raft(1).status().term)
  t.alike(seen, [0, 2, 2, 7, 7, 7, 7])
})

test('fig. 2 State, votedFor: who got the vote of the current term, or nobody; kept over restarts', (t) => {
  const cluster = follower()
  const states: (HardState | null)[] = []
  const note = (): void => void states.push(cluster.node(1).disk.hardState)
  note()
  cluster.message(1, 3, vote(2, 1, 1))
  note()
  cluster.crash(1)
  cluster.restart(1)
  cluster.message(1, 4, vote(2, 1, 1))
  note()
  cluster.message(1, 4, heartbeat(3))
  note()
  t.alike(states, [
    { term: 1, votedFor: null, commitIndex: 0 },
    { term: 2, votedFor: 3, commitIndex: 0 },
    { term: 2, votedFor: 3, commitIndex: 0 },
    { term: 3, votedFor: null, commitIndex: 0 }
  ])
})

// An entry also carries its kind, the leader's stamp and the chain hash.
test('fig. 2 State, log[]: an entry is a command and the term in which the leader took it; the first index is 1', (t) => {
  const cluster = leader([1])
  const { write } = cluster.propose(1, 'x')
  const payload = bytesOf('x')
  const entry = { term: 2, kind: ENTRY_KIND.write, timeMs: 1_000, payload }
  t.alike(write?.entries, [chained(stored(cluster, 3), entry)])
  t.alike(
    cluster.node(1).disk.stored.map(({ index, term }) => [index, term]),
    [
      [1, 1],
      [2, 1],
      [3, 2],
      [4, 2]
    ]
  )
})

// The paper starts it again at 0. Here each write that carries the hard state also carries the commit
// index, and a restart takes it as a floor: what is committed stays so, and need not be learnt again.
test('fig. 2 State, commitIndex: 0 at first, never falls, and is a floor after a restart', (t) => {
  const cluster = follower([1, 1, 1])
  const seen: number[] = [cluster.raft(1).commitIndex]
  const commit = (index: number, commitIndex: number): void => {
    const message = appendAfter(stored(cluster, index), { term: 2, commitIndex })
    seen.push(cluster.message(1, 2, message).commitIndex)
  }
  commit(3, 2)
  commit(3, 1)
  commit(4, 4)
  commit(2, 4)
  cluster.message(1, 3, heartbeat(3))
  cluster.crash(1)
  cluster.restart(1)
  seen.push(cluster.raft(1).commitIndex)
  t.alike(seen, [0, 2, 2, 4, 4, 4])
})

// The driver, not the core, knows what is applied; a restart names it (`appliedIndex`), because a state
// machine here is durable itself.
test('fig. 2 State, lastApplied: everything up to the commit index is handed out in order, nothing beyond', async (t) => {
  const cluster = follower([1, 1, 1])
  cluster.message(1, 2, appendAfter(stored(cluster, 4), { term: 2, commitIndex: 3 }))
  const { raft, disk } = cluster.node(1)
  const applied: number[] = []
  while ((applied.at(-1) ?? 0) < raft.commitIndex) {
    const next = (applied.at(-1) ?? 0) + 1
    for (const { index } of raft.entries(next, raft.commitIndex + 1, 1)) applied.push(index)
  }
  t.alike(applied, [1, 2, 3])
  t.alike(raft.entries(1, 4, 1_000), disk.stored.slice(0, 3))
  await t.exception.all(() => raft.entries(4, 5, 1_000), /only committed entries/)
})

test('fig. 2 State, nextIndex[]: after an election, one beyond the last entry of the leader', (t) => {
  const cluster = leader([1, 1])
  const appends = cluster.sent(1, 'append')
  t.alike(
    appends.map(({ to, message }) => [to, message.previousIndex + 1]),
    OTHERS.map((id) => [id, 4])
  )
  t.alike(
    appends.map(({ message }) => message.entries),
    OTHERS.map(() => [stored(cluster, 4)])
  )
})

test('fig. 2 State, matchIndex[]: 0 after each election, then never falls', (t) => {
  const cluster = leader()
  const seen: (number | undefined)[] = []
  const note = (): void => void seen.push(cluster.raft(1).status().progress.get(2)?.matchIndex)
  note()
  cluster.propose(1, 'a')
  for (const matchIndex of [1, 3, 2]) {
    cluster.acknowledge(1, 2, matchIndex)
    note()
  }
  cluster.message(1, 5, heartbeat(8))
  cluster.lead(1, [2, 3])
  note()
  t.alike(seen, [0, 1, 3, 3, 0])
})

// A request for votes is a promise too (the candidate voted for itself): it waits for that to be durable.
test('fig. 2 RequestVote, arguments: term, index and term of the last entry; the candidate is who sends', (t) => {
  const cluster = candidate([1, 3])
  t.alike(
    cluster.network,
    OTHERS.map((to) => ({ from: 1, to, message: vote(4, 3, 3) }))
  )
})

test('fig. 2 RequestVote, results: the answer carries the current term, and the candidate updates itself', (t) => {
  const cluster = candidate()
  const { deadlineMs } = cluster.node(1)
  const effects = cluster.message(1, 2, voteAnswer(7, false))
  const hardState = { term: 7, votedFor: null, commitIndex: 0 }
  t.alike(effects, {
    ...nothing(0, deadlineMs),
    write: { token: 2, hardState, install: null, truncateFrom: null, entries: [] }
  })
  t.is(cluster.raft(1).status().role, 'follower')
})

test('fig. 2 RequestVote, results: only a granted vote is a vote', (t) => {
  const cluster = candidate()
  const { deadlineMs } = cluster.node(1)
  for (const from of OTHERS) {
    t.alike(cluster.message(1, from, voteAnswer(2, false)), nothing(0, deadlineMs))
  }
  t.is(cluster.raft(1).status().role, 'candidate')
})

test('fig. 2 RequestVote, receiver 1: an earlier term is refused', (t) => {
  const cluster = follower([3])
  const { deadlineMs } = cluster.node(1)
  t.alike(cluster.message(1, 2, vote(2, 9, 3)), {
    ...nothing(0, deadlineMs),
    messages: [{ to: 2, message: voteAnswer(3, false) }]
  })
})

test('fig. 2 RequestVote, receiver 2: granted if the vote is free or the same, and the log up to date', (t) => {
  const cluster = follower([1])
  const answers = (from: number, message: ReturnType<typeof vote>): unknown => {
    cluster.network = []
    cluster.message(1, from, message)
    return cluster.network.map((transit) => [transit.to, transit.message])
  }
  t.alike(answers(2, vote(2, 1, 1)), [[2, voteAnswer(2, false)]], 'a log that lacks an entry')
  t.alike(answers(3, vote(2, 2, 1)), [[3, voteAnswer(2)]], 'the vote was free')
  t.alike(answers(3, vote(2, 2, 1)), [[3, voteAnswer(2)]], 'the same again')
  t.alike(answers(4, vote(2, 2, 1)), [[4, voteAnswer(2, false)]], 'another')
  t.alike(cluster.node(1).disk.hardState, { term: 2, votedFor: 3, commitIndex: 0 })
})

// Thesis 4.2.3, and section 6 of the paper: such a request is not even answered, its term not adopted.
test('fig. 2 RequestVote, receiver 2, with a difference: not while a leader is heard', (t) => {
  const cluster = follower()
  cluster.message(1, 5, heartbeat(2))
  const { deadlineMs } = cluster.node(1)
  t.alike(cluster.message(1, 2, vote(3, 9, 2)), nothing(0, deadlineMs))
  t.is(cluster.raft(1).status().term, 2)
})
