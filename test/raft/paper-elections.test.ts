// The Raft paper, section 5.2: leader election. See paper.test.ts.

import test from 'brittle'
import { present } from '../../lib/assert.ts'
import { Cluster } from './cluster.ts'
import { nothing, timing } from './fixtures.ts'
import {
  appendAfter,
  candidate,
  follower,
  grantPreVotes,
  heartbeat,
  matched,
  OTHERS,
  preCandidate,
  rejected,
  stored,
  vote,
  VOTERS,
  voteAnswer
} from './paper.ts'

function roles(cluster: Cluster): readonly string[] {
  return [...cluster.nodes.values()].map(({ raft }) => raft.status().role).toSorted()
}

test('§5.2 servers start as followers, also those that led before', (t) => {
  const cluster = Cluster.of(VOTERS)
  cluster.elect(1)
  for (const id of VOTERS) cluster.crash(id)
  for (const id of VOTERS) cluster.restart(id)
  t.alike(
    roles(cluster),
    VOTERS.map(() => 'follower')
  )
})

test('§5.2 a server stays a follower as long as it hears a leader or candidate', (t) => {
  const cluster = follower()
  for (let round = 1; round < 50; round++) {
    cluster.nowMs += timing.heartbeatMs
    cluster.message(1, 2, heartbeat(2, round))
    cluster.tick(1)
  }
  t.is(cluster.raft(1).status().role, 'follower')
  t.is(cluster.raft(1).status().term, 2)
  // it gives its vote to one candidate after the other, each time just before it would stand itself
  for (let term = 3; term < 20; term++) {
    cluster.nowMs = cluster.node(1).deadlineMs - 1
    cluster.message(1, 3, vote(term, 1, 1))
    cluster.tick(1)
  }
  t.alike([cluster.raft(1).status().role, cluster.raft(1).status().term], ['follower', 19])
})

test('§5.2 heartbeats go to all followers periodically and keep the authority of the leader', (t) => {
  const cluster = Cluster.of(VOTERS)
  cluster.elect(3)
  cluster.run(timing.electionMaxMs * 20)
  for (const { raft } of cluster.nodes.values()) {
    t.alike([raft.status().leader, raft.status().term], [3, 2])
  }
})

test('§5.2 a follower that hears nothing for an election timeout begins an election', (t) => {
  const cluster = follower()
  cluster.message(1, 2, heartbeat(2))
  cluster.nowMs = cluster.node(1).deadlineMs - 1
  cluster.tick(1)
  t.is(cluster.raft(1).status().role, 'follower')
  cluster.nowMs += 1
  cluster.network = []
  cluster.tick(1)
  t.alike(
    cluster.network.map(({ to, message }) => [to, message]),
    OTHERS.map((to) => [to, { kind: 'preVote', term: 3, lastIndex: 1, lastTerm: 1 }])
  )
})

test('§5.2 to begin, it raises its term, stands, votes for itself and asks all others in parallel', (t) => {
  const cluster = preCandidate()
  cluster.isDiskFast = false
  const effects = grantPreVotes(cluster)
  const hardState = { term: 2, votedFor: 1, commitIndex: 0 }
  t.alike(effects, {
    ...nothing(0, effects.deadlineMs),
    write: { token: 1, hardState, install: null, truncateFrom: null, entries: [] },
    gated: OTHERS.map((to) => ({ to, token: 1, message: vote(2, 1, 1) }))
  })
  t.is(cluster.raft(1).status().role, 'candidate')
  // its own vote is one of three, once it is durable
  for (const from of [2, 3]) cluster.message(1, from, voteAnswer(2))
  t.is(cluster.raft(1).status().role, 'candidate')
  cluster.completeWrite(1)
  t.is(cluster.raft(1).status().role, 'leader')
})

/** How many others must vote for node 1 of `size`, all of which would, until it leads. */
function votesNeeded(size: number): number {
  const voters = [1, 2, 3, 4, 5, 6, 7].slice(0, size)
  const cluster = Cluster.alone(1, voters)
  cluster.tick(1)
  cluster.nowMs = cluster.node(1).deadlineMs
  cluster.tick(1)
  const others = voters.slice(1)
  const preVote = { kind: 'preVoteAnswer', term: 2, isGranted: true, ownTerm: 1 } as const
  for (const from of others) cluster.message(1, from, preVote)
  let count = 0
  while (cluster.raft(1).status().role === 'candidate') {
    cluster.message(1, present(others[count++], 'another voter'), voteAnswer(2))
  }
  return count
}

test('§5.2 a candidate wins with the votes of a majority of the full cluster, its own included', (t) => {
  t.alike([1, 2, 3, 4, 5, 6, 7].map(votesNeeded), [0, 1, 1, 2, 2, 3, 3])
})

test('§5.2 votes are counted for the term in which they were asked for', (t) => {
  const cluster = candidate()
  cluster.nowMs = cluster.node(1).deadlineMs
  cluster.tick(1)
  grantPreVotes(cluster)
  const { deadlineMs } = cluster.node(1)
  for (const from of OTHERS)
    t.alike(cluster.message(1, from, voteAnswer(2)), nothing(0, deadlineMs))
  t.alike([cluster.raft(1).status().role, cluster.raft(1).status().term], ['candidate', 3])
})

test('§5.2 one vote in a term, to who asks first', (t) => {
  const cluster = follower()
  for (const from of [4, 2, 3, 4]) cluster.message(1, from, vote(2, 1, 1))
  t.alike(
    cluster.network.map(({ to, message }) => [to, message]),
    [
      [4, voteAnswer(2)],
      [2, voteAnswer(2, false)],
      [3, voteAnswer(2, false)],
      [4, voteAnswer(2)]
    ]
  )
})

