// The Raft paper, sections 5.4 (safety), 5.5 (crashes of followers and candidates) and 5.6 (timing). See
// paper.test.ts. The properties of figure 3 are also held in every step of random lives
// (random.test.ts, oracles.ts).

import test from 'brittle'
import { TIMING } from '../../lib/raft/timing.ts'
import type { InTransit } from './cluster.ts'
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
  candidate,
  committed,
  follower,
  heartbeat,
  leader,
  matched,
  stored,
  vote,
  VOTERS,
  voteAnswer
} from './paper.ts'

function five(): Cluster {
  const cluster = Cluster.of(VOTERS)
  cluster.elect(1)
  return cluster
}

test('§5.4.1 entries flow from leaders to followers only', (t) => {
  const cluster = Cluster.of(VOTERS)
  const senders: string[] = []
  cluster.hooks = {
    onSend: ({ raft }, _to, message) => {
      if ('entries' in message) senders.push(raft.status().role)
    }
  }
  cluster.elect(1)
  cluster.propose(1, 'a')
  cluster.settle()
  cluster.crash(1)
  cluster.run(timing.electionMaxMs * 3)
  cluster.restart(1)
  cluster.run(timing.electionMaxMs)
  t.ok(senders.length > 8)
  t.alike([...new Set(senders)], ['leader'])
})

test('§5.4.1 who lacks a committed entry cannot win: every majority holds a voter that has it', (t) => {
  const cluster = five()
  cluster.isLost = ({ to, message }) => [4, 5].includes(to) && message.kind === 'append'
  cluster.propose(1, 'x')
  cluster.settle()
  t.is(cluster.raft(1).commitIndex, 3)
  cluster.crash(1)
  cluster.isLost = () => false
  // 4 and 5 try first, again and again
  for (let count = 0; count < 6; count++) {
    cluster.nowMs += timing.electionMaxMs
    for (const id of [4, 5]) cluster.tick(id)
    cluster.settle()
    t.alike(cluster.leaders(), [])
  }
  cluster.run(timing.electionMaxMs * 3)
  const [elected] = cluster.leaders()
  t.ok(elected !== undefined && [2, 3].includes(elected.id))
  t.alike(elected?.disk.stored[2], stored(cluster, 3))
})

test('§5.4.1 up to date: the later term of the last entry first, the longer log only then', (t) => {
  // the voter's log ends with index 3 of term 3
  const cases = [
    [9, 2, false],
    [3, 2, false],
    [2, 3, false],
    [3, 3, true],
    [4, 3, true],
    [1, 4, true]
  ] as const
  for (const [lastIndex, lastTerm, isGranted] of cases) {
    const cluster = follower([2, 3])
    const effects = cluster.message(1, 4, vote(5, lastIndex, lastTerm))
    const votedFor = isGranted ? 4 : null
    const hardState = { term: 5, votedFor, commitIndex: 0 }
    t.alike(
      effects,
      {
        ...nothing(0, effects.deadlineMs),
        write: { token: 1, hardState, install: null, truncateFrom: null, entries: [] },
        gated: [{ to: 4, token: 1, message: voteAnswer(5, isGranted) }]
      },
      `(${lastIndex}, ${lastTerm})`
    )
  }
})

test('§5.4.2 an entry of the current term is committed when a majority has stored it', (t) => {
  const cluster = leader()
  t.is(cluster.acknowledge(1, 4, 2).commitIndex, 0)
  t.is(cluster.acknowledge(1, 5, 2).commitIndex, 2)
})

test('§5.4.2 what a crashed leader did not commit, later leaders go on to replicate', (t) => {
  const cluster = five()
  cluster.isLost = ({ to, message }) => to !== 2 && message.kind === 'append'
  cluster.propose(1, 'x')
  cluster.settle()
  t.is(cluster.raft(1).commitIndex, 2)
  const entry = stored(cluster, 3)
  cluster.crash(1)
  cluster.isLost = () => false
  cluster.nowMs += timing.electionMaxMs
  cluster.tick(2)
  cluster.settle()
  t.alike([cluster.raft(2).status().role, cluster.raft(2).commitIndex], ['leader', 4])
  for (const id of [2, 3, 4, 5]) t.alike(stored(cluster, 3, id), entry)
})

