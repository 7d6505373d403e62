// What a leader proposes so that log and history end somewhere.

import test from 'brittle'
import { StorageDuties } from '../../lib/cluster/storage-duties.ts'
import { STORAGE_POLICY } from '../../lib/cluster/storage-policy.ts'
import type { StoragePolicy } from '../../lib/cluster/storage-policy.ts'
import type { Role } from '../../lib/raft/effects.ts'
import type { Entry } from '../../lib/raft/entry.ts'
import { ENTRY_KIND } from '../../lib/raft/entry.ts'
import { VirtualTime } from '../../lib/testing/virtual-time.ts'
import { configurationOf, statusOf } from './fixtures.ts'

const POLICY = {
  ...STORAGE_POLICY,
  snapshotEntries: 10,
  keepRevisions: 20,
  keepRevisionsMs: 60_000
}

function open(snapshotIndex = 0, policy: StoragePolicy = POLICY) {
  const time = new VirtualTime()
  const world = {
    role: 'leader' as Role,
    term: 4,
    isSupported: true,
    index: snapshotIndex,
    timeMs: 0,
    compactedRevision: 0,
    /** open proposals, oldest first */
    asked: [] as { readonly what: string; readonly end: (isDone: boolean) => void }[]
  }
  const duties = new StorageDuties({
    clock: time,
    policy,
    status: () => statusOf(configurationOf({ 1: 'voter' }), { role: world.role, term: 4 }),
    applied: () => world,
    newestSnapshot: () => (snapshotIndex === 0 ? null : { index: snapshotIndex, byteCount: 1 }),
    isSupported: () => world.isSupported,
    proposeSnapshot: (end) => world.asked.push({ what: 'snapshot', end }),
    proposeCompaction: (revision, end) => world.asked.push({ what: `compact ${revision}`, end })
  })
  const apply = (count: number, kind: number = ENTRY_KIND.write, byteCount = 8): void => {
    const entries: Entry[] = []
    for (let n = 0; n < count; n++) {
      world.index++
      world.timeMs += 1_000
      const { index, timeMs } = world
      const payload = new Uint8Array(byteCount)
      entries.push({ index, term: 4, kind, timeMs, payload, hash: new Uint8Array(32) })
    }
    duties.onApplied(entries)
  }
  const asked = (): readonly string[] => world.asked.map(({ what }) => what)
  return { time, world, duties, apply, asked }
}

test('the leader proposes a snapshot when one is due, once', (t) => {
  const { apply, asked, world } = open()
  apply(9)
  t.alike(asked(), [])
  apply(1)
  t.alike(asked(), ['snapshot'])
  apply(3)
  t.alike(asked(), ['snapshot'], 'the first is not settled')
  world.asked[0]?.end(true)
  apply(1, ENTRY_KIND.snapshot, 0)
  apply(9)
  t.alike(asked(), ['snapshot'])
  apply(1)
  t.alike(asked(), ['snapshot', 'snapshot'])
})

test('the age is counted from the first entry of a new cluster, not from the beginning of time', (t) => {
  const { world, apply, asked } = open()
  world.timeMs = 1.7e12
  apply(3)
  t.alike(asked(), [])
})

test('entries beyond the newest snapshot of an earlier run count', (t) => {
  const { apply, asked } = open(100)
  apply(9)
  t.alike(asked(), [])
  apply(1)
  t.alike(asked(), ['snapshot'])
})

test('a follower proposes nothing, and knows how much there is when it leads', (t) => {
  const { world, apply, asked, duties } = open()
  world.role = 'follower'
  apply(30)
  t.alike(asked(), [])
  world.role = 'leader'
  world.term = 3
  duties.look()
  t.alike(asked(), [], 'its term has not begun: nothing of it is applied')
  world.term = 4
  duties.look()
  t.alike(asked(), ['snapshot'])
})

test('nothing is proposed that a member would not know', (t) => {
  const { world, apply, asked, duties } = open()
  world.isSupported = false
  apply(100)
  t.alike(asked(), [])
  world.isSupported = true
  duties.look()
  t.alike(asked(), ['snapshot'])
})

test('history is compacted by count and age, after the snapshot that is due', (t) => {
  const { world, apply, asked } = open()
  apply(100)
  t.alike(asked(), ['snapshot'])
  world.asked[0]?.end(true)
  apply(1, ENTRY_KIND.snapshot, 0)
  t.is(asked().length, 2)
  t.is(asked()[1], 'compact 41', 'the entry of a minute ago')
  world.compactedRevision = 41
  world.asked[1]?.end(true)
  apply(1)
  t.is(asked().length, 2, 'a tenth of what is kept more is needed')
})

test('what is refused is asked again after a second, not at once', async (t) => {
  const { time, world, apply, asked, duties } = open()
  apply(10)
  world.asked[0]?.end(false)
  apply(1)
  duties.look()
  t.is(asked().length, 1)
  await time.run(1_000)
  duties.look()
  t.is(asked().length, 2)
})

test('a snapshot that somebody needs is due at once, if anything is new', (t) => {
  const { duties, apply, asked, world } = open()
  duties.want()
  t.alike(asked(), [], 'there is nothing to snapshot')
  apply(1)
  t.alike(asked(), ['snapshot'])
  world.asked[0]?.end(true)
  apply(1, ENTRY_KIND.snapshot, 0)
  apply(1)
  t.is(asked().length, 1, 'the wish is fulfilled')
})

test('while a snapshot may be in the making, nobody who waits for it causes another', async (t) => {
  const { duties, apply, asked, world, time } = open(0, STORAGE_POLICY)
  apply(1)
  duties.want()
  world.asked[0]?.end(true)
  apply(1, ENTRY_KIND.snapshot, 0)
  for (let second = 0; second < 60; second++) {
    apply(1)
    duties.want()
    await time.run(1_000)
  }
  t.alike(asked(), ['snapshot'])
  duties.want()
  t.alike(asked(), ['snapshot', 'snapshot'], 'then it may be lost')
})

test('an installed snapshot begins the count anew', (t) => {
  const { duties, apply, asked } = open()
  apply(9)
  duties.onInstalled()
  apply(9)
  t.alike(asked(), [])
  apply(1)
  t.alike(asked(), ['snapshot'])
})

test('the age of a new log is counted from its first entry, not from 1970', (t) => {
  const { apply, asked, world } = open()
  world.timeMs = Date.UTC(2026, 0, 1)
  apply(3)
  t.alike(asked(), [])
})

test('whether a snapshot is supported is asked only when one is due: to ask may raise the level', (t) => {
  const { apply, asked, world } = open()
  let askCount = 0
  Object.defineProperty(world, 'isSupported', { get: () => ++askCount > 1 })
  apply(9)
  t.is(askCount, 0)
  apply(1)
  t.is(askCount, 1)
  t.alike(asked(), [])
  apply(1)
  t.alike(asked(), ['snapshot'])
})

test('compactions do not feed themselves, however little is kept', (t) => {
  const { world, apply, asked } = open(0, {
    ...STORAGE_POLICY,
    keepRevisions: 0,
    keepRevisionsMs: 0
  })
  apply(5)
  t.is(asked().length, 1)
  for (let round = 0; round < 10; round++) {
    const last = world.asked.at(-1)
    world.compactedRevision = Math.max(world.compactedRevision, world.index)
    last?.end(true)
    apply(1, ENTRY_KIND.control)
  }
  t.is(asked().length, 1)
  apply(1)
  t.is(asked().length, 2)
})
