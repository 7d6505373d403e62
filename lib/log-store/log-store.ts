// The contract of the log store: one atomic durable write per step of the core, and synchronous
// reads of what is durable. Two implementations, lmdb and memory; one conformance suite.

import type { Entry, EntryId, Index } from '../raft/entry.ts'
import type { Configuration } from '../raft/configuration.ts'
import type { HardState, Write } from '../raft/effects.ts'

export interface LogStore {
  /** What precedes the first stored entry: the genesis, later a snapshot. */
  readonly base: EntryId
  /** The last durable entry, or `base`. */
  readonly last: EntryId
  /** Grows by one with each open, durable before open returns: makes ids of this run unique. */
  readonly boot: number
  /** 16 random bytes, written when the store was made: a store that was made anew is another one. */
  readonly storageEpoch: Uint8Array
  /**
   * Writes hard state, truncation and entries in one transaction; `onDurable` is called when it is on
   * disk. Several may be in progress; they become durable in order. After a failure nothing is
   * called any more except, once, the `onFailed` given at open.
   */
  write(write: Omit<Write, 'token'>, onDurable: () => void): void
  /** Durable entries of [from, to): at least one if there is one, then up to `maxBytes` of payload. Each is verified. @throws StorageError CORRUPTED */
  entries(from: Index, to: Index, maxBytes: number): readonly Entry[]
  idAt(index: Index): EntryId | 'compacted' | 'missing'
  /** Resolves when writes in progress have ended and the files are closed. */
  close(): Promise<void>
}

/** What was found at open, for the core. */
export interface RestoredLog {
  readonly hardState: HardState | null
  /** every configuration entry of the stored log, ascending */
  readonly configurations: readonly {
    readonly index: Index
    readonly configuration: Configuration
  }[]
}

export interface OpenedLog<Store extends LogStore> {
  readonly store: Store
  readonly restored: RestoredLog
}
