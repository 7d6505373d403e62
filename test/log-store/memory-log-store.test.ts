// What only the log store in memory can do: lose power and fail when it is told to.

import test from 'brittle'
import { AssertionError } from '../../lib/assert.ts'
import type { AspenError } from '../../lib/errors.ts'
import { StorageError } from '../../lib/errors.ts'
import { MemoryLogDisk, MemoryLogStore } from '../../lib/log-store/memory-log-store.ts'
import { SeededRandom } from '../../lib/random.ts'
import { entriesAfter, GENESIS, NOTHING, plain } from './log-samples.ts'

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

function prepare(disk = new MemoryLogDisk()) {
  const deferred: (() => void)[] = []
  const failures: AspenError[] = []
  const { store } = MemoryLogStore.open({
    disk,
    genesis: GENESIS,
    random: new SeededRandom(1),
    onFailed: (error) => failures.push(error),
    defer: (fn) => deferred.push(fn)
  })
  return { disk, deferred, failures, store }
}
