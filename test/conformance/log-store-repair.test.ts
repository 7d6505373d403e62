// A damaged log is reported entry by entry, and put together again with the very entries that were written,
// or not at all. Run over both stores.

import { join } from 'node:path'
import test from 'brittle'
import type { Assert } from 'brittle'
import { present } from '../../lib/assert.ts'
import { hexOf } from '../../lib/encoding.ts'
import type { AspenError } from '../../lib/errors.ts'
import { encodeEntry, indexKey } from '../../lib/log-store/encoding.ts'
import { LmdbDamagedLog } from '../../lib/log-store/lmdb-damaged-log.ts'
import { LmdbLogStore } from '../../lib/log-store/lmdb-log-store.ts'
import type { DamagedLog } from '../../lib/log-store/log-damage.ts'
import type { LogStore, OpenedLog } from '../../lib/log-store/log-store.ts'
import { MemoryDamagedLog } from '../log-store/memory-damaged-log.ts'
import { MemoryLogDisk } from '../../lib/log-store/memory-log-disk.ts'
import { MemoryLogStore } from '../../lib/log-store/memory-log-store.ts'
import { scrubSlice } from '../../lib/log-store/scrub.ts'
import type { Configuration } from '../../lib/raft/configuration.ts'
import type { InstalledSnapshot } from '../../lib/raft/effects.ts'
import type { EntryId } from '../../lib/raft/entry.ts'
import { SeededRandom } from '../../lib/random.ts'
import { damageEntry, editEntries, editState, flipLastByte } from '../log-store/lmdb-damage.ts'
import { durably, entriesAfter, failureOf, GENESIS, plain } from '../log-store/log-samples.ts'

interface Damageable {
  readonly open: () => Promise<OpenedLog<LogStore>>
  readonly openDamaged: () => Promise<DamagedLog>
  /** flips a bit in the record of an entry of a closed log */
  readonly flip: (index: number) => Promise<void>
}

const COUNT = 40
const ALL = 1e9
const WRITTEN = entriesAfter(GENESIS, { count: COUNT })
const HARD_STATE = { term: 9, votedFor: 3, commitIndex: 2 }
const genesis = GENESIS
const CONFIGURATION: Configuration = {
  members: [{ id: 1, publicKey: new Uint8Array(32).fill(1), role: 'voter', addresses: [] }],
  outgoing: []
}

const implementations: Record<string, (t: Assert) => Promise<Damageable>> = {
  memory: async () => {
    const disk = new MemoryLogDisk()
    const random = new SeededRandom(1)
    return {
      open: async () =>
        MemoryLogStore.open({ disk, genesis, random, onFailed: rethrow, defer: setImmediate }),
      openDamaged: async () => new MemoryDamagedLog({ disk, genesis, defer: setImmediate }),
      flip: async (index) => void disk.flip(random, { kind: 'entry', index })
    }
  },
  lmdb: async (t) => {
    const directory = join(await t.tmp(), 'log')
    const random = new SeededRandom(1)
    return {
      open: () => LmdbLogStore.open({ directory, genesis, random, onFailed: rethrow }),
      openDamaged: () => LmdbDamagedLog.open({ directory, genesis, onFailed: rethrow }),
      flip: (index) => damageEntry(directory, index)
    }
  }
}

