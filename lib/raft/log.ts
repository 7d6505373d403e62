// The log as the core sees it: what is durable, read from the store, and an in-memory tail on top.
// The tail holds every entry that is not yet durable and a bounded cache of recent durable ones, so
// that followers that keep up never cost a read from the store.
//
// `idAt` is total (B33): a value, `compacted` or `missing`; nobody can take one for another.

import { assert } from '../assert.ts'
import { HASH_BYTES } from '../crypto.ts'
import { MAX_INDEX, MAX_LOG_CACHE_BYTES, MAX_LOG_CACHE_ENTRIES } from '../limits.ts'
import type { Install } from './effects.ts'
import type { Entry, EntryId, Index, Term } from './entry.ts'

/** The synchronous read side of the durable log. Sees durable entries only. */
export interface LogReader {
  /** what precedes the first stored entry: the genesis, later a snapshot; moves when the log is compacted */
  readonly base: EntryId
  /** the stamp of the entry at the base; 0 at the genesis */
  readonly baseTimeMs: number
  /** the last stored entry, or the base */
  readonly last: EntryId
  /** stored entries of [from, to): at least one if from < to, then up to `maxBytes` of payload */
  entries(from: Index, to: Index, maxBytes: number): readonly Entry[]
  idAt(index: Index): EntryId | 'compacted' | 'missing'
}

/** What an entry counts in a byte limit beyond its payload. */
const ENTRY_FRAME_BYTES = 64

/** What an entry counts in a byte limit. */
export function entryBytes(entry: Entry): number {
  return entry.payload.byteLength + ENTRY_FRAME_BYTES
}

export class RaftLog {
  readonly #reader: LogReader
  /** contiguous up to `#last`; the live part begins at `#head` */
  #tail: Entry[] = []
  #head = 0
  /** sum of entryBytes over the live part */
  #tailBytes = 0
  /** the last entry, durable or not */
  #last: EntryId
  /** an adopted snapshot, as long as the store does not begin after it or a later one */
  #installed: { readonly id: EntryId; readonly timeMs: number } | null = null

  constructor(reader: LogReader) {
    assert(reader.base.index <= reader.last.index, 'the log begins before it ends')
    this.#reader = reader
    this.#last = reader.last
  }

  /** What precedes the first entry: an adopted snapshot at once, durable or not. */
  get base(): EntryId {
    return this.#pendingBase?.id ?? this.#reader.base
  }

  /** The stamp of the last entry; 0 before the first. */
  get lastTimeMs(): number {
    const { index } = this.#last
    const [last] = index > this.base.index ? this.entries(index, index + 1, 1) : []
    return last?.timeMs ?? this.#pendingBase?.timeMs ?? this.#reader.baseTimeMs
  }

  get last(): EntryId {
    return this.#last
  }

