// What only the log store in memory can do: lose power, fail and rot when it is told to.

import fc from 'fast-check'
import test from 'brittle'
import { AssertionError, present } from '../../lib/assert.ts'
import { AspenError, StorageError } from '../../lib/errors.ts'
import { MemoryLogDisk } from '../../lib/log-store/memory-log-disk.ts'
import { MemoryLogStore } from '../../lib/log-store/memory-log-store.ts'
import type { LogPlace } from '../../lib/log-store/memory-log-disk.ts'
import type { LogWrite } from '../../lib/log-store/log-tail.ts'
import { SeededRandom } from '../../lib/random.ts'
import { EMPTY_CONFIGURATION } from '../../lib/raft/configuration.ts'
import { durably, entriesAfter, GENESIS, nameOf, NOTHING, plain } from './log-samples.ts'

test('a crash loses exactly what was not durable, and calls nothing any more', async (t) => {
  const { disk, deferred, store } = prepare()
  const entries = entriesAfter(GENESIS, { count: 4 })
  const durable: number[] = []
  for (const entry of entries) {
    store.write({ ...NOTHING, entries: [entry] }, () => durable.push(entry.index))
  }
  store.write({ ...NOTHING, truncateFrom: 2 }, () => t.fail('not durable'))
  deferred[0]?.()
  deferred[1]?.()
  t.alike(durable, [1, 2])
  store.crash()
  for (const fn of deferred.slice(2)) fn()
  t.alike(durable, [1, 2])
  await t.exception.all(() => store.write(NOTHING, () => {}), AssertionError)
  const again = prepare(disk)
  t.is(again.store.boot, 2)
  t.is(store.boot, 1)
  t.alike(again.store.entries(1, 9, 1e9).map(plain), entries.slice(0, 2).map(plain))
})

test('a failure is told once, and then nothing more is called', (t) => {
  const { deferred, store, failures } = prepare()
  const [entry] = entriesAfter(GENESIS, { count: 1 })
  store.write({ ...NOTHING, entries: entry === undefined ? [] : [entry] }, () => t.fail('durable'))
  store.fail(new StorageError({ code: 'NO_SPACE', message: 'full' }))
  store.write(NOTHING, () => t.fail('durable'))
  for (const fn of deferred) fn()
  t.alike(
    failures.map((failure) => failure.code),
    ['NO_SPACE']
  )
  t.is(store.last.index, 0)
  t.absent(store.entries(1, 2, 1e9).length)
})

/** Three entries that are durable, and four writes in progress: two truncate, the last has no entry. */
function inProgress() {
  const { disk, deferred, store } = prepare()
  const old = entriesAfter(GENESIS, { count: 5 })
  const fresh = entriesAfter(present(old[2], 'an entry'), { count: 2, term: 2 })
  const vote = { term: 3, votedFor: 1, commitIndex: 0 }
  const writes: Partial<LogWrite>[] = [
    { entries: old.slice(0, 3), hardState: { term: 1, votedFor: null, commitIndex: 0 } },
    { entries: old.slice(3) },
    { truncateFrom: 4, entries: fresh, hardState: { term: 2, votedFor: 2, commitIndex: 0 } },
    { truncateFrom: 5 },
    { hardState: vote }
  ]
  for (const write of writes) store.write({ ...NOTHING, ...write }, () => {})
  deferred[0]?.()
  const logs = [
    old.slice(0, 3),
    old,
    [...old.slice(0, 3), ...fresh],
    [...old.slice(0, 3), ...fresh.slice(0, 1)]
  ]
  const found = logs.map((entries, kept) => ({ entries, term: kept < 2 ? 1 : 2 }))
  return { disk, store, found: [...found, { entries: logs[3] ?? [], term: 3 }] }
}

