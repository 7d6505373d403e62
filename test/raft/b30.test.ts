// B30: a follower truncates from the first entry that conflicts, and never below its commit index.

import test from 'brittle'
import type { Append } from '../../lib/raft/message.ts'
import type { EntryId } from '../../lib/raft/entry.ts'
import { Cluster } from './cluster.ts'
import { entriesAfter, nothing } from './fixtures.ts'

function appendAfter(previous: EntryId, rest: Partial<Append> = {}): Append {
  return {
    kind: 'append',
    term: 1,
    session: 1,
    previousIndex: previous.index,
    previousTerm: previous.term,
    previousHash: previous.hash,
    entries: [],
    commitIndex: 0,
    ...rest
  }
}

test('B30: an append that was overtaken by a later one removes nothing', (t) => {
  const cluster = Cluster.alone(1, [1, 2, 3], { terms: [1, 1, 1] })
  const { stored } = cluster.node(1).disk
  const [first, second] = stored
  if (first === undefined || second === undefined) return t.fail('entries')
  const effects = cluster.message(1, 2, appendAfter(first, { entries: [second] }))
  const result = { kind: 'matched', matchIndex: 2 } as const
  t.alike(effects, {
    ...nothing(0, effects.deadlineMs),
    messages: [{ to: 2, message: { kind: 'appendAnswer', term: 1, session: 1, result } }]
  })
  t.is(cluster.raft(1).status().lastIndex, 4)
})

test('B30: a conflict removes the conflicting entry and what follows it, nothing before', (t) => {
  const cluster = Cluster.alone(1, [1, 2, 3], { terms: [1, 1, 1] })
  const [first, second] = cluster.node(1).disk.stored
  if (first === undefined || second === undefined) return t.fail('entries')
  const fresh = entriesAfter(second, [2, 2])
  const message = appendAfter(first, { term: 2, entries: [second, ...fresh] })
  const effects = cluster.message(1, 2, message)
  t.alike(effects.write, {
    token: 1,
    hardState: { term: 2, votedFor: null, commitIndex: 0 },
    install: null,
    truncateFrom: 3,
    entries: fresh
  })
  t.alike(effects.gated, [
    {
      to: 2,
      token: 1,
      message: {
        kind: 'appendAnswer',
        term: 2,
        session: 1,
        result: { kind: 'matched', matchIndex: 4 }
      }
    }
  ])
})

test('B30: a leader that contradicts what is committed is reported, and nothing changes', (t) => {
  const cluster = Cluster.alone(1, [1, 2, 3], { terms: [1, 1] })
  const [first, second, third] = cluster.node(1).disk.stored
  if (first === undefined || second === undefined || third === undefined) return t.fail('entries')
  cluster.message(1, 2, appendAfter(third, { commitIndex: 3 }))
  t.is(cluster.raft(1).commitIndex, 3)
  const other = entriesAfter(second, [1], 'other')
  const cases: readonly [string, Append, number][] = [
    ['same term, other content', appendAfter(second, { entries: other }), 3],
    ['other previous hash', appendAfter({ ...second, hash: first.hash }), 2],
    [
      'conflict at the commit index',
      appendAfter(first, { term: 1, entries: entriesAfter(first, [1], 'x') }),
      2
    ]
  ]
  for (const [what, message, index] of cases) {
    const effects = cluster.message(1, 2, message)
    t.alike(effects, { ...nothing(3, effects.deadlineMs), diverged: { leader: 2, index } }, what)
  }
  const later = appendAfter(first, { term: 2, entries: entriesAfter(first, [2]) })
  const effects = cluster.message(1, 3, later)
  t.alike(effects.diverged, { leader: 3, index: 2 }, 'a later term does not overrule it either')
  t.is(effects.write?.truncateFrom, null)
  t.is(cluster.raft(1).status().lastIndex, 3)
})
