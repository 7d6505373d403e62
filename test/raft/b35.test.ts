// B35: a snapshot replaces the log up to its index. An own log that agrees with it keeps its tail, any other
// goes, and all of it is one write.

import test from 'brittle'
import type { Assert } from 'brittle'
import { present } from '../../lib/assert.ts'
import type { InstalledSnapshot, Role } from '../../lib/raft/effects.ts'
import type { Entry } from '../../lib/raft/entry.ts'
import { ENTRY_KIND } from '../../lib/raft/entry.ts'
import { Cluster } from './cluster.ts'
import {
  configurationEntry,
  configurationOf,
  Disk,
  entriesAfter,
  GENESIS,
  nothing,
  timing
} from './fixtures.ts'

const first = configurationEntry(GENESIS, configurationOf([1, 2, 3]))
/** what the cluster committed: nine entries */
const committed = [first, ...entriesAfter(first, [1, 1, 1, 2, 2, 2, 2, 2])]

function snapshotAt(index: number): InstalledSnapshot {
  return new Disk(committed).snapshotAt(index)
}

/** A node whose log is `entries`, of which it knows `commitIndex` to be committed. */
function holding(entries: readonly Entry[], commitIndex = 1): Cluster {
  const cluster = new Cluster()
  const { disk } = cluster.add(1, entries, 2)
  disk.hardState = { term: 2, votedFor: null, commitIndex }
  cluster.crash(1)
  cluster.restart(1)
  cluster.isDiskFast = false
  return cluster
}

test('B35: without the entry the whole log goes, and the snapshot is its beginning and its end', (t) => {
  const cluster = holding(committed.slice(0, 4))
  const before = cluster.tick(1)
  const snapshot = snapshotAt(6)
  const effects = cluster.step(1, { kind: 'install', snapshot })
  t.alike(effects, {
    ...nothing(6, before.deadlineMs),
    installed: 'adopted',
    write: {
      token: 1,
      hardState: { term: 2, votedFor: null, commitIndex: 6 },
      install: { ...snapshot, keepsTail: false },
      truncateFrom: null,
      entries: []
    }
  })
  const status = cluster.raft(1).status()
  t.alike([status.lastIndex, status.lastTerm, status.durableIndex], [6, 2, 1])
  t.alike([cluster.raft(1).idAt(6), cluster.raft(1).idAt(5)], [snapshot.id, 'compacted'])
  cluster.completeWrites(1)
  t.is(cluster.raft(1).status().durableIndex, 6)
  t.alike([cluster.node(1).disk.base, cluster.node(1).disk.stored], [snapshot.id, []])
})

test('B35: a log that agrees at the index keeps what follows', (t) => {
  const cluster = holding(committed)
  const effects = cluster.step(1, { kind: 'install', snapshot: snapshotAt(6) })
  t.is(effects.write?.install?.keepsTail, true)
  t.is(effects.installed, 'adopted')
  const { raft, disk } = cluster.node(1)
  t.alike([raft.status().lastIndex, raft.status().durableIndex, raft.commitIndex], [9, 9, 6])
  cluster.completeWrites(1)
  t.alike(disk.stored, committed.slice(6))
})

test('B35: a tail of another history goes with the entry that it follows', (t) => {
  const other = [
    ...committed.slice(0, 4),
    ...entriesAfter(present(committed[3], 'an entry'), [1, 1, 1, 1, 1])
  ]
  const cluster = holding(other)
  const { write, diverged } = cluster.step(1, { kind: 'install', snapshot: snapshotAt(6) })
  t.alike([write?.install?.keepsTail, diverged], [false, null])
  cluster.completeWrites(1)
  t.is(cluster.raft(1).status().lastIndex, 6)
  t.is(cluster.raft(1).idAt(7), 'missing')
})

test('B35: one index and term with two contents is a divergence, and nothing is adopted', (t) => {
  const forged = [
    ...committed.slice(0, 4),
    ...entriesAfter(present(committed[3], 'an entry'), [2, 2], 'x')
  ]
  const cluster = holding(forged)
  const effects = cluster.step(1, { kind: 'install', snapshot: snapshotAt(6) })
  t.alike(effects.diverged, { leader: null, index: 6 })
  t.alike([effects.installed, effects.write, effects.commitIndex], [null, null, 1])
  const heartbeat = { kind: 'heartbeat', term: 2, boot: 1, round: 1, commitIndex: 0 } as const
  const followed = holding(forged)
  followed.message(1, 3, heartbeat)
  const named = followed.step(1, { kind: 'install', snapshot: snapshotAt(6) })
  t.alike(named.diverged, { leader: 3, index: 6 })
})

