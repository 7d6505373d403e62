// What only a log on a disk shows of compaction: what is left in the file, what a start finishes, and the
// copies of the configuration at the base.

import { readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import test from 'brittle'
import type { Assert } from 'brittle'
import { present } from '../../lib/assert.ts'
import type { Boundary } from '../../lib/boundary.ts'
import type { AspenError } from '../../lib/errors.ts'
import { LmdbLogStore } from '../../lib/log-store/lmdb-log-store.ts'
import { openEnvironment, recordsOf } from '../../lib/log-store/lmdb-environment.ts'
import type { EntryId } from '../../lib/raft/entry.ts'
import { SeededRandom } from '../../lib/random.ts'
import { editBaseConfiguration, flipLastByte } from './lmdb-damage.ts'
import { durably, entriesAfter, failureOf, GENESIS } from './log-samples.ts'

const COPIES = ['state-a', 'state-b']

test('what is below the base leaves the file, if not in this run then in the next', async (t) => {
  const directory = await makeLog(t, 3_000)
  const { store } = await open(directory)
  const moved = new Promise<void>((resolve) => {
    store.compact(2_900, () => t.fail('this takes twelve transactions'))
    // the base moves with the first of them
    void durably(store, {}).then(resolve)
  })
  await moved
  t.is(store.base.index, 2_900)
  await store.close()
  t.ok((await recordCount(directory)) > 2_000, 'hardly anything is gone yet')
  const again = await open(directory)
  t.alike([again.store.base.index, again.store.last.index], [2_900, 3_000])
  await new Promise<void>((resolve) => again.store.compact(2_900, resolve))
  await again.store.close()
  t.is(await recordCount(directory), 100)
})

test('each slice is a transaction of its own, with a boundary for tests of crashes', async (t) => {
  const directory = await makeLog(t, 1_000)
  const names: Boundary[] = []
  const { store } = await open(directory, (name) => names.push(name))
  await new Promise<void>((resolve) => store.compact(900, resolve))
  await store.close()
  t.alike(
    names.filter((name) => /compaction|sweep/.test(name)),
    [
      'log.compaction.begin',
      'log.compaction.durable',
      ...Array.from({ length: 4 }, () => ['log.sweep.begin', 'log.sweep.durable'] as const).flat()
    ]
  )
})

test('a log that is compacted as it grows does not grow', async (t) => {
  t.timeout(60_000)
  const directory = await makeLog(t, 1)
  const { store } = await open(directory)
  const sizes: number[] = []
  let last: EntryId = store.last
  for (let round = 0; round < 12; round++) {
    for (let count = 0; count < 10; count++) {
      const entries = entriesAfter(last, { count: 200 })
      last = present(entries.at(-1), 'an entry')
      await durably(store, { entries })
    }
    await new Promise<void>((resolve) => store.compact(last.index - 500, resolve))
    sizes.push(await sizeOf(directory))
  }
  await store.close()
  const [early, late] = [present(sizes[3], 'a size'), present(sizes.at(-1), 'a size')]
  t.ok(late <= early * 1.2, sizes.join(' '))
})

test('one damaged copy of the configuration at the base is made anew, two are not', async (t) => {
  const directory = await makeLog(t, 50)
  const { store } = await open(directory)
  await new Promise<void>((resolve) => store.compact(20, resolve))
  await store.close()
  for (const name of COPIES) {
    await editBaseConfiguration(directory, [name], flipLastByte)
    const again = await open(directory)
    t.is(again.store.base.index, 20)
    await again.store.close()
  }
  await editBaseConfiguration(directory, COPIES, flipLastByte)
  const error = await failureOf(open(directory))
  t.is(error.detail.fields?.['variant'], 'SnapshotCorrupted')
})

function open(directory: string, onBoundary?: (name: Boundary) => void) {
  const random = new SeededRandom(5)
  return LmdbLogStore.open({ directory, genesis: GENESIS, random, onFailed: rethrow, onBoundary })
}

async function makeLog(t: Assert, count: number): Promise<string> {
  const directory = join(await t.tmp(), 'log')
  const { store } = await open(directory)
  await durably(store, { entries: entriesAfter(GENESIS, { count }) })
  await store.close()
  return directory
}

async function recordCount(directory: string): Promise<number> {
  const environment = openEnvironment(directory)
  const count = recordsOf(environment).countAbove(-1)
  await environment.root.close()
  return count
}

async function sizeOf(directory: string): Promise<number> {
  const names = await readdir(directory)
  const files = await Promise.all(names.map((name) => stat(join(directory, name))))
  return files.reduce((sum, { size }) => sum + size, 0)
}

function rethrow(error: AspenError): void {
  throw error
}
