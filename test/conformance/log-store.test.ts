// What every log store does, run over both. The memory store completes a write per turn of the event
// loop; lmdb when the disk has it.

import { mkdtemp } from 'node:fs/promises'
import { join } from 'node:path'
import fc from 'fast-check'
import test from 'brittle'
import type { Assert } from 'brittle'
import { assert, AssertionError } from '../../lib/assert.ts'
import type { AspenError } from '../../lib/errors.ts'
import { LmdbLogStore } from '../../lib/log-store/lmdb-log-store.ts'
import type { LogWrite } from '../../lib/log-store/log-tail.ts'
import { MemoryLogDisk } from '../../lib/log-store/memory-log-disk.ts'
import { MemoryLogStore } from '../../lib/log-store/memory-log-store.ts'
import type { Configuration } from '../../lib/raft/configuration.ts'
import type { HardState } from '../../lib/raft/effects.ts'
import type { Entry } from '../../lib/raft/entry.ts'
import { SeededRandom } from '../../lib/random.ts'
import {
  configurationAfter,
  durably,
  entriesAfter,
  failureOf,
  GENESIS,
  nameOf,
  NOTHING,
  OTHER_GENESIS,
  plain
} from '../log-store/log-samples.ts'
import type { Open } from '../log-store/log-model.ts'
import { playSteps, step } from '../log-store/log-model.ts'

interface Implementation {
  readonly name: string
  readonly prepare: (t: Assert) => Promise<Open>
}

const implementations: readonly Implementation[] = [
  {
    name: 'memory',
    prepare: async () => {
      const disk = new MemoryLogDisk()
      return async (from = GENESIS) =>
        MemoryLogStore.open({
          disk,
          genesis: from,
          random: new SeededRandom(1),
          onFailed: rethrow,
          defer: setImmediate
        })
    }
  },
  {
    name: 'lmdb',
    prepare: async (t) => {
      const directory = await mkdtemp(join(await t.tmp(), 'log-'))
      return (from = GENESIS) =>
        LmdbLogStore.open({
          directory,
          genesis: from,
          random: new SeededRandom(1),
          onFailed: rethrow
        })
    }
  }
]

const ALL = Number.MAX_SAFE_INTEGER
const CONFIGURATION: Configuration = {
  members: [
    {
      id: 1,
      publicKey: new Uint8Array(32).fill(3),
      role: 'voter',
      addresses: [{ host: '10.0.0.1', port: 4_000 }]
    }
  ],
  outgoing: []
}

