// The Raft paper, section 5.3: log replication. See paper.test.ts.

import test from 'brittle'
import { bytesOf } from '../../lib/encoding.ts'
import type { Entry } from '../../lib/raft/entry.ts'
import { chained, ENTRY_KIND } from '../../lib/raft/entry.ts'
import { Cluster } from './cluster.ts'
import {
  configurationEntry,
  configurationOf,
  entriesAfter,
  GENESIS,
  nothing,
  timing
} from './fixtures.ts'
import {
  appendAfter,
  committed,
  follower,
  heartbeat,
  leader,
  matched,
  OTHERS,
  rejected,
  stored,
  VOTERS
} from './paper.ts'

/** Node 1 leads term 2; all others hold its first entry, index 2, which is committed. */
function streaming(): Cluster {
  const cluster = leader()
  for (const from of OTHERS) cluster.acknowledge(1, from, 2)
  return cluster
}

/** All five exist; node 1 leads, and everybody agrees. */
function five(): Cluster {
  const cluster = Cluster.of(VOTERS)
  cluster.elect(1)
  return cluster
}

function logOf(cluster: Cluster, id: number): readonly Entry[] {
  return cluster.node(id).disk.stored
}

test('§5.3 a command becomes a new entry of the leader, and goes to all others in parallel', (t) => {
  const cluster = streaming()
  const { deadlineMs } = cluster.node(1)
  const second = stored(cluster, 2)
  const payload = bytesOf('x')
  // no other clock is known yet, so the log's time stands still
  const entry = chained(second, { term: 2, kind: ENTRY_KIND.write, timeMs: 1_000, payload })
  const append = appendAfter(second, { term: 2, entries: [entry], commitIndex: 2 })
  t.alike(cluster.propose(1, 'x', 7), {
    ...nothing(2, deadlineMs),
    write: {
      token: 3,
      hardState: { term: 2, votedFor: 1, commitIndex: 2 },
      install: null,
      truncateFrom: null,
      entries: [entry]
    },
    proposed: [{ ref: 7, term: 2, from: 3, to: 4 }],
    messages: OTHERS.map((to, at) => ({ to, message: { ...append, session: at + 1 } }))
  })
})

// The leader may apply it at once, and soon tells those that hold it with the present heartbeat round.
test('§5.3 when the entry is safely replicated, the leader applies it, and can answer the client', (t) => {
  const cluster = streaming()
  cluster.propose(1, 'x', 7)
  const { deadlineMs } = cluster.node(1)
  t.alike(cluster.acknowledge(1, 2, 3), nothing(2, deadlineMs))
  t.alike(cluster.acknowledge(1, 3, 3), nothing(3, cluster.nowMs + 10))
  const heartbeatDueMs = cluster.nowMs + timing.heartbeatMs
  cluster.nowMs += 10
  t.alike(cluster.tick(1), {
    ...nothing(3, heartbeatDueMs),
    messages: [2, 3].map((to) => ({ to, message: heartbeat(2, 1, 3) }))
  })
  t.alike(cluster.raft(1).entries(3, 4, 1_000), [stored(cluster, 3)])
})

test('§5.3 appends that are lost are sent again, without end, also after the client has its answer', (t) => {
  const cluster = five()
  cluster.isLost = ({ to, message }) => to === 5 && message.kind === 'append'
  cluster.propose(1, 'x')
  cluster.settle()
  t.is(cluster.raft(1).commitIndex, 3)
  cluster.run(60_000)
  t.is(logOf(cluster, 5).length, 2, 'nothing has come through for a minute')
  cluster.isLost = () => false
  cluster.run(timing.electionMinMs)
  t.alike(logOf(cluster, 5), logOf(cluster, 1))
  t.is(cluster.raft(5).commitIndex, 3)
  t.is(cluster.raft(1).status().term, 2)
})

test('§5.3 a leader makes one entry per index and term, and entries never change their place', (t) => {
  const cluster = streaming()
  const made: Entry[] = []
  for (let count = 0; count < 5; count++) {
    const { write } = cluster.propose(1, `${count}`)
    t.is(write?.truncateFrom, null)
    made.push(...(write?.entries ?? []))
    cluster.message(1, 3, rejected(2, [made.length + 1, 0, 0], 2))
  }
  t.alike(
    made.map(({ index, term }) => [index, term]),
    [3, 4, 5, 6, 7].map((index) => [index, 2])
  )
  t.alike(logOf(cluster, 1).slice(2), made)
})

test('§5.3 what is committed is durable, and every server applies it in the end', (t) => {
  const cluster = five()
  for (const id of [4, 5]) cluster.crash(id)
  cluster.propose(1, 'x')
  cluster.settle()
  const before = committed(cluster)
  t.is(before.length, 3)
  for (const id of [1, 2, 3]) cluster.crash(id)
  for (const id of VOTERS) cluster.restart(id)
  cluster.run(timing.electionMaxMs * 4)
  for (const id of VOTERS) t.alike(committed(cluster, id).slice(0, 3), before)
})