for (const [name, make] of Object.entries(implementations)) {
  const check = (what: string, run: (t: Assert, log: Damageable) => Promise<void>): void => {
    test(`${name}: ${what}`, async (t) => {
      const log = await make(t)
      const { store } = await log.open()
      await durably(store, { entries: WRITTEN, hardState: HARD_STATE })
      await store.close()
      await run(t, log)
    })
  }

  check('a whole log has nothing to repair', async (t, log) => {
    const damaged = await log.openDamaged()
    t.alike(damaged.damaged, [])
    t.alike([damaged.last.index, damaged.base, damaged.hardState], [COUNT, GENESIS, HARD_STATE])
    await damaged.close()
  })

  check('two runs of damage, one at the end, are repaired from the top down', async (t, log) => {
    const indexes = [5, 20, 21, 22, 39, 40]
    for (const index of indexes) await log.flip(index)
    t.is((await failureOf(log.open())).detail.fields?.['index'], 5)
    const damaged = await log.openDamaged()
    t.alike(
      damaged.damaged.map(({ index, hash }) => [index, hash && hexOf(hash)]),
      indexes.map((index) => [index, [20, 21, 39].includes(index) ? null : hashOf(index)])
    )
    await repairAll(damaged)
    t.alike(damaged.damaged, [])
    await damaged.close()
    await isWhole(t, log)
  })

  check('only the very entry is taken', async (t, log) => {
    await log.flip(20)
    const damaged = await log.openDamaged()
    const [before, entry] = WRITTEN.slice(18, 20)
    if (before === undefined || entry === undefined) return t.fail('entries')
    const fail = (): void => t.fail('nothing was put')
    const [other] = entriesAfter(before, { count: 1, term: 4 })
    t.absent(damaged.repair(present(other, 'an entry'), before.hash, fail))
    t.absent(damaged.repair({ ...entry, timeMs: 5 }, before.hash, fail))
    t.absent(damaged.repair(entry, GENESIS.hash, fail))
    t.absent(damaged.repair(before, GENESIS.hash, fail), 'it is not damaged')
    t.is(damaged.damaged.length, 1)
    await repairAll(damaged)
    await damaged.close()
    await isWhole(t, log)
  })

  check('a repair that is interrupted goes on at the next start', async (t, log) => {
    for (const index of [10, 11, 12]) await log.flip(index)
    const first = await log.openDamaged()
    await repairOne(first)
    t.is(first.damaged.length, 2)
    await first.close()
    const second = await log.openDamaged()
    t.alike(
      second.damaged.map(({ index }) => index),
      [10, 11]
    )
    await repairAll(second)
    await second.close()
    await isWhole(t, log)
  })

  check('what never was committed can be cut, with the term of who said so', async (t, log) => {
    await log.flip(30)
    await log.flip(35)
    const damaged = await log.openDamaged()
    await new Promise<void>((resolve) => damaged.cutFrom({ index: 30, term: 12 }, resolve))
    t.alike(damaged.damaged, [])
    await damaged.close()
    const { store, restored } = await log.open()
    t.is(store.last.index, 29)
    t.alike(restored.hardState, { term: 12, votedFor: null, commitIndex: 2 })
    await store.close()
  })

  check('a vote of the same term survives a cut', async (t, log) => {
    const damaged = await log.openDamaged()
    await new Promise<void>((resolve) => damaged.cutFrom({ index: 40, term: 9 }, resolve))
    await damaged.close()
    const { store, restored } = await log.open()
    t.alike([store.last.index, restored.hardState], [39, HARD_STATE])
    await store.close()
  })

  check(
    'a snapshot stands for what is damaged below it, and what lies above stays',
    async (t, log) => {
      for (const index of [5, 20, 30]) await log.flip(index)
      const damaged = await log.openDamaged()
      await installed(damaged, snapshotOf(20))
      t.alike(
        damaged.damaged.map(({ index }) => index),
        [30]
      )
      t.is(damaged.base.index, 20)
      await repairAll(damaged)
      await damaged.close()
      const { store, restored } = await log.open()
      t.alike(
        [store.base.index, store.stateBase, store.baseTimeMs, store.last.index],
        [20, 20, 77, COUNT]
      )
      t.alike(store.entries(21, COUNT + 1, ALL).map(plain), WRITTEN.slice(20).map(plain))
      t.alike(restored.hardState, { ...HARD_STATE, commitIndex: 20 })
      t.alike(restored.configurations[0], { index: 3, configuration: CONFIGURATION })
      await store.close()
    }
  )

  check('a snapshot beyond the end is the whole log', async (t, log) => {
    await log.flip(40)
    const damaged = await log.openDamaged()
    const beyond = { ...snapshotOf(40), id: { index: 55, term: 9, hash: GENESIS.hash } }
    await installed(damaged, beyond)
    t.alike(damaged.damaged, [])
    await damaged.close()
    const { store, restored } = await log.open()
    t.alike([store.base, store.last], [beyond.id, beyond.id])
    t.alike(restored.hardState, { ...HARD_STATE, commitIndex: 55 })
    await store.close()
  })

  check(
    'what follows another entry than the snapshot ends with goes, and its term is adopted',
    async (t, log) => {
      for (const other of [25, 26]) {
        const damaged = await log.openDamaged()
        const id = { index: other, term: 7 + other, hash: GENESIS.hash }
        await installed(damaged, { ...snapshotOf(other), id })
        t.alike([damaged.damaged, damaged.last], [[], id])
        await damaged.close()
        const { store, restored } = await log.open()
        t.is(store.last.index, other)
        t.alike(restored.hardState, { term: 7 + other, votedFor: null, commitIndex: other })
        await store.close()
      }
    }
  )

  check(
    'a snapshot at or before the beginning is not taken, nor one of a term that cannot be',
    async (t, log) => {
      const first = await log.openDamaged()
      await installed(first, snapshotOf(20))
      const fail = (): void => t.fail('nothing was installed')
      t.absent(first.install(snapshotOf(19), fail))
      t.absent(first.install({ ...snapshotOf(20), id: { ...idAt(20), hash: GENESIS.hash } }, fail))
      t.absent(first.install({ ...snapshotOf(30), id: { ...idAt(30), term: 2 ** 40 } }, fail))
      await installed(first, snapshotOf(20))
      await first.close()
      const { store } = await log.open()
      t.alike([store.base.index, store.last.index], [20, COUNT])
      await store.close()
    }
  )

  check('a scrub goes over the whole log in slices, again and again', async (t, log) => {
    const { store } = await log.open()
    const seen: number[] = []
    let from = 1
    for (let slices = 0; slices < 12; slices++) {
      const result = scrubSlice(store, from, 256 * 10)
      if (result.kind === 'damaged') return t.fail('it is whole')
      seen.push(result.next)
      from = result.next
    }
    t.alike(seen, [11, 21, 31, 41, 1, 11, 21, 31, 41, 1, 11, 21])
    await new Promise<void>((resolve) => store.compact(15, resolve))
    t.alike(scrubSlice(store, 3, 1), { kind: 'good', next: 17, isEnd: false })
    await log.flip(30)
    t.alike(scrubSlice(store, 16, 256 * 10), { kind: 'good', next: 26, isEnd: false })
    const found = scrubSlice(store, 26, 256 * 10)
    t.alike([found.kind, 'index' in found && found.index], ['damaged', 30])
    await store.close()
  })
}

