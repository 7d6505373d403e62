// The in-memory log: what it caches, what it forgets, how it searches.

import test from 'brittle'
import fc from 'fast-check'
import { MAX_LOG_CACHE_BYTES, MAX_LOG_CACHE_ENTRIES } from '../../lib/limits.ts'
import type { Entry } from '../../lib/raft/entry.ts'
import { RaftLog } from '../../lib/raft/log.ts'
import { Disk, entriesAfter, GENESIS } from './fixtures.ts'

/** An entry without real content: hashing megabytes is not the point here. */
function bigEntry(index: number, bytes: number): Entry {
  const payload = new Uint8Array(bytes)
  return { index, term: 1, kind: 2, timeMs: 0, payload, hash: new Uint8Array(32).fill(index) }
}

test('the cache holds at most its limits of durable entries, and every one that is not durable', (t) => {
  const disk = new Disk()
  const log = new RaftLog(disk)
  const bytes = MAX_LOG_CACHE_BYTES / 8
  const entries = Array.from({ length: 20 }, (_, at) => bigEntry(at + 1, bytes))
  log.append(entries)
  log.evict(0)
  t.is(log.cached.entries, 20, 'nothing is durable')
  disk.stored.push(...entries)
  log.evict(20)
  t.is(log.cached.entries, 7)
  t.ok(log.cached.bytes <= MAX_LOG_CACHE_BYTES)
  t.alike(log.entries(1, 21, bytes * 2)[0], entries[0], 'older ones come from the store')
  t.alike(log.idAt(3), entries[2])
})

test('the cache is bounded by count too', (t) => {
  const disk = new Disk()
  const log = new RaftLog(disk)
  for (let index = 1; index <= MAX_LOG_CACHE_ENTRIES + 5_000; index++) {
    const entry = bigEntry(index, 1)
    log.append([entry])
    disk.stored.push(entry)
    log.evict(index)
  }
  t.is(log.cached.entries, MAX_LOG_CACHE_ENTRIES)
  t.is(log.entries(4_990, 4_992, 100).length, 2)
})

test('a range that begins in the store ends where memory begins', (t) => {
  const stored = entriesAfter(GENESIS, [1, 1, 1])
  const log = new RaftLog(new Disk(stored))
  const [last] = stored.slice(-1)
  if (last === undefined) return t.fail('entries')
  const fresh = entriesAfter(last, [2, 2])
  log.append(fresh)
  t.alike(log.entries(2, 6, 1_000), stored.slice(1))
  t.alike(log.entries(4, 6, 1_000), fresh)
  t.alike(log.entries(4, 6, 1), fresh.slice(0, 1), 'one at least')
  t.alike(log.entries(6, 6, 1), [])
})

test('after a truncation the log ends before it, whatever the store still holds', (t) => {
  const stored = entriesAfter(GENESIS, [1, 1, 1])
  const log = new RaftLog(new Disk(stored))
  log.truncateFrom(2)
  t.is(log.idAt(2), 'missing')
  t.alike(log.last, stored[0])
  const [first] = stored
  if (first === undefined) return t.fail('entries')
  const fresh = entriesAfter(first, [3])
  log.append(fresh)
  t.alike(log.entries(2, 3, 100), fresh)
})

test('the last entry of at most a term is found by halving as by looking at each', (t) => {
  const seed = Date.now() % 1_000_000
  t.comment(`seed ${seed}`)
  const terms = fc.array(fc.integer({ min: 1, max: 6 }), { maxLength: 40 })
  const property = fc.property(terms, fc.nat(45), fc.nat(7), (unsorted, index, term) => {
    const sorted = unsorted.toSorted((a, b) => a - b)
    const entries = entriesAfter(GENESIS, sorted)
    const log = new RaftLog(new Disk(entries))
    const found = log.findAtMost(index, term)
    const expected = [GENESIS, ...entries].findLast((id) => id.index <= index && id.term <= term)
    return typeof found === 'object' && found.index === expected?.index
  })
  fc.assert(property, { seed, numRuns: 500 })
  t.pass()
})
