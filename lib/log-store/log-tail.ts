// The ends of a log while writes are in progress: what precedes its first entry and which is its last
// durable one, what both will be when everything handed over is durable, and which indexes may be read
// meanwhile. Both log stores keep one; it knows nothing of disks.
//
// An index at or above a truncation in progress is not readable until that write is durable: what
// lies there is about to go, or has just been replaced. While a snapshot without a tail is on its way,
// that is every index. Everything else that was durable stays readable, and nothing becomes readable
// before it is durable.

import b4a from 'b4a'
import { assert, present } from '../assert.ts'
import type { IndexedConfiguration } from '../raft/configurations.ts'
import type { Entry, EntryId, Index } from '../raft/entry.ts'
import { ENTRY_KIND } from '../raft/entry.ts'
import type { HardState, Install, Write } from '../raft/effects.ts'
import { decodeConfiguration } from '../raft/encoding.ts'
import type { LogBase } from './encoding.ts'

/** A write without the driver's token. */
export type LogWrite = Omit<Write, 'token'>

/** A write in progress, and what is true when it is durable. */
export interface PendingWrite extends LogWrite {
  /** whether it moves the base, and nothing else */
  readonly isCompaction: boolean
  /** where the log begins after this write */
  readonly baseAfter: LogBase
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

/** A durable entry; the tail asks only for indexes that exist. */
export type ReadEntry = (index: Index) => Entry

export class LogTail {
  /** what precedes the first durable entry; moved by `settle` alone; never falls */
  #base: LogBase
  /** the last durable entry; moved by `settle` alone */
  #last: EntryId
  /** the last hard state handed over, durable or not */
  #hardState: HardState | null
  /** of the entries above the pending base, durable or not; ascending */
  #configurations: IndexedConfiguration[]
  /** accepted and not yet durable, oldest first */
  readonly #pending: PendingWrite[] = []
  readonly #readEntry: ReadEntry

  constructor(found: Found, readEntry: ReadEntry) {
    assert(found.last.index >= found.base.id.index, 'the last entry is not before the base')
    this.#base = found.base
    this.#last = found.last
    this.#hardState = found.hardState
    this.#configurations = found.configurations.filter(({ index }) => index > found.base.id.index)
    this.#readEntry = readEntry
  }

  /** What precedes the first durable entry. */
  get base(): LogBase {
    return this.#base
  }

  /** The last durable entry, or the base. */
  get last(): EntryId {
    return this.#last
  }

  /** The last entry when all that was accepted is durable. */
  get pendingLast(): EntryId {
    return this.#pending.at(-1)?.lastAfter ?? this.#last
  }

  /** The base when all that was accepted is durable. */
  get pendingBase(): LogBase {
    return this.#pending.at(-1)?.baseAfter ?? this.#base
  }

  /** Readable are [base.id.index + 1, this). */
  get readableEnd(): Index {
    let end = this.#last.index + 1
    for (const { truncateFrom, install } of this.#pending) {
      if (install?.keepsTail === false) return this.#base.id.index + 1
      if (truncateFrom !== null && truncateFrom < end) end = truncateFrom
    }
    return end
  }

