// The file of a log, looked at page by page before lmdb has it: what a healthy one looks like, what is made
// of a damaged one, and that an old state is never taken for the newest.

import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import test from 'brittle'
import type { Assert } from 'brittle'
import { present } from '../../lib/assert.ts'
import { decodeState } from '../../lib/log-store/encoding.ts'
import { structureFault } from '../../lib/log-store/lmdb-check.ts'
import { LOG_DATA_FILE, STATE_KEY } from '../../lib/log-store/lmdb-environment.ts'
import {
  bytesIn,
  LmdbFile,
  META_COUNT,
  nodeCountOf,
  nodeOf,
  numberAt,
  PAGE_FLAG
} from '../../lib/log-store/lmdb-file.ts'
import { LmdbDamagedLog } from '../../lib/log-store/lmdb-damaged-log.ts'
import { LmdbLogStore } from '../../lib/log-store/lmdb-log-store.ts'
import { inspectLog } from '../../lib/log-store/inspect.ts'
import { SeededRandom } from '../../lib/random.ts'
import { durably, entriesAfter, failureOf, GENESIS, plain } from './log-samples.ts'

const COMPACTED_TO = 30
const LAST = 60

function onFailed(error: Error): void {
  throw error
}

function open(directory: string, onMended: (fault: string) => void = () => {}) {
  const random = new SeededRandom(1)
  return LmdbLogStore.open({ directory, genesis: GENESIS, random, onMended, onFailed })
}

/** A log with a history, closed; its last transaction is one that only removed entries. */
async function written(t: Assert): Promise<string> {
  const directory = await t.tmp()
  const { store } = await open(directory)
  for (let term = 1; term <= 20; term++) {
    const entries = entriesAfter(store.last, { count: 3, term, payloadBytes: term * 150 })
    await durably(store, {
      entries,
      hardState: { term, votedFor: null, commitIndex: store.last.index }
    })
  }
  await new Promise<void>((resolve) => {
    store.compact(COMPACTED_TO, resolve)
  })
  await store.close()
  return directory
}

function looked<T>(directory: string, look: (file: LmdbFile) => T): T {
  const file = new LmdbFile(join(directory, LOG_DATA_FILE))
  const found = look(file)
  file.close()
  return found
}

/** Pages with a state that is whole, and the transactions that wrote them. */
function statePages(directory: string): readonly { number: number; transaction: number }[] {
  return looked(directory, (file) => {
    const pages = Array.from({ length: file.pageCount }, (_, number) => file.page(number))
    return pages.slice(META_COUNT).flatMap((page) => {
      if (page === null || page.flags !== PAGE_FLAG.leaf || nodeCountOf(page) > 2) return []
      const node = nodeOf(page, 0)
      if (node === null || node.key.byteLength !== 1 || node.key[0] !== STATE_KEY[0]) return []
      const { kind } = decodeState(bytesIn(node.value, 0, node.value.byteLength))
      return kind === 'good' ? [{ number: page.number, transaction: page.transaction }] : []
    })
  })
}

function newestTransaction(directory: string): number {
  return looked(directory, ({ metas }) => Math.max(...metas.map((meta) => meta?.transaction ?? 0)))
}

function edit(directory: string, change: (bytes: Buffer, pageBytes: number) => void): void {
  const path = join(directory, LOG_DATA_FILE)
  const pageBytes = looked(directory, (file) => file.pageBytes)
  const bytes = readFileSync(path)
  change(bytes, pageBytes)
  writeFileSync(path, bytes)
}

function clearPages(directory: string, numbers: readonly number[]): void {
  edit(directory, (bytes, pageBytes) => {
    for (const number of numbers) bytes.fill(0, number * pageBytes, (number + 1) * pageBytes)
  })
}

async function contents(directory: string, onMended?: (fault: string) => void): Promise<string> {
  const { store, restored } = await open(directory, onMended)
  const entries = store.entries(store.base.index + 1, store.last.index + 1, 2 ** 30)
  await store.close()
  return [JSON.stringify(restored.hardState), ...entries.map(plain)].join('\n')
}

test('the file of a log that nothing happened to has no fault', async (t) => {
  const directory = await written(t)
  t.is(looked(directory, structureFault), null)
  for (let start = 0; start < 3; start++) {
    await contents(directory)
    t.is(looked(directory, structureFault), null)
  }
})

test('each transaction writes the state, also one that only removes entries', async (t) => {
  const directory = await written(t)
  const newest = newestTransaction(directory)
  t.is(statePages(directory).filter(({ transaction }) => transaction === newest).length, 2)
})

test('a damaged meta page costs nothing, not even the last transaction', async (t) => {
  for (const slot of [0, 1]) {
    const directory = await written(t)
    const before = await contents(directory)
    clearPages(directory, [slot])
    const faults: string[] = []
    t.is(await contents(directory, (fault) => faults.push(fault)), before)
    t.alike(faults, ['one of its first two pages cannot be read'])
    t.is(looked(directory, structureFault), null)
  }
})

test('a meta page that names another transaction does not make the older one the newest', async (t) => {
  const directory = await written(t)
  const before = await contents(directory)
  const slot = newestTransaction(directory) % 2
  // 24 bytes of header, 128 before the transaction
  edit(directory, (bytes, pageBytes) => bytes.writeUInt8(slot, slot * pageBytes + 24 + 128))
  edit(directory, (bytes, pageBytes) => bytes.writeUInt8(0, slot * pageBytes + 24 + 129))
  let isMended = false
  t.is(
    await contents(directory, () => {
      isMended = true
    }),
    before
  )
  t.ok(isMended)
})

