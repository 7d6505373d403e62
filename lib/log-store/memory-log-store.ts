// The log store in memory, for tests, the simulator and trials: the same contract, without a disk.
// What would be the disk is a `MemoryLogDisk` (memory-log-disk.ts) that outlives the store, so that a crash
// and a new start can be played: `crash()` loses what was not durable yet, or all but the first of it.
//
// Writes become durable when the injected `defer` calls back, one per call and in order; a simulator
// decides when that is.

import { assert } from '../assert.ts'
import { equalSecret } from '../crypto.ts'
import type { AspenError } from '../errors.ts'
import type { StorageError } from '../errors.ts'
import { randomBytes } from '../random.ts'
import type { Random } from '../random.ts'
import type { Entry, EntryId, Index } from '../raft/entry.ts'
import { STORAGE_EPOCH_BYTES } from './encoding.ts'
import type { LogStore, OpenedLog, RestoredLog } from './log-store.ts'
import type { LogWrite, PendingWrite } from './log-tail.ts'
import { LogTail, nameOf } from './log-tail.ts'
import type { CrashOptions, MemoryLogContent, MemoryLogDisk } from './memory-log-disk.ts'
import { stateOf } from './memory-log-disk.ts'
import { chooseState, otherCluster } from './restore.ts'
import { validateLog } from './validation.ts'

export interface MemoryLogStoreOptions {
  /** what an earlier store left; a new one for an empty log */
  readonly disk: MemoryLogDisk
  readonly genesis: EntryId
  readonly random: Random
  readonly onFailed: (error: AspenError) => void
  /** calls `fn` later, when one more write has become durable */
  readonly defer: (fn: () => void) => void
}

export class MemoryLogStore implements LogStore {
  readonly #disk: MemoryLogDisk
  readonly #tail: LogTail
  readonly #options: MemoryLogStoreOptions
  #status: 'open' | 'failed' | 'closed' = 'open'
  /** handed over and not durable yet, the oldest first; after a failure, what a crash may keep */
  #pending: PendingWrite[] = []
  /** `close` waits for the last pending write */
  #onIdle: (() => void) | null = null
  /** of this run; the disk's may grow under a crashed store */
  readonly boot: number
  readonly storageEpoch: Uint8Array

  private constructor(
    options: MemoryLogStoreOptions,
    content: MemoryLogContent,
    { configurations }: RestoredLog
  ) {
    this.#options = options
    this.#disk = options.disk
    this.boot = content.boot
    this.storageEpoch = content.storageEpoch
    const found = { ...stateOf(content), configurations }
    this.#tail = new LogTail(found, (index) => this.#disk.entryAt(index))
  }

  /**
   * Opens the log on `disk`, or makes it. Everything stored is verified.
   * @throws StorageError DATA_DIR_TAKEN, CORRUPTED
   */
  static open(options: MemoryLogStoreOptions): OpenedLog<MemoryLogStore> {
    const { disk, genesis, random } = options
    disk.recover()
    const records = disk.records()
    const found = chooseState(records)
    if (found !== null && !equalSecret(found.genesisHash, genesis.hash)) {
      throw otherCluster()
    }
    const content: MemoryLogContent = disk.content ?? {
      storageEpoch: randomBytes(random, STORAGE_EPOCH_BYTES),
      genesisHash: genesis.hash,
      base: { id: genesis, timeMs: 0, stateBase: 0, configuration: null },
      boot: 0,
      entries: [],
      hardState: null
    }
    const state = found ?? stateOf(content)
    const { restored, report: validation } = validateLog(records, state, { nowMs: () => 0 })
    disk.begin(content)
    return { store: new MemoryLogStore(options, content, restored), restored, validation }
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

  /** Writes in progress; after a failure, those of which nobody knows what became of them. */
  get pendingCount(): number {
    return this.#pending.length
  }

  write(write: LogWrite, onDurable: () => void): void {
    assert(this.#onIdle === null && this.#status !== 'closed', 'the log store is open')
    if (this.#status === 'failed') return
    this.#begin(this.#tail.accept(write, onDurable))
  }

  /** One write: the entries are gone when the base has moved. */
  compact(to: Index, onDone: () => void): void {
    assert(this.#onIdle === null && this.#status !== 'closed', 'the log store is open')
    if (this.#status === 'failed') return
    // below the base there is nothing left to do, but that too is told in its turn
    const pending = this.#tail.compact(to, onDone) ?? this.#tail.accept(NOTHING, onDone)
    this.#begin(pending)
  }

  entries(from: Index, to: Index, maxBytes: number): readonly Entry[] {
    assert(this.#status !== 'closed', 'the log store is open')
    assert(from > this.base.index && from <= to, `[${from}, ${to}) lies behind the base`)
    const end = Math.min(to, this.#tail.readableEnd)
    const found: Entry[] = []
    let byteCount = 0
    for (let index = from; index < end; index++) {
      const entry = this.#disk.entryAt(index)
      byteCount += entry.payload.byteLength
      if (found.length > 0 && byteCount > maxBytes) break
      found.push(entry)
    }
    return found
  }

  idAt(index: Index): EntryId | 'compacted' | 'missing' {
    assert(this.#status !== 'closed', 'the log store is open')
    if (index < this.base.index) return 'compacted'
    if (index === this.base.index) return this.base
    return index < this.#tail.readableEnd ? nameOf(this.#disk.entryAt(index)) : 'missing'
  }

  async close(): Promise<void> {
    if (this.#status === 'open' && this.#pending.length > 0) {
      await new Promise<void>((resolve) => {
        this.#onIdle = resolve
      })
    }
    this.#status = 'closed'
  }

  /**
   * Power loss: this store does and calls nothing any more. What is not durable is gone, except what
   * `options` say. After a failure, too, any of the pending writes may have reached the disk.
   */
  crash(options: CrashOptions = {}): void {
    if (this.#status === 'closed') return
    this.#disk.lose(this.#pending, options)
    this.#pending = []
    this.#end('closed')
  }

  /** The disk fails: as after a failed commit, `onFailed` is called once and nothing else again. */
  fail(error: StorageError): void {
    assert(this.#status === 'open', 'a store fails once')
    this.#end('failed')
    this.#options.onFailed(error)
  }

  #begin(write: PendingWrite): void {
    this.#pending.push(write)
    this.#options.defer(() => {
      if (this.#status === 'open') this.#completeOldest()
    })
  }

  #end(status: 'failed' | 'closed'): void {
    this.#status = status
    this.#tail.drop()
    this.#onIdle?.()
  }

  #completeOldest(): void {
    const { baseAfter, lastAfter, hardStateAfter, entries, onDurable } = this.#tail.settle()
    this.#pending.shift()
    const after = { base: baseAfter, last: lastAfter, hardState: hardStateAfter }
    this.#disk.commit(after, entries)
    onDurable()
    if (this.#pending.length === 0) this.#onIdle?.()
  }
}

const NOTHING: LogWrite = { hardState: null, install: null, truncateFrom: null, entries: [] }
