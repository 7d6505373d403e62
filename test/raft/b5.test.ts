// B5: logs are compared by the term of the last entry first, by length only then.

import test from 'brittle'
import { Cluster } from './cluster.ts'
import { configurationEntry, configurationOf, entriesAfter, GENESIS, timing } from './fixtures.ts'

const vote = { kind: 'vote', term: 4, isTransfer: false } as const

test('B5: a longer log of an earlier term gets no vote and no pre-vote', (t) => {
  const cluster = Cluster.alone(1, [1, 2, 3], { terms: [3] })
  const asked = { term: 4, lastIndex: 9, lastTerm: 2 }
  cluster.message(1, 2, { kind: 'preVote', ...asked })
  cluster.message(1, 2, { kind: 'vote', isTransfer: false, ...asked })
  t.alike(
    cluster.network.map(({ message }) => message),
    [
      { kind: 'preVoteAnswer', term: 4, isGranted: false, ownTerm: 3 },
      { kind: 'voteAnswer', term: 4, isGranted: false }
    ]
  )
})

test('B5: a log of the same length, or a shorter one of a later term, gets the vote', (t) => {
  for (const [lastIndex, lastTerm] of [
    [2, 3],
    [1, 4],
    [3, 3]
  ] as const) {
    const cluster = Cluster.alone(1, [1, 2, 3], { terms: [3] })
    cluster.message(1, 2, { ...vote, term: 5, lastIndex, lastTerm })
    t.alike(cluster.network[0]?.message, { kind: 'voteAnswer', term: 5, isGranted: true })
  }
})

test('B5: the node with what was committed wins against one with a longer, older log', (t) => {
  const first = configurationEntry(GENESIS, configurationOf([1, 2, 3]))
  const cluster = new Cluster()
  cluster.add(1, [first, ...entriesAfter(first, [1, 1, 1, 1])], 2)
  cluster.add(2, [first, ...entriesAfter(first, [2])], 2)
  cluster.add(3, [first, ...entriesAfter(first, [2])], 2)
  for (const id of [1, 2, 3]) cluster.tick(id)
  cluster.run(timing.electionMaxMs * 4)
  t.not(cluster.leaders()[0]?.id, 1)
  t.alike(cluster.node(1).disk.stored, cluster.node(2).disk.stored)
})
