// B36: a snapshot that is older than what is here is not installed. The commit index never falls.

import test from 'brittle'
import { Cluster } from './cluster.ts'
import {
  configurationEntry,
  configurationOf,
  Disk,
  entriesAfter,
  GENESIS,
  nothing
} from './fixtures.ts'

const first = configurationEntry(GENESIS, configurationOf([1, 2, 3]))
const committed = [first, ...entriesAfter(first, [1, 1, 1, 1, 1, 1, 1, 1])]

function node(commitIndex: number): Cluster {
  const cluster = new Cluster()
  const { disk } = cluster.add(1, committed, 1)
  disk.hardState = { term: 1, votedFor: null, commitIndex }
  cluster.crash(1)
  cluster.restart(1)
  return cluster
}

test('B36: what is committed here already is obsolete: nothing happens', (t) => {
  const cluster = node(6)
  const { deadlineMs } = cluster.tick(1)
  for (const index of [1, 5, 6]) {
    const snapshot = new Disk(committed).snapshotAt(index)
    const effects = cluster.step(1, { kind: 'install', snapshot })
    t.alike(effects, { ...nothing(6, deadlineMs), installed: 'obsolete' })
  }
})

test('B36: of two snapshots that come in the wrong order, the older one is obsolete', (t) => {
  const cluster = node(1)
  cluster.isDiskFast = false
  const [newer, older] = [8, 4].map((index) => new Disk(committed).snapshotAt(index))
  if (newer === undefined || older === undefined) return t.fail('snapshots')
  t.is(cluster.step(1, { kind: 'install', snapshot: newer }).installed, 'adopted')
  t.is(cluster.step(1, { kind: 'install', snapshot: older }).installed, 'obsolete')
  t.is(cluster.step(1, { kind: 'install', snapshot: newer }).installed, 'obsolete')
  cluster.completeWrites(1)
  t.alike([cluster.raft(1).commitIndex, cluster.node(1).disk.base.index], [8, 8])
})

test('B36: a second one follows the first, durable or not', (t) => {
  for (const isDurable of [false, true]) {
    const cluster = node(1)
    cluster.isDiskFast = isDurable
    for (const index of [4, 8]) {
      const snapshot = new Disk(committed).snapshotAt(index)
      t.is(cluster.step(1, { kind: 'install', snapshot }).installed, 'adopted')
    }
    cluster.completeWrites(1)
    const { base, stored } = cluster.node(1).disk
    t.alike([base.index, stored.length], [8, 1])
  }
})

test('B36: a snapshot of a term that was never heard of is not believed', (t) => {
  const cluster = node(1)
  const snapshot = new Disk(committed).snapshotAt(8)
  const later = { ...snapshot, id: { ...snapshot.id, term: 2 } }
  t.is(cluster.step(1, { kind: 'install', snapshot: later }).installed, 'obsolete')
})
