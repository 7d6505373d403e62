// The contract of the log store: one atomic durable write per step of the core, and synchronous
// reads of what is durable. Two implementations, lmdb and memory; one conformance suite.

import type { Entry, EntryId, Index } from '../raft/entry.ts'
import { isSameEntry } from '../raft/entry.ts'
import type { IndexedConfiguration } from '../raft/configurations.ts'
import type { HardState, Write } from '../raft/effects.ts'
import type { ValidationReport } from './validation.ts'

export interface LogStore {
  /** What precedes the first stored entry: the genesis, later a snapshot. Moves with durability. */
  readonly base: EntryId
  /** The stamp of the entry at `base`; 0 at the genesis. */
  readonly baseTimeMs: number
  /** The snapshot that the state machine's database was installed from; 0: built from the genesis on. */
  readonly stateBase: Index
  /** The last durable entry, or `base`. */
  readonly last: EntryId
  /** Grows by one with each open, durable before open returns: makes ids of this run unique. */
  readonly boot: number
  /** 16 random bytes, written when the store was made: a store that was made anew is another one. */
  readonly storageEpoch: Uint8Array
  /**
   * Writes hard state, snapshot, truncation and entries in one transaction; `onDurable` is called when it
   * is on disk. With a snapshot (`install`) the log begins after it: base, its configuration and `stateBase`
   * are set, and the tail is kept or gone, all at once; entries below the base leave the disk in slices
   * after that. Several may be in progress; they become durable in order. After a failure nothing is
   * called any more except, once, the `onFailed` given at open.
   */
  write(write: Omit<Write, 'token'>, onDurable: () => void): void
  /** Durable entries of [from, to): at least one if there is one, then up to `maxBytes` of payload. Each is verified. @throws StorageError CORRUPTED */
  entries(from: Index, to: Index, maxBytes: number): readonly Entry[]
  idAt(index: Index): EntryId | 'compacted' | 'missing'
  /**
   * Removes the entries at and below `to`, except the last durable one: in one transaction the base moves,
   * and from then on they cannot be read; after it they leave the disk in slices, between and with other
   * writes. `onDone` is called when the last of them is gone, never synchronously; not after a failure or
   * `close`, when the next start goes on. A base never falls: what is below it already is done at once.
   * The caller owes a durable snapshot at or above `to`, and that the entries are committed.
   */
  compact(to: Index, onDone: () => void): void
  /** Resolves when writes in progress have ended and the files are closed. */
  close(): Promise<void>
}

/** What was found at open, for the core. */
export interface RestoredLog {
  readonly hardState: HardState | null
  /** the one in force at the base, if there is one, then those of the stored entries; ascending */
  readonly configurations: readonly IndexedConfiguration[]
}

export interface OpenedLog<Store extends LogStore> {
  readonly store: Store
  readonly restored: RestoredLog
  /** what was verified before the start */
  readonly validation: ValidationReport
}

/** Whether `log` has this entry, or begins after it. */
export function holdsEntry(log: Pick<LogStore, 'idAt'>, id: EntryId): boolean {
  const found = log.idAt(id.index)
  return typeof found === 'object' && isSameEntry(found, id)
}

/** What a state must know of the log that it is a view of. */
export function backingOf(log: Pick<LogStore, 'base' | 'idAt'>): {
  readonly base: Index
  readonly holds: (id: EntryId) => boolean
} {
  return { base: log.base.index, holds: (id) => holdsEntry(log, id) }
}
