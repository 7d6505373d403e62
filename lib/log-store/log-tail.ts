// The end of a log while writes are in progress: which entry is the last durable one, which will be
// when everything handed over is durable, and which indexes may be read meanwhile. Both log stores
// keep one; it knows nothing of disks.
//
// An index at or above a truncation in progress is not readable until that write is durable: what
// lies there is about to go, or has just been replaced. Everything else that was durable stays
// readable, and nothing becomes readable before it is durable.

import { assert, present } from '../assert.ts'
import type { Entry, EntryId, Index } from '../raft/entry.ts'
import type { HardState, Write } from '../raft/effects.ts'

/** A write without the driver's token. */
export type LogWrite = Omit<Write, 'token'>

/** A write in progress, and what is true when it is durable. */
export interface PendingWrite extends LogWrite {
  /** the last entry after this write */
  readonly lastAfter: EntryId
  /** the hard state after this write */
  readonly hardStateAfter: HardState | null
  /** hash of the entry before the first of `entries` */
  readonly previousHash: Uint8Array
  /** records of [lastAfter.index + 1, this) leave the log; mostly none */
  readonly removeTo: Index
  readonly onDurable: () => void
}

/** Names a durable entry; the tail asks only for indexes that exist. */
export type ReadId = (index: Index) => EntryId

export class LogTail {
  /** index and hash of what precedes the first entry; fixed until the log is compacted */
  readonly base: EntryId
  /** the last durable entry; moved by `settle` alone */
  #last: EntryId
  /** the last hard state handed over, durable or not */
  #hardState: HardState | null
  /** accepted and not yet durable, oldest first */
  readonly #pending: PendingWrite[] = []
  readonly #readId: ReadId

  constructor(found: Found, readId: ReadId) {
    assert(found.last.index >= found.base.index, 'the last entry is not before the base')
    this.base = found.base
    this.#last = found.last
    this.#hardState = found.hardState
    this.#readId = readId
  }

  /** The last durable entry, or the base. */
  get last(): EntryId {
    return this.#last
  }

  /** The last entry when all that was accepted is durable. */
  get pendingLast(): EntryId {
    return this.#pending.at(-1)?.lastAfter ?? this.#last
  }

  /** Readable are [base.index + 1, this). */
  get readableEnd(): Index {
    let end = this.#last.index + 1
    for (const { truncateFrom } of this.#pending) {
      if (truncateFrom !== null && truncateFrom < end) end = truncateFrom
    }
    return end
  }

  /** Takes a write into the order of writes. */
  accept(write: LogWrite, onDurable: () => void): PendingWrite {
    const before = this.pendingLast
    const previous = this.#truncated(write.truncateFrom)
    let next = previous.index + 1
    for (const entry of write.entries) {
      assert(entry.index === next, `entry ${entry.index} follows ${next - 1}`)
      next++
    }
    if (write.hardState !== null) {
      const floor = this.#hardState?.term ?? 0
      assert(write.hardState.term >= floor, 'the term never falls')
      this.#hardState = write.hardState
    }
    const pending: PendingWrite = {
      ...write,
      lastAfter: idOf(write.entries.at(-1)) ?? previous,
      hardStateAfter: this.#hardState,
      previousHash: previous.hash,
      removeTo: before.index + 1,
      onDurable
    }
    this.#pending.push(pending)
    return pending
  }

  /** The oldest pending write has become durable. Returns it; the owner calls its `onDurable`. */
  settle(): PendingWrite {
    const oldest = present(this.#pending.shift(), 'a pending write')
    this.#last = oldest.lastAfter
    return oldest
  }

  /** Forgets all pending writes: they will never be durable. */
  drop(): void {
    this.#pending.length = 0
  }

  /** The entry before `truncateFrom`, or the last one. */
  #truncated(truncateFrom: Index | null): EntryId {
    const last = this.pendingLast
    if (truncateFrom === null || truncateFrom === last.index + 1) return last
    const inLog = truncateFrom > this.base.index && truncateFrom <= last.index
    assert(inLog, `entry ${truncateFrom} can be truncated from`)
    const commitIndex = this.#hardState?.commitIndex ?? 0
    assert(truncateFrom > commitIndex, 'nothing committed is ever truncated')
    return this.#pendingId(truncateFrom - 1)
  }

  /** Names an entry that is in the log once all pending writes are durable. */
  #pendingId(index: Index): EntryId {
    if (index === this.base.index) return this.base
    for (const { entries } of this.#pending.toReversed()) {
      const first = entries[0]
      const found = first === undefined ? undefined : idOf(entries[index - first.index])
      if (found !== undefined) return found
    }
    return index === this.#last.index ? this.#last : this.#readId(index)
  }
}

/** What a tail starts from. */
export interface Found {
  readonly base: EntryId
  readonly last: EntryId
  readonly hardState: HardState | null
}

function idOf(entry: Entry | undefined): EntryId | undefined {
  if (entry === undefined) return undefined
  return { index: entry.index, term: entry.term, hash: entry.hash }
}
