// B33: what is compacted, what is missing and what has a term are three different things.

import test from 'brittle'
import { encodeConfiguration } from '../../lib/raft/encoding.ts'
import { ENTRY_KIND, chained } from '../../lib/raft/entry.ts'
import { RaftLog } from '../../lib/raft/log.ts'
import { Cluster, Node } from './cluster.ts'
import { configurationEntry, configurationOf, Disk, entriesAfter, GENESIS } from './fixtures.ts'

const history = [
  configurationEntry(GENESIS, configurationOf([1, 2, 3])),
  ...entriesAfter(configurationEntry(GENESIS, configurationOf([1, 2, 3])), [1, 1, 1, 1, 1, 1, 1, 1])
]

/** A log of which everything up to `index` is compacted; a later configuration entry is left. */
function compactedAt(index: number): Disk {
  const base = history[index - 1]
  const last = history.at(-1)
  if (base === undefined || last === undefined) throw new Error('there is an entry')
  const payload = encodeConfiguration(configurationOf([1, 2, 3]))
  const kind = ENTRY_KIND.configuration
  const disk = new Disk(
    [...history.slice(index), chained(last, { term: 1, kind, timeMs: 1_000, payload })],
    base
  )
  disk.hardState = { term: 1, votedFor: null, commitIndex: index }
  return disk
}

test('B33: a log tells compacted, missing and known entries apart', (t) => {
  const log = new RaftLog(compactedAt(5))
  t.is(log.idAt(0), 'compacted')
  t.is(log.idAt(4), 'compacted')
  t.is(log.idAt(11), 'missing')
  t.alike(log.idAt(5), history[4])
  t.alike(log.idAt(10), log.last)
})

test('B33: previous entry missing is rejected, also when its term is 0', (t) => {
  const cluster = Cluster.alone(1, [1, 2, 3])
  const append = {
    kind: 'append',
    term: 1,
    session: 1,
    previousIndex: 7,
    previousTerm: 0,
    previousHash: new Uint8Array(32),
    entries: [],
    commitIndex: 7
  } as const
  const effects = cluster.message(1, 2, append)
  const result = { kind: 'rejected', previousIndex: 7, hintIndex: 0, hintTerm: 0 } as const
  t.alike(effects.messages, [
    { to: 2, message: { kind: 'appendAnswer', term: 1, session: 1, result } }
  ])
  t.is(effects.commitIndex, 0)
})

test('B33: previous entry compacted: what is held is compared from the base on', (t) => {
  const cluster = new Cluster()
  cluster.nodes.set(1, new Node(1, compactedAt(5)))
  const second = history[1]
  if (second === undefined) return t.fail('entries')
  const append = {
    kind: 'append',
    term: 1,
    session: 1,
    previousIndex: 2,
    previousTerm: 1,
    previousHash: second.hash,
    entries: history.slice(2, 7),
    commitIndex: 7
  } as const
  const effects = cluster.message(1, 2, append)
  t.alike(effects.messages[0]?.message, {
    kind: 'appendAnswer',
    term: 1,
    session: 1,
    result: { kind: 'matched', matchIndex: 7 }
  })
  t.is(effects.write, null)
  t.is(effects.commitIndex, 7)
  const forged = { ...append, entries: entriesAfter(second, [1, 1, 1, 1], 'other') }
  t.alike(cluster.message(1, 2, forged).diverged, { leader: 2, index: 5 })
})

test('B33: a follower whose next entry is compacted at the leader needs a snapshot', (t) => {
  const cluster = new Cluster()
  cluster.nodes.set(1, new Node(1, compactedAt(5)))
  cluster.lead(1, [2])
  const session = cluster.sessionOf(1, 3)
  const result = { kind: 'rejected', previousIndex: 10, hintIndex: 2, hintTerm: 1 } as const
  const effects = cluster.message(1, 3, { kind: 'appendAnswer', term: 2, session, result })
  t.alike(effects.snapshotsNeeded, [3])
  t.alike(effects.messages, [])
  t.is(cluster.raft(1).status().progress.get(3)?.state, 'snapshot')
  // named again with each answered heartbeat, until an acknowledgement shows that it has arrived
  cluster.message(1, 3, { kind: 'heartbeatAnswer', term: 2, boot: 1, round: 1, wallMs: 0 })
  t.alike(cluster.node(1).effects.at(-1)?.snapshotsNeeded, [3])
  cluster.acknowledge(1, 3, 5)
  t.is(cluster.raft(1).status().progress.get(3)?.state, 'replicate')
})
