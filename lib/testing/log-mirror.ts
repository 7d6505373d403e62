// A log as the steps of its core made it, durable or not: as far as its end and its configurations go.

import type { Configuration } from '../raft/configuration.ts'
import type { IndexedConfiguration } from '../raft/configurations.ts'
import type { HardState, Install } from '../raft/effects.ts'
import { decodeConfiguration } from '../raft/encoding.ts'
import type { Entry, EntryId, Index } from '../raft/entry.ts'
import { ENTRY_KIND } from '../raft/entry.ts'

/** Where a stored log begins. */
interface StoredBase {
  readonly id: EntryId
  readonly configuration: IndexedConfiguration | null
}

/** What a start finds on a disk; no base on an empty one. */
export interface StoredLog {
  readonly base: StoredBase | null
  readonly entries: readonly Entry[]
  readonly hardState: HardState | null
}

export class LogMirror {
  lastIndex: Index
  configurations: { readonly index: Index; readonly configuration: Configuration }[]
  /** since it was compared with the core's */
  isChanged = true
  checkedIndex: Index = 0

  constructor(base: StoredBase | null) {
    this.lastIndex = base?.id.index ?? 0
    const configuration = base?.configuration ?? null
    this.configurations = configuration === null ? [] : [configuration]
  }

  append({ index, kind, payload }: Entry): void {
    this.lastIndex = index
    if (kind !== ENTRY_KIND.configuration) return
    this.configurations.push({ index, configuration: decodeConfiguration(payload) })
    this.isChanged = true
  }

  truncateFrom(index: Index): void {
    this.lastIndex = index - 1
    while ((this.configurations.at(-1)?.index ?? 0) >= index) this.configurations.pop()
    this.isChanged = true
  }

  install({ id, configuration, configurationIndex, keepsTail }: Install): void {
    const kept = keepsTail ? this.configurations.filter(({ index }) => index > id.index) : []
    this.configurations = [{ index: configurationIndex, configuration }, ...kept]
    if (!keepsTail) this.lastIndex = id.index
    this.isChanged = true
  }
}
