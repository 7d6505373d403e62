// The state machine in SQLite. One connection writes and one reads: a transaction of the first stays
// open over several turns of the event loop, a row at a time, while the second goes on seeing the last
// whole entries. Applying is a generator that yields after each piece of work; a turn runs it for
// APPLY_SLICE_MS.
//
// The page cache is small on purpose: what an entry of 8 MiB changes has gone to the write-ahead log
// before its commit, so that the commit is short as well.

import b4a from 'b4a'
import type { Clock, Timers } from '../clock.ts'
import { systemTimers } from '../clock.ts'
import { assert } from '../assert.ts'
import type { OnBoundary } from '../boundary.ts'
import type { StorageError } from '../errors.ts'
import {
  APPLY_SLICE_MS,
  CHECKPOINT_RETRY_MS,
  CHECKPOINT_WAL_BYTES,
  MAX_BATCH_SIZE,
  MAX_TRANSACTION_BYTES,
  MAX_WAL_BYTES
} from '../limits.ts'
import type { Entry, EntryId } from '../raft/entry.ts'
import { appliedAfter, decodeEntry, gapAfter, requestOf } from './apply-entry.ts'
import type { DecodedEntry } from './apply-entry.ts'
import { Checkpointer } from './checkpointer.ts'
import type { WriteCommand } from './command.ts'
import type { Connection, WalState } from './sqlite-connection.ts'
import { openReader, openWriter } from './sqlite-connection.ts'
import type { Progress } from './sqlite-schema.ts'
import { prepareFormat, readProgress, readSessions } from './sqlite-schema.ts'
import { SessionTable } from './sessions.ts'
import { isStorageFailure, storageErrorOf } from './sqlite-errors.ts'
import { SqliteReader } from './sqlite-reader.ts'
import { SqliteWriter } from './sqlite-writer.ts'
import type { Applied, ApplyResult, KeyValue, Revision, ScanPage } from './state-machine.ts'
import type { ScanRequest, StateMachine, TrustState } from './state-machine.ts'
import { applyControl } from './trust.ts'
import { stateHashAfter } from './state-hash.ts'
import type { PlannedRow } from './write-plan.ts'
import { planWrite } from './write-plan.ts'

export interface SqliteStateMachineOptions {
  /** of the database file; its folder exists */
  readonly path: string
  readonly genesis: EntryId
  readonly clock: Clock
  readonly timers?: Timers
  /** Called once; nothing is applied any more. */
  readonly onFailed: (error: StorageError) => void
  /** for tests of crashes */
  readonly onBoundary?: OnBoundary | undefined
}

export class SqliteStateMachine implements StateMachine {
  readonly #options: SqliteStateMachineOptions
  readonly #timers: Timers
  readonly #writer: SqliteWriter
  readonly #reader: SqliteReader
  readonly #checkpointer: Checkpointer
  /** what is applied, also what is not committed yet: nothing is applied after a transaction that failed */
  readonly #sessions: SessionTable
  /** what is committed */
  #progress: Progress
  /** as of the last commit, or later */
  #wal: WalState
  /** the apply in progress */
  #job: Job | null = null
  /** Called when the running checkpoint has ended. */
  #onCheckpointEnded: (() => void) | null = null
  #isFailed = false
  #isClosed = false