for (const { name, prepare } of implementations) {
  test(`${name}: a new log begins at the genesis, with boot 1 and no hard state`, async (t) => {
    const { store, restored } = await (await prepare(t))()
    t.alike(store.base, GENESIS)
    t.alike(store.last, GENESIS)
    t.is(store.boot, 1)
    t.is(store.storageEpoch.byteLength, 16)
    t.alike(restored, { hardState: null, configurations: [] })
    t.alike(store.idAt(0), GENESIS)
    t.is(store.idAt(1), 'missing')
    t.alike(store.entries(1, 1, ALL), [])
    t.alike(store.entries(1, 9, ALL), [])
    await store.close()
  })

  test(`${name}: entries can be read once they are durable and not before`, async (t) => {
    const { store } = await (await prepare(t))()
    const entries = entriesAfter(GENESIS, { count: 3 })
    const written = durably(store, { entries })
    t.alike(store.last, GENESIS)
    t.alike(store.entries(1, 4, ALL), [])
    t.is(store.idAt(1), 'missing')
    await written
    t.alike(store.last, nameOf(last(entries)))
    t.alike(store.entries(1, 4, ALL).map(plain), entries.map(plain))
    t.alike(store.entries(2, 3, ALL).map(plain), entries.slice(1, 2).map(plain))
    t.alike(store.idAt(2), nameOf(at(entries, 1)))
    t.is(store.idAt(4), 'missing')
    await store.close()
  })

  test(`${name}: writes become durable in the order in which they were given`, async (t) => {
    const { store } = await (await prepare(t))()
    const entries = entriesAfter(GENESIS, { count: 40 })
    const order: number[] = []
    const done = new Promise<void>((resolve) => {
      for (const entry of entries.slice(0, 20)) store.write(writeOf(entry), () => onDurable(entry))
      function onDurable(entry: Entry): void {
        order.push(entry.index)
        t.is(store.last.index, entry.index, 'the last entry moves with each write')
        const next = entries[entry.index + 19]
        if (next !== undefined) store.write(writeOf(next), () => onDurable(next))
        if (entry.index === 40) resolve()
      }
    })
    t.alike(order, [], 'never during the call')
    await done
    t.alike(
      order,
      entries.map((entry) => entry.index)
    )
    await store.close()
  })

  test(`${name}: a write of nothing is durable after the ones before it`, async (t) => {
    const { store } = await (await prepare(t))()
    const order: string[] = []
    store.write(writeOf(...entriesAfter(GENESIS, { count: 1 })), () => order.push('entry'))
    store.write(NOTHING, () => order.push('nothing'))
    await durably(store, {})
    t.alike(order, ['entry', 'nothing'])
    await store.close()
  })

  test(`${name}: truncation replaces the tail, which is not readable in between`, async (t) => {
    const open = await prepare(t)
    const { store } = await open()
    const old = entriesAfter(GENESIS, { count: 10 })
    await durably(store, { entries: old })
    const fresh = entriesAfter(at(old, 3), { count: 2, term: 2 })
    const written = durably(store, { truncateFrom: 5, entries: fresh })
    t.is(store.last.index, 10, 'durable is what is on disk')
    t.is(store.entries(1, 11, ALL).length, 4)
    t.is(store.idAt(5), 'missing')
    t.alike(store.idAt(4), nameOf(at(old, 3)))
    await written
    t.alike(store.last, nameOf(last(fresh)))
    const expected = [...old.slice(0, 4), ...fresh]
    t.alike(store.entries(1, 11, ALL).map(plain), expected.map(plain))
    await store.close()
    const again = await open()
    t.alike(again.store.entries(1, 11, ALL).map(plain), expected.map(plain))
    await again.store.close()
  })

  test(`${name}: what is written and truncated in one turn leaves the right log`, async (t) => {
    const open = await prepare(t)
    const { store } = await open()
    const a = entriesAfter(GENESIS, { count: 6 })
    const b = entriesAfter(at(a, 2), { count: 1, term: 2 })
    const c = entriesAfter(at(a, 1), { count: 3, term: 3 })
    store.write(writeOf(...a), () => {})
    store.write({ ...NOTHING, truncateFrom: 4 }, () => {})
    store.write(writeOf(...b), () => {})
    store.write({ ...NOTHING, truncateFrom: 3, entries: c }, () => {})
    await durably(store, { truncateFrom: 5 })
    const expected = [...a.slice(0, 2), ...c.slice(0, 2)]
    t.alike(store.last, nameOf(last(expected)))
    t.alike(store.entries(1, 9, ALL).map(plain), expected.map(plain))
    await store.close()
    const again = await open()
    t.alike(again.store.entries(1, 9, ALL).map(plain), expected.map(plain))
    await again.store.close()
  })

  test(`${name}: an open again finds everything, and raises the boot counter`, async (t) => {
    const open = await prepare(t)
    const first = await open()
    const one = configurationAfter(GENESIS, CONFIGURATION)
    const rest = entriesAfter(one, { count: 5 })
    const hardState: HardState = { term: 3, votedFor: 2, commitIndex: 4 }
    await durably(first.store, { hardState, entries: [one, ...rest] })
    await durably(first.store, { hardState: { ...hardState, votedFor: null, term: 4 } })
    await first.store.close()
    const second = await open()
    t.is(second.store.boot, 2)
    t.alike(second.store.storageEpoch, first.store.storageEpoch)
    t.alike(second.store.last, nameOf(last(rest)))
    t.alike(second.restored, {
      hardState: { term: 4, votedFor: null, commitIndex: 4 },
      configurations: [{ index: 1, configuration: CONFIGURATION }]
    })
    const more = entriesAfter(last(rest), { count: 1, term: 4 })
    await durably(second.store, { entries: more })
    t.is(second.store.last.index, 7)
    await second.store.close()
    const third = await open()
    t.is(third.store.boot, 3)
    t.is(third.store.last.index, 7)
    t.is(third.restored.hardState?.term, 4, 'a write without hard state keeps the last one')
    await third.store.close()
  })

  test(`${name}: a read stops at its byte budget but gives one entry at least`, async (t) => {
    const { store } = await (await prepare(t))()
    const entries = entriesAfter(GENESIS, { count: 6, payloadBytes: 100 })
    await durably(store, { entries })
    t.is(store.entries(1, 7, 0).length, 1)
    t.is(store.entries(1, 7, 100).length, 1)
    t.is(store.entries(1, 7, 399).length, 3)
    t.is(store.entries(3, 7, 400).length, 4)
    await store.close()
  })

  test(`${name}: payloads of no byte and of megabytes come back unchanged`, async (t) => {
    const open = await prepare(t)
    const { store } = await open()
    const [empty] = entriesAfter(GENESIS, { count: 1, payloadBytes: 0 })
    assert(empty !== undefined, 'an entry')
    const large = entriesAfter(empty, { count: 2, payloadBytes: 3 * 1024 * 1024 + 1 })
    await durably(store, { entries: [empty, ...large] })
    t.alike(store.entries(1, 4, ALL).map(plain), [empty, ...large].map(plain))
    await store.close()
    const again = await open()
    t.alike(again.store.entries(1, 4, ALL).map(plain), [empty, ...large].map(plain))
    await again.store.close()
  })

  test(`${name}: a write of thousands of entries is one write`, async (t) => {
    const open = await prepare(t)
    const { store } = await open()
    const entries = entriesAfter(GENESIS, { count: 5_000, payloadBytes: 16 })
    await durably(store, { entries })
    await durably(store, { truncateFrom: 2, entries: entries.slice(1, 3) })
    t.is(store.last.index, 3)
    await store.close()
    const again = await open()
    t.is(again.store.last.index, 3)
    await again.store.close()
  })

  test(`${name}: what makes no sense is an assertion and changes nothing`, async (t) => {
    const { store } = await (await prepare(t))()
    const entries = entriesAfter(GENESIS, { count: 5 })
    const hardState = { term: 2, votedFor: null, commitIndex: 3 }
    await durably(store, { entries: entries.slice(0, 4), hardState })
    const beyond = entriesAfter(last(entries), { count: 1 })
    const wrong: Partial<LogWrite>[] = [
      { entries: beyond },
      { entries: entries.slice(3) },
      { truncateFrom: 0 },
      { truncateFrom: 3 },
      { truncateFrom: 6 },
      { hardState: { term: 1, votedFor: null, commitIndex: 3 } }
    ]
    for (const write of wrong) {
      await t.exception.all(
        () => store.write({ ...NOTHING, ...write }, () => t.fail('not durable')),
        AssertionError
      )
    }
    t.is(store.last.index, 4)
    await durably(store, { entries: entries.slice(4) })
    t.is(store.last.index, 5)
    await store.close()
  })

  test(`${name}: closing waits for writes in progress, and may be done twice`, async (t) => {
    const open = await prepare(t)
    const { store } = await open()
    const entries = entriesAfter(GENESIS, { count: 30 })
    let durableCount = 0
    for (const entry of entries) store.write(writeOf(entry), () => durableCount++)
    const closed = store.close()
    await t.exception.all(() => store.write(NOTHING, () => {}), AssertionError)
    await closed
    t.is(durableCount, 30)
    await store.close()
    const again = await open()
    t.is(again.store.last.index, 30)
    await again.store.close()
  })

  test(`${name}: the log of another cluster is refused and left alone`, async (t) => {
    const open = await prepare(t)
    const { store } = await open()
    await durably(store, { entries: entriesAfter(GENESIS, { count: 2 }) })
    await store.close()
    const error = await failureOf(open(OTHER_GENESIS))
    t.is(error.code, 'DATA_DIR_TAKEN')
    const again = await open()
    t.is(again.store.last.index, 2)
    t.is(again.store.boot, 2)
    await again.store.close()
  })

  test(`${name}: any sequence of writes and opens leaves what a list would hold`, async (t) => {
    const seed = Number(process.env['SEED'] ?? Date.now() % 1_000_000)
    t.comment(`SEED=${seed}`)
    await fc.assert(
      fc.asyncProperty(fc.array(step(), { minLength: 1, maxLength: 25 }), async (steps) => {
        await playSteps(await prepare(t), steps)
      }),
      { seed, numRuns: name === 'lmdb' ? 25 : 200 }
    )
    t.pass('all of them')
  })
}

function writeOf(...entries: Entry[]): LogWrite {
  return { ...NOTHING, entries }
}

function last(entries: readonly Entry[]): Entry {
  return at(entries, entries.length - 1)
}

function at(entries: readonly Entry[], position: number): Entry {
  const entry = entries[position]
  assert(entry !== undefined, 'an entry')
  return entry
}

function rethrow(error: AspenError): void {
  throw error
}
