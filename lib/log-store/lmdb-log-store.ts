// The log store on lmdb. One transaction in progress at a time: what is written meanwhile becomes
// the next one (group commit). More than one in progress would be faster to hand over, but after a
// failed commit lmdb would go on with the ones behind it and leave a hole in the log.
//
// A write counts as durable when the promise of its transaction has resolved, which with
// `overlappingSync: false` is after the sync. After a failed commit nothing is written, reported or
// retried any more: a failed sync may have marked pages clean that are not on the disk, so only a
// new start from the disk can tell what is there.

import { existsSync } from 'node:fs'
import { assert } from '../assert.ts'
import type { OnBoundary } from '../boundary.ts'
import { equalSecret } from '../crypto.ts'
import type { AspenError, StorageError } from '../errors.ts'
import { LOG_SWEEP_ENTRIES } from '../limits.ts'
import type { Random } from '../random.ts'
import { randomBytes } from '../random.ts'
import type { Entry, EntryId, Index } from '../raft/entry.ts'
import type { LogState } from './encoding.ts'
import { encodeEntry, indexKey, indexOfKey, STORAGE_EPOCH_BYTES } from './encoding.ts'
import { heldBy } from './held-by.ts'
import { commit, reasonOf } from './lmdb-commit.ts'
import type { Change } from './lmdb-commit.ts'
import type { LogEnvironment } from './lmdb-environment.ts'
import {
  entryKeys,
  openEnvironment,
  readBytes,
  recordsOf,
  syncDirectory
} from './lmdb-environment.ts'
import { mendPages, remake } from './lmdb-mend.ts'
import type { LogStore, OpenedLog, RestoredLog } from './log-store.ts'
import type { LogWrite, PendingWrite } from './log-tail.ts'
import { LogTail } from './log-tail.ts'
import {
  chooseState,
  identityWithoutLog,
  isDamagedEntry,
  otherCluster,
  readRecord
} from './restore.ts'
import { validateLog } from './validation.ts'

export interface LmdbLogStoreOptions {
  /** a folder of the log's own; made with mode 0700 when it is not there */
  readonly directory: string
  /** where the cluster's log begins; a stored log of another genesis is refused */
  readonly genesis: EntryId
  /** refuse to make a new log where none is stored: IDENTITY_WITHOUT_LOG */
  readonly mustExist?: boolean
  /** a write failed; called once, after which the store calls nothing any more */
  readonly onFailed: (error: AspenError) => void
  /** its file was damaged, and was made anew without any loss; with what was wrong */
  readonly onMended?: (fault: string) => void
  /** for the storage epoch of a new log */
  readonly random: Random
  /** a transaction is on the disk, after so long */
  readonly onCommitted?: ((durationMs: number) => void) | undefined
  /** for tests of crashes */
  readonly onBoundary?: OnBoundary | undefined
}

export class LmdbLogStore implements LogStore {
  readonly #environment: LogEnvironment
  readonly #tail: LogTail
  readonly #onFailed: (error: AspenError) => void
  readonly #onBoundary: OnBoundary | undefined
  readonly #onCommitted: ((durationMs: number) => void) | undefined
  /** as last handed to lmdb; the next write's sequence follows it */
  #state: LogState
  /** accepted, not handed to lmdb yet */
  #queue: PendingWrite[] = []
  /** no record lies below this index; at most one beyond the durable base */
  #sweptTo: Index = 1
  /** asked for, and not all gone */
  #sweeps: { readonly to: Index; readonly onDone: () => void }[] = []
  #isCommitScheduled = false
  /** the transaction in progress; resolves when it has ended either way */
  #commit: Promise<void> | null = null
  #status: 'open' | 'failed' | 'closed' = 'open'
  #closing: Promise<void> | null = null

  private constructor(environment: LogEnvironment, found: Started, options: Reporting) {
    const { state, restored } = found
    this.#environment = environment
    this.#state = state
    this.#onFailed = options.onFailed
    this.#onBoundary = options.onBoundary
    this.#onCommitted = options.onCommitted
    const { configurations } = restored
    this.#tail = new LogTail({ ...state, configurations }, (index) => this.#read(index).entry)
    // what an earlier run left below the base goes now
    this.#maybeScheduleCommit()
  }

