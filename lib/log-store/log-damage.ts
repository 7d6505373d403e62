// Which records of a log are damaged, and which entry each of them must be. The state names the last entry,
// and every record names the hash of the one before it; so the log is walked from its end down, and a record
// is good when it is whole, in its place, and has the hash that the one above it (or the state) demands.
//
// In a run of damaged records only the highest is known by its hash; when that one is back, it names the next.
// A record below a run that is whole in itself passes for good until the entry above it is back and says
// otherwise: then it is damaged too. So nothing is guessed: what a repaired log holds is what was written.
//
// Pure over the records; who puts them back: lmdb-damaged-log.ts.

import { assert } from '../assert.ts'
import { equalSecret } from '../crypto.ts'
import type { AspenError } from '../errors.ts'
import { MAX_TERM_JUMP } from '../limits.ts'
import type { IndexedConfiguration } from '../raft/configurations.ts'
import { decodeConfiguration } from '../raft/encoding.ts'
import type { Entry, EntryId, Index, Term } from '../raft/entry.ts'
import { chainHash, ENTRY_KIND, isSameEntry } from '../raft/entry.ts'
import type { HardState, InstalledSnapshot } from '../raft/effects.ts'
import type { LogState, VerifiedEntry } from './encoding.ts'
import type { LogRecords } from './restore.ts'
import { chooseConfiguration, corruptedEntry } from './restore.ts'

/** An entry whose record does not verify. */
export interface DamagedEntry {
  readonly index: Index
  /** that it must have; null as long as the entry above it is damaged too */
  readonly hash: Uint8Array | null
}

/**
 * A log that a plain open refuses, open for nothing but to be put together again: no vote and no
 * acknowledgement comes from it. When nothing is damaged any more it is closed and opened as usual, which
 * verifies all of it.
 */
export interface DamagedLog {
  readonly base: EntryId
  readonly last: EntryId
  readonly hardState: HardState | null
  /** those that can be read, the base's first; ascending */
  readonly configurations: readonly IndexedConfiguration[]
  /** ascending; empty when the log is whole. A repair may show that the entry below is damaged too */
  readonly damaged: readonly DamagedEntry[]
  /**
   * Puts `entry` back, which follows the one with `previousHash`; `onDone` when that is on the disk. Returns
   * false, and does nothing, unless it is a damaged entry with the very hash.
   */
  repair(entry: Entry, previousHash: Uint8Array, onDone: () => void): boolean
  /**
   * Ends the log before `index`, which nobody has: a leader of `term` has confirmed that no such entry was
   * ever committed. The term is adopted with it, so that the log does not look like one that lost what it
   * acknowledged. What lies below must not be damaged at `index` - 1.
   */
  cutFrom(cut: { readonly index: Index; readonly term: Term }, onDone: () => void): void
  /**
   * The log begins after a snapshot of what is committed, as when one is installed: what is damaged below it is
   * needed no more. What lies above stays, unless the entry that the snapshot ends with is known to be another
   * here: then nobody will ever count on it. Returns false, and does nothing, where that is at or before the base.
   */
  install(snapshot: InstalledSnapshot, onDone: () => void): boolean
  close(): Promise<void>
}

/** What every way to put a log together again is given. */
export interface DamagedLogOptions {
  /** a stored log of another genesis is refused */
  readonly genesis: EntryId
  /** a write failed; called once, after which nothing is called any more */
  readonly onFailed: (error: AspenError) => void
}

export class LogDamage {
  readonly #records: LogRecords
  #state: LogState
  /** ascending */
  #damaged: DamagedEntry[] = []

  /** @throws StorageError CORRUPTED for records beyond the last one: those nothing can explain */
  constructor(records: LogRecords, state: LogState) {
    this.#records = records
    this.#state = state
    if (records.countAbove(state.last.index) > 0) {
      throw corruptedEntry(state.last.index + 1, 'is unexpected: it is beyond the last one')
    }
    this.#walk(state.last.index, state.last.hash)
  }

  get damaged(): readonly DamagedEntry[] {
    return this.#damaged
  }

  get state(): LogState {
    return this.#state
  }

