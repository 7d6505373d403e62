// B61: a request for a vote is a promise: it waits for the candidate's own term and vote.

import test from 'brittle'
import { Cluster } from './cluster.ts'
import { timing } from './fixtures.ts'

/** Node 1 of three, just told by node 2 that it may campaign; its disk is slow. */
function campaigning(): Cluster {
  const cluster = Cluster.alone(1, [1, 2, 3])
  cluster.tick(1)
  cluster.nowMs += timing.electionMaxMs
  cluster.tick(1)
  cluster.isDiskFast = false
  cluster.network = []
  cluster.message(1, 2, { kind: 'preVoteAnswer', term: 2, isGranted: true, ownTerm: 1 })
  return cluster
}

test('B61: requests for votes leave when term and vote are durable', (t) => {
  const cluster = campaigning()
  const effects = cluster.node(1).effects.at(-1)
  const vote = { kind: 'vote', term: 2, lastIndex: 1, lastTerm: 1, isTransfer: false } as const
  t.alike(effects?.write, {
    token: 1,
    hardState: { term: 2, votedFor: 1, commitIndex: 0 },
    install: null,
    truncateFrom: null,
    entries: []
  })
  t.alike(effects?.messages, [])
  t.alike(effects?.gated, [
    { to: 2, token: 1, message: vote },
    { to: 3, token: 1, message: vote }
  ])
  t.alike(cluster.network, [])
  cluster.completeWrite(1)
  t.is(cluster.sent(1, 'vote').length, 2)
})

test('B61: a crash before the write leaves a node that no late vote can make a leader', (t) => {
  const cluster = campaigning()
  cluster.crash(1)
  cluster.restart(1)
  cluster.message(1, 3, { kind: 'voteAnswer', term: 2, isGranted: true })
  t.is(cluster.raft(1).status().role, 'follower')
  cluster.completeWrites(1)
  cluster.nowMs += timing.electionMaxMs
  cluster.tick(1)
  cluster.message(1, 3, { kind: 'voteAnswer', term: 2, isGranted: true })
  t.not(cluster.raft(1).status().role, 'leader')
})

test('B61: the own vote counts when it is durable', (t) => {
  const cluster = campaigning()
  cluster.message(1, 3, { kind: 'voteAnswer', term: 2, isGranted: true })
  t.is(cluster.raft(1).status().role, 'candidate')
  cluster.completeWrite(1)
  t.is(cluster.raft(1).status().role, 'leader')
})
