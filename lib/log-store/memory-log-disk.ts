// What would be the disk of a log in memory: it outlives its store, so that a crash and a new start can be
// played, and it rots when it is told to. Records have bytes only while somebody needs them.

import { assert, present } from '../assert.ts'
import { randomBelow } from '../random.ts'
import type { Random } from '../random.ts'
import type { HardState } from '../raft/effects.ts'
import type { Entry, EntryId, Index } from '../raft/entry.ts'
import type { LogBase, LogState } from './encoding.ts'
import {
  decodeBaseConfiguration,
  decodeState,
  encodeBaseConfiguration,
  encodeEntry,
  encodeState
} from './encoding.ts'
import type { PendingWrite } from './log-tail.ts'
import { nameOf } from './log-tail.ts'
import type { FoundEntry, LogRecords } from './restore.ts'
import { foundRecord, readRecord } from './restore.ts'
import type { UnfinishedWrite } from './unfinished-write.ts'
import { tornInHalf, unfinishedWrite, wholeWrite } from './unfinished-write.ts'

/** One record on the disk: an entry's, or one of the two copies of the state or of the base's configuration. */
export type LogPlace =
  | { readonly kind: 'entry'; readonly index: Index }
  | { readonly kind: 'state'; readonly copy: 0 | 1 }
  | { readonly kind: 'baseConfiguration'; readonly copy: 0 | 1 }

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
  readonly #damagedConfigurations = new Map<0 | 1, Uint8Array>()
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
    return (this.content?.base.id.index ?? 0) + length
  }

  /** Where the log begins; null on an empty disk. */
  get base(): LogBase | null {
    this.recover()
    return this.content?.base ?? null
  }

  /** Names what is stored at `index`, the base included; null when that is nothing. */
  idAt(index: Index): EntryId | null {
    if (this.content === null || index > this.lastIndex) return null
    const { base, entries } = this.content
    const { id } = base
    const found = index === id.index ? id : entries[index - id.index - 1]
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
    for (const [number, record] of this.#damagedConfigurations) {
      copy.#damagedConfigurations.set(number, record)
    }
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
    else if (place.kind === 'state') this.#damagedStates.set(place.copy, record)
    else this.#damagedConfigurations.set(place.copy, record)
    return place
  }

  /** The log ends with `last`, and has this hard state. */
  cutTo(last: EntryId, hardState: HardState | null): void {
    const { base } = this.#found()
    this.commit({ base, last, hardState }, [])
  }

  /** As they lie on the disk, damage included. */
  records(): LogRecords {
    if (this.content === null) return NO_RECORDS
    const { base, entries } = this.content
    const first = base.id.index + 1
    const end = first + entries.length
    const stateAt = (copy: 0 | 1) => decodeState(this.#recordAt({ kind: 'state', copy }))
    const configurationAt = (copy: 0 | 1) =>
      decodeBaseConfiguration(this.#recordAt({ kind: 'baseConfiguration', copy }))
    return {
      states: [stateAt(0), stateAt(1)],
      baseConfigurations: [configurationAt(0), configurationAt(1)],
      countAbove: (index) => Math.max(0, end - Math.max(index + 1, first)),
      entryAt: (index) =>
        index >= first && index < end ? this.#foundAt(index) : { kind: 'missing' }
    }
  }

  /** Puts back the record of an entry that lies here damaged. */
  repair(entry: Entry): void {
    const { base, entries } = this.#found()
    const position = entry.index - base.id.index - 1
    assert(position >= 0 && position < entries.length, 'there is a record to put back')
    entries[position] = entry
    this.#damagedEntries.delete(entry.index)
  }

  /** The entry at an index that exists. @throws StorageError CORRUPTED when its record is damaged */
  entryAt(index: Index): Entry {
    const damaged = this.#damagedEntries.get(index)
    if (damaged !== undefined) return readRecord(damaged, index).entry
    const { base, entries } = this.#found()
    return present(entries[index - base.id.index - 1], `entry ${index}`)
  }

  /** A run begins; that is written, and both copies of the state and the base with it. */
  begin(content: MemoryLogContent): void {
    content.boot++
    this.content = content
    this.#damagedStates.clear()
    this.#damagedConfigurations.clear()
  }

  /**
   * One transaction: the log begins after `base`, ends with `entries`, the last of which is `last`, and has
   * this hard state. What is between the base and `entries` stays.
   */
  commit(
    { base, last, hardState }: Pick<LogState, 'base' | 'last' | 'hardState'>,
    entries: readonly Entry[]
  ): void {
    const content = this.#found()
    const [before, begin] = [content.base.id.index, base.id.index]
    const keptIndex = last.index - entries.length
    const lastBefore = before + content.entries.length
    const isWhole = keptIndex === begin || (keptIndex > begin && keptIndex <= lastBefore)
    assert(begin >= before && isWhole, 'a write leaves no hole')
    content.entries.length = Math.min(content.entries.length, keptIndex - before)
    content.entries.splice(0, begin - before)
    content.entries.push(...entries)
    content.hardState = hardState
    this.#damagedStates.clear()
    if (content.base !== base) this.#damagedConfigurations.clear()
    content.base = base
    for (const index of this.#damagedEntries.keys()) {
      if (index > keptIndex || index <= begin) this.#damagedEntries.delete(index)
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
    const copyCount = base.id.index === 0 ? 2 : 4
    const drawn = randomBelow(random, entries.length + copyCount)
    if (drawn < entries.length) return { kind: 'entry', index: base.id.index + 1 + drawn }
    const number = drawn - entries.length
    const kind = number < 2 ? 'state' : 'baseConfiguration'
    return { kind, copy: number % 2 === 0 ? 0 : 1 }
  }

  #foundAt(index: Index): FoundEntry {
    const damaged = this.#damagedEntries.get(index)
    if (damaged !== undefined) return foundRecord(damaged, index)
    const { base, entries } = this.#found()
    const position = index - base.id.index - 1
    const entry = present(entries[position], `entry ${index}`)
    const previousHash = (entries[position - 1] ?? base.id).hash
    if (verified.get(entry) !== previousHash) {
      const found = foundRecord(this.#recordAt({ kind: 'entry', index }), index)
      if (found.kind !== 'good') return found
      verified.set(entry, previousHash)
    }
    return { kind: 'good', entry, previousHash }
  }

  #recordAt(place: LogPlace): Uint8Array {
    const content = this.#found()
    if (place.kind === 'state') {
      return this.#damagedStates.get(place.copy) ?? encodeState(stateOf(content))
    }
    if (place.kind === 'baseConfiguration') {
      return this.#damagedConfigurations.get(place.copy) ?? encodeBaseConfiguration(content.base)
    }
    const { index } = place
    const damaged = this.#damagedEntries.get(index)
    if (damaged !== undefined) return damaged
    const position = index - content.base.id.index - 1
    const previous = content.entries[position - 1] ?? content.base.id
    return encodeEntry(present(content.entries[position], `entry ${index}`), previous.hash)
  }

  #found(): MemoryLogContent {
    return present(this.content, 'a log on this disk')
  }
}

export interface MemoryLogContent {
  readonly storageEpoch: Uint8Array
  readonly genesisHash: Uint8Array
  base: LogBase
  boot: number
  /** entry base.id.index + 1 + i at i */
  readonly entries: Entry[]
  hardState: HardState | null
}

/** Entries that were verified once, with the hash that they follow: without damage they stay good. */
const verified = new WeakMap<Entry, Uint8Array>()

const NO_RECORDS: LogRecords = {
  states: [{ kind: 'missing' }, { kind: 'missing' }],
  baseConfigurations: [{ kind: 'missing' }, { kind: 'missing' }],
  countAbove: () => 0,
  entryAt: () => ({ kind: 'missing' })
}

/** Both copies of the state are always of one write, so their sequence says nothing. */
export function stateOf(content: MemoryLogContent): LogState {
  const { storageEpoch, genesisHash, base, boot, entries, hardState } = content
  const last = nameOf(entries.at(-1) ?? base.id)
  return { sequence: 0, boot, storageEpoch, genesisHash, base, last, hardState }
}