test('§5.4.2 entries of earlier terms are never committed by counting replicas, on however many they are', (t) => {
  const cluster = leader([1, 1])
  const commits = [2, 3, 4, 5].map((from) => cluster.acknowledge(1, from, 3).commitIndex)
  t.alike(commits, [0, 0, 0, 0])
})

/** The message without entries of `term` that is later than the sentence is about. */
function without(term: number, transit: InTransit): InTransit {
  if (transit.message.kind !== 'append') return transit
  const entries = transit.message.entries.filter((entry) => entry.term !== term)
  return { ...transit, message: { ...transit.message, entries } }
}

/** Figure 8 (c): S1 leads term 4; its entry of term 2 is on S1, S2, S3; S5 has one of term 3. */
function figure8(): Cluster {
  const first = configurationEntry(GENESIS, configurationOf(VOTERS))
  const ofTerm2 = entriesAfter(first, [2])
  const cluster = new Cluster()
  for (const id of [1, 2]) cluster.add(id, [first, ...ofTerm2], 3)
  for (const id of [3, 4]) cluster.add(id, [first], 3)
  cluster.add(5, [first, ...entriesAfter(first, [3])], 3)
  for (const id of VOTERS) cluster.tick(id)
  cluster.nowMs += timing.electionMaxMs
  cluster.tick(1)
  for (let transit = cluster.network.shift(); transit; transit = cluster.network.shift()) {
    if (![4, 5].includes(transit.to)) cluster.receive(without(4, transit))
  }
  return cluster
}

// Figure 8 (c) and (d), with the overwriting that follows, are in b1.test.ts.
test('§5.4.2, fig. 8 (c): an entry of an earlier term on a majority is not committed', (t) => {
  const cluster = figure8()
  const { role, term, commitIndex, progress } = cluster.raft(1).status()
  t.alike([role, term, commitIndex], ['leader', 4, 0])
  t.alike([progress.get(2)?.matchIndex, progress.get(3)?.matchIndex], [2, 2])
  t.is(stored(cluster, 2, 3).term, 2)
})

test('§5.4.2, fig. 8 (e): with an entry of its own term on a majority all before it is committed, and S5 cannot win', (t) => {
  const cluster = figure8()
  cluster.isLost = ({ to }) => [4, 5].includes(to)
  cluster.run(timing.electionMinMs)
  t.is(cluster.raft(1).commitIndex, 3)
  cluster.crash(1)
  cluster.isLost = () => false
  for (let count = 0; count < 4; count++) {
    cluster.nowMs += timing.electionMaxMs
    cluster.tick(5)
    cluster.settle()
    t.not(cluster.raft(5).status().role, 'leader')
  }
})

test('§5.4.2 entries keep the term in which they were made when a later leader replicates them', (t) => {
  const cluster = leader([1, 1])
  const probe = cluster.message(1, 2, matched(2, 1))
  const [first] = probe.messages
  t.ok(first !== undefined && 'entries' in first.message)
  const sent = probe.messages.flatMap(({ message }) =>
    'entries' in message ? message.entries : []
  )
  t.alike(
    sent.map(({ index, term }) => [index, term]),
    [
      [2, 1],
      [3, 1],
      [4, 2]
    ]
  )
  t.alike(sent, cluster.node(1).disk.stored.slice(1))
})

test('§5.4.3 all servers apply the same entries in the same order, over changes of the leader', (t) => {
  const cluster = five()
  for (const id of [2, 3, 4, 5, 1]) {
    const [old] = cluster.leaders()
    if (old === undefined) return t.fail('somebody leads')
    // what it takes while it is cut off is lost, or finished by the next one
    cluster.isLost = ({ from, to }) => (from === old.id || to === old.id) && (from + to) % 2 === 1
    for (const text of ['a', 'b', 'c']) cluster.propose(old.id, `${id}${text}`)
    cluster.settle()
    cluster.crash(old.id)
    cluster.isLost = () => false
    cluster.run(timing.electionMaxMs * 4)
    cluster.restart(old.id)
    cluster.run(timing.electionMaxMs * 2)
  }
  const [elected] = cluster.leaders()
  if (elected === undefined) return t.fail('somebody leads')
  const applied = committed(cluster, elected.id)
  t.ok(new Set(applied.map(({ term }) => term)).size > 5)
  for (const id of VOTERS) t.alike(committed(cluster, id), applied)
})

