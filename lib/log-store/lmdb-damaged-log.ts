// A damaged log on lmdb, open to be put together again (log-damage.ts). Each record is one transaction.

import { existsSync } from 'node:fs'
import { assert } from '../assert.ts'
import { AspenError } from '../errors.ts'
import type { Entry, EntryId, Index } from '../raft/entry.ts'
import type { IndexedConfiguration } from '../raft/configurations.ts'
import type { HardState, InstalledSnapshot } from '../raft/effects.ts'
import type { VerifiedEntry } from './encoding.ts'
import { encodeEntry, indexKey } from './encoding.ts'
import { commit, reasonOf } from './lmdb-commit.ts'
import type { Transaction } from './lmdb-commit.ts'
import type { LogEnvironment } from './lmdb-environment.ts'
import { openEnvironment, recordsOf } from './lmdb-environment.ts'
import { mendPages, remake } from './lmdb-mend.ts'
import type { DamagedEntry, DamagedLog, DamagedLogOptions } from './log-damage.ts'
import { LogDamage } from './log-damage.ts'
import { identityWithoutLog, isDamagedEntry, storedState } from './restore.ts'

export interface LmdbDamagedLogOptions extends DamagedLogOptions {
  readonly directory: string
}

export class LmdbDamagedLog implements DamagedLog {
  readonly #environment: LogEnvironment
  readonly #damage: LogDamage
  readonly #options: LmdbDamagedLogOptions
  readonly configurations: readonly IndexedConfiguration[]
  #commit: Promise<void> | null = null
  #hasFailed = false

  private constructor(environment: LogEnvironment, options: LmdbDamagedLogOptions) {
    const records = recordsOf(environment)
    this.#environment = environment
    this.#options = options
    this.#damage = new LogDamage(records, storedState(records, options.genesis))
    this.configurations = this.#damage.configurations()
  }

  /**
   * Nothing is changed by opening, but that the file is made anew where that helps.
   * @throws StorageError CORRUPTED when there is nothing to begin with (no copy of the state), FORMAT_NEWER,
   * DATA_DIR_TAKEN, IDENTITY_WITHOUT_LOG, OPEN_DATABASE, IO_ERROR
   */
  static async open(options: LmdbDamagedLogOptions): Promise<LmdbDamagedLog> {
    const { directory } = options
    if (!existsSync(directory)) throw identityWithoutLog()
    await mendPages({ directory, mayHaveHoles: true })
    const missingCount = await LmdbDamagedLog.#missingCount(options)
    if (missingCount > 0) await remake(directory, missingCount)
    return await LmdbDamagedLog.#open(options)
  }

  /** Infinity where lmdb has what cannot be part of the log. */
  static async #missingCount(options: LmdbDamagedLogOptions): Promise<number> {
    try {
      const log = await LmdbDamagedLog.#open(options)
      await log.close()
      return log.damaged.length
    } catch (error) {
      if (isDamagedEntry(error)) return Infinity
      throw error
    }
  }

  static async #open(options: LmdbDamagedLogOptions): Promise<LmdbDamagedLog> {
    const environment = openEnvironment(options.directory)
    try {
      return new LmdbDamagedLog(environment, options)
    } catch (error) {
      await environment.root.close()
      throw error
    }
  }

  get base(): EntryId {
    return this.#damage.state.base.id
  }

  get last(): EntryId {
    return this.#damage.state.last
  }

  get hardState(): HardState | null {
    return this.#damage.state.hardState
  }

  get damaged(): readonly DamagedEntry[] {
    return this.#damage.damaged
  }

  /** As `LogStore`. */
  get stateBase(): Index {
    return this.#damage.state.base.stateBase
  }

  get storageEpoch(): Uint8Array {
    return this.#damage.state.storageEpoch
  }

  get boot(): number {
    return this.#damage.state.boot
  }

  /** Before this process says anything to others: it is another one than those before it. */
  raiseBoot(onDone: () => void): void {
    this.#write({ changes: [], state: this.#damage.raiseBoot(), hasNewBase: false }, onDone)
  }

  repair(entry: Entry, previousHash: Uint8Array, onDone: () => void): boolean {
    if (!this.#damage.fits({ entry, previousHash })) return false
    const change = { key: indexKey(entry.index), record: encodeEntry(entry, previousHash) }
    this.#write({ changes: [change], state: this.#damage.state, hasNewBase: false }, () => {
      this.#damage.onRepaired({ entry, previousHash })
      onDone()
    })
    return true
  }

  cutFrom(cut: { readonly index: number; readonly term: number }, onDone: () => void): void {
    const { index: lastBefore } = this.last
    const state = this.#damage.cutFrom(cut)
    const changes: Transaction['changes'][number][] = []
    for (let index = cut.index; index <= lastBefore; index++) {
      changes.push({ key: indexKey(index), record: null })
    }
    this.#write({ changes, state, hasNewBase: false }, onDone)
  }

  install(snapshot: InstalledSnapshot, onDone: () => void): boolean {
    const { index: lastBefore } = this.last
    const state = this.#damage.installed(snapshot)
    if (state === null) return false
    const changes: Transaction['changes'][number][] = []
    // what lies below goes after the next start
    for (let index = state.last.index + 1; index <= lastBefore; index++) {
      changes.push({ key: indexKey(index), record: null })
    }
    this.#write({ changes, state, hasNewBase: true }, () => {
      this.#damage.onInstalled(state)
      onDone()
    })
    return true
  }

  /** The entry at `index`, if it is whole here and has `hash`. @throws StorageError */
  entryWith(index: Index, hash: Uint8Array): VerifiedEntry | null {
    return this.#damage.entryWith(index, hash)
  }

  /** Whether this entry is in the log, whole or damaged, or the log begins after it. */
  holds(id: EntryId): boolean {
    return this.#damage.holds(id)
  }

  /** Resolves when nothing is being written. */
  async settled(): Promise<void> {
    await this.#commit
  }

  async close(): Promise<void> {
    await this.#commit
    await this.#environment.root.close()
  }

  #write(transaction: Transaction, onDone: () => void): void {
    assert(this.#commit === null && !this.#hasFailed, 'one repair at a time')
    this.#commit = this.#commitOne(transaction, onDone)
  }

  async #commitOne(transaction: Transaction, onDone: () => void): Promise<void> {
    try {
      await commit(this.#environment, transaction)
    } catch (error) {
      this.#hasFailed = true
      this.#options.onFailed(await reasonOf(this.#environment, error))
      return
    }
    this.#commit = null
    try {
      onDone()
    } catch (error) {
      // what has come back is not of this log
      if (!(error instanceof AspenError)) throw error
      this.#hasFailed = true
      this.#options.onFailed(error)
    }
  }
}
