// The log store in memory, for tests, the simulator and trials: the same contract, without a disk.
// What would be the disk is a `MemoryLogDisk` that outlives the store, so that a crash and a new
// start can be played: `crash()` loses what was not durable yet, or all but the first of it.
//
// Writes become durable when the injected `defer` calls back, one per call and in order; a simulator
// decides when that is.

import { assert, present } from '../assert.ts'
import { equalSecret } from '../crypto.ts'
import type { AspenError } from '../errors.ts'
import { StorageError } from '../errors.ts'
import { randomBelow, randomBytes } from '../random.ts'
import type { Random } from '../random.ts'
import type { HardState } from '../raft/effects.ts'
import type { Entry, EntryId, Index } from '../raft/entry.ts'
import type { LogState, VerifiedEntry } from './encoding.ts'
import { decodeState, encodeEntry, encodeState, STORAGE_EPOCH_BYTES } from './encoding.ts'
import type { LogStore, OpenedLog } from './log-store.ts'
import type { LogWrite, PendingWrite } from './log-tail.ts'
import { LogTail } from './log-tail.ts'
import type { LogRecords } from './restore.ts'
import { chooseState, readRecord, verifyLog } from './restore.ts'
import type { UnfinishedWrite } from './unfinished-write.ts'
import { tornInHalf, unfinishedWrite, wholeWrite } from './unfinished-write.ts'

export interface MemoryLogStoreOptions {
  /** what an earlier store left; a new one for an empty log */
  readonly disk: MemoryLogDisk
  readonly genesis: EntryId
  readonly random: Random
  readonly onFailed: (error: AspenError) => void
  /** calls `fn` later, when one more write has become durable */
  readonly defer: (fn: () => void) => void
}

/** One record on the disk: an entry's, or one of the two copies of the state. */
export type LogPlace =
  | { readonly kind: 'entry'; readonly index: Index }
  | { readonly kind: 'state'; readonly copy: 0 | 1 }

/** What reached the disk of the writes in progress, although nobody was told. */
export interface CrashOptions {
  /** how many of them, the oldest first; 0 when left out */
  readonly kept?: number
  /** the next one was written in part */
  readonly isTorn?: boolean
}

/**
 * What is durable. Only its store changes it, and `flip`. Records have bytes only while somebody needs
 * them: for damage, and to be verified.
 */
export class MemoryLogDisk {
  /** null until a store was opened on it */
  content: MemoryLogContent | null = null
  /** records of which a bit was flipped, until they are written again */
  readonly #damagedEntries = new Map<Index, Uint8Array>()
  readonly #damagedStates = new Map<0 | 1, Uint8Array>()
  /** writes that were on their way when the power went */
  #unfinished: readonly UnfinishedWrite[] = []

  /** What the next open would find, without the damage. */
  get entries(): readonly Entry[] {
    this.recover()
    return this.content?.entries ?? []
  }

  get hardState(): HardState | null {
    this.recover()
    return this.content?.hardState ?? null
  }

  get lastIndex(): Index {
    const { length } = this.entries
    return (this.content?.base.index ?? 0) + length
  }

  /** Names what is stored at `index`, the base included; null when that is nothing. */
  idAt(index: Index): EntryId | null {
    if (this.content === null || index > this.lastIndex) return null
    const { base, entries } = this.content
    const found = index === base.index ? base : entries[index - base.index - 1]
    return found === undefined ? null : nameOf(found)
  }