test('§5.2 at most one candidate wins a term: two majorities share a voter', (t) => {
  const cluster = Cluster.of(VOTERS)
  for (const id of VOTERS) cluster.tick(id)
  cluster.nowMs = timing.electionMaxMs
  for (const id of VOTERS) cluster.tick(id)
  const leaders = new Map<number, Set<number>>()
  cluster.hooks = {
    afterStep: ({ id, raft }) => {
      const { role, term } = raft.status()
      if (role === 'leader') leaders.set(term, (leaders.get(term) ?? new Set()).add(id))
    }
  }
  cluster.settle()
  cluster.run(timing.electionMaxMs * 5)
  t.ok(leaders.size > 0)
  for (const [term, ids] of leaders) t.is(ids.size, 1, `term ${term}`)
})

test('§5.2 the winner sends heartbeats at once, and they end the other elections', (t) => {
  const cluster = Cluster.of([1, 2, 3])
  for (const id of [1, 2, 3]) cluster.tick(id)
  cluster.nowMs = timing.electionMaxMs
  for (const id of [1, 2]) cluster.tick(id)
  while (cluster.deliver(({ message }) => message.kind.startsWith('preVote')) !== null);
  t.alike(roles(cluster), ['candidate', 'candidate', 'follower'])
  while (cluster.deliver(({ from, to }) => from + to === 4) !== null);
  t.is(cluster.raft(1).status().role, 'leader')
  cluster.deliver(({ from, to, message }) => from === 1 && to === 2 && message.kind === 'heartbeat')
  const { role, leader: followed } = cluster.raft(2).status()
  t.alike([role, followed], ['follower', 1])
})

test('§5.2 a candidate follows a leader of its own or a later term, and refuses one of an earlier', (t) => {
  for (const term of [1, 2, 3]) {
    const cluster = candidate()
    cluster.network = []
    cluster.message(1, 5, appendAfter(stored(cluster, 1), { term }))
    const status = cluster.raft(1).status()
    const answer = term === 1 ? rejected(2, [1, 0, 0]) : matched(term, 1)
    t.alike(cluster.network, [{ from: 1, to: 5, message: answer }])
    t.is(status.role, term === 1 ? 'candidate' : 'follower')
    t.is(status.leader, term === 1 ? null : 5)
  }
})

test('§5.2 a candidate without a winner asks again in a later term, after a timeout drawn anew', (t) => {
  const cluster = candidate()
  const startMs = cluster.nowMs
  const { deadlineMs } = cluster.node(1)
  t.ok(deadlineMs >= startMs + timing.electionMinMs && deadlineMs < startMs + timing.electionMaxMs)
  cluster.nowMs = deadlineMs - 1
  t.alike(cluster.tick(1), nothing(0, deadlineMs), 'it waits for the whole of it')
  cluster.nowMs = deadlineMs
  cluster.tick(1)
  const { gated } = grantPreVotes(cluster)
  t.alike(
    gated.map(({ to, message }) => [to, message]),
    OTHERS.map((to) => [to, vote(3, 1, 1)])
  )
})

test('§5.1, §5.2 a split vote ends a term without a leader, and a new term follows soon', (t) => {
  const cluster = Cluster.of([1, 2, 3, 4])
  for (const id of [1, 2, 3, 4]) cluster.tick(id)
  cluster.nowMs = timing.electionMaxMs
  for (const id of [1, 2]) cluster.tick(id)
  while (cluster.deliver(({ message }) => message.kind.startsWith('preVote')) !== null);
  const isSplit = (from: number, to: number): boolean => to === (from === 1 ? 3 : 4)
  while (
    cluster.deliver(({ from, to, message }) => message.kind === 'vote' && isSplit(from, to)) !==
    null
  );
  cluster.settle()
  t.alike(roles(cluster), ['candidate', 'candidate', 'follower', 'follower'])
  for (const id of [1, 2, 3, 4]) t.is(cluster.raft(id).status().term, 2)
  cluster.run(timing.electionMaxMs * 3)
  const [elected, ...others] = cluster.leaders()
  t.is(others.length, 0)
  t.ok((elected?.raft.status().term ?? 0) > 2)
})

test('§5.2 election timeouts are drawn at random from a fixed interval, anew each time', (t) => {
  const cluster = follower()
  const drawn: number[] = []
  for (let round = 1; round <= 300; round++) {
    const { deadlineMs } = cluster.message(1, 2, heartbeat(2, round))
    drawn.push(deadlineMs - cluster.nowMs)
  }
  t.ok(Math.min(...drawn) >= timing.electionMinMs && Math.max(...drawn) < timing.electionMaxMs)
  const spread = timing.electionMaxMs - timing.electionMinMs
  const tenths = new Set(drawn.map((ms) => Math.floor(((ms - timing.electionMinMs) * 10) / spread)))
  t.is(tenths.size, 10, 'every tenth of the interval')
  t.ok(new Set(drawn).size > 100)
})

test('§5.2 so that mostly one server times out first and wins before the others do', (t) => {
  const terms: number[] = []
  for (let at = 0; at < 20; at++) {
    // other ids draw other timeouts
    const voters = VOTERS.map((id) => id + at * 10)
    const cluster = Cluster.of(voters)
    for (const id of voters) cluster.tick(id)
    cluster.run(timing.electionMaxMs + timing.heartbeatMs)
    for (const { raft } of cluster.leaders()) terms.push(raft.status().term)
  }
  t.alike(terms, Array<number>(20).fill(2))
})
