// What the tests of the core are made of: members, logs, a disk.

import { assert, present } from '../../lib/assert.ts'
import { bytesOf } from '../../lib/encoding.ts'
import type { NodeId } from '../../lib/node-id.ts'
import type { Configuration, Member } from '../../lib/raft/configuration.ts'
import type { IndexedConfiguration } from '../../lib/raft/configurations.ts'
import type { Effects, HardState, InstalledSnapshot, Write } from '../../lib/raft/effects.ts'
import { decodeConfiguration, encodeConfiguration } from '../../lib/raft/encoding.ts'
import type { Entry, EntryId, Index } from '../../lib/raft/entry.ts'
import { chained, ENTRY_KIND, genesis } from '../../lib/raft/entry.ts'
import type { LogReader } from '../../lib/raft/log.ts'
import { TIMING } from '../../lib/raft/timing.ts'

export const CLUSTER_ID = new Uint8Array(16).fill(7)
export const GENESIS = genesis(CLUSTER_ID)
export const timing = TIMING.default

export function member(id: NodeId, role: Member['role'] = 'voter'): Member {
  return { id, publicKey: new Uint8Array(32).fill(id), role, addresses: [] }
}

export function configurationOf(
  voters: readonly NodeId[],
  learners: readonly NodeId[] = []
): Configuration {
  const members = [
    ...voters.map((id) => member(id)),
    ...learners.map((id) => member(id, 'learner'))
  ]
  return { members: members.toSorted((a, b) => a.id - b.id), outgoing: [] }
}

/** Entries after `previous`, one per term given; the payload tells them apart. */
export function entriesAfter(
  previous: EntryId,
  terms: readonly number[],
  text = ''
): readonly Entry[] {
  const entries: Entry[] = []
  for (const term of terms) {
    const payload = bytesOf(`${text}${term}`)
    const before = entries.at(-1) ?? previous
    entries.push(chained(before, { term, kind: ENTRY_KIND.write, timeMs: 1_000, payload }))
  }
  return entries
}

export function configurationEntry(
  previous: EntryId,
  configuration: Configuration,
  term = 1
): Entry {
  const payload = encodeConfiguration(configuration)
  return chained(previous, { term, kind: ENTRY_KIND.configuration, timeMs: 1_000, payload })
}

export function configurationsIn(entries: readonly Entry[]): readonly IndexedConfiguration[] {
  return entries
    .filter((entry) => entry.kind === ENTRY_KIND.configuration)
    .map(({ index, payload }) => ({ index, configuration: decodeConfiguration(payload) }))
}

/** A log that is durable at once: what a completed write left. */
export class Disk implements LogReader {
  base: EntryId
  baseTimeMs = 0
  baseConfiguration: IndexedConfiguration | null = null
  stored: Entry[] = []
  hardState: HardState | null = null

  constructor(entries: readonly Entry[] = [], base: EntryId = GENESIS) {
    this.base = base
    this.stored = [...entries]
  }

  /** Every configuration that it knows: the base's, then those of its entries. */
  get configurations(): readonly IndexedConfiguration[] {
    const inLog = configurationsIn(this.stored)
    return this.baseConfiguration === null ? inLog : [this.baseConfiguration, ...inLog]
  }

  /** What a snapshot at `index`, which is stored, is called. */
  snapshotAt(index: Index): InstalledSnapshot {
    const { term, hash, timeMs } = present(
      this.stored[index - this.base.index - 1],
      'a stored entry'
    )
    const found = this.configurations.findLast((one) => one.index <= index)
    const { index: configurationIndex, configuration } = present(found, 'a configuration')
    return { id: { index, term, hash }, timeMs, configuration, configurationIndex }
  }

  /** Everything up to `index` goes. */
  compact(index: Index): void {
    const { id, timeMs, configuration, configurationIndex } = this.snapshotAt(index)
    this.stored = this.stored.slice(index - this.base.index)
    this.base = id
    this.baseTimeMs = timeMs
    this.baseConfiguration = { index: configurationIndex, configuration }
  }

  get last(): EntryId {
    return this.stored.at(-1) ?? this.base
  }

  entries(from: Index, to: Index, maxBytes: number): readonly Entry[] {
    const found: Entry[] = []
    let bytes = 0
    for (let index = from; index < to; index++) {
      const entry = present(this.stored[index - this.base.index - 1], `entry ${index}`)
      bytes += entry.payload.byteLength
      if (found.length > 0 && bytes > maxBytes) break
      found.push(entry)
    }
    return found
  }

  idAt(index: Index): EntryId | 'compacted' | 'missing' {
    if (index < this.base.index) return 'compacted'
    if (index === this.base.index) return this.base
    const entry = this.stored[index - this.base.index - 1]
    return entry === undefined ? 'missing' : entry
  }

  apply(write: Omit<Write, 'token'>): void {
    if (write.hardState !== null) this.hardState = write.hardState
    if (write.install !== null) {
      const { id, timeMs, configuration, configurationIndex, keepsTail } = write.install
      assert(id.index > this.base.index, 'a base never falls')
      this.stored = keepsTail ? this.stored.slice(id.index - this.base.index) : []
      this.base = id
      this.baseTimeMs = timeMs
      this.baseConfiguration = { index: configurationIndex, configuration }
    }
    if (write.truncateFrom !== null) {
      this.stored.length = write.truncateFrom - this.base.index - 1
    }
    for (const entry of write.entries) {
      assert(entry.index === this.last.index + 1, 'the stored log is contiguous')
      this.stored.push(entry)
    }
  }
}

/** Effects of a step that did nothing. */
export function nothing(commitIndex: Index, deadlineMs: number): Effects {
  return {
    write: null,
    messages: [],
    gated: [],
    commitIndex,
    proposed: [],
    refused: [],
    reads: [],
    snapshotsNeeded: [],
    installed: null,
    diverged: null,
    secondLeader: null,
    deadlineMs
  }
}
