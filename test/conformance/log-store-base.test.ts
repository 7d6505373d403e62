// What every log store does with the beginning of a log: compaction and the installation of a snapshot.
// Run over both.

import { mkdtemp } from 'node:fs/promises'
import { join } from 'node:path'
import test from 'brittle'
import type { Assert } from 'brittle'
import { AssertionError, present } from '../../lib/assert.ts'
import type { AspenError } from '../../lib/errors.ts'
import { LmdbLogStore } from '../../lib/log-store/lmdb-log-store.ts'
import type { LogStore } from '../../lib/log-store/log-store.ts'
import { MemoryLogDisk } from '../../lib/log-store/memory-log-disk.ts'
import { MemoryLogStore } from '../../lib/log-store/memory-log-store.ts'
import type { Configuration } from '../../lib/raft/configuration.ts'
import type { Install } from '../../lib/raft/effects.ts'
import { SeededRandom } from '../../lib/random.ts'
import type { Open } from '../log-store/log-model.ts'
import {
  configurationAfter,
  durably,
  entriesAfter,
  GENESIS,
  nameOf,
  NOTHING,
  OTHER_GENESIS,
  plain
} from '../log-store/log-samples.ts'

const ALL = 1e9
const implementations: Record<string, (t: Assert) => Promise<Open>> = {
  memory: async () => {
    const disk = new MemoryLogDisk()
    const random = new SeededRandom(1)
    return async (genesis = GENESIS) =>
      MemoryLogStore.open({ disk, genesis, random, onFailed: rethrow, defer: setImmediate })
  },
  lmdb: async (t) => {
    const directory = join(await mkdtemp(join(await t.tmp(), 'log-')), 'log')
    const random = new SeededRandom(1)
    return (genesis = GENESIS) =>
      LmdbLogStore.open({ directory, genesis, random, onFailed: rethrow })
  }
}

const FOUNDING = configurationOf(1)
const first = configurationAfter(GENESIS, FOUNDING)
/** 1 and 12 are configurations */
const upTo11 = [first, ...entriesAfter(first, { count: 10 })]
const CHANGED = configurationOf(2)
const twelfth = configurationAfter(present(upTo11.at(-1), 'an entry'), CHANGED)
const log = [...upTo11, twelfth, ...entriesAfter(twelfth, { count: 1_988 })]

/** A snapshot of another history than `log`, or of it. */
function installAt(index: number, isOwn: boolean): Install {
  const own = present(log[index - 1], 'an entry')
  const [other] = entriesAfter(
    { index: index - 1, term: 3, hash: OTHER_GENESIS.hash },
    { count: 1, term: 3 }
  )
  const { timeMs, ...entry } = isOwn ? own : present(other, 'an entry')
  return {
    id: nameOf(entry),
    timeMs: timeMs + 7,
    configuration: CHANGED,
    configurationIndex: 12,
    keepsTail: isOwn
  }
}