test('STO-21: an entry that lies in the place of another one is named, and repaired', async (t) => {
  const directory = await makeLog(t)
  await editEntries(directory, async (entries) => {
    await entries.put(indexKey(7), present(entries.get(indexKey(8)), 'a record'))
  })
  const options = { directory, genesis, onFailed: rethrow }
  const error = await failureOf(LmdbLogStore.open({ ...options, random: new SeededRandom(1) }))
  t.alike(error.detail.fields, { variant: 'LogDuplicateIndex', index: 7, duplicate: 8 })
  const damaged = await LmdbDamagedLog.open(options)
  t.alike(
    damaged.damaged.map(({ index }) => index),
    [7]
  )
  await repairAll(damaged)
  await damaged.close()
  const { store } = await LmdbLogStore.open({ ...options, random: new SeededRandom(1) })
  t.alike(store.entries(1, COUNT + 1, ALL).map(plain), WRITTEN.map(plain))
  await store.close()
})

test('a record that is whole but of another log passes until the one above it is back', async (t) => {
  const directory = await makeLog(t)
  const options = { directory, genesis, onFailed: rethrow }
  const eighteenth = present(WRITTEN[17], 'an entry')
  const [stale] = entriesAfter(eighteenth, { count: 1, payloadBytes: 9 })
  const stranger = present(stale, 'an entry')
  await editEntries(directory, async (entries) => {
    await entries.put(indexKey(19), encodeEntry(stranger, eighteenth.hash))
  })
  await damageEntry(directory, 20)
  const damaged = await LmdbDamagedLog.open(options)
  t.alike(
    damaged.damaged.map(({ index }) => index),
    [20]
  )
  await repairOne(damaged)
  t.alike(
    damaged.damaged.map(({ index, hash }) => [index, hash && hexOf(hash)]),
    [[19, hashOf(19)]]
  )
  await repairAll(damaged)
  await damaged.close()
  const { store } = await LmdbLogStore.open({ ...options, random: new SeededRandom(1) })
  t.is(store.last.index, COUNT)
  await store.close()
})

