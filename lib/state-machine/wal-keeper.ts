// How long the write-ahead log of a database is, and the checkpoints that keep it short. What a
// completed checkpoint has copied and synced is durable; everything else may be lost with the power.

import type { OnBoundary } from '../boundary.ts'
import type { Timers } from '../clock.ts'
import type { StorageError } from '../errors.ts'
import {
  CHECKPOINT_RETRY_MS,
  CHECKPOINT_WAL_BYTES,
  MAX_SNAPSHOT_WAL_BYTES,
  MAX_WAL_BYTES
} from '../limits.ts'
import type { Index } from '../raft/entry.ts'
import { Checkpointer } from './checkpointer.ts'
import type { CheckpointReport, WalState } from './sqlite-connection.ts'
import type { SqliteDatabase } from './sqlite-database.ts'

export interface WalKeeperOptions {
  readonly database: SqliteDatabase
  readonly timers: Timers
  /** what is committed */
  readonly committedIndex: () => Index
  readonly onFailed: (error: StorageError) => void
  readonly onBoundary: OnBoundary | undefined
}

/** Null: the checkpoint failed, or the database was closed. */
export type OnCheckpointed = (report: CheckpointReport | null) => void

export class WalKeeper {
  readonly #options: WalKeeperOptions
  readonly #checkpointer: Checkpointer
  /** as of the last commit, or later */
  #wal: WalState
  /** never falls */
  #durableIndex: Index
  /** threads that read the database: nothing can be checkpointed behind the first of them */
  #readerCount = 0
  /** the last reader has ended, and no checkpoint since */
  #isCatchingUp = false
  /** who wait for a checkpoint that began after they asked: for the next one, and for the one that runs */
  #asked: OnCheckpointed[] = []
  #served: OnCheckpointed[] = []
  /** Called when the running checkpoint has ended. */
  #onEnded: (() => void) | null = null
  #isClosed = false

  /** @param durableIndex what is known to be durable of the database */
  constructor(options: WalKeeperOptions, durableIndex: Index) {
    const { database, timers, onFailed } = options
    this.#options = options
    this.#durableIndex = durableIndex
    this.#wal = database.writer.wal()
    this.#checkpointer = new Checkpointer({
      path: database.path,
      timers,
      onEnded: (index, report) => this.#checkpointEnded(index, report),
      onFailed
    })
  }

  get durableIndex(): Index {
    return this.#durableIndex
  }

  /** After a commit, and when a reader has ended that was in the way; in a transaction its commit will ask. */
  maybeCheckpoint(): void {
    if (this.#isClosed || this.#options.database.writer.isInTransaction) return
    this.#wal = this.#options.database.writer.wal()
    if (this.#wal.pendingByteCount >= CHECKPOINT_WAL_BYTES) this.#start()
  }

  get isFull(): boolean {
    const isLong = this.#readerCount > 0 || this.#isCatchingUp
    const maxBytes = isLong ? MAX_SNAPSHOT_WAL_BYTES : MAX_WAL_BYTES
    // only commits make it longer; looking costs as much as writing a row
    if (this.#wal.byteCount < maxBytes) return false
    this.#wal = this.#options.database.writer.wal()
    return this.#wal.byteCount >= maxBytes && this.#wal.pendingByteCount > 0
  }

  /** A thread begins to read all of the database: the log may become longer, until a checkpoint after its end. */
  relax(): void {
    this.#readerCount++
  }

  /** It has ended. Also in the middle of a transaction. */
  tighten(): void {
    this.#readerCount--
    if (this.#isClosed || this.#readerCount > 0) return
    this.#isCatchingUp = true
    this.#start()
  }

  /** Calls when a checkpoint has ended; when it got nowhere, after a while. */
  afterCheckpoint(resume: () => void): void {
    this.#onEnded = () => {
      if (this.#isClosed) return
      if (this.isFull) this.#options.timers.start(CHECKPOINT_RETRY_MS, resume)
      else resume()
    }
    this.#start()
  }

  /** Makes a checkpoint of all that is committed now, and tells what it has done; null: there is none any more. */
  checkpoint(onCheckpointed: OnCheckpointed): void {
    if (this.#isClosed) return onCheckpointed(null)
    this.#asked.push(onCheckpointed)
    this.#start()
  }

  /** As `Checkpointer.hold`. */
  hold(onHeld: () => void): void {
    this.#checkpointer.hold(onHeld)
  }

  async close(): Promise<void> {
    this.#isClosed = true
    await this.#checkpointer.close()
    this.#tell(null)
  }

  #start(): void {
    const { committedIndex, onBoundary } = this.#options
    if (!this.#checkpointer.maybeStart(committedIndex())) return
    this.#served = this.#asked
    this.#asked = []
    onBoundary?.('state.checkpoint.begin')
  }

  #tell(report: CheckpointReport | null): void {
    const waiting = this.#isClosed ? [...this.#served, ...this.#asked] : this.#served
    this.#served = []
    if (this.#isClosed) this.#asked = []
    for (const onCheckpointed of waiting) onCheckpointed(report)
  }

  #checkpointEnded(index: Index | null, report: CheckpointReport | null): void {
    this.#options.onBoundary?.('state.checkpoint.end')
    if (index !== null) this.#durableIndex = Math.max(this.#durableIndex, index)
    this.#isCatchingUp = false
    const onEnded = this.#onEnded
    this.#onEnded = null
    this.#tell(report)
    if (onEnded !== null) onEnded()
    if (this.#asked.length > 0 && !this.#isClosed) this.#start()
  }
}
