// What every log store makes of a disk that has lost or changed something: nothing damaged is ever
// handed out, and what can be healed without a guess is healed. Run over both.

import { join } from 'node:path'
import test from 'brittle'
import type { Assert } from 'brittle'
import { StorageError } from '../../lib/errors.ts'
import type { AspenError } from '../../lib/errors.ts'
import { LmdbLogStore } from '../../lib/log-store/lmdb-log-store.ts'
import { MemoryLogDisk } from '../../lib/log-store/memory-log-disk.ts'
import { MemoryLogStore } from '../../lib/log-store/memory-log-store.ts'
import { SeededRandom } from '../../lib/random.ts'
import { damageEntry, editState, flipLastByte } from '../log-store/lmdb-damage.ts'
import { durably, entriesAfter, failureOf, GENESIS, plain } from '../log-store/log-samples.ts'
import type { Open } from '../log-store/log-model.ts'

type Copy = 0 | 1

interface Damageable {
  readonly open: Open
  /** flips a bit in the record of an entry, which may be open */
  readonly damageEntry: (index: number) => Promise<void>
  /** flips a bit in a copy of the state of a closed log */
  readonly damageState: (copy: Copy) => Promise<void>
}

const implementations: Record<string, (t: Assert) => Promise<Damageable>> = {
  memory: async () => {
    const disk = new MemoryLogDisk()
    const random = new SeededRandom(1)
    return {
      open: async (genesis = GENESIS) =>
        MemoryLogStore.open({ disk, genesis, random, onFailed: rethrow, defer: setImmediate }),
      damageEntry: async (index) => void disk.flip(random, { kind: 'entry', index }),
      damageState: async (copy) => void disk.flip(random, { kind: 'state', copy })
    }
  },
  lmdb: async (t) => {
    const directory = join(await t.tmp(), 'log')
    const random = new SeededRandom(1)
    return {
      open: (genesis = GENESIS) =>
        LmdbLogStore.open({ directory, genesis, random, onFailed: rethrow }),
      damageEntry: (index) => damageEntry(directory, index),
      damageState: (copy) =>
        editState(directory, [copy === 0 ? 'state-a' : 'state-b'], flipLastByte)
    }
  }
}

const ALL = 1e9
const HARD_STATE = { term: 9, votedFor: 3, commitIndex: 2 }

for (const [name, make] of Object.entries(implementations)) {
  const check = (what: string, run: (t: Assert, log: Damageable) => Promise<void>): void => {
    test(`${name}: ${what}`, async (t) => {
      const log = await make(t)
      const { store } = await log.open()
      await durably(store, {
        entries: entriesAfter(GENESIS, { count: 50 }),
        hardState: HARD_STATE
      })
      await store.close()
      await run(t, log)
    })
  }

  check('a damaged entry is named at the next open, and at each one after it', async (t, log) => {
    for (const index of [40, 17, 1]) {
      await log.damageEntry(index)
      for (let count = 0; count < 2; count++) {
        const error = await failureOf(log.open())
        t.alike([error.code, error.detail.fields?.['index']], ['CORRUPTED', index])
      }
    }
  })

  check('damage that appears while the log is open is found by the read', async (t, log) => {
    const { store } = await log.open()
    await log.damageEntry(30)
    t.is(store.entries(1, 30, ALL).length, 29)
    for (const read of [() => store.entries(25, 40, ALL), () => store.idAt(30)]) {
      const error = thrownBy(read)
      t.is(error.code, 'CORRUPTED')
      t.ok(error.message.includes('entry 30 does not match its checksum'), error.message)
    }
    t.is(store.entries(31, 51, ALL).length, 20)
    await store.close()
  })

  check('an entry that is replaced leaves no damage behind', async (t, log) => {
    const { store } = await log.open()
    await log.damageEntry(30)
    const before = entriesAfter(GENESIS, { count: 29 })
    const fresh = entriesAfter(before.at(-1) ?? GENESIS, { count: 4, term: 9 })
    await durably(store, { truncateFrom: 30, entries: fresh })
    t.alike(store.entries(30, 99, ALL).map(plain), fresh.map(plain))
    await store.close()
    const again = await log.open()
    t.is(again.store.last.index, 33)
    await again.store.close()
  })

  check('one damaged copy of the state is tolerated and made anew, two are not', async (t, log) => {
    for (const copy of [0, 1, 0] as const) {
      await log.damageState(copy)
      const { store, restored } = await log.open()
      t.is(store.last.index, 50)
      t.alike(restored.hardState, HARD_STATE)
      await store.close()
    }
    await log.damageState(0)
    await log.damageState(1)
    const error = await failureOf(log.open())
    t.is(error.code, 'CORRUPTED')
    t.is(error.detail.fields?.['index'], undefined)
  })
}

function thrownBy(fn: () => unknown): StorageError {
  try {
    fn()
  } catch (error) {
    if (error instanceof StorageError) return error
    throw error
  }
  throw new Error('it should have failed')
}

function rethrow(error: AspenError): void {
  throw error
}
