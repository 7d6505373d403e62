// The rows of the state machine in memory: what is live, sorted by key, and the history, in its order.

import b4a from 'b4a'
import { REVISION_STRIDE } from '../limits.ts'
import { prefixEnd, successorOf } from './byte-order.ts'
import type { SnapshotKey, SnapshotRow } from './snapshot-encoding.ts'
import { rowHash } from './state-hash.ts'
import type { KeyValue, Revision, ScanRequest } from './state-machine.ts'
import type { KeyState, PlannedRow } from './write-plan.ts'

/** A live row. */
export interface LiveRow extends KeyValue, KeyState {}

/** Rows as of some moment; nothing in it ever changes. */
export interface RowsImage {
  readonly live: readonly LiveRow[]
  /** the first `historyCount` of these: others may be appended */
  readonly history: readonly SnapshotRow[]
  readonly historyCount: number
}

export const NO_ROWS: RowsImage = { live: [], history: [], historyCount: 0 }

export class MemoryRows {
  /** ascending by key, no key twice */
  readonly #live: LiveRow[]
  /** ascending by id; replaced by a compaction, else only appended to */
  #history: SnapshotRow[]

  constructor(image: RowsImage) {
    this.#live = [...image.live]
    this.#history = image.history.slice(0, image.historyCount)
  }

  image(): RowsImage {
    const history = this.#history
    return { live: [...this.#live], history, historyCount: history.length }
  }

  find(key: Uint8Array): LiveRow | null {
    const row = this.#live[this.#position(key)]
    return row !== undefined && b4a.equals(row.key, key) ? row : null
  }

  /** Up to `limit` rows of a page, and whether there are more. */
  page({ prefix, after, limit }: ScanRequest): { rows: readonly LiveRow[]; hasMore: boolean } {
    const end = this.#position(prefixEnd(prefix))
    const from = Math.max(
      this.#position(prefix),
      after === null ? 0 : this.#position(successorOf(after))
    )
    const rows = this.#live.slice(from, Math.max(from, Math.min(end, from + limit)))
    return { rows, hasMore: from + rows.length < end }
  }

  /** @returns the hash of the row; null for a tombstone */
  write(row: PlannedRow, revision: Revision): Uint8Array | null {
    const { ordinal, createRevision, version, previous } = row
    // copies: the payload is not ours to keep
    const key = row.key.slice()
    const value = row.value?.slice() ?? null
    const superseded = previous?.rowId ?? 0
    this.#history.push({
      revision,
      ordinal,
      supersededRevision: Math.floor(superseded / REVISION_STRIDE),
      supersededOrdinal: superseded % REVISION_STRIDE,
      createRevision,
      version,
      key,
      value
    })
    const at = this.#position(key)
    if (value === null) {
      this.#live.splice(at, 1)
      return null
    }
    const content = { key, value, createRevision, modRevision: revision, version }
    const hash = rowHash(content)
    const rowId = revision * REVISION_STRIDE + ordinal
    const live = { ...content, rowId, valueBytes: value.byteLength, hash }
    this.#live.splice(at, previous === null ? 0 : 1, live)
    return hash
  }

  /** Forgets what was superseded at or before `revision`. */
  compact(revision: Revision): void {
    const gone = new Set<number>()
    for (const row of this.#history) {
      if (row.revision > revision) break
      gone.add(row.supersededRevision * REVISION_STRIDE + row.supersededOrdinal)
      if (row.value === null) gone.add(idOf(row))
    }
    this.#history = this.#history
      .filter((row) => !gone.has(idOf(row)))
      .map((row) =>
        row.revision > revision ? row : { ...row, supersededRevision: 0, supersededOrdinal: 0 }
      )
  }

  /** How many keys are before `key`. */
  #position(key: Uint8Array): number {
    let low = 0
    let high = this.#live.length
    while (low < high) {
      const middle = (low + high) >>> 1
      const row = this.#live[middle]
      if (row !== undefined && b4a.compare(row.key, key) < 0) low = middle + 1
      else high = middle
    }
    return low
  }
}

/** The key as a snapshot has it. */
export function snapshotKeyOf(row: LiveRow): SnapshotKey {
  const { key, rowId, modRevision: revision, createRevision, version, valueBytes, hash } = row
  const ordinal = rowId % REVISION_STRIDE
  return { key, revision, ordinal, createRevision, version, valueBytes, hash }
}

/** The live row that a key of a snapshot stands for. */
export function liveRowOf(key: SnapshotKey, value: Uint8Array): LiveRow {
  const { revision, ordinal, createRevision, version, valueBytes, hash } = key
  const rowId = revision * REVISION_STRIDE + ordinal
  const content = { key: key.key, value, createRevision, modRevision: revision, version }
  return { ...content, rowId, valueBytes, hash }
}

function idOf({ revision, ordinal }: SnapshotRow): number {
  return revision * REVISION_STRIDE + ordinal
}