test('of the writes in progress a crash keeps as many as it is told, each whole, none told', (t) => {
  for (const isTorn of [false, true]) {
    for (let kept = 0; kept <= 5; kept++) {
      const { disk, store, found } = inProgress()
      store.crash({ kept, isTorn })
      store.crash({ kept: 0 })
      const expected = present(found[Math.min(kept, 4)], 'what is found')
      for (let count = 0; count < 2; count++) {
        const again = prepare(disk)
        t.alike(again.store.entries(1, 9, 1e9).map(plain), expected.entries.map(plain))
        t.is(again.restored.hardState?.term, expected.term)
      }
    }
  }
})

/** Eight durable entries, and in progress: a compaction to 3, a snapshot at 6, one entry after it. */
function rebasing(keepsTail: boolean) {
  const { disk, deferred, store } = prepare()
  const old = entriesAfter(GENESIS, { count: 8 })
  store.write({ ...NOTHING, entries: old }, () => {})
  deferred[0]?.()
  const sixth = present(
    keepsTail ? old[5] : entriesAfter(present(old[4], 'an entry'), { count: 1, term: 2 })[0],
    'one'
  )
  const id = nameOf(sixth)
  const fresh = entriesAfter(keepsTail ? present(old[7], 'an entry') : id, { count: 1, term: 2 })
  store.compact(3, () => {})
  const snapshot = { id, timeMs: 5, configuration: EMPTY_CONFIGURATION, configurationIndex: 2 }
  store.write({ ...NOTHING, install: { ...snapshot, keepsTail } }, () => {})
  store.write({ ...NOTHING, entries: fresh }, () => {})
  const kept = keepsTail ? old.slice(6) : []
  const found = [
    { base: 0, stateBase: 0, entries: old },
    { base: 3, stateBase: 0, entries: old.slice(3) },
    { base: 6, stateBase: 6, entries: kept },
    { base: 6, stateBase: 6, entries: [...kept, ...fresh] }
  ]
  return { disk, store, found }
}

test('of compactions and snapshots in progress a crash keeps each whole or not at all', (t) => {
  for (const keepsTail of [false, true]) {
    for (const isTorn of [false, true]) {
      for (let kept = 0; kept <= 3; kept++) {
        const { disk, store, found } = rebasing(keepsTail)
        store.crash({ kept, isTorn })
        const expected = present(found[kept], 'what is found')
        const again = prepare(disk).store
        t.alike([again.base.index, again.stateBase], [expected.base, expected.stateBase])
        const entries = again.entries(expected.base + 1, 20, 1e9)
        t.alike(entries.map(plain), expected.entries.map(plain))
        t.is(prepare(disk).restored.configurations.length, kept < 2 ? 0 : 1)
      }
    }
  }
})

test('a disk shows what the next open would find, and a copy of it goes its own way', (t) => {
  const { disk, store, found } = inProgress()
  t.is(disk.lastIndex, 3)
  store.crash({ kept: 2, isTorn: true })
  const { entries, term } = present(found[2], 'what is found')
  t.alike(disk.entries.map(plain), entries.map(plain))
  t.is(disk.hardState?.term, term)
  t.is(disk.lastIndex, 5)
  t.alike(disk.idAt(5)?.hash, entries[4]?.hash)
  t.alike([disk.idAt(0), disk.idAt(6)], [GENESIS, null])
  const copy = disk.copy()
  copy.flip(new SeededRandom(1), { kind: 'entry', index: 2 })
  const again = copy.copy()
  for (const one of [copy, again]) t.is(openFailure(one)?.code, 'CORRUPTED')
  const other = prepare(disk)
  other.store.write({ ...NOTHING, truncateFrom: 1 }, () => {})
  other.deferred[0]?.()
  t.alike([disk.lastIndex, copy.lastIndex, again.lastIndex], [0, 5, 5])
  const empty = new MemoryLogDisk().copy()
  t.alike([empty.entries, empty.hardState, empty.lastIndex, empty.idAt(0)], [[], null, 0, null])
})