// The paper has no such case: leader completeness excludes it. A leader that asks for it is broken, or of
// another history, and the node ends instead.
test('§5.4.3 what a server may have applied is never replaced, whoever leads', (t) => {
  for (const index of [2, 3]) {
    const cluster = follower([1, 1, 1])
    cluster.message(1, 2, appendAfter(stored(cluster, 4), { term: 1, commitIndex: 3 }))
    const previous = stored(cluster, index - 1)
    const message = appendAfter(previous, { term: 2, entries: entriesAfter(previous, [2]) })
    const effects = cluster.message(1, 3, message)
    const hardState = { term: 2, votedFor: null, commitIndex: 3 }
    t.alike(effects, {
      ...nothing(3, effects.deadlineMs),
      write: { token: 1, hardState, install: null, truncateFrom: null, entries: [] },
      diverged: { leader: 3, index }
    })
  }
  // the entry after it may be replaced
  const cluster = follower([1, 1, 1])
  cluster.message(1, 2, appendAfter(stored(cluster, 4), { term: 1, commitIndex: 3 }))
  const previous = stored(cluster, 3)
  const fresh = entriesAfter(previous, [2])
  const { write, diverged } = cluster.message(
    1,
    3,
    appendAfter(previous, { term: 2, entries: fresh })
  )
  t.alike([write?.truncateFrom, write?.entries, diverged], [4, fresh, null])
})

test('§5.5 requests to a crashed follower are repeated without end, and succeed when it is back', (t) => {
  const cluster = five()
  cluster.crash(5)
  cluster.propose(1, 'x')
  cluster.settle()
  cluster.run(120_000)
  t.is(cluster.raft(1).status().term, 2, 'the others do not notice')
  cluster.restart(5)
  cluster.run(timing.electionMinMs)
  t.alike(cluster.node(5).disk.stored, cluster.node(1).disk.stored)
  t.is(cluster.raft(5).commitIndex, 3)
})

test('§5.5 a crashed candidate keeps its term and vote; the cluster goes on without it', (t) => {
  const cluster = Cluster.of(VOTERS)
  for (const id of VOTERS) cluster.tick(id)
  cluster.nowMs += timing.electionMaxMs
  cluster.tick(1)
  while (cluster.deliver(({ message }) => message.kind.startsWith('preVote')) !== null);
  t.is(cluster.raft(1).status().role, 'candidate')
  cluster.crash(1)
  cluster.network = []
  cluster.run(timing.electionMaxMs * 3)
  t.is(cluster.leaders().length, 1)
  t.alike(cluster.node(1).disk.hardState, { term: 2, votedFor: 1, commitIndex: 0 })
  cluster.restart(1)
  cluster.run(timing.electionMinMs)
  t.is(cluster.raft(1).status().leader, cluster.leaders()[0]?.id)
})

test('§5.5 a follower that crashed before it answered gets the append again, and it does no harm', (t) => {
  const cluster = follower()
  const [entry] = entriesAfter(stored(cluster, 1), [1])
  if (entry === undefined) return t.fail('an entry')
  const append = appendAfter(stored(cluster, 1), { term: 1, entries: [entry] })
  cluster.isDiskFast = false
  cluster.message(1, 2, append)
  // the write is done, the answer has not left
  cluster.crash(1, 1)
  t.alike(cluster.network, [])
  cluster.restart(1)
  for (let count = 0; count < 2; count++) {
    const effects = cluster.message(1, 2, append)
    t.alike(effects, {
      ...nothing(0, effects.deadlineMs),
      messages: [{ to: 2, message: matched(1, 2) }]
    })
  }
  t.is(cluster.node(1).disk.stored.length, 2)
})

