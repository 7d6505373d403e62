// A damaged log in memory, open to be put together again (log-damage.ts). Each record is on the disk when the
// injected `defer` calls back.

import type { Entry, EntryId } from '../../lib/raft/entry.ts'
import type { IndexedConfiguration } from '../../lib/raft/configurations.ts'
import type { HardState, InstalledSnapshot } from '../../lib/raft/effects.ts'
import type { DamagedEntry, DamagedLog, DamagedLogOptions } from '../../lib/log-store/log-damage.ts'
import { LogDamage } from '../../lib/log-store/log-damage.ts'
import type { MemoryLogDisk } from '../../lib/log-store/memory-log-disk.ts'
import { storedState } from '../../lib/log-store/restore.ts'

export interface MemoryDamagedLogOptions extends Pick<DamagedLogOptions, 'genesis'> {
  readonly disk: MemoryLogDisk
  readonly defer: (fn: () => void) => void
}

export class MemoryDamagedLog implements DamagedLog {
  readonly #disk: MemoryLogDisk
  readonly #damage: LogDamage
  readonly #defer: (fn: () => void) => void
  readonly configurations: readonly IndexedConfiguration[]

  /** @throws StorageError as the one on lmdb */
  constructor({ disk, genesis, defer }: MemoryDamagedLogOptions) {
    disk.recover()
    const records = disk.records()
    this.#disk = disk
    this.#defer = defer
    this.#damage = new LogDamage(records, storedState(records, genesis))
    this.configurations = this.#damage.configurations()
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

  repair(entry: Entry, previousHash: Uint8Array, onDone: () => void): boolean {
    if (!this.#damage.fits({ entry, previousHash })) return false
    this.#defer(() => {
      this.#disk.repair(entry)
      this.#damage.onRepaired({ entry, previousHash })
      onDone()
    })
    return true
  }

  cutFrom(cut: { readonly index: number; readonly term: number }, onDone: () => void): void {
    const { last, hardState } = this.#damage.cutFrom(cut)
    this.#defer(() => {
      this.#disk.cutTo(last, hardState)
      onDone()
    })
  }

  install(snapshot: InstalledSnapshot, onDone: () => void): boolean {
    const state = this.#damage.installed(snapshot)
    if (state === null) return false
    this.#defer(() => {
      this.#disk.commit(state, [])
      this.#damage.onInstalled(state)
      onDone()
    })
    return true
  }

  async close(): Promise<void> {}
}
