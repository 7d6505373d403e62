// B31: a follower commits only what this term's leader has shown to be the same here.

import test from 'brittle'
import type { EntryId } from '../../lib/raft/entry.ts'
import { Cluster } from './cluster.ts'

test('B31: an append commits at most up to what it carried', (t) => {
  const cluster = Cluster.alone(1, [1, 2, 3], { terms: [1, 1, 1] })
  const [first, second] = cluster.node(1).disk.stored
  if (first === undefined || second === undefined) return t.fail('entries')
  const append = {
    kind: 'append',
    term: 2,
    session: 1,
    previousIndex: 1,
    previousTerm: 1,
    previousHash: first.hash,
    entries: [],
    commitIndex: 4
  } as const
  t.is(cluster.message(1, 2, append).commitIndex, 1, 'an empty one: its previous entry')
  t.is(cluster.message(1, 2, { ...append, entries: [second] }).commitIndex, 2)
  t.is(cluster.message(1, 2, append).commitIndex, 2, 'and never falls')
})

test('B31: a heartbeat commits only what an append of the same term has proved', (t) => {
  const cluster = Cluster.alone(1, [1, 2, 3], { terms: [1, 1, 1] })
  const [, , third, fourth] = cluster.node(1).disk.stored
  if (third === undefined || fourth === undefined) return t.fail('entries')
  const heartbeat = { kind: 'heartbeat', term: 2, boot: 1, round: 1, commitIndex: 4 } as const
  const prove = ({ index, term, hash }: EntryId): void => {
    const previous = { previousIndex: index, previousTerm: term, previousHash: hash }
    const append = { kind: 'append', term: 2, session: 1, entries: [], commitIndex: 0 } as const
    cluster.message(1, 2, { ...append, ...previous })
  }
  t.is(cluster.message(1, 2, heartbeat).commitIndex, 0)
  prove(third)
  t.is(cluster.message(1, 2, { ...heartbeat, round: 2 }).commitIndex, 3)
  prove(fourth)
  const later = { ...heartbeat, term: 3, round: 3 }
  t.is(cluster.message(1, 3, later).commitIndex, 3, 'entry 4 was proved in another term')
})
