// The state machine in SQLite. One connection writes and one reads: a transaction of the first stays
// open over several turns of the event loop, a row at a time, while the second goes on seeing the last
// whole entries. What is to be done is a generator that yields after each piece of work (sqlite-applier.ts);
// a turn runs it for APPLY_SLICE_MS. While nothing is applied, history is compacted in the same way.
//
// The page cache is small on purpose: what an entry of 8 MiB changes has gone to the write-ahead log
// before its commit, so that the commit is short as well.

import { rm } from 'node:fs/promises'
import { assert } from '../assert.ts'
import type { OnBoundary } from '../boundary.ts'
import type { Clock, Timers } from '../clock.ts'
import { systemTimers } from '../clock.ts'
import type { StorageError } from '../errors.ts'
import {
  COMPACTION_BUSY_ROWS,
  COMPACTION_IDLE_ROWS,
  MAX_BATCH_SIZE,
  MAX_SNAPSHOT_READ_MS
} from '../limits.ts'
import type { Entry, EntryId, Index } from '../raft/entry.ts'
import { gapAfter } from './apply-entry.ts'
import { FileSnapshots } from './file-snapshots.ts'
import { DEFAULT_SNAPSHOT_LIMITS, refusalOf } from './snapshot-refusal.ts'
import type { SnapshotTask, TaskAnswer } from './snapshot-task.ts'
import type { SnapshotThread } from './snapshot-thread.ts'
import { SqliteApplier } from './sqlite-applier.ts'
import { databasePath, filesOf, openDatabase, suspect, tidyStateDir } from './sqlite-database.ts'
import type { SqliteDatabase } from './sqlite-database.ts'
import { isStorageFailure, storageErrorOf } from './sqlite-errors.ts'
import { Turns } from './sqlite-turns.ts'
import type { PausingSteps } from './sqlite-turns.ts'
import { WalKeeper } from './wal-keeper.ts'
import type { OnCheckpointed } from './wal-keeper.ts'
import type {
  Applied,
  ApplyResult,
  KeyValue,
  PreparedSnapshot,
  ScanPage,
  ScanRequest,
  SnapshotEvent,
  SnapshotLimits,
  SnapshotProgress,
  Snapshots,
  StateMachine,
  TrustState
} from './state-machine.ts'

export interface SqliteStateMachineOptions {
  /** of the database files; made if need be, its parent exists */
  readonly stateDir: string
  /** likewise */
  readonly snapshotsDir: string
  /** the snapshot that the log's pointer names: which file is in use; 0: built from the genesis on */
  readonly stateBase: Index
  readonly genesis: EntryId
  readonly clock: Clock
  readonly timers?: Timers
  readonly limits?: SnapshotLimits
  /** how long the read transaction of a snapshot may stay open */
  readonly maxSnapshotReadMs?: number
  /** Called once; nothing is applied any more. */
  readonly onFailed: (error: StorageError) => void
  readonly onSnapshotEvent?: (event: SnapshotEvent) => void
  /** a transaction of applied entries is committed, after so long since it began */
  readonly onCommitted?: ((durationMs: number) => void) | undefined
  /** for tests of crashes */
  readonly onBoundary?: OnBoundary | undefined
}

/** How a backup ended. */
export type BackupOutcome = Extract<TaskAnswer, { kind: 'backedUp' | 'refused' }>

export class SqliteStateMachine implements StateMachine {
  readonly #options: SqliteStateMachineOptions
  readonly #timers: Timers
  readonly #snapshots: FileSnapshots
  /** replaced when a snapshot is adopted */
  #database: SqliteDatabase
  #applier: SqliteApplier
  #wal: WalKeeper
  readonly #turns: Turns
  /** neither applied nor compacted meanwhile: a snapshot begins, or is adopted */
  #isHeld = false
  /** a snapshot is being read: checkpoints get nowhere */
  #cutting: SnapshotThread | null = null
  /** threads that read the database, or an earlier one: their ends */
  readonly #readers = new Set<Promise<void>>()
  /** ends when no thread has an earlier database open, and its files are gone */
  #oldClosed: Promise<void> = Promise.resolve()
  #isFailed = false
  #isClosed = false