test('after what a crash kept the log goes on', async (t) => {
  const { disk, store, found } = inProgress()
  store.crash({ kept: 2, isTorn: true })
  const again = prepare(disk)
  const last = present(found[2]?.entries.at(-1), 'the last entry')
  t.alike(again.store.last, again.store.idAt(5))
  const more = entriesAfter(last, { count: 2, term: 4 })
  const written = durably(again.store, { entries: more })
  again.deferred[0]?.()
  await written
  again.store.crash()
  t.is(prepare(disk).store.last.index, 7)
})

test('of the writes that a failed disk did not acknowledge, too, a crash may keep some', (t) => {
  const { disk, store, found } = inProgress()
  t.is(store.pendingCount, 4)
  store.fail(new StorageError({ code: 'IO_ERROR', message: 'no' }))
  t.is(store.pendingCount, 4)
  store.crash({ kept: 1 })
  const again = prepare(disk)
  t.alike(again.store.entries(1, 9, 1e9).map(plain), found[1]?.entries.map(plain))
})

test('whichever bit is flipped, the next open names the entry or heals the state', (t) => {
  const seed = Number(process.env['SEED'] ?? Date.now() % 1_000_000)
  t.comment(`SEED=${seed}`)
  const hit = { entry: 0, state: 0, baseConfiguration: 0 }
  fc.assert(
    fc.property(fc.integer(), fc.nat(4), (drawn, count) => {
      const { disk, store, deferred } = prepare()
      const entries = entriesAfter(GENESIS, { count, payloadBytes: 30 })
      store.write({ ...NOTHING, entries }, () => {})
      deferred[0]?.()
      store.crash()
      const place = present(disk.flip(new SeededRandom(drawn)), 'a place')
      hit[place.kind]++
      const error = openFailure(disk)
      if (place.kind !== 'entry') return error === null
      return error?.code === 'CORRUPTED' && error.detail.fields?.['index'] === place.index
    }),
    { seed, numRuns: 400 }
  )
  t.ok(hit.entry > 50 && hit.state > 50, `${hit.entry} entries, ${hit.state} states`)
})

test('entries that were put on a disk without their chain are refused', (t) => {
  const entries = entriesAfter(GENESIS, { count: 3 })
  const second = present(entries[1], 'an entry')
  for (const wrong of [
    { ...second, timeMs: 5 },
    { ...second, hash: GENESIS.hash }
  ]) {
    const disk = new MemoryLogDisk()
    const base = { id: GENESIS, timeMs: 0, stateBase: 0, configuration: null }
    const log = { storageEpoch: new Uint8Array(16), boot: 0, hardState: null }
    const content = { ...log, base, genesisHash: GENESIS.hash, entries: [...entries] }
    disk.content = content
    t.is(openFailure(disk), null)
    content.entries[1] = wrong
    t.alike(openFailure(disk)?.detail.fields, { index: 2 })
  }
})

test('an empty disk has nothing to damage', (t) => {
  const disk = new MemoryLogDisk()
  t.is(disk.flip(new SeededRandom(1)), null)
  t.is(prepare(disk).store.boot, 1)
  const place: LogPlace = { kind: 'state', copy: 1 }
  t.alike(disk.flip(new SeededRandom(1), place), place)
  t.is(prepare(disk).store.boot, 2)
})

function openFailure(disk: MemoryLogDisk): AspenError | null {
  try {
    prepare(disk)
    return null
  } catch (error) {
    if (error instanceof AspenError) return error
    throw error
  }
}

function prepare(disk = new MemoryLogDisk()) {
  const deferred: (() => void)[] = []
  const failures: AspenError[] = []
  const { store, restored } = MemoryLogStore.open({
    disk,
    genesis: GENESIS,
    random: new SeededRandom(1),
    onFailed: (error) => failures.push(error),
    defer: (fn) => deferred.push(fn)
  })
  return { disk, deferred, failures, store, restored }
}