  /** Takes a write into the order of writes. */
  accept(write: LogWrite, onDurable: () => void): PendingWrite {
    const before = this.pendingLast
    const { base, last } = this.#installed(write.install)
    const previous = this.#truncated(write, { base, last })
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
    this.#followConfigurations(write, { base, previous })
    return this.#push({
      ...write,
      isCompaction: false,
      baseAfter: base,
      lastAfter: idOf(write.entries.at(-1)) ?? previous,
      hardStateAfter: this.#hardState,
      previousHash: previous.hash,
      removeTo: before.index + 1,
      onDurable
    })
  }

  /**
   * Takes the removal of everything up to `to`, as far as it goes (never the last durable entry), into the
   * order of writes; null when that is nothing.
   */
  compact(to: Index, onDurable: () => void): PendingWrite | null {
    assert(Number.isSafeInteger(to) && to >= 0, 'an index is a natural number')
    const before = this.pendingBase
    const index = Math.min(to, this.readableEnd - 2)
    if (index <= before.id.index) return null
    const { term, hash, timeMs } = this.#readEntry(index)
    const configuration = this.#configurations.findLast((one) => one.index <= index)
    this.#configurations = this.#configurations.filter((one) => one.index > index)
    const last = this.pendingLast
    return this.#push({
      hardState: null,
      install: null,
      truncateFrom: null,
      entries: [],
      isCompaction: true,
      baseAfter: {
        // a copy: the entry's own is part of its record
        id: { index, term, hash: Uint8Array.from(hash) },
        timeMs,
        stateBase: before.stateBase,
        configuration: configuration ?? before.configuration
      },
      lastAfter: last,
      hardStateAfter: this.#hardState,
      previousHash: last.hash,
      removeTo: last.index + 1,
      onDurable
    })
  }

  /** The oldest pending write has become durable. Returns it; the owner calls its `onDurable`. */
  settle(): PendingWrite {
    const oldest = present(this.#pending.shift(), 'a pending write')
    assert(oldest.baseAfter.id.index >= this.#base.id.index, 'a base never falls')
    this.#base = oldest.baseAfter
    this.#last = oldest.lastAfter
    return oldest
  }

  /** Forgets all pending writes: they will never be durable. */
  drop(): void {
    this.#pending.length = 0
  }

  #push(pending: PendingWrite): PendingWrite {
    this.#pending.push(pending)
    return pending
  }

  /** Where the log begins and ends with the snapshot, if there is one. */
  #installed(install: Install | null): Ends {
    const ends = { base: this.pendingBase, last: this.pendingLast }
    if (install === null) return ends
    const { id, timeMs, configuration, configurationIndex, keepsTail } = install
    assert(id.index > ends.base.id.index, 'a base never falls')
    assert(configurationIndex <= id.index, 'a snapshot holds its configuration')
    const base: LogBase = {
      id: nameOf(id),
      timeMs,
      stateBase: id.index,
      configuration: { index: configurationIndex, configuration }
    }
    if (!keepsTail) return { base, last: base.id }
    assert(id.index <= ends.last.index, 'a tail that is kept is there')
    const own = this.#pendingId(id.index)
    assert(b4a.equals(own.hash, id.hash), 'a tail that is kept follows the snapshot')
    return { base, last: ends.last }
  }

  /** The entry before `truncateFrom`, or the last one. */
  #truncated({ truncateFrom, install }: LogWrite, { base, last }: Ends): EntryId {
    if (truncateFrom === null || truncateFrom === last.index + 1) return last
    assert(install === null, 'a snapshot comes alone')
    const inLog = truncateFrom > base.id.index && truncateFrom <= last.index
    assert(inLog, `entry ${truncateFrom} can be truncated from`)
    const commitIndex = this.#hardState?.commitIndex ?? 0
    assert(truncateFrom > commitIndex, 'nothing committed is ever truncated')
    return this.#pendingId(truncateFrom - 1)
  }

  #followConfigurations(write: LogWrite, { base, previous }: Kept): void {
    const { index } = base.id
    const kept = this.#configurations.filter((one) => one.index > index)
    this.#configurations = kept.filter((one) => one.index <= previous.index)
    for (const entry of write.entries) {
      if (entry.kind !== ENTRY_KIND.configuration) continue
      const configuration = decodeConfiguration(entry.payload)
      this.#configurations.push({ index: entry.index, configuration })
    }
  }

  /** Names an entry that is in the log once all pending writes are durable. */
  #pendingId(index: Index): EntryId {
    const { id } = this.pendingBase
    if (index === id.index) return id
    for (const { entries } of this.#pending.toReversed()) {
      const first = entries[0]
      const found = first === undefined ? undefined : idOf(entries[index - first.index])
      if (found !== undefined) return found
    }
    return index === this.#last.index ? this.#last : nameOf(this.#readEntry(index))
  }
}

interface Ends {
  readonly base: LogBase
  readonly last: EntryId
}

interface Kept {
  readonly base: LogBase
  /** the last entry before those of the write */
  readonly previous: EntryId
}

/** What a tail starts from. */
export interface Found extends Ends {
  readonly hardState: HardState | null
  /** of the entries; those at or below the base do not matter */
  readonly configurations: readonly IndexedConfiguration[]
}

/** The name alone: what is kept of an entry must not keep its payload. */
export function nameOf({ index, term, hash }: EntryId): EntryId {
  return { index, term, hash }
}

function idOf(entry: Entry | undefined): EntryId | undefined {
  return entry === undefined ? undefined : nameOf(entry)
}
