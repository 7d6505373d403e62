// The log store in memory, for tests, the simulator and trials: the same contract, without a disk.
// What would be the disk is a `MemoryLogDisk` that outlives the store, so that a crash and a new
// start can be played: `crash()` loses every write that was not durable yet.
//
// Writes become durable when the injected `defer` calls back, one per call and in order; a simulator
// decides when that is.

import { assert, present } from '../assert.ts'
import { equalSecret } from '../crypto.ts'
import type { AspenError } from '../errors.ts'
import { StorageError } from '../errors.ts'
import type { Random } from '../random.ts'
import { randomBytes } from '../random.ts'
import { decodeConfiguration } from '../raft/encoding.ts'
import type { HardState } from '../raft/effects.ts'
import type { Entry, EntryId, Index } from '../raft/entry.ts'
import { ENTRY_KIND } from '../raft/entry.ts'
import { STORAGE_EPOCH_BYTES } from './encoding.ts'
import type { LogStore, OpenedLog } from './log-store.ts'
import type { LogWrite, PendingWrite } from './log-tail.ts'
import { LogTail } from './log-tail.ts'

export interface MemoryLogStoreOptions {
  /** what an earlier store left; a new one for an empty log */
  readonly disk: MemoryLogDisk
  readonly genesis: EntryId
  readonly random: Random
  readonly onFailed: (error: AspenError) => void
  /** calls `fn` later, when one more write has become durable */
  readonly defer: (fn: () => void) => void
}

/** What is durable. Only its store changes it. */
export class MemoryLogDisk {
  /** null until a store was opened on it */
  content: MemoryLogContent | null = null
}

interface MemoryLogContent {
  readonly storageEpoch: Uint8Array
  readonly base: EntryId
  boot: number
  /** entry base.index + 1 + i at i */
  readonly entries: Entry[]
  hardState: HardState | null
}

export class MemoryLogStore implements LogStore {
  readonly #content: MemoryLogContent
  readonly #tail: LogTail
  readonly #options: MemoryLogStoreOptions
  #status: 'open' | 'failed' | 'closed' = 'open'
  /** writes handed over and not durable yet */
  #pendingCount = 0
  /** `close` waits for the last pending write */
  #onIdle: (() => void) | null = null
  /** boot of this run; the disk's may grow under a crashed store */
  readonly boot: number

  private constructor(options: MemoryLogStoreOptions, content: MemoryLogContent) {
    this.#options = options
    this.#content = content
    this.boot = content.boot
    const { base, hardState } = content
    const last = content.entries.at(-1) ?? base
    this.#tail = new LogTail({ base, last: nameOf(last), hardState }, (index) =>
      nameOf(this.#entryAt(index))
    )
  }

  /** Opens the log on `disk`, or makes it. @throws StorageError DATA_DIR_TAKEN */
  static open(options: MemoryLogStoreOptions): OpenedLog<MemoryLogStore> {
    const { disk, genesis, random } = options
    disk.content ??= {
      storageEpoch: randomBytes(random, STORAGE_EPOCH_BYTES),
      base: genesis,
      boot: 0,
      entries: [],
      hardState: null
    }
    if (!equalSecret(disk.content.base.hash, genesis.hash)) {
      throw new StorageError({
        code: 'DATA_DIR_TAKEN',
        message: 'the log on this disk belongs to another cluster'
      })
    }
    disk.content.boot++
    const { hardState, entries } = disk.content
    const configurations = entries
      .filter((entry) => entry.kind === ENTRY_KIND.configuration)
      .map(({ index, payload }) => ({
        index,
        configuration: decodeConfiguration(payload)
      }))
    const store = new MemoryLogStore(options, disk.content)
    return { store, restored: { hardState, configurations } }
  }

  get base(): EntryId {
    return this.#tail.base
  }

  get last(): EntryId {
    return this.#tail.last
  }

  get storageEpoch(): Uint8Array {
    return this.#content.storageEpoch
  }

  write(write: LogWrite, onDurable: () => void): void {
    assert(this.#onIdle === null && this.#status !== 'closed', 'the log store is open')
    if (this.#status === 'failed') return
    this.#tail.accept(write, onDurable)
    this.#pendingCount++
    this.#options.defer(() => {
      if (this.#status === 'open') this.#completeOldest()
    })
  }

  entries(from: Index, to: Index, maxBytes: number): readonly Entry[] {
    assert(this.#status !== 'closed', 'the log store is open')
    assert(from > this.base.index && from <= to, `[${from}, ${to}) lies behind the base`)
    const end = Math.min(to, this.#tail.readableEnd)
    const found: Entry[] = []
    let byteCount = 0
    for (let index = from; index < end; index++) {
      const entry = this.#entryAt(index)
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
    return index < this.#tail.readableEnd ? nameOf(this.#entryAt(index)) : 'missing'
  }

  async close(): Promise<void> {
    if (this.#status === 'open' && this.#pendingCount > 0) {
      await new Promise<void>((resolve) => {
        this.#onIdle = resolve
      })
    }
    this.#status = 'closed'
  }

  /** Power loss: what is not durable is gone, and this store does and calls nothing any more. */
  crash(): void {
    this.#drop('closed')
  }

  /** The disk fails: as after a failed commit, `onFailed` is called once and nothing else again. */
  fail(error: StorageError): void {
    assert(this.#status === 'open', 'a store fails once')
    this.#drop('failed')
    this.#options.onFailed(error)
  }

  #drop(status: 'failed' | 'closed'): void {
    this.#status = status
    this.#tail.drop()
    this.#pendingCount = 0
    this.#onIdle?.()
  }

  #completeOldest(): void {
    const oldest = this.#tail.settle()
    this.#persist(oldest)
    this.#pendingCount--
    oldest.onDurable()
    if (this.#pendingCount === 0) this.#onIdle?.()
  }

  #persist(write: PendingWrite): void {
    const { base, entries } = this.#content
    if (write.truncateFrom !== null) entries.length = write.truncateFrom - base.index - 1
    entries.push(...write.entries)
    if (write.hardState !== null) this.#content.hardState = write.hardState
  }

  #entryAt(index: Index): Entry {
    return present(this.#content.entries[index - this.base.index - 1], `entry ${index}`)
  }
}

function nameOf(entry: EntryId): EntryId {
  return { index: entry.index, term: entry.term, hash: entry.hash }
}