  private constructor(options: SqliteStateMachineOptions, parts: Parts) {
    this.#options = options
    this.#timers = options.timers ?? systemTimers
    this.#progress = readProgress(parts.reader)
    this.#sessions = new SessionTable(readSessions(parts.reader))
    this.#writer = new SqliteWriter(parts.writer)
    this.#wal = this.#writer.wal()
    this.#reader = new SqliteReader(parts.reader)
    this.#checkpointer = new Checkpointer({
      path: options.path,
      timers: this.#timers,
      onEnded: () => this.#checkpointEnded(),
      onFailed: (error) => this.#fail(error)
    })
  }

  /** @throws StorageError OPEN_DATABASE, CORRUPTED, FORMAT_NEWER, WRONG_CLUSTER, IO_ERROR, NO_SPACE */
  static open(options: SqliteStateMachineOptions): SqliteStateMachine {
    const opened: Connection[] = []
    try {
      const writer = openWriter(options.path)
      opened.unshift(writer)
      prepareFormat(writer, options.genesis)
      const reader = openReader(options.path)
      opened.unshift(reader)
      return new SqliteStateMachine(options, { writer, reader })
    } catch (error) {
      for (const connection of opened) connection.close()
      throw storageErrorOf(error, 'cannot open the state machine')
    }
  }

  applied(): Applied {
    return this.#progress.applied
  }

  trust(): TrustState {
    return this.#progress.trust
  }

  apply(entries: readonly Entry[], onApplied: (results: readonly ApplyResult[]) => void): void {
    assert(!this.#isClosed, 'the state machine is open')
    assert(this.#job === null, 'one apply at a time')
    assert(entries.length <= MAX_BATCH_SIZE, `at most ${MAX_BATCH_SIZE} entries in one apply`)
    const gap = gapAfter(this.#progress.applied, entries)
    assert(gap === null, gap ?? '')
    if (this.#isFailed) return
    const results: ApplyResult[] = []
    this.#job = { steps: this.#applyAll(entries, results), onDone: () => onApplied(results) }
    setImmediate(() => this.#turn())
  }

  /** @throws StorageError */
  get(key: Uint8Array): KeyValue | null {
    assert(!this.#isClosed, 'the state machine is open')
    return reading(() => this.#reader.get(key))
  }

  /** @throws StorageError */
  scan(request: ScanRequest): ScanPage {
    assert(!this.#isClosed, 'the state machine is open')
    return reading(() => this.#reader.scan(request))
  }

  /**
   * Whether the rows are what the state hash says. Reads everything in one go: for tests and tools.
   * @throws StorageError
   */
  verifyStateHash(): boolean {
    assert(!this.#isClosed, 'the state machine is open')
    const actual = reading(() => this.#reader.stateHash())
    return actual !== null && b4a.equals(actual, this.#progress.applied.stateHash)
  }

  /** An apply in progress is given up: its `onApplied` is not called, and nothing of its last transaction stays. */
  async close(): Promise<void> {
    if (this.#isClosed) return
    this.#isClosed = true
    this.#job = null
    await this.#checkpointer.close()
    this.#reader.close()
    this.#writer.close()
  }

  /** One turn of the event loop. */
  #turn(): void {
    const job = this.#job
    if (job === null || this.#isFailed) return
    try {
      const pause = this.#runUntil(job, this.#options.clock.nowMs() + APPLY_SLICE_MS)
      if (pause === 'slice') setImmediate(() => this.#turn())
      if (pause === 'walFull') this.#waitForCheckpoint()
      if (pause !== 'done') return
      this.#job = null
    } catch (error) {
      if (!isStorageFailure(error)) throw error
      this.#fail(storageErrorOf(error, 'cannot apply entries'))
      return
    }
    job.onDone()
  }

  #runUntil(job: Job, untilMs: number): Pause | 'done' {
    for (;;) {
      const step = job.steps.next()
      if (step.done === true) return 'done'
      if (step.value === 'walFull' || this.#options.clock.nowMs() >= untilMs) return step.value
    }
  }

  *#applyAll(entries: readonly Entry[], results: ApplyResult[]): Steps {
    let next = 0
    while (next < entries.length) {
      while (this.#isWalFull()) yield 'walFull'
      next = yield* this.#applyTransaction(entries, next, results)
    }
  }

  /** Entries from `from` on, in one transaction. @returns the position after them */
  *#applyTransaction(
    entries: readonly Entry[],
    from: number,
    results: ApplyResult[]
  ): Steps<number> {
    let progress = this.#progress
    let byteCount = 0
    let next = from
    let failure: unknown = null
    this.#writer.begin()
    this.#options.onBoundary?.('state.apply.begin')
    for (const entry of entries.slice(from)) {
      if (byteCount >= MAX_TRANSACTION_BYTES) break
      let decoded: DecodedEntry
      try {
        decoded = decodeEntry(entry)
      } catch (error) {
        // what precedes the entry is kept
        failure = error
        break
      }
      const outcome = yield* this.#applyEntry(entry, decoded, progress)
      progress = outcome.progress
      results.push(outcome.result)
      byteCount += entry.payload.byteLength
      next++
    }
    yield 'slice'
    yield* this.#writeSessions()
    this.#options.onBoundary?.('state.commit.begin')
    this.#writer.commit(this.#progress, progress)
    this.#options.onBoundary?.('state.commit.end')
    this.#progress = progress
    if (failure !== null) throw failure
    this.#maybeCheckpoint()
    return next
  }

  /** One row per session that took part, however many of its requests there were. */
  *#writeSessions(): Steps {
    const { changed, gone } = this.#sessions.takeChanges()
    for (const bornIndex of gone) this.#writer.dropSession(bornIndex)
    if (gone.length > 0) this.#writer.writeForgotten(this.#sessions.forgottenIndex)
    for (const session of changed) {
      this.#writer.writeSession(session)
      yield 'slice'
    }
  }

  *#applyEntry(entry: Entry, decoded: DecodedEntry, before: Progress): Steps<Outcome> {
    let { trust } = before
    let { stateHash } = before.applied
    const request = requestOf(decoded)
    const answer = request === null ? null : this.#sessions.begin(request, entry)
    let result: ApplyResult = answer ?? { kind: 'none' }
    if (decoded.kind === 'malformed') result = { kind: 'refused', error: decoded.error }
    if (decoded.kind === 'control' && answer === null) {
      const step = applyControl(trust, decoded.command, entry)
      trust = step.state
      result = step.result
    }
    if (decoded.kind === 'write' && answer === null) {
      const written = yield* this.#write(decoded.command, entry.index, stateHash)
      stateHash = written.stateHash
      result = written.result
    }
    if (request !== null && answer === null) this.#sessions.end(result)
    yield 'slice'
    return {
      result,
      progress: { applied: appliedAfter(before.applied, { entry, decoded }, stateHash), trust }
    }
  }

  *#write(command: WriteCommand, revision: Revision, before: Uint8Array): Steps<Written> {
    const plan = planWrite(command, revision, (key) => this.#writer.lookup(key))
    if (plan.kind === 'refused') return { result: plan, stateHash: before }
    yield 'slice'
    const hashed: HashedRow[] = []
    for (const row of plan.rows) {
      hashed.push({ row, hash: this.#writer.writeRevision(row, revision) })
      yield 'slice'
    }
    // the keys come last: a page that went to the write-ahead log and is changed again makes the
    // commit read and checksum everything behind it once more
    let stateHash = before
    for (const { row, hash } of hashed) {
      this.#writer.writeKey(row, revision, hash)
      stateHash = stateHashAfter(stateHash, row.previous?.hash ?? null, hash)
      yield 'slice'
    }
    return { result: { kind: 'written', revision, changes: plan.changes }, stateHash }
  }

  #maybeCheckpoint(): void {
    this.#wal = this.#writer.wal()
    if (this.#wal.pendingByteCount >= CHECKPOINT_WAL_BYTES) this.#checkpoint()
  }

  #isWalFull(): boolean {
    // only commits make it longer; looking costs as much as writing a row
    if (this.#wal.byteCount < MAX_WAL_BYTES) return false
    this.#wal = this.#writer.wal()
    const { byteCount, pendingByteCount } = this.#wal
    return byteCount >= MAX_WAL_BYTES && pendingByteCount > 0
  }

  /** Goes on when a checkpoint has ended; when it got nowhere, it is tried again after a while. */
  #waitForCheckpoint(): void {
    this.#onCheckpointEnded = () => {
      if (this.#isClosed) return
      if (!this.#isWalFull()) setImmediate(() => this.#turn())
      else this.#timers.start(CHECKPOINT_RETRY_MS, () => this.#turn())
    }
    this.#checkpoint()
  }

  #checkpoint(): void {
    if (this.#checkpointer.maybeStart()) this.#options.onBoundary?.('state.checkpoint.begin')
  }

  #checkpointEnded(): void {
    this.#options.onBoundary?.('state.checkpoint.end')
    const onEnded = this.#onCheckpointEnded
    this.#onCheckpointEnded = null
    if (onEnded !== null) onEnded()
  }

  #fail(error: StorageError): void {
    if (this.#isFailed || this.#isClosed) return
    this.#isFailed = true
    this.#job = null
    this.#rollbackQuietly()
    this.#options.onFailed(error)
  }

  /** The error that led here is the one to report. */
  #rollbackQuietly(): void {
    try {
      this.#writer.rollback()
    } catch (error) {
      if (!isStorageFailure(error)) throw error
    }
  }
}

interface Parts {
  readonly writer: Connection
  readonly reader: Connection
}

/** Why the generator gave control back: it may go on at once, or when the write-ahead log is smaller. */
type Pause = 'slice' | 'walFull'

type Steps<T = void> = Generator<Pause, T, void>

interface Job {
  readonly steps: Steps
  readonly onDone: () => void
}

interface Outcome {
  readonly result: ApplyResult
  readonly progress: Progress
}

interface Written {
  readonly result: ApplyResult
  readonly stateHash: Uint8Array
}

interface HashedRow {
  readonly row: PlannedRow
  /** null: a tombstone */
  readonly hash: Uint8Array | null
}

function reading<T>(read: () => T): T {
  try {
    return read()
  } catch (error) {
    if (!isStorageFailure(error)) throw error
    throw storageErrorOf(error, 'cannot read the state machine')
  }
}
