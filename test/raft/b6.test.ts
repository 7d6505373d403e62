// B6: votes are counted by who gave them, and a repeated request gets the same answer.

import test from 'brittle'
import { Cluster } from './cluster.ts'
import { timing } from './fixtures.ts'

test('B6: an answer that arrives three times is one vote', (t) => {
  const cluster = Cluster.alone(1, [1, 2, 3, 4, 5])
  cluster.tick(1)
  cluster.nowMs += timing.electionMaxMs
  cluster.tick(1)
  const preVote = { kind: 'preVoteAnswer', term: 2, isGranted: true, ownTerm: 1 } as const
  for (let count = 0; count < 3; count++) cluster.message(1, 2, preVote)
  t.is(cluster.raft(1).status().role, 'preCandidate')
  cluster.message(1, 3, preVote)
  t.is(cluster.raft(1).status().role, 'candidate')
  const vote = { kind: 'voteAnswer', term: 2, isGranted: true } as const
  for (let count = 0; count < 3; count++) cluster.message(1, 2, vote)
  t.is(cluster.raft(1).status().role, 'candidate')
  cluster.message(1, 9, vote)
  t.is(cluster.raft(1).status().role, 'candidate', 'a stranger has no vote')
  cluster.message(1, 3, vote)
  t.is(cluster.raft(1).status().role, 'leader')
})

test('B6: a repeated request gets the vote again, another candidate does not', (t) => {
  const cluster = Cluster.alone(1, [1, 2, 3])
  const request = { kind: 'vote', term: 2, lastIndex: 1, lastTerm: 1, isTransfer: false } as const
  for (const from of [2, 2, 3]) cluster.message(1, from, request)
  t.alike(
    cluster.network.map(({ to, message }) => [to, message]),
    [
      [2, { kind: 'voteAnswer', term: 2, isGranted: true }],
      [2, { kind: 'voteAnswer', term: 2, isGranted: true }],
      [3, { kind: 'voteAnswer', term: 2, isGranted: false }]
    ]
  )
})

test('B6: the vote is given once in a term also after a restart', (t) => {
  const cluster = Cluster.alone(1, [1, 2, 3])
  const request = { kind: 'vote', term: 2, lastIndex: 1, lastTerm: 1, isTransfer: false } as const
  cluster.message(1, 2, request)
  cluster.crash(1)
  cluster.restart(1)
  cluster.network = []
  cluster.message(1, 3, request)
  t.alike(cluster.network[0]?.message, { kind: 'voteAnswer', term: 2, isGranted: false })
})

test('B6: a vote in a term that is durable already waits for its own write', (t) => {
  const cluster = Cluster.alone(1, [1, 2, 3])
  const request = { kind: 'vote', term: 2, lastIndex: 1, lastTerm: 1, isTransfer: false } as const
  cluster.message(1, 3, { ...request, lastTerm: 0 })
  t.alike(cluster.node(1).disk.hardState, { term: 2, votedFor: null, commitIndex: 0 })
  cluster.isDiskFast = false
  const answer = { kind: 'voteAnswer', term: 2, isGranted: true } as const
  for (let count = 0; count < 2; count++) {
    const effects = cluster.message(1, 2, request)
    t.alike(effects.messages, [])
    t.alike(effects.gated, [{ to: 2, message: answer, token: 2 }], 'a repeated answer too')
  }
})