  /** Bytes and entries held in memory. */
  get cached(): { readonly bytes: number; readonly entries: number } {
    return { bytes: this.#tailBytes, entries: this.#tail.length - this.#head }
  }

  idAt(index: Index): EntryId | 'compacted' | 'missing' {
    assert(Number.isSafeInteger(index) && index >= 0, 'an index is a natural number')
    if (index > this.#last.index) return 'missing'
    if (index === this.#last.index) return this.#last
    const { base } = this
    if (index < base.index) return 'compacted'
    if (index === base.index) return base
    const cached = this.#cachedAt(index)
    if (cached !== undefined) return cached
    const stored = this.#reader.idAt(index)
    assert(stored !== 'missing', 'what is not in memory is stored')
    return stored
  }

  /**
   * Entries of [from, to): at least one if from < to, then up to `maxBytes`; may end earlier, where
   * memory begins.
   */
  entries(from: Index, to: Index, maxBytes: number): readonly Entry[] {
    assert(from > this.base.index, 'no entry of the range is compacted')
    assert(from <= to && to <= this.#last.index + 1, 'the range lies within the log')
    if (from === to) return []
    const first = this.#tailFirst()
    if (from < first) return this.#reader.entries(from, Math.min(to, first), maxBytes)
    const found: Entry[] = []
    let bytes = 0
    for (let index = from; index < to; index++) {
      const entry = this.#cachedAt(index)
      assert(entry !== undefined, 'the tail is contiguous')
      bytes += entryBytes(entry)
      if (found.length > 0 && bytes > maxBytes) break
      found.push(entry)
    }
    return found
  }

  /** Adds entries at the end. They must follow the last one; terms never fall (R4). */
  append(entries: readonly Entry[]): void {
    for (const entry of entries) {
      assert(entry.index === this.#last.index + 1, 'an entry follows the last one')
      assert(entry.index <= MAX_INDEX, 'the index is within its limit')
      assert(entry.term >= this.#last.term, 'terms never fall along the log')
      assert(entry.hash.byteLength === HASH_BYTES, 'an entry carries its hash')
      this.#tail.push(entry)
      this.#tailBytes += entryBytes(entry)
      this.#last = entry
    }
  }

  /** Removes the entries at and above `index`. */
  truncateFrom(index: Index): void {
    assert(index > this.base.index && index <= this.#last.index, 'there is something to truncate')
    const last = this.idAt(index - 1)
    assert(typeof last === 'object', 'what precedes the truncation is known')
    while (this.#tail.length > this.#head) {
      const entry = this.#tail.at(-1)
      if (entry === undefined || entry.index < index) break
      this.#tailBytes -= entryBytes(entry)
      this.#tail.pop()
    }
    this.#last = last
    assert(this.#last.index === index - 1, 'the log ends before the truncation')
  }

  /** The log begins after this snapshot. With a tail kept, entries above it stay; else none is left. */
  install({ id, timeMs, keepsTail }: Install): void {
    assert(id.index > this.base.index, 'a base never falls')
    assert(!keepsTail || id.index <= this.#last.index, 'a tail that is kept is there')
    this.#installed = { id, timeMs }
    if (keepsTail) return
    this.#tail = []
    this.#head = 0
    this.#tailBytes = 0
    this.#last = id
  }

  /** Forgets the oldest cached entries beyond the limits; never one that is not durable. */
  evict(durableIndex: Index): void {
    while (this.#isOverLimit()) {
      const oldest = this.#tail[this.#head]
      if (oldest === undefined || oldest.index > durableIndex) break
      this.#tailBytes -= entryBytes(oldest)
      this.#head++
    }
    if (this.#head > 1_024 && this.#head * 2 > this.#tail.length) {
      this.#tail = this.#tail.slice(this.#head)
      this.#head = 0
    }
    assert(this.#tailBytes >= 0, 'the cache size is the sum of its entries')
  }

  /**
   * The last entry at or below `index` whose term is at most `term`: where two logs can agree at
   * best. `compacted` if it lies below the base.
   */
  findAtMost(index: Index, term: Term): EntryId | 'compacted' {
    let low = this.base.index
    let high = Math.min(index, this.#last.index)
    if (high < low) return 'compacted'
    // terms never fall along the log, so halving finds it
    while (low < high) {
      const middle = Math.ceil((low + high) / 2)
      if (this.#known(middle).term <= term) low = middle
      else high = middle - 1
    }
    const found = this.#known(low)
    return found.term <= term ? found : 'compacted'
  }

  get #pendingBase(): { readonly id: EntryId; readonly timeMs: number } | null {
    const installed = this.#installed
    return installed !== null && installed.id.index > this.#reader.base.index ? installed : null
  }

  #known(index: Index): EntryId {
    const id = this.idAt(index)
    assert(typeof id === 'object', 'the index lies within the log')
    return id
  }

  #isOverLimit(): boolean {
    const count = this.#tail.length - this.#head
    return count > MAX_LOG_CACHE_ENTRIES || this.#tailBytes > MAX_LOG_CACHE_BYTES
  }

  /** The index of the oldest entry in memory, or one beyond the log. */
  #tailFirst(): Index {
    return this.#tail[this.#head]?.index ?? this.#last.index + 1
  }

  #cachedAt(index: Index): Entry | undefined {
    const offset = index - this.#tailFirst()
    return offset < 0 ? undefined : this.#tail[this.#head + offset]
  }
}