test('§5.5 a voter that crashed before it answered gives the same vote again', (t) => {
  const cluster = follower()
  cluster.isDiskFast = false
  cluster.message(1, 2, vote(2, 1, 1))
  cluster.crash(1, 1)
  cluster.restart(1)
  const { deadlineMs } = cluster.node(1)
  const says = (to: number, isGranted: boolean): unknown => ({
    ...nothing(0, deadlineMs),
    messages: [{ to, message: voteAnswer(2, isGranted) }]
  })
  t.alike(cluster.message(1, 3, vote(2, 1, 1)), says(3, false))
  t.alike(cluster.message(1, 2, vote(2, 1, 1)), says(2, true))
})

test('§5.5 requests and answers that arrive twice change nothing the second time', (t) => {
  const cases: readonly (readonly [Cluster, Parameters<Cluster['message']>[2]])[] = [
    [follower(), vote(2, 1, 1)],
    [follower(), appendAfter(stored(follower(), 1), { term: 2, commitIndex: 1 })],
    [follower(), heartbeat(2)],
    [candidate(), voteAnswer(2)],
    [leader(), matched(2, 2)]
  ]
  for (const [cluster, message] of cases) {
    cluster.message(1, 2, message)
    const before = cluster.raft(1).status()
    const { write, proposed, commitIndex } = cluster.message(1, 2, message)
    t.alike([write, proposed, commitIndex], [null, [], before.commitIndex], message.kind)
    t.alike(cluster.raft(1).status(), before)
  }
})

test('§5.6 safety does not depend on timing: a leader that slept commits nothing and follows the next one', (t) => {
  const cluster = five()
  // its messages stay on the way while it sleeps, and so do those to it
  const isOfOne = ({ from, to }: InTransit): boolean => from === 1 || to === 1
  cluster.isLost = isOfOne
  cluster.nowMs += 60_000
  cluster.tick(2)
  cluster.settle()
  const views = cluster.leaders().map(({ id, raft }) => [id, raft.status().term])
  t.alike(
    views,
    [
      [1, 2],
      [2, 3]
    ],
    'both believe that they lead, in different terms'
  )
  cluster.propose(2, 'new')
  cluster.settle()
  t.is(cluster.raft(2).commitIndex, 4)
  cluster.isLost = () => false
  // it wakes up and does not know yet how late it is
  cluster.propose(1, 'old')
  cluster.step(1, { kind: 'read', ref: 1 })
  cluster.settle()
  t.is(cluster.raft(1).status().role, 'follower')
  t.alike(
    cluster.node(1).effects.flatMap(({ reads }) => reads),
    []
  )
  cluster.run(timing.electionMinMs)
  for (const id of VOTERS) t.alike(cluster.node(id).disk.stored, cluster.node(2).disk.stored)
})

// The paper's numbers are of its own cluster. Broadcast time is a matter of the network; what the core
// can see to is that several heartbeats fit an election timeout, and that timeouts differ widely.
test('§5.6 broadcast time is far below the election timeout: many heartbeats fit the shortest one', (t) => {
  for (const [profile, { heartbeatMs, electionMinMs, electionMaxMs }] of Object.entries(TIMING)) {
    t.ok(heartbeatMs * 6 <= electionMinMs, profile)
    t.ok(electionMaxMs - electionMinMs >= electionMinMs, 'and twice the shortest is the longest')
  }
})

test('§5.6 when the leader crashes, the cluster is without one for about an election timeout', (t) => {
  const cluster = five()
  for (let count = 0; count < 10; count++) {
    const [old] = cluster.leaders()
    if (old === undefined) return t.fail('somebody leads')
    cluster.run(timing.heartbeatMs * 3)
    cluster.crash(old.id)
    cluster.run(timing.electionMaxMs + timing.heartbeatMs)
    t.is(cluster.leaders().length, 1)
    cluster.restart(old.id)
    cluster.settle()
  }
})