test('§5.3 an entry that its leader has on a majority is committed, and with it all before it', (t) => {
  const cluster = leader([1, 1])
  t.is(cluster.acknowledge(1, 2, 4).commitIndex, 0)
  t.is(cluster.acknowledge(1, 3, 4).commitIndex, 4)
  t.alike(
    committed(cluster).map(({ index, term }) => [index, term]),
    [
      [1, 1],
      [2, 1],
      [3, 1],
      [4, 2]
    ]
  )
})

// A heartbeat says no more than the follower is known to hold: it carries no previous index to check.
test('§5.3 the commit index is in every later append and heartbeat', (t) => {
  const cluster = leader()
  cluster.propose(1, 'a')
  cluster.acknowledge(1, 2, 3)
  cluster.acknowledge(1, 3, 3)
  const { messages } = cluster.propose(1, 'b')
  t.alike(
    messages.map(({ to, message }) => [to, message.kind === 'append' && message.commitIndex]),
    [
      [2, 3],
      [3, 3]
    ]
  )
  cluster.acknowledge(1, 4, 2)
  cluster.nowMs += timing.heartbeatMs
  t.alike(
    cluster.tick(1).messages,
    [3, 3, 2, 0].map((commitIndex, at) => ({ to: at + 2, message: heartbeat(2, 2, commitIndex) }))
  )
})

test('§5.3 a follower that learns of a commit may apply it, in the order of the log', (t) => {
  const cluster = follower([1, 1])
  const last = stored(cluster, 3)
  t.is(cluster.message(1, 2, heartbeat(1, 1, 2)).commitIndex, 0, 'not known to be the same yet')
  t.is(cluster.message(1, 2, appendAfter(last, { term: 1 })).commitIndex, 0)
  t.is(cluster.message(1, 2, heartbeat(1, 1, 2)).commitIndex, 2)
  t.is(cluster.message(1, 2, heartbeat(1, 2, 3)).commitIndex, 3)
  t.alike(committed(cluster), logOf(cluster, 1))
})

// Here the chain hash says it besides: a different entry of equal index and term is not another history,
// it is a fault, and is reported as one.
test('§5.3 log matching: equal index and term mean one entry, and one log before it', (t) => {
  const cluster = follower([1, 1])
  const forged = { ...stored(cluster, 3), hash: stored(cluster, 2).hash }
  cluster.message(1, 2, heartbeat(2))
  const effects = cluster.message(1, 2, appendAfter(forged, { term: 2, commitIndex: 3 }))
  t.alike(effects, { ...nothing(0, effects.deadlineMs), diverged: { leader: 2, index: 3 } })
})

test('§5.3 the consistency check: new entries are refused unless the one before them is here', (t) => {
  const cluster = follower([1])
  cluster.message(1, 2, heartbeat(3))
  const ahead = entriesAfter(stored(cluster, 2), [2, 3])
  const [gap] = ahead
  if (gap === undefined) return t.fail('an entry')
  const message = appendAfter(gap, { term: 3, entries: ahead.slice(1), commitIndex: 4 })
  const effects = cluster.message(1, 2, message)
  t.alike(effects, {
    ...nothing(0, effects.deadlineMs),
    messages: [{ to: 2, message: rejected(3, [3, 2, 1]) }]
  })
  t.is(logOf(cluster, 1).length, 2)
})

test('§5.3 success tells the leader that the logs are the same up to the entries sent, and no further', (t) => {
  const cluster = follower([1, 1, 1])
  cluster.message(1, 2, heartbeat(2))
  const message = appendAfter(stored(cluster, 1), { term: 2, entries: [stored(cluster, 2)] })
  const { messages } = cluster.message(1, 2, message)
  t.alike(messages, [{ to: 2, message: matched(2, 2) }], 'though its log ends at 4')
  const leading = leader()
  leading.acknowledge(1, 2, 1)
  t.is(leading.raft(1).status().progress.get(2)?.matchIndex, 1)
})

/** The terms of figure 7's logs; their first entry is the configuration here. */
const FIGURE_7 = {
  leader: [1, 1, 1, 4, 4, 5, 5, 6, 6, 6],
  followers: [
    [1, 1, 1, 4, 4, 5, 5, 6, 6],
    [1, 1, 1, 4],
    [1, 1, 1, 4, 4, 5, 5, 6, 6, 6, 6],
    [1, 1, 1, 4, 4, 5, 5, 6, 6, 6, 7, 7],
    [1, 1, 1, 4, 4, 4, 4],
    [1, 1, 1, 2, 2, 2, 3, 3, 3, 3, 3]
  ]
}

/** Node 1 is the leader at the top of figure 7, nodes 2 to 7 are its followers (a) to (f). */
function figure7(): Cluster {
  const ids = [1, 2, 3, 4, 5, 6, 7]
  const first = configurationEntry(GENESIS, configurationOf(ids))
  const cluster = new Cluster()
  const logs = [FIGURE_7.leader, ...FIGURE_7.followers]
  for (const [at, terms] of logs.entries()) {
    cluster.add(at + 1, [first, ...entriesAfter(first, terms.slice(1))], 7)
  }
  return cluster
}