test('what a first transaction that failed has left is no log yet, and can become one', async (t) => {
  const directory = await written(t)
  edit(directory, (bytes, pageBytes) => {
    // lmdb puts back the numbers of the meta that it has overwritten, and not its trees
    const roots = [48, 96].map((tree) => tree + 40)
    for (const meta of [0, pageBytes]) {
      bytes.writeBigUInt64LE(1n, meta + 144)
      bytes.writeBigUInt64LE(0n, meta + 152)
    }
    for (const root of roots) {
      bytes.fill(0, root - 34, root)
      bytes.writeBigInt64LE(-1n, root)
    }
  })
  t.is(looked(directory, structureFault), null)
  const { store } = await open(directory, (fault) => t.fail(fault))
  t.alike(store.last, GENESIS)
  await store.close()
})

test('without the newest state the log is lost, although older ones lie in the file', async (t) => {
  const directory = await written(t)
  const newest = newestTransaction(directory)
  const pages = statePages(directory)
  const gone = pages.filter(({ transaction }) => transaction === newest)
  t.ok(pages.length > gone.length, 'there are older ones')
  clearPages(
    directory,
    gone.map(({ number }) => number)
  )
  const bytes = readFileSync(join(directory, LOG_DATA_FILE))
  const error = await failureOf(open(directory))
  t.is(error.code, 'CORRUPTED')
  t.is(error.detail.fields?.['variant'], 'DeserializeFailed')
  t.ok(error.detail.hint !== undefined)
  t.alike(readFileSync(join(directory, LOG_DATA_FILE)), bytes, 'nothing is changed')
  clearPages(directory, [newest % 2])
  t.is(
    (await failureOf(open(directory))).code,
    'CORRUPTED',
    'nor when no meta page says which is the newest'
  )
})

/** Leaf pages with keys of entries; those of old transactions too. */
function entryPages(directory: string): readonly number[] {
  return looked(directory, (file) => {
    const numbers = Array.from({ length: file.pageCount }, (_, number) => number)
    return numbers.slice(META_COUNT).filter((number) => {
      const page = file.page(number)
      const key = page?.flags === PAGE_FLAG.leaf ? nodeOf(page, 0)?.key : undefined
      // an index is big-endian, the transaction of a free list is not
      return key?.byteLength === 8 && key[0] === 0
    })
  })
}

test('pages that say they have more than they can are read as far as they make sense', async (t) => {
  const directory = await written(t)
  const before = await contents(directory)
  edit(directory, (bytes, pageBytes) => {
    for (const page of entryPages(directory)) bytes.writeUInt16LE(0x1fff, page * pageBytes + 20)
  })
  const faults: string[] = []
  t.is(await contents(directory, (fault) => faults.push(fault)), before)
  t.is(faults.length, 1)
})

test('entries whose pages are gone are named, and the file is left alone', async (t) => {
  const directory = await written(t)
  clearPages(directory, entryPages(directory))
  const bytes = readFileSync(join(directory, LOG_DATA_FILE))
  const error = await failureOf(open(directory))
  t.is(error.code, 'CORRUPTED')
  t.is(error.detail.fields?.['index'], COMPACTED_TO + 1)
  const report = inspectLog({ directory, genesis: GENESIS, nowMs: () => 0 })
  t.alike(
    report.faults.map(({ code }) => code),
    ['CORRUPTED']
  )
  await report.close()
  t.alike(readFileSync(join(directory, LOG_DATA_FILE)), bytes)
})

test('a page that is neither used nor free is a fault', async (t) => {
  const directory = await written(t)
  const newest = newestTransaction(directory)
  const place = looked(directory, (file) => {
    const meta = file.metas.find((one) => one?.transaction === newest)
    const page = present(file.page(meta?.free.root ?? 0), 'the root of the free pages')
    const nodes = Array.from({ length: nodeCountOf(page) }, (_, at) => nodeOf(page, at))
    const places = nodes.flatMap((node) => {
      const { value, flags } = present(node, 'a list')
      const count = flags === 0 ? numberAt(value, 0) : 0
      // where one page is named, and not several
      const ats = Array.from({ length: count }, (_, at) => (at + 1) * 8)
      const ofPages = ats.filter(
        (at) => value.getBigInt64(at, true) > 0n && value.getBigInt64(at - 8, true) >= 0n
      )
      return ofPages.map((at) => page.number * file.pageBytes + value.byteOffset + at)
    })
    return present(places[0], 'a free page')
  })
  edit(directory, (bytes) => bytes.fill(0, place, place + 8))
  t.ok(/neither used nor free/.test(looked(directory, structureFault) ?? ''))
  const faults: string[] = []
  await contents(directory, (fault) => faults.push(fault))
  t.is(faults.length, 1)
  t.is(looked(directory, structureFault), null)
})

test('an entry whose key is damaged is found by what its record says', async (t) => {
  for (const help of ['open', 'repair'] as const) {
    const directory = await written(t)
    const before = await contents(directory)
    const places = looked(directory, (file) =>
      entryPages(directory).flatMap((number) => {
        const page = present(file.page(number), 'a page')
        const nodes = Array.from({ length: nodeCountOf(page) }, (_, at) => nodeOf(page, at))
        const keys = nodes.flatMap((node) => (node?.key.at(-1) === LAST ? [node.key] : []))
        return keys.map((key) => number * file.pageBytes + key.byteOffset)
      })
    )
    edit(directory, (bytes) => {
      for (const place of places) bytes.writeUInt8(1, place + 6)
    })
    t.is(looked(directory, structureFault), null, 'which no page shows')
    const faults: string[] = []
    if (help === 'repair') {
      const log = await LmdbDamagedLog.open({ directory, genesis: GENESIS, onFailed })
      t.alike(log.damaged, [])
      await log.close()
    }
    t.is(await contents(directory, (fault) => faults.push(fault)), before)
    t.is(faults.length, help === 'open' ? 1 : 0)
  }
})
