// A log as the steps of its core made it, durable or not: as far as its end and its configurations go.

import type { Configuration } from '../raft/configuration.ts'
import { decodeConfiguration } from '../raft/encoding.ts'
import type { Entry, Index } from '../raft/entry.ts'
import { ENTRY_KIND } from '../raft/entry.ts'

export class LogMirror {
  lastIndex: Index = 0
  readonly configurations: { readonly index: Index; readonly configuration: Configuration }[] = []
  /** since it was compared with the core's */
  isChanged = true
  checkedIndex: Index = 0

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
}