test('STO-20: without any state there is nothing to begin with; with one copy there is', async (t) => {
  const directory = await makeLog(t)
  const options = { directory, genesis, onFailed: rethrow }
  await editState(directory, ['state-a'], flipLastByte)
  const damaged = await LmdbDamagedLog.open(options)
  t.alike(damaged.damaged, [])
  await damaged.close()
  await editState(directory, ['state-b'], flipLastByte)
  t.is((await failureOf(LmdbDamagedLog.open(options))).code, 'CORRUPTED')
  const nowhere = join(directory, 'nothing')
  const missing = await failureOf(LmdbDamagedLog.open({ ...options, directory: nowhere }))
  t.is(missing.code, 'IDENTITY_WITHOUT_LOG')
})

async function makeLog(t: Assert): Promise<string> {
  const directory = join(await t.tmp(), 'log')
  const random = new SeededRandom(1)
  const { store } = await LmdbLogStore.open({ directory, genesis, random, onFailed: rethrow })
  await durably(store, { entries: WRITTEN, hardState: HARD_STATE })
  await store.close()
  return directory
}

function idAt(index: number): EntryId {
  const { term, hash } = present(WRITTEN[index - 1], 'an entry')
  return { index, term, hash }
}

/** Of the written log, up to `index`. */
function snapshotOf(index: number): InstalledSnapshot {
  return { id: idAt(index), timeMs: 77, configuration: CONFIGURATION, configurationIndex: 3 }
}

function installed(log: DamagedLog, snapshot: InstalledSnapshot): Promise<void> {
  return new Promise((resolve, reject) => {
    if (!log.install(snapshot, resolve)) reject(new Error('it was not taken'))
  })
}

/** The highest one goes back. */
function repairOne(log: DamagedLog): Promise<void> {
  const index = present(log.damaged.at(-1), 'a damaged entry').index
  const entry = present(WRITTEN[index - 1], 'an entry')
  return new Promise((resolve, reject) => {
    const isTaken = log.repair(entry, (WRITTEN[index - 2] ?? GENESIS).hash, resolve)
    if (!isTaken) reject(new Error(`entry ${index} was not taken`))
  })
}

async function repairAll(log: DamagedLog): Promise<void> {
  while (log.damaged.length > 0) await repairOne(log)
}

async function isWhole(t: Assert, log: Damageable): Promise<void> {
  const { store, restored } = await log.open()
  t.alike(store.entries(1, COUNT + 1, ALL).map(plain), WRITTEN.map(plain))
  t.alike(restored.hardState, HARD_STATE)
  await store.close()
}

function hashOf(index: number): string {
  return hexOf(present(WRITTEN[index - 1], 'an entry').hash)
}

function rethrow(error: AspenError): void {
  throw error
}