for (const [name, make] of Object.entries(implementations)) {
  const check = (
    what: string,
    run: (t: Assert, open: Open, store: LogStore) => Promise<void>
  ): void => {
    test(`${name}: ${what}`, async (t) => {
      const open = await make(t)
      const { store } = await open()
      await durably(store, { entries: log, hardState: { term: 3, votedFor: 1, commitIndex: 4 } })
      await run(t, open, store)
    })
  }

  check(
    'what is compacted is gone, the rest is there, now and at the next start',
    async (t, open, store) => {
      await compacted(store, 1_500)
      await nowAndAgain(open, store, async (one) => {
        t.alike([one.base, one.stateBase], [nameOf(present(log[1_499], 'an entry')), 0])
        t.is(one.baseTimeMs, log[1_499]?.timeMs)
        t.alike([one.idAt(1_499), one.idAt(1_500)], ['compacted', one.base])
        t.alike(one.entries(1_501, 3_000, ALL).map(plain), log.slice(1_500).map(plain))
        await t.exception.all(() => one.entries(1_500, 1_502, ALL), AssertionError)
      })
    }
  )

  check('a configuration never goes with the entries before it', async (t, open, store) => {
    const found: unknown[] = []
    for (const to of [11, 12, 500]) {
      await compacted(store, to)
      const again = await reopened(open, store)
      found.push(
        again.restored.configurations.map(({ index, configuration }) => [index, configuration])
      )
      t.is(again.validation.lastSnapshotIndex, to)
      store = again.store
    }
    const [one, other] = [
      [1, FOUNDING],
      [12, CHANGED]
    ]
    t.alike(found, [[one, other], [other], [other]])
    await store.close()
  })

  check('the last durable entry stays, and a base never falls', async (t, open, store) => {
    await compacted(store, 10_000)
    t.is(store.base.index, log.length - 1)
    for (const to of [0, 5, log.length - 1]) await compacted(store, to)
    t.is(store.base.index, log.length - 1)
    t.alike(store.entries(log.length, log.length + 1, ALL).map(plain), log.slice(-1).map(plain))
    const again = await reopened(open, store)
    t.is(again.store.base.index, log.length - 1)
    await again.store.close()
  })

  check(
    'nothing that is not durable is compacted, nor what is being truncated',
    async (t, _, store) => {
      const more = entriesAfter(present(log.at(-1), 'an entry'), { count: 5 })
      const written = durably(store, { entries: more })
      store.compact(log.length + 3, () => {})
      t.is(store.base.index, 0, 'the base moves with durability')
      await written
      await durably(store, {})
      t.is(store.base.index, log.length - 1)
      const truncated = durably(store, { truncateFrom: log.length + 3 })
      store.compact(log.length + 4, () => {})
      await truncated
      await durably(store, {})
      t.is(store.base.index, log.length + 1)
      await store.close()
    }
  )

  check('writes go on while entries leave the disk', async (t, open, store) => {
    let isDone = false
    const done = new Promise<void>((resolve) =>
      store.compact(1_900, () => {
        isDone = true
        resolve()
      })
    )
    t.absent(isDone, 'never synchronously')
    let last = present(log.at(-1), 'an entry')
    for (let count = 0; count < 20; count++) {
      const entries = entriesAfter(last, { count: 1 })
      last = present(entries[0], 'an entry')
      await durably(store, { entries })
      t.is(store.idAt(1_950) === 'compacted', false)
    }
    await done
    const again = await reopened(open, store)
    t.alike([again.store.base.index, again.store.last], [1_900, nameOf(last)])
    await again.store.close()
  })

  check('a snapshot without a tail replaces the log', async (t, open, store) => {
    const install = installAt(600, false)
    const written = durably(store, {
      install,
      hardState: { term: 3, votedFor: 1, commitIndex: 600 }
    })
    t.alike(store.entries(1, 100, ALL), [], 'what is about to go is not read')
    await written
    const fresh = entriesAfter(install.id, { count: 3, term: 3 })
    await durably(store, { entries: fresh })
    await nowAndAgain(open, store, (one) => {
      t.alike([one.base, one.stateBase, one.baseTimeMs], [install.id, 600, install.timeMs])
      t.alike(one.last, nameOf(present(fresh.at(-1), 'an entry')))
      t.alike(one.entries(601, 9_999, ALL).map(plain), fresh.map(plain))
    })
    const { restored, store: again } = await open()
    t.alike(restored.configurations, [{ index: 12, configuration: CHANGED }])
    await again.close()
  })

  check('a snapshot beyond the log replaces it too', async (t, open, store) => {
    const install = {
      ...installAt(2_000, false),
      id: { index: 90_000, term: 3, hash: OTHER_GENESIS.hash }
    }
    await durably(store, { install })
    const again = await reopened(open, store)
    t.alike(
      [again.store.base, again.store.last, again.store.stateBase],
      [install.id, install.id, 90_000]
    )
    await compacted(again.store, 95_000)
    t.is(again.store.base.index, 90_000)
    await again.store.close()
  })

  check(
    'a snapshot with a tail leaves what follows it, readable all the time',
    async (t, open, store) => {
      const install = installAt(600, true)
      const written = durably(store, { install })
      t.is(store.entries(700, 800, ALL).length, 100)
      await written
      const again = await reopened(open, store)
      t.alike([again.store.base, again.store.stateBase], [install.id, 600])
      t.alike(again.store.entries(601, 9_999, ALL).map(plain), log.slice(600).map(plain))
      await compacted(again.store, 700)
      t.alike(
        [again.store.base.index, again.store.stateBase],
        [700, 600],
        'the state has not changed'
      )
      await again.store.close()
    }
  )

  check(
    'writes, snapshots and compactions of one turn come in their order',
    async (t, open, store) => {
      const install = installAt(600, false)
      const fresh = entriesAfter(install.id, { count: 4, term: 3 })
      const other = entriesAfter(present(fresh[1], 'an entry'), { count: 2, term: 4 })
      store.write({ ...NOTHING, truncateFrom: 2_000 }, () => {})
      store.compact(100, () => {})
      store.write({ ...NOTHING, install }, () => {})
      store.write({ ...NOTHING, entries: fresh }, () => {})
      store.compact(200, () => {})
      await durably(store, { truncateFrom: 603, entries: other })
      const again = await reopened(open, store)
      const expected = [...fresh.slice(0, 2), ...other]
      t.alike(again.store.entries(601, 9_999, ALL).map(plain), expected.map(plain))
      await again.store.close()
    }
  )

  check('what makes no sense is an assertion and changes nothing', async (t, _, store) => {
    await compacted(store, 100)
    for (const install of [
      installAt(100, true),
      installAt(50, false),
      { ...installAt(600, false), keepsTail: true },
      { ...installAt(600, false), configurationIndex: 601 }
    ]) {
      const write = (): void => store.write({ ...NOTHING, install }, () => t.fail('not durable'))
      await t.exception.all(write, AssertionError)
    }
    const below = (): void => store.write({ ...NOTHING, truncateFrom: 100 }, () => t.fail('no'))
    await t.exception.all(below, AssertionError)
    t.alike([store.base.index, store.last.index], [100, log.length])
    await store.close()
    await t.exception.all(() => store.compact(200, () => {}), AssertionError)
  })
}

/** Looks at a log, and at what the next start finds of it. */
async function nowAndAgain(
  open: Open,
  store: LogStore,
  look: (store: LogStore) => void | Promise<void>
): Promise<void> {
  await look(store)
  const again = await reopened(open, store)
  await look(again.store)
  await again.store.close()
}

function compacted(store: LogStore, to: number): Promise<void> {
  return new Promise((resolve) => {
    store.compact(to, resolve)
  })
}

async function reopened(open: Open, store: LogStore): ReturnType<Open> {
  await store.close()
  return open()
}

function configurationOf(id: number): Configuration {
  const publicKey = new Uint8Array(32).fill(id)
  return { members: [{ id, publicKey, role: 'voter', addresses: [] }], outgoing: [] }
}

function rethrow(error: AspenError): void {
  throw error
}
