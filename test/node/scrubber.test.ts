// Damage that comes while a node runs is found within a pass, at a bounded pace.

import test from 'brittle'
import type { AspenError } from '../../lib/errors.ts'
import { SCRUB_INTERVAL_MS, SCRUB_SLICE_MS } from '../../lib/limits.ts'
import { MemoryLogDisk } from '../../lib/log-store/memory-log-disk.ts'
import { MemoryLogStore } from '../../lib/log-store/memory-log-store.ts'
import { Scrubber } from '../../lib/node/scrubber.ts'
import { chained, genesis } from '../../lib/raft/entry.ts'
import type { Entry, EntryId } from '../../lib/raft/entry.ts'
import { SeededRandom } from '../../lib/random.ts'
import { VirtualTime } from '../../lib/testing/virtual-time.ts'

const GENESIS = genesis(new Uint8Array(16).fill(3))

async function open(entryCount: number, payloadBytes: number, isAlone = false) {
  const time = new VirtualTime()
  const disk = new MemoryLogDisk()
  const { store } = MemoryLogStore.open({
    disk,
    genesis: GENESIS,
    random: new SeededRandom(1),
    onFailed: () => {},
    defer: (fn) => time.soon(fn)
  })
  const entries: Entry[] = []
  let previous: EntryId = GENESIS
  for (let n = 0; n < entryCount; n++) {
    const payload = new Uint8Array(payloadBytes)
    const entry: Entry = chained(previous, { term: 1, kind: 2, timeMs: 0, payload })
    entries.push(entry)
    previous = entry
  }
  const hardState = { term: 1, votedFor: null, commitIndex: 0 }
  store.write({ hardState, install: null, truncateFrom: null, entries }, () => {})
  await time.run(1)
  const happened: string[] = []
  let readCount = 0
  const log = {
    get base() {
      return store.base
    },
    get last() {
      return store.last
    },
    entries: (from: number, to: number, maxBytes: number) => {
      readCount++
      return store.entries(from, to, maxBytes)
    },
    idAt: (index: number) => store.idAt(index)
  }
  const scrubber = new Scrubber({
    timers: time,
    log,
    isAlone: () => isAlone,
    onAlone: (error) => happened.push(`goes on with ${error.detail.fields?.['index']}`),
    handOver: async () => {
      happened.push('hand over')
    },
    onFailed: (error: AspenError) =>
      happened.push(`${error.code} ${error.detail.fields?.['index']}`)
  })
  scrubber.start()
  return { time, disk, scrubber, happened, reads: () => readCount }
}

test('a sound log is read whole once in each interval, in slices', async (t) => {
  const { time, scrubber, happened, reads } = await open(16, 128 * 1_024)
  await time.run(SCRUB_INTERVAL_MS - 1)
  t.is(reads(), 0, 'the start has verified everything')
  await time.run(60 * SCRUB_SLICE_MS)
  const first = reads()
  t.ok(first >= 8 && first <= 16, `${first} slices`)
  await time.run(SCRUB_INTERVAL_MS)
  t.is(reads(), 2 * first)
  t.alike(happened, [])
  scrubber.close()
  t.is(time.pendingCount, 0)
})

test('damage ends the node after leadership was handed over', async (t) => {
  const { time, disk, scrubber, happened } = await open(16, 128 * 1_024)
  disk.flip(new SeededRandom(9), { kind: 'entry', index: 11 })
  await time.run(SCRUB_INTERVAL_MS + 60 * SCRUB_SLICE_MS)
  t.alike(happened, ['hand over', 'CORRUPTED 11'])
  scrubber.close()
})

test('a node alone goes on, and says in each pass what is damaged', async (t) => {
  const { time, disk, scrubber, happened } = await open(16, 128 * 1_024, true)
  for (const index of [4, 5, 11, 16]) disk.flip(new SeededRandom(9), { kind: 'entry', index })
  await time.run(SCRUB_INTERVAL_MS + 60 * SCRUB_SLICE_MS)
  const pass = [4, 5, 11, 16].map((index) => `goes on with ${index}`)
  t.alike(happened, pass)
  await time.run(SCRUB_INTERVAL_MS + 60 * SCRUB_SLICE_MS)
  t.alike(happened, [...pass, ...pass])
  scrubber.close()
})

test('a scrubber that was closed says nothing', async (t) => {
  const { time, disk, scrubber, happened } = await open(4, 10)
  disk.flip(new SeededRandom(9), { kind: 'entry', index: 2 })
  scrubber.close()
  await time.run(2 * SCRUB_INTERVAL_MS)
  t.alike(happened, [])
})