test('§5.3, fig. 7: followers that lack entries, have others, or both, end with the log of the leader', (t) => {
  const cluster = figure7()
  cluster.elect(1)
  cluster.run(timing.heartbeatMs)
  const terms = logOf(cluster, 1).map(({ term }) => term)
  t.alike(terms, [...FIGURE_7.leader, 8])
  for (const id of [2, 3, 4, 5, 6, 7]) {
    t.alike(logOf(cluster, id), logOf(cluster, 1), `follower (${'abcdef'[id - 2]})`)
    t.is(cluster.raft(id).commitIndex, 11)
  }
})

test('§5.3, fig. 7: a follower deletes from the first conflict on, and nothing before it', (t) => {
  const cluster = figure7()
  const truncations = new Map<number, number>()
  cluster.hooks = {
    afterStep: ({ id }, _event, { write }) => {
      const from = write?.truncateFrom ?? null
      if (from !== null) truncations.set(id, Math.min(truncations.get(id) ?? from, from))
    }
  }
  cluster.elect(1)
  // (a) and (b) only lack entries; 11 is the new leader's first
  t.alike(
    [...truncations].toSorted(([a], [b]) => a - b),
    [
      [4, 11],
      [5, 11],
      [6, 6],
      [7, 4]
    ]
  )
})

// The paper leaves it open and doubts that it is worth it; both sides skip whole terms here.
test('§5.3 the refusal says where to try next: one try per term that differs, not one per entry', (t) => {
  const cluster = figure7()
  cluster.elect(1)
  const refusals = [2, 3, 4, 5, 6, 7].map((id) => {
    const sent = cluster.node(id).effects.flatMap(({ messages, gated }) => [...messages, ...gated])
    return sent.filter(
      ({ message }) => message.kind === 'appendAnswer' && message.result.kind === 'rejected'
    ).length
  })
  t.alike(refusals, [1, 1, 0, 0, 1, 1])
})

test('§5.3 once an append has succeeded, the follower stays consistent for the rest of the term', (t) => {
  const cluster = figure7()
  cluster.elect(1)
  let refusalCount = 0
  cluster.hooks = {
    onSend: (_from, _to, message) => {
      if (message.kind === 'appendAnswer' && message.result.kind === 'rejected') refusalCount++
    }
  }
  for (let count = 0; count < 30; count++) cluster.propose(1, `${count}`)
  cluster.settle()
  cluster.run(timing.electionMaxMs)
  t.is(refusalCount, 0)
  for (const id of [2, 3, 4, 5, 6, 7]) t.alike(logOf(cluster, id), logOf(cluster, 1))
})

test('§5.3 leader append-only: no message makes a leader overwrite or delete an entry of its own', (t) => {
  const cluster = leader([1, 1])
  const before = [...logOf(cluster, 1)]
  const first = stored(cluster, 1)
  const other = entriesAfter(first, [2, 2, 2], 'other')
  const { deadlineMs } = cluster.node(1)
  const own = appendAfter(first, { term: 2, entries: other, commitIndex: 4 })
  const secondLeader = { term: 2, leader: 1, claimant: 4 }
  const named = { ...nothing(0, deadlineMs), secondLeader }
  t.alike(cluster.message(1, 4, own), named, 'a second leader is named and not believed')
  t.alike(cluster.message(1, 4, { ...own, term: 1 }), {
    ...nothing(0, deadlineMs),
    messages: [{ to: 4, message: rejected(2, [1, 0, 0]) }]
  })
  cluster.message(1, 4, rejected(2, [3, 0, 0], 3))
  t.alike(logOf(cluster, 1), before)
  // only a later leader may, and then this one leads no more
  const { write } = cluster.message(1, 4, { ...own, term: 3 })
  t.is(write?.truncateFrom, 2)
  t.is(cluster.raft(1).status().role, 'follower')
})

test('§5.3 a new leader does nothing special: it goes on, and the logs converge', (t) => {
  const cluster = five()
  cluster.isLost = ({ to, message }) => [4, 5].includes(to) && message.kind === 'append'
  for (const text of ['a', 'b']) cluster.propose(1, text)
  cluster.settle()
  cluster.crash(1)
  cluster.isLost = () => false
  cluster.run(timing.electionMaxMs * 3)
  cluster.restart(1)
  cluster.run(timing.electionMaxMs)
  const [elected] = cluster.leaders()
  if (elected === undefined) return t.fail('nobody leads')
  t.ok([2, 3].includes(elected.id))
  for (const id of VOTERS) t.alike(logOf(cluster, id), elected.disk.stored)
})

test('§5.3 one round of requests to a majority is enough, and slow followers do not matter', (t) => {
  const cluster = five()
  cluster.network = []
  cluster.propose(1, 'x')
  for (const to of [2, 3]) cluster.deliver((transit) => transit.to === to)
  for (const from of [2, 3]) cluster.deliver((transit) => transit.from === from)
  t.is(cluster.raft(1).commitIndex, 3)
  for (const id of [4, 5]) cluster.crash(id)
  for (let count = 0; count < 100; count++) cluster.propose(1, `${count}`)
  cluster.settle()
  t.is(cluster.raft(1).commitIndex, 103)
})
