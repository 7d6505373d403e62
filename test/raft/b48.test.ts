// B48: a start finds a log that begins after its base, whatever was compacted or installed before the end of
// the process; the commit index is at least the base.

import test from 'brittle'
import { present } from '../../lib/assert.ts'
import { Cluster } from './cluster.ts'
import { configurationEntry, configurationOf, Disk, entriesAfter, GENESIS } from './fixtures.ts'

const first = configurationEntry(GENESIS, configurationOf([1, 2, 3]))
const history = [first, ...entriesAfter(first, [1, 1, 1, 1, 1, 1, 1])]

function startedAt(base: number, hardCommit: number): Cluster {
  const cluster = new Cluster()
  const { disk } = cluster.add(1, history, 1)
  disk.compact(base)
  disk.hardState = { term: 1, votedFor: null, commitIndex: hardCommit }
  cluster.crash(1)
  cluster.restart(1)
  return cluster
}

test('B48: the base is committed, though the hard state does not know', (t) => {
  for (const [base, hardCommit, expected] of [
    [5, 2, 5],
    [5, 7, 7],
    [8, 0, 8]
  ] as const) {
    const cluster = startedAt(base, hardCommit)
    t.is(cluster.raft(1).commitIndex, expected, `base ${base}, commit ${hardCommit}`)
    t.is(cluster.raft(1).status().configurationIndex, 1)
  }
})

test('B48: an entry that follows the base is appended, and one before it is not asked for', (t) => {
  const cluster = startedAt(8, 0)
  const base = present(history[7], 'an entry')
  const { index: previousIndex, term: previousTerm, hash: previousHash } = base
  const entries = entriesAfter(base, [2])
  const place = { previousIndex, previousTerm, previousHash, entries, commitIndex: 9 }
  cluster.message(1, 2, { kind: 'append', term: 2, session: 1, ...place })
  const { lastIndex, commitIndex } = cluster.raft(1).status()
  t.alike([lastIndex, commitIndex], [9, 9])
  t.alike(cluster.raft(1).entries(9, 10, 1e6), entries)
})

test('B48: a node that starts with nothing but a base leads, and its term begins after it', (t) => {
  const cluster = startedAt(8, 0)
  cluster.lead(1, [2])
  t.is(cluster.raft(1).status().lastIndex, 9)
  cluster.acknowledge(1, 2, 9)
  t.is(cluster.raft(1).commitIndex, 9)
})

test('B48: entries below the base are never handed out', async (t) => {
  const cluster = startedAt(5, 7)
  await t.exception.all(() => cluster.raft(1).entries(5, 7, 100), /compacted/)
  t.is(cluster.raft(1).entries(6, 8, 1e6).length, 2)
  t.is(new Disk(history).entries(1, 3, 1e6).length, 2)
})
