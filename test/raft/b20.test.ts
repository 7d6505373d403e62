// B20, B21: the configuration in use is the last one in the log, else the one that the snapshot has; whatever
// is truncated, installed, compacted or started again.

import test from 'brittle'
import { present } from '../../lib/assert.ts'
import type { Configuration } from '../../lib/raft/configuration.ts'
import { votersOf } from '../../lib/raft/configuration.ts'
import type { Entry, EntryId } from '../../lib/raft/entry.ts'
import { Cluster } from './cluster.ts'
import { configurationEntry, configurationOf, Disk, entriesAfter, GENESIS } from './fixtures.ts'

const first = configurationEntry(GENESIS, configurationOf([1, 2, 3]))
/** 1: voters 1, 2, 3; 4: voters 1, 2, 3 and learner 4; 7 (uncommitted): voters 1, 2, 3 and learners 4, 5 */
const second = after([first, ...entriesAfter(first, [1, 1])], configurationOf([1, 2, 3], [4]))
const third = after(
  [...second, ...entriesAfter(lastOf(second), [1, 1])],
  configurationOf([1, 2, 3], [4, 5])
)

function after(entries: readonly Entry[], configuration: Configuration): readonly Entry[] {
  return [...entries, configurationEntry(lastOf(entries), configuration)]
}

function lastOf(entries: readonly Entry[]): EntryId {
  return present(entries.at(-1), 'an entry')
}

function started(disk: Disk, commitIndex: number): Cluster {
  const cluster = new Cluster()
  const node = cluster.add(1, disk.stored, 1)
  Object.assign(node.disk, {
    base: disk.base,
    baseConfiguration: disk.baseConfiguration,
    baseTimeMs: disk.baseTimeMs,
    hardState: { term: 1, votedFor: null, commitIndex }
  })
  cluster.crash(1)
  cluster.restart(1)
  return cluster
}

function inUse(cluster: Cluster): readonly number[] {
  const { configuration, configurationIndex } = cluster.raft(1).status()
  return [configurationIndex, votersOf(configuration).length, configuration.members.length]
}

/** A leader of term 2 whose log is other than ours from `previous` on. */
function overwrite(cluster: Cluster, previous: EntryId): void {
  const { index: previousIndex, term: previousTerm, hash: previousHash } = previous
  const entries = entriesAfter(previous, [2])
  const place = { previousIndex, previousTerm, previousHash, entries, commitIndex: 0 }
  cluster.message(1, 2, { kind: 'append', term: 2, session: 1, ...place })
}

test('B20: truncated down to the base, a log falls back to the configuration at the base', (t) => {
  const disk = new Disk(third)
  disk.compact(5)
  const cluster = started(disk, 5)
  t.alike(inUse(cluster), [7, 3, 5])
  overwrite(cluster, disk.base)
  t.alike(inUse(cluster), [4, 3, 4], 'not the one before it, and not none')
  cluster.crash(1)
  cluster.restart(1)
  t.alike(inUse(cluster), [4, 3, 4])
})

test('B20: a configuration that is compacted away stays in use, after a start too', (t) => {
  const disk = new Disk([...second, ...entriesAfter(lastOf(second), [1, 1, 1])])
  const cluster = started(disk, 6)
  cluster.node(1).disk.compact(6)
  t.alike(inUse(cluster), [4, 3, 4])
  cluster.crash(1)
  cluster.restart(1)
  t.alike(inUse(cluster), [4, 3, 4])
})

test('B21: an install without a tail leaves the configuration of the snapshot, and no other', (t) => {
  // ours has a fifth member at 4 that never was committed
  const own = after([first, ...entriesAfter(first, [1, 1])], configurationOf([1, 2, 3], [5]))
  const cluster = started(new Disk(own), 1)
  t.alike(inUse(cluster), [4, 3, 4])
  const snapshot = new Disk([...second, ...entriesAfter(lastOf(second), [1, 1])]).snapshotAt(6)
  t.is(cluster.step(1, { kind: 'install', snapshot }).installed, 'adopted')
  const { configuration } = cluster.raft(1).status()
  t.alike(configuration, configurationOf([1, 2, 3], [4]))
  overwrite(cluster, snapshot.id)
  t.alike(cluster.raft(1).status().configuration, configurationOf([1, 2, 3], [4]))
})

test('B21: an install with a tail leaves the last configuration of the tail', (t) => {
  const cluster = started(new Disk(third), 1)
  const snapshot = new Disk(third).snapshotAt(5)
  const { write } = cluster.step(1, { kind: 'install', snapshot })
  t.is(write?.install?.keepsTail, true)
  t.alike(inUse(cluster), [7, 3, 5])
  overwrite(cluster, snapshot.id)
  t.alike(inUse(cluster), [4, 3, 4], 'truncated, it is the one of the snapshot')
})

test('B21: whoever the snapshot leaves without a vote does not campaign', (t) => {
  const own = [configurationEntry(GENESIS, configurationOf([1, 2, 3]))]
  const cluster = started(new Disk(own), 1)
  const base = configurationEntry(GENESIS, configurationOf([2, 3], [1]))
  const snapshot = new Disk([base, ...entriesAfter(base, [1, 1])]).snapshotAt(3)
  cluster.step(1, { kind: 'install', snapshot })
  cluster.nowMs += 60_000
  cluster.tick(1)
  t.is(cluster.raft(1).status().role, 'follower')
  t.alike(cluster.network, [])
})