  /** Another disk with the same on it, damage included. */
  copy(): MemoryLogDisk {
    this.recover()
    const copy = new MemoryLogDisk()
    if (this.content === null) return copy
    copy.content = { ...this.content, entries: [...this.content.entries] }
    for (const [index, record] of this.#damagedEntries) copy.#damagedEntries.set(index, record)
    for (const [number, record] of this.#damagedStates) copy.#damagedStates.set(number, record)
    return copy
  }

  /**
   * Flips one bit of the record at `place`, of any one when left out. Returns where; null on an empty
   * disk.
   */
  flip(random: Random, place: LogPlace | null = this.#anyPlace(random)): LogPlace | null {
    if (place === null) return null
    const record = Uint8Array.from(this.#recordAt(place))
    const position = randomBelow(random, record.byteLength)
    record[position] = (record[position] ?? 0) ^ (1 << randomBelow(random, 8))
    if (place.kind === 'entry') this.#damagedEntries.set(place.index, record)
    else this.#damagedStates.set(place.copy, record)
    return place
  }

  /** As they lie on the disk, damage included. */
  records(): LogRecords {
    if (this.content === null) return NO_RECORDS
    const { base, entries } = this.content
    const end = base.index + 1 + entries.length
    const stateAt = (copy: 0 | 1) => decodeState(this.#recordAt({ kind: 'state', copy }))
    return {
      states: [stateAt(0), stateAt(1)],
      entryCount: entries.length,
      entryAt: (index) => (index < end ? this.#verifiedAt(index) : readRecord(undefined, index))
    }
  }

  /** The entry at an index that exists. @throws StorageError CORRUPTED when its record is damaged */
  entryAt(index: Index): Entry {
    const damaged = this.#damagedEntries.get(index)
    if (damaged !== undefined) return readRecord(damaged, index).entry
    const { base, entries } = this.#found()
    return present(entries[index - base.index - 1], `entry ${index}`)
  }

  /** A run begins; that is written, and both copies of the state with it. */
  begin(content: MemoryLogContent): void {
    content.boot++
    this.content = content
    this.#damagedStates.clear()
  }

  /** One transaction: the log ends with `entries`, the last of which is `last`, and has this hard state. */
  commit(
    { last, hardState }: Pick<LogState, 'last' | 'hardState'>,
    entries: readonly Entry[]
  ): void {
    const content = this.#found()
    const keptIndex = last.index - entries.length
    const keptCount = keptIndex - content.base.index
    assert(keptCount >= 0 && keptCount <= content.entries.length, 'a write leaves no hole')
    content.entries.length = keptCount
    content.entries.push(...entries)
    content.hardState = hardState
    this.#damagedStates.clear()
    for (const index of this.#damagedEntries.keys()) {
      if (index > keptIndex) this.#damagedEntries.delete(index)
    }
  }

  /** The power goes while these writes are in progress, the oldest first. */
  lose(pending: readonly PendingWrite[], { kept = 0, isTorn = false }: CrashOptions): void {
    const state = stateOf(this.#found())
    const begun = pending.slice(0, isTorn ? kept + 1 : kept)
    this.#unfinished = begun.map((write, position) => {
      const whole = unfinishedWrite(state, write)
      return position < kept ? whole : tornInHalf(whole)
    })
  }

  /** Before anything is read: what was whole when the power went is taken, the rest is not there. */
  recover(): void {
    for (const one of this.#unfinished) {
      const write = wholeWrite(one)
      if (write !== null) this.commit(write.state, write.entries)
    }
    this.#unfinished = []
  }

  #anyPlace(random: Random): LogPlace | null {
    if (this.content === null) return null
    const { base, entries } = this.content
    const drawn = randomBelow(random, entries.length + 2)
    if (drawn < entries.length) return { kind: 'entry', index: base.index + 1 + drawn }
    return { kind: 'state', copy: drawn === entries.length ? 0 : 1 }
  }

  #verifiedAt(index: Index): VerifiedEntry {
    const damaged = this.#damagedEntries.get(index)
    if (damaged !== undefined) return readRecord(damaged, index)
    const { base, entries } = this.#found()
    const position = index - base.index - 1
    const entry = present(entries[position], `entry ${index}`)
    const previousHash = (entries[position - 1] ?? base).hash
    if (verified.get(entry) !== previousHash) {
      readRecord(this.#recordAt({ kind: 'entry', index }), index)
      verified.set(entry, previousHash)
    }
    return { entry, previousHash }
  }

  #recordAt(place: LogPlace): Uint8Array {
    const content = this.#found()
    if (place.kind === 'state') {
      return this.#damagedStates.get(place.copy) ?? encodeState(stateOf(content))
    }
    const { index } = place
    const damaged = this.#damagedEntries.get(index)
    if (damaged !== undefined) return damaged
    const position = index - content.base.index - 1
    const previous = content.entries[position - 1] ?? content.base
    return encodeEntry(present(content.entries[position], `entry ${index}`), previous.hash)
  }

  #found(): MemoryLogContent {
    return present(this.content, 'a log on this disk')
  }
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

  private constructor(options: MemoryLogStoreOptions, content: MemoryLogContent) {
    this.#options = options
    this.#disk = options.disk
    this.boot = content.boot
    this.storageEpoch = content.storageEpoch
    this.#tail = new LogTail(stateOf(content), (index) => nameOf(this.#disk.entryAt(index)))
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
      throw new StorageError({
        code: 'DATA_DIR_TAKEN',
        message: 'the log on this disk belongs to another cluster'
      })
    }
    const content: MemoryLogContent = disk.content ?? {
      storageEpoch: randomBytes(random, STORAGE_EPOCH_BYTES),
      base: genesis,
      boot: 0,
      entries: [],
      hardState: null
    }
    const restored = verifyLog(records, found ?? stateOf(content))
    disk.begin(content)
    return { store: new MemoryLogStore(options, content), restored }
  }

  get base(): EntryId {
    return this.#tail.base
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
    this.#pending.push(this.#tail.accept(write, onDurable))
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

  #end(status: 'failed' | 'closed'): void {
    this.#status = status
    this.#tail.drop()
    this.#onIdle?.()
  }

  #completeOldest(): void {
    const { lastAfter, hardStateAfter, entries, onDurable } = this.#tail.settle()
    this.#pending.shift()
    this.#disk.commit({ last: lastAfter, hardState: hardStateAfter }, entries)
    onDurable()
    if (this.#pending.length === 0) this.#onIdle?.()
  }
}

/** Entries that were verified once, with the hash that they follow: without damage they stay good. */
const verified = new WeakMap<Entry, Uint8Array>()

const NO_RECORDS: LogRecords = {
  states: [{ kind: 'missing' }, { kind: 'missing' }],
  entryCount: 0,
  entryAt: (index) => readRecord(undefined, index)
}

/** Both copies of the state are always of one write, so their sequence says nothing. */
function stateOf({ storageEpoch, base, boot, entries, hardState }: MemoryLogContent): LogState {
  const last = nameOf(entries.at(-1) ?? base)
  return { sequence: 0, boot, storageEpoch, genesisHash: base.hash, base, last, hardState }
}

function nameOf(entry: EntryId): EntryId {
  return { index: entry.index, term: entry.term, hash: entry.hash }
}