  /** Of what can be read. */
  configurations(): readonly IndexedConfiguration[] {
    const { base, last } = this.#state
    const found: IndexedConfiguration[] = []
    const atBase = chooseConfiguration(this.#records, this.#state) ?? null
    if (atBase !== null) found.push(atBase)
    const damaged = new Set(this.#damaged.map(({ index }) => index))
    for (let index = base.id.index + 1; index <= last.index; index++) {
      const record = this.#records.entryAt(index)
      if (record.kind !== 'good' || damaged.has(index)) continue
      const { kind, payload } = record.entry
      if (kind !== ENTRY_KIND.configuration) continue
      found.push({ index, configuration: decodeConfiguration(payload) })
    }
    return found
  }

  /** The entry at `index`, if it is whole and has `hash`: for others whose logs are damaged too. */
  entryWith(index: Index, hash: Uint8Array): VerifiedEntry | null {
    const { base, last } = this.#state
    if (index <= base.id.index || index > last.index) return null
    const found = this.#records.entryAt(index)
    return found.kind === 'good' && equalSecret(found.entry.hash, hash) ? found : null
  }

  /** Whether this entry is in the log, whole or damaged, or the log begins after it. */
  holds(id: EntryId): boolean {
    if (isSameEntry(id, this.#state.base.id)) return true
    if (this.entryWith(id.index, id.hash) !== null) return true
    const hash = this.#damaged.find(({ index }) => index === id.index)?.hash ?? null
    return hash !== null && equalSecret(hash, id.hash)
  }

  /** Whether this is what lies damaged at its index. */
  fits({ entry, previousHash }: VerifiedEntry): boolean {
    const hash = this.#damaged.find(({ index }) => index === entry.index)?.hash ?? null
    if (hash === null || !equalSecret(entry.hash, hash)) return false
    return equalSecret(chainHash(previousHash, entry), hash)
  }

  /** What fits is on the disk. */
  onRepaired({ entry, previousHash }: VerifiedEntry): void {
    const { index } = entry
    this.#damaged = this.#damaged.filter((one) => one.index !== index)
    const below = index - 1
    const { id } = this.#state.base
    if (below === id.index) {
      if (equalSecret(previousHash, id.hash)) return
      throw corruptedEntry(index, 'does not follow what the log begins after')
    }
    this.#damaged = this.#damaged.filter((one) => one.index !== below)
    if (this.#goodAt(below, previousHash) !== null) return
    this.#damaged = [...this.#damaged, { index: below, hash: previousHash }].toSorted(byIndex)
  }

  /** The state of a log that is opened once more. */
  raiseBoot(): LogState {
    const { boot, sequence } = this.#state
    this.#state = { ...this.#state, boot: boot + 1, sequence: sequence + 1 }
    return this.#state
  }

  /** The state of a log that ends before `index`. */
  cutFrom({ index, term }: { readonly index: Index; readonly term: Term }): LogState {
    const { base, last, hardState, sequence } = this.#state
    assert(index > base.id.index && index <= last.index, 'there is something to cut')
    assert(index > (hardState?.commitIndex ?? 0), 'nothing committed is ever cut')
    const before = this.#idBefore(index)
    const isLater = term > (hardState?.term ?? 0)
    const kept = hardState ?? { term, votedFor: null, commitIndex: 0 }
    this.#state = {
      ...this.#state,
      sequence: sequence + 1,
      last: before,
      hardState: isLater ? { ...kept, term, votedFor: null } : kept
    }
    this.#damaged = this.#damaged.filter((one) => one.index < index)
    return this.#state
  }

  /** The state of a log that begins after a snapshot, which has not been written yet; null: it cannot. */
  installed({ id, timeMs, configuration, configurationIndex }: InstalledSnapshot): LogState | null {
    const { base, last, hardState, sequence } = this.#state
    const own = this.#hashAt(id.index)
    const isOther = own !== null && !equalSecret(own, id.hash)
    if (id.index < base.id.index || (id.index === base.id.index && isOther)) return null
    const kept = hardState ?? { term: 0, votedFor: null, commitIndex: 0 }
    if (id.term > kept.term + MAX_TERM_JUMP) return null
    const isLater = id.term > kept.term
    return {
      ...this.#state,
      sequence: sequence + 1,
      base: {
        id,
        timeMs,
        stateBase: id.index,
        configuration: { index: configurationIndex, configuration }
      },
      last: id.index < last.index && !isOther ? last : id,
      hardState: {
        // a log that ends elsewhere must not look like one that lost what it acknowledged
        ...(isLater ? { term: id.term, votedFor: null } : kept),
        commitIndex: Math.max(kept.commitIndex, id.index)
      }
    }
  }

  /** Such a state is on the disk. */
  onInstalled(state: LogState): void {
    this.#state = state
    this.#walk(state.last.index, state.last.hash)
  }

  /** What is known of the entry there; null: nothing. */
  #hashAt(index: Index): Uint8Array | null {
    const { base, last } = this.#state
    if (index === base.id.index) return base.id.hash
    if (index < base.id.index || index > last.index) return null
    const damaged = this.#damaged.find((one) => one.index === index)
    if (damaged !== undefined) return damaged.hash
    const found = this.#records.entryAt(index)
    return found.kind === 'good' ? found.entry.hash : null
  }

  #idBefore(index: Index): EntryId {
    const { id } = this.#state.base
    if (index - 1 === id.index) return id
    const isDamaged = this.#damaged.some((one) => one.index === index - 1)
    const found = this.#records.entryAt(index - 1)
    assert(found.kind === 'good' && !isDamaged, 'the log ends with an entry that is known')
    const { term, hash } = found.entry
    return { index: index - 1, term, hash: Uint8Array.from(hash) }
  }

  /** From `from` down to the base; `hash` is what the entry there must have. */
  #walk(from: Index, hash: Uint8Array): void {
    const { id } = this.#state.base
    const damaged: DamagedEntry[] = []
    let expected: Uint8Array | null = hash
    for (let index = from; index > id.index; index--) {
      const previousHash = this.#goodAt(index, expected)
      if (previousHash === null) {
        damaged.push({ index, hash: expected && Uint8Array.from(expected) })
      }
      expected = previousHash
    }
    if (expected !== null && !equalSecret(expected, id.hash)) this.#onWrongStart(damaged)
    this.#damaged = damaged.toReversed()
  }

  /** The hash before the entry at `index`, if that is whole and has `hash` (null for any); else null. */
  #goodAt(index: Index, hash: Uint8Array | null): Uint8Array | null {
    const found = this.#records.entryAt(index)
    if (found.kind !== 'good') return null
    return hash === null || equalSecret(found.entry.hash, hash) ? found.previousHash : null
  }

  /** The first entry is whole and follows another base: so it is not the one that was written there. */
  #onWrongStart(damaged: DamagedEntry[]): void {
    const index = this.#state.base.id.index + 1
    if (damaged.length === 0)
      throw corruptedEntry(index, 'does not follow what the log begins after')
    damaged.push({ index, hash: null })
  }
}

function byIndex(a: DamagedEntry, b: DamagedEntry): number {
  return a.index - b.index
}