  /**
   * Opens the log in `directory`, or makes it. Everything stored is verified, and the boot counter
   * is raised and durable, before this resolves. Nobody else may have the directory open.
   * @throws StorageError CORRUPTED, FORMAT_NEWER, DATA_DIR_TAKEN (the log of another cluster),
   * IDENTITY_WITHOUT_LOG, OPEN_DATABASE, IO_ERROR, NO_SPACE
   */
  static async open(options: LmdbLogStoreOptions): Promise<OpenedLog<LmdbLogStore>> {
    const { directory, mustExist = false } = options
    if (mustExist && !existsSync(directory)) throw identityWithoutLog()
    const fault = await mendPages({ directory, mayHaveHoles: false })
    if (fault !== null) options.onMended?.(fault)
    try {
      return await LmdbLogStore.#open(options)
    } catch (error) {
      const isWholeNow = isDamagedEntry(error) && (await remake(directory, 1))
      if (!isWholeNow) throw error
      options.onMended?.(error.message)
    }
    return await LmdbLogStore.#open(options)
  }

  /** Of a file whose pages are right. */
  static async #open(options: LmdbLogStoreOptions): Promise<OpenedLog<LmdbLogStore>> {
    const { directory, mustExist = false, onBoundary } = options
    const environment = openEnvironment(directory)
    try {
      const records = recordsOf(environment)
      const found = chooseState(records)
      if (found === null && mustExist) throw identityWithoutLog()
      const previous = found ?? newState(options)
      if (!equalSecret(previous.genesisHash, options.genesis.hash)) throw otherCluster()
      const nowMs = (): number => performance.now()
      const validated = validateLog(records, previous, { nowMs })
      const { restored, report: validation } = validated
      const { boot, sequence } = previous
      const state = { ...validated.state, boot: boot + 1, sequence: sequence + 1 }
      onBoundary?.('log.boot.begin')
      // a copy that was damaged is made anew
      await commit(environment, { changes: [], state, hasNewBase: true })
      onBoundary?.('log.boot.durable')
      if (found === null) {
        syncDirectory(directory)
        onBoundary?.('log.directory.durable')
      }
      const store = new LmdbLogStore(environment, { state, restored }, options)
      return { store, restored, validation }
    } catch (error) {
      await environment.root.close()
      throw error
    }
  }

  get base(): EntryId {
    return this.#tail.base.id
  }

  get baseTimeMs(): number {
    return this.#tail.base.timeMs
  }

  get stateBase(): Index {
    return this.#tail.base.stateBase
  }

  get last(): EntryId {
    return this.#tail.last
  }

  get boot(): number {
    return this.#state.boot
  }

  get storageEpoch(): Uint8Array {
    return this.#state.storageEpoch
  }

  write(write: LogWrite, onDurable: () => void): void {
    assert(this.#closing === null, 'the log store is open')
    if (this.#status === 'failed') return
    this.#queue.push(this.#tail.accept(write, onDurable))
    this.#maybeScheduleCommit()
  }

  compact(to: Index, onDone: () => void): void {
    assert(this.#closing === null, 'the log store is open')
    if (this.#status === 'failed') return
    const pending = this.#tail.compact(to, () => {})
    if (pending !== null) this.#queue.push(pending)
    this.#sweeps.push({ to: Math.min(to, this.#tail.pendingBase.id.index), onDone })
    this.#maybeScheduleCommit()
    // below the base there may be nothing left to do
    setImmediate(() => this.#endSweeps())
  }

  entries(from: Index, to: Index, maxBytes: number): readonly Entry[] {
    assert(from > this.base.index && from <= to, `[${from}, ${to}) lies behind the base`)
    const end = Math.min(to, this.#tail.readableEnd)
    const found: Entry[] = []
    let byteCount = 0
    for (let index = from; index < end; index++) {
      const { entry } = this.#read(index)
      byteCount += entry.payload.byteLength
      if (found.length > 0 && byteCount > maxBytes) break
      found.push(entry)
    }
    return found
  }

  idAt(index: Index): EntryId | 'compacted' | 'missing' {
    if (index < this.base.index) return 'compacted'
    if (index === this.base.index) return this.base
    return index < this.#tail.readableEnd ? this.#idOf(index) : 'missing'
  }

  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async #close(): Promise<void> {
    while (this.#isCommitScheduled || this.#commit !== null) {
      if (this.#commit === null) await nextTurn()
      else await this.#commit
    }
    this.#status = 'closed'
    await this.#environment.root.close()
  }

  /** Calls those whose entries are gone. */
  #endSweeps(): void {
    if (this.#status === 'failed') return
    const ended = this.#sweeps.filter(({ to }) => to < this.#sweptTo)
    this.#sweeps = this.#sweeps.filter(({ to }) => to >= this.#sweptTo)
    for (const { onDone } of ended) onDone()
  }

  #idOf(index: Index): EntryId {
    const { entry } = this.#read(index)
    return { index, term: entry.term, hash: entry.hash }
  }

  #read(index: Index): ReturnType<typeof readRecord> {
    assert(this.#status !== 'closed', 'the log store is open')
    return readRecord(readBytes(this.#environment.entries, indexKey(index)), index)
  }

  /** At the end of this turn of the event loop, so that all writes of the turn are one transaction. */
  #maybeScheduleCommit(): void {
    if (this.#isCommitScheduled || this.#commit !== null) return
    if (this.#queue.length === 0 && !this.#hasSweep) return
    this.#isCommitScheduled = true
    setImmediate(() => {
      this.#isCommitScheduled = false
      this.#commit = this.#commitQueue()
    })
  }

  async #commitQueue(): Promise<void> {
    const group = this.#queue
    this.#queue = []
    const written = this.#changesOf(group)
    const hasNewBase = group.some((write) => write.baseAfter !== this.#tail.base)
    this.#cross(group, 'begin')
    try {
      const sweep = this.#nextSweep()
      if (sweep.changes.length > 0) this.#onBoundary?.('log.sweep.begin')
      const changes = [...written, ...sweep.changes]
      if (group.length + changes.length > 0) {
        const beganMs = performance.now()
        await commit(this.#environment, { changes, state: this.#state, hasNewBase })
        this.#onCommitted?.(performance.now() - beganMs)
      } else {
        // this never ends before its caller has noted that it has begun
        await nextTurn()
      }
      if (sweep.changes.length > 0) this.#onBoundary?.('log.sweep.durable')
      this.#sweptTo = sweep.to
    } catch (error) {
      const reason = await reasonOf(this.#environment, error)
      // not before: a commit that began meanwhile would settle the writes of this one
      this.#commit = null
      this.#fail(reason)
      return
    }
    this.#commit = null
    this.#cross(group, 'durable')
    for (const _ of group) this.#tail.settle().onDurable()
    this.#endSweeps()
    this.#maybeScheduleCommit()
  }

  /** Whether records may lie at or below the durable base; they wait for the next start when it closes. */
  get #hasSweep(): boolean {
    return this.#closing === null && this.#sweptTo <= this.base.index
  }

  /** The next records below the durable base, as many as one transaction may remove. */
  #nextSweep(): { readonly changes: readonly Change[]; readonly to: Index } {
    if (!this.#hasSweep) return { changes: [], to: this.#sweptTo }
    const end = this.base.index + 1
    const range = { from: this.#sweptTo, to: end }
    const keys = entryKeys(this.#environment, range, LOG_SWEEP_ENTRIES)
    const last = keys.length < LOG_SWEEP_ENTRIES ? undefined : keys.at(-1)
    const changes = keys.map((key) => ({ key, record: null }))
    return { changes, to: last === undefined ? end : indexOfKey(last) + 1 }
  }

  /** What the group changes on disk. */
  #changesOf(group: readonly PendingWrite[]): readonly Change[] {
    const changes: Change[] = []
    for (const { lastAfter, removeTo, entries, previousHash } of group) {
      for (let index = lastAfter.index + 1; index < removeTo; index++) {
        changes.push({ key: indexKey(index), record: null })
      }
      let previous = previousHash
      for (const entry of entries) {
        changes.push({ key: indexKey(entry.index), record: encodeEntry(entry, previous) })
        previous = entry.hash
      }
    }
    const newest = group.at(-1)
    if (newest === undefined) return []
    this.#state = {
      ...this.#state,
      sequence: this.#state.sequence + 1,
      base: newest.baseAfter,
      last: newest.lastAfter,
      hardState: newest.hardStateAfter
    }
    return changes
  }

  /** Says what of the group is about to be written, or is durable. */
  #cross(group: readonly PendingWrite[], step: 'begin' | 'durable'): void {
    if (this.#onBoundary === undefined) return
    for (const what of heldBy(group)) this.#onBoundary(`log.${what}.${step}`)
  }

  #fail(error: StorageError): void {
    assert(this.#status === 'open', 'a store fails once')
    this.#status = 'failed'
    this.#queue = []
    this.#sweeps = []
    this.#tail.drop()
    this.#onFailed(error)
  }
}

type Reporting = Pick<LmdbLogStoreOptions, 'onFailed' | 'onBoundary' | 'onCommitted'>

interface Started {
  readonly state: LogState
  readonly restored: RestoredLog
}

function newState(options: LmdbLogStoreOptions): LogState {
  return {
    sequence: 0,
    boot: 0,
    storageEpoch: randomBytes(options.random, STORAGE_EPOCH_BYTES),
    genesisHash: options.genesis.hash,
    base: { id: options.genesis, timeMs: 0, stateBase: 0, configuration: null },
    last: options.genesis,
    hardState: null
  }
}

function nextTurn(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve)
  })
}