  private constructor(options: SqliteStateMachineOptions, database: SqliteDatabase) {
    this.#options = options
    this.#timers = options.timers ?? systemTimers
    this.#database = database
    this.#applier = new SqliteApplier(database, this.#options)
    this.#wal = this.#newWalKeeper(database, 0)
    this.#turns = new Turns({
      clock: options.clock,
      onWalFull: () => this.#wal.afterCheckpoint(() => this.#turns.resume()),
      onIdle: () => this.#rest(),
      onFailed: (error) => {
        if (!isStorageFailure(error)) throw error
        this.#fail(storageErrorOf(error, 'cannot apply entries', 'Execute'))
      }
    })
    this.#snapshots = new FileSnapshots({
      folder: options.snapshotsDir,
      genesisHash: options.genesis.hash,
      databaseOf: (index) => databasePath(options.stateDir, index),
      appliedIndex: () => this.applied().index,
      onEvent: (event) => options.onSnapshotEvent?.(event),
      onFailed: (error) => this.#fail(error),
      onBoundary: options.onBoundary
    })
    this.#rest()
  }

  /**
   * Opens the database of `stateBase`, and deletes what other ones and unfinished work have left.
   * @throws StorageError OPEN_DATABASE, CORRUPTED, FORMAT_NEWER, WRONG_CLUSTER, IO_ERROR, NO_SPACE
   */
  static open(options: SqliteStateMachineOptions): SqliteStateMachine {
    const { stateDir, stateBase, genesis } = options
    tidyStateDir(stateDir, stateBase)
    const database = openDatabase(stateDir, stateBase, genesis)
    try {
      return new SqliteStateMachine(options, database)
    } catch (error) {
      database.reader.close()
      database.writer.close()
      throw storageErrorOf(error, 'cannot open the state machine')
    }
  }

  applied(): Applied {
    return this.#applier.progress.applied
  }

  trust(): TrustState {
    return this.#applier.progress.trust
  }

  get durableAppliedIndex(): Index {
    return this.#wal.durableIndex
  }

  get snapshots(): Snapshots {
    return this.#snapshots
  }

  apply(entries: readonly Entry[], onApplied: (results: readonly ApplyResult[]) => void): void {
    this.#assertFree()
    assert(entries.length <= MAX_BATCH_SIZE, `at most ${MAX_BATCH_SIZE} entries in one apply`)
    const gap = gapAfter(this.applied(), entries)
    assert(gap === null, gap ?? '')
    const results: ApplyResult[] = []
    this.#turns.start({
      kind: 'work',
      steps: this.#applyAll(entries, results),
      onDone: () => onApplied(results)
    })
  }

  /** @throws StorageError */
  get(key: Uint8Array): KeyValue | null {
    assert(!this.#isClosed, 'the state machine is open')
    return this.#reading(() => this.#database.reader.get(key))
  }

  /** @throws StorageError */
  scan(request: ScanRequest): ScanPage {
    assert(!this.#isClosed, 'the state machine is open')
    return this.#reading(() => this.#database.reader.scan(request))
  }

  snapshot(on: SnapshotProgress): void {
    this.#assertFree()
    const { index } = this.applied()
    const known = this.#snapshots.list().find((each) => each.index === index) ?? null
    const reason =
      this.#cutting === null
        ? refusalOf(this.applied(), this.#options.limits ?? DEFAULT_SNAPSHOT_LIMITS)
        : 'another one is being made'
    if (known === null && reason === null) {
      this.#isHeld = true
      this.#turns.start({ kind: 'work', steps: this.#compactAll(), onDone: () => this.#cut(on) })
      return
    }
    if (known === null) this.#tell('refused', index, reason ?? '')
    setImmediate(() => {
      if (this.#isClosed) return
      on.onBegun()
      on.onEnded(known)
    })
  }

  adopt(prepared: PreparedSnapshot, onAdopted: () => void): void {
    this.#assertFree()
    this.#isHeld = true
    this.#cutting?.cancel()
    // what the compaction is at may stay undone: the database goes
    this.#turns.drop()
    this.#wal.hold(() => {
      if (this.#isClosed || this.#isFailed) return
      try {
        this.#switchTo(prepared)
      } catch (error) {
        this.#fail(storageErrorOf(error, 'cannot open the state of a snapshot'))
        return
      }
      this.#isHeld = false
      onAdopted()
      this.#rest()
    })
  }

  /**
   * Writes the stream of a backup to the file `target`, as of an entry at or after `applied()`, while
   * applying goes on. Nothing is synced, and the file is its caller's. Never calls before it returns; not
   * at all once the state machine is closed.
   */
  backup(target: string, onEnded: (outcome: BackupOutcome) => void): void {
    const { maxSnapshotReadMs: maxReadMs = MAX_SNAPSHOT_READ_MS } = this.#options
    const wal = this.#wal
    wal.relax()
    const task = { kind: 'backup', database: this.#database.path, target, maxReadMs } as const
    this.#read(task, (answer) => {
      wal.tighten()
      const isOutcome = answer.kind === 'backedUp' || answer.kind === 'refused'
      onEnded(isOutcome ? answer : { kind: 'refused', message: answer.kind })
    })
  }

  /** Copies the write-ahead log into the database file as far as no reader is in the way, and syncs both. */
  checkpoint(onCheckpointed: OnCheckpointed): void {
    this.#wal.checkpoint(onCheckpointed)
  }

  /** An apply in progress is given up: its `onApplied` is not called, and nothing of its last transaction stays. */
  async close(): Promise<void> {
    if (this.#isClosed) return
    this.#isClosed = true
    this.#turns.stop()
    await this.#snapshots.close()
    await this.#wal.close()
    await this.#oldClosed
    this.#database.reader.close()
    this.#database.writer.close()
  }

  #assertFree(): void {
    assert(!this.#isClosed, 'the state machine is open')
    assert(!this.#turns.isWorking && !this.#isHeld, 'one thing at a time: apply, snapshot or adopt')
  }

  /** Nothing is asked for: history can be compacted. */
  #rest(): void {
    if (this.#isClosed || this.#isFailed || this.#isHeld || !this.#turns.isIdle) return
    if (!this.#applier.isCompacting) return
    const steps = this.#compactOnce(COMPACTION_IDLE_ROWS)
    this.#turns.start({ kind: 'upkeep', steps, onDone: () => {} })
  }

  *#applyAll(entries: readonly Entry[], results: ApplyResult[]): PausingSteps {
    let next = 0
    while (next < entries.length) {
      while (this.#wal.isFull) yield 'walFull'
      next = yield* this.#applier.applySome(entries, next, results)
      if (this.#applier.isCompacting) yield* this.#applier.compactSome(COMPACTION_BUSY_ROWS)
      this.#wal.maybeCheckpoint()
    }
  }

  *#compactOnce(rowCount: number): PausingSteps {
    while (this.#wal.isFull) yield 'walFull'
    yield* this.#applier.compactSome(rowCount)
    this.#wal.maybeCheckpoint()
  }

  *#compactAll(): PausingSteps {
    while (this.#applier.isCompacting) yield* this.#compactOnce(COMPACTION_IDLE_ROWS)
  }

  /** Nothing is applied until the thread has its read transaction. */
  #cut(on: SnapshotProgress): void {
    const { index } = this.applied()
    const { snapshotsDir: folder, maxSnapshotReadMs: maxReadMs = MAX_SNAPSHOT_READ_MS } =
      this.#options
    const database = this.#database.path
    let hasBegun = false
    const begin = (): void => {
      if (hasBegun) return
      hasBegun = true
      this.#isHeld = false
      on.onBegun()
      this.#rest()
    }
    const wal = this.#wal
    wal.relax()
    const task = { kind: 'cut', database, folder, index, maxReadMs } as const
    const thread = this.#read(task, (answer) => {
      begin()
      if (answer.kind === 'begun' || this.#isClosed) return
      if (this.#cutting === thread) this.#cutting = null
      if (answer.kind === 'made') this.#snapshots.add(answer.made)
      else this.#tell('failed', index, answer.kind === 'refused' ? answer.message : answer.kind)
      wal.tighten()
      on.onEnded(answer.kind === 'made' ? answer.made.info : null)
    })
    this.#cutting = thread
  }

  /** Runs a task in a thread that opens the database, which stays until the thread has ended. */
  #read(task: SnapshotTask, onAnswer: (answer: TaskAnswer) => void): SnapshotThread {
    const thread = this.#snapshots.run(task, onAnswer)
    this.#readers.add(thread.ended)
    void thread.ended.then(() => this.#readers.delete(thread.ended))
    return thread
  }

  /** Reads see the old state until this returns; the thread of its checkpoints keeps the old file open. */
  #switchTo({ info }: PreparedSnapshot): void {
    const { stateDir, genesis } = this.#options
    const database = openDatabase(stateDir, info.index, genesis)
    const old = { database: this.#database, wal: this.#wal }
    this.#database = database
    this.#applier = new SqliteApplier(database, this.#options)
    this.#wal = this.#newWalKeeper(database, info.index)
    old.database.reader.close()
    old.database.writer.close()
    this.#snapshots.onAdopted()
    // a thread may be about to open the old file
    const users = [this.#oldClosed, old.wal.close(), ...this.#readers]
    // what cannot be deleted is deleted at the next start
    this.#oldClosed = Promise.all(users).then(() => removeQuietly(filesOf(old.database.path)))
  }

  #newWalKeeper(database: SqliteDatabase, durableIndex: Index): WalKeeper {
    const options = {
      database,
      timers: this.#timers,
      committedIndex: () => this.applied().index,
      onFailed: (error: StorageError) => this.#fail(error),
      onBoundary: this.#options.onBoundary
    }
    return new WalKeeper(options, durableIndex)
  }

  /** What is damaged is not read again: the machine stops. */
  #reading<T>(read: () => T): T {
    try {
      return read()
    } catch (error) {
      if (!isStorageFailure(error)) throw error
      const failure = storageErrorOf(error, 'cannot read the state machine', 'Query')
      if (failure.code === 'CORRUPTED') this.#fail(failure)
      throw failure
    }
  }

  #tell(event: SnapshotEvent['event'], index: Index, message: string): void {
    this.#options.onSnapshotEvent?.({ event, index, message })
  }

  #fail(error: StorageError): void {
    if (this.#isFailed || this.#isClosed) return
    this.#isFailed = true
    this.#turns.stop()
    this.#rollbackQuietly()
    if (error.code === 'CORRUPTED') suspect(this.#database.path)
    this.#options.onFailed(error)
  }

  /** The error that led here is the one to report. */
  #rollbackQuietly(): void {
    try {
      this.#database.writer.rollback()
    } catch (error) {
      if (!isStorageFailure(error)) throw error
    }
  }
}

async function removeQuietly(paths: readonly string[]): Promise<void> {
  await Promise.allSettled(paths.map((path) => rm(path, { force: true })))
}