test('B35: what a crash leaves of an install is all of it or nothing', (t) => {
  for (const kept of [0, 1]) {
    const cluster = holding(committed.slice(0, 4))
    cluster.step(1, { kind: 'install', snapshot: snapshotAt(6) })
    cluster.crash(1, kept)
    cluster.restart(1)
    const { commitIndex, lastIndex } = cluster.raft(1).status()
    t.alike([commitIndex, lastIndex], kept === 0 ? [1, 4] : [6, 6])
  }
})

test('B35: the leader goes on after the snapshot, from whatever base it has itself', (t) => {
  for (const leaderBase of [null, 3, 6]) {
    const cluster = new Cluster()
    for (const id of [1, 2]) cluster.add(id, committed)
    cluster.add(3)
    if (leaderBase !== null) {
      cluster.node(1).disk.compact(leaderBase)
      cluster.crash(1)
      cluster.restart(1)
    }
    cluster.isLost = ({ to, from }) => to === 3 || from === 3
    cluster.elect(1)
    cluster.isLost = () => false
    cluster.message(3, 1, { kind: 'heartbeat', term: 3, boot: 1, round: 1, commitIndex: 0 })
    cluster.step(3, { kind: 'install', snapshot: snapshotAt(6) })
    cluster.linkUp(3)
    cluster.run(timing.electionMinMs)
    t.is(cluster.raft(3).commitIndex, 10, `base ${leaderBase}`)
    t.is(cluster.raft(1).status().progress.get(3)?.state, 'replicate')
  }
})

test('B35: no vote that was asked for with the old log makes a leader with the new one', (t) => {
  const cluster = holding([
    ...committed.slice(0, 4),
    ...entriesAfter(present(committed[3], 'an entry'), [1, 1, 1, 1, 1])
  ])
  becomes(t, cluster, 'candidate')
  t.is(cluster.step(1, { kind: 'install', snapshot: snapshotAt(6) }).installed, 'adopted')
  cluster.completeWrites(1)
  const { term, role } = cluster.raft(1).status()
  t.is(role, 'follower')
  cluster.message(1, 2, { kind: 'voteAnswer', term, isGranted: true })
  t.is(cluster.raft(1).status().role, 'follower')
})

test('B35: every role takes a snapshot as the table says', (t) => {
  const table: Readonly<Record<Role, string>> = {
    follower: 'adopted, follower',
    preCandidate: 'adopted, follower',
    candidate: 'adopted, follower',
    leader: 'obsolete, leader'
  }
  for (const [role, expected] of Object.entries(table)) {
    const cluster = holding(committed.slice(0, 4))
    becomes(t, cluster, role)
    const { installed } = cluster.step(1, { kind: 'install', snapshot: snapshotAt(6) })
    t.is(`${installed}, ${cluster.raft(1).status().role}`, expected)
  }
})

test('B35: stamps go on from the one of the snapshot', (t) => {
  const cluster = holding(committed.slice(0, 4))
  cluster.step(1, { kind: 'install', snapshot: { ...snapshotAt(6), timeMs: 1_900_000_000_000 } })
  cluster.completeWrites(1)
  const kind = ENTRY_KIND.write
  for (const isRestarted of [false, true]) {
    if (isRestarted) {
      cluster.crash(1)
      cluster.restart(1)
      cluster.isDiskFast = true
    }
    cluster.lead(1, [2])
    const payload = new Uint8Array(0)
    const { write } = cluster.step(1, { kind: 'propose', ref: 1, entries: [{ kind, payload }] })
    t.is(
      write?.entries.at(-1)?.timeMs,
      1_900_000_000_000,
      isRestarted ? 'after a start' : 'at once'
    )
  }
})

function becomes(t: Assert, cluster: Cluster, role: string): void {
  cluster.tick(1)
  if (role === 'leader') cluster.lead(1, [2])
  if (role === 'preCandidate' || role === 'candidate') {
    cluster.nowMs += timing.electionMaxMs
    cluster.tick(1)
  }
  if (role === 'candidate') {
    const granted = { kind: 'preVoteAnswer', term: 3, isGranted: true, ownTerm: 2 } as const
    cluster.message(1, 2, granted)
  }
  t.is(cluster.raft(1).status().role, role)
}
