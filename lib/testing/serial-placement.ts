// Where in the log each write of a history lies. A write that was answered says so itself; one whose
// outcome is unknown lies where somebody saw one of its values. What is left over may lie anywhere
// after its call, or nowhere, and explains what nothing else does.

import { assert } from '../assert.ts'
import type { Revision } from '../state-machine/state-machine.ts'
import type { HistoryViolation } from './history-text.ts'
import { rowText, violationOf } from './history-text.ts'
import type { HistoryChange, HistoryRow, OperationRecord, WriteRecord } from './history.ts'

/** A position after every operation: when the final rows were read. */
export const END = Number.MAX_SAFE_INTEGER

/** Somebody saw a row; `record` is null for the final rows. */
export interface Sighting {
  /** where it was looked for */
  readonly key: string
  readonly row: HistoryRow
  readonly record: OperationRecord | null
  readonly returnedAt: number
}

/** One change of a write whose revision is known. */
export interface PlacedChange {
  readonly revision: Revision
  readonly record: WriteRecord
  readonly change: HistoryChange
}

/** All rows that anybody saw. */
export function sightingsOf(
  records: readonly OperationRecord[],
  finalRows: readonly HistoryRow[] | null
): readonly Sighting[] {
  const seen: Sighting[] = []
  for (const record of records) {
    const { operation, outcome, returnedAt } = record
    if (operation.kind !== 'get' || outcome.kind !== 'got' || outcome.row === null) continue
    const { key } = operation
    seen.push({ key, row: outcome.row, record, returnedAt: returnedAt ?? END })
  }
  for (const row of finalRows ?? []) {
    seen.push({ key: row.key, row, record: null, returnedAt: END })
  }
  return seen
}

export class Placement {
  readonly #revisions = new Map<WriteRecord, Revision>()
  readonly #records = new Map<Revision, WriteRecord>()
  readonly #timelines = new Map<string, Timeline>()

  revisionOf(record: WriteRecord): Revision | null {
    return this.#revisions.get(record) ?? null
  }

  recordAt(revision: Revision): WriteRecord | null {
    return this.#records.get(revision) ?? null
  }

  timelines(): Iterable<readonly [string, Timeline]> {
    return this.#timelines.entries()
  }

  timeline(key: string): Timeline {
    const known = this.#timelines.get(key)
    if (known !== undefined) return known
    const made = new Timeline()
    this.#timelines.set(key, made)
    return made
  }

  /** Says that a write took effect at `revision`, which `witness` saw. */
  place(
    record: WriteRecord,
    revision: Revision,
    witness: OperationRecord | null
  ): HistoryViolation | null {
    const { kind } = record.outcome
    if (kind === 'refused' || kind === 'conditionFailed') {
      const text = `a write that was refused took effect at revision ${revision}`
      return violationOf('refused write applied', text, [record, witness])
    }
    const known = this.#revisions.get(record) ?? revision
    if (known !== revision) {
      const text = `one write at two revisions, ${known} and ${revision}`
      return violationOf('write applied twice', text, [record, witness])
    }
    const other = this.#records.get(revision) ?? record
    if (other !== record) {
      const text = `two writes at revision ${revision}`
      return violationOf('revision given twice', text, [other, record, witness])
    }
    this.#revisions.set(record, revision)
    this.#records.set(revision, record)
    return null
  }

  /** Once everything that has a revision is placed: what happened to each key, and what may have. */
  arrange(records: readonly OperationRecord[]): void {
    for (const record of records) {
      if (!isWrite(record)) continue
      const revision = this.revisionOf(record)
      const isOpen = revision === null && record.outcome.kind === 'unknown'
      for (const change of record.operation.changes) {
        const timeline = this.timeline(change.key)
        if (revision !== null) timeline.add({ revision, record, change })
        if (isOpen) timeline.addOpen(change.kind, record.calledAt)
      }
    }
    for (const timeline of this.#timelines.values()) timeline.sort()
  }
}

/** One key: its changes by revision, and those that nobody has seen. */
export class Timeline {
  readonly #placed: PlacedChange[] = []
  /** puts among `#placed` before each position */
  #putCounts: number[] = [0]
  /** positions of the calls, ascending: records come in that order */
  readonly #open: Readonly<Record<HistoryChange['kind'], number[]>> = { put: [], delete: [] }
  /** revisions at which somebody must have put it, and no known write did */
  readonly hiddenPuts = new Set<Revision>()
  /** revisions of puts after which somebody must have deleted it, and no known write did */
  readonly hiddenDeletes = new Set<Revision>()

  add(placed: PlacedChange): void {
    this.#placed.push(placed)
  }

  addOpen(kind: HistoryChange['kind'], calledAt: number): void {
    this.#open[kind].push(calledAt)
  }

  sort(): void {
    this.#placed.sort((a, b) => a.revision - b.revision)
    this.#putCounts = [0]
    for (const { change } of this.#placed) {
      this.#putCounts.push((this.#putCounts.at(-1) ?? 0) + (change.kind === 'put' ? 1 : 0))
    }
  }

  /** The change made at exactly `revision`. */
  at(revision: Revision): PlacedChange | null {
    const last = this.lastUpTo(revision)
    return last?.revision === revision ? last : null
  }

  lastUpTo(revision: Revision): PlacedChange | null {
    return this.#placed[this.#countUpTo(revision) - 1] ?? null
  }

  firstAfter(revision: Revision): PlacedChange | null {
    return this.#placed[this.#countUpTo(revision)] ?? null
  }

  /** Whether a known change deleted the key in (from, to]. */
  hasDeleteIn(from: Revision, to: Revision): boolean {
    const gone = this.#findAfter(from, ({ change }) => change.kind === 'delete')
    return gone !== null && gone.revision <= to
  }

  /**
   * The first revision from `from` on after which the key can have been at a modRevision (0: absent)
   * that `isWanted`; null when there is none. With changes in doubt before `position` it can have been
   * anywhere.
   */
  earliest(
    from: Revision,
    position: number,
    isWanted: (modRevision: Revision) => boolean
  ): Revision | null {
    const openCount = this.openCount('put', position) + this.openCount('delete', position)
    if (openCount > 0 || isWanted(revisionAfter(this.lastUpTo(from)))) return from
    return this.#findAfter(from, (placed) => isWanted(revisionAfter(placed)))?.revision ?? null
  }

  /** Known changes in [from, to]. */
  countBetween(from: Revision, to: Revision): { readonly puts: number; readonly deletes: number } {
    const [start, end] = [this.#countUpTo(from - 1), this.#countUpTo(to)]
    const puts = (this.#putCounts[end] ?? 0) - (this.#putCounts[start] ?? 0)
    return { puts, deletes: end - start - puts }
  }

  /** Changes of unknown outcome that nobody saw and that were called before `position`. */
  openCount(kind: HistoryChange['kind'], position: number): number {
    const calls = this.#open[kind]
    return countWhile(calls.length, (index) => (calls[index] ?? END) < position)
  }

  #findAfter(revision: Revision, isWanted: (placed: PlacedChange) => boolean): PlacedChange | null {
    for (let index = this.#countUpTo(revision); index < this.#placed.length; index++) {
      const placed = this.#placed[index]
      if (placed !== undefined && isWanted(placed)) return placed
    }
    return null
  }

  #countUpTo(revision: Revision): number {
    const placed = this.#placed
    return countWhile(placed.length, (index) => (placed[index]?.revision ?? END) <= revision)
  }
}

/** The modRevision of a key after its change; 0 when it is absent. */
function revisionAfter(placed: PlacedChange | null): Revision {
  return placed?.change.kind === 'put' ? placed.revision : 0
}

/** Places every write that can be; the violation if a value or a revision cannot be true. */
export function placeWrites(
  records: readonly OperationRecord[],
  sightings: readonly Sighting[]
): Placement | HistoryViolation {
  const placement = new Placement()
  const owners = new Map<string, { record: WriteRecord; change: HistoryChange }>()
  for (const record of records) {
    if (!isWrite(record)) continue
    for (const change of record.operation.changes) {
      if (change.kind === 'delete') continue
      assert(!owners.has(change.value), `the value ${change.value} is put once`)
      owners.set(change.value, { record, change })
    }
    if (record.outcome.kind !== 'written') continue
    const violation = placement.place(record, record.outcome.revision, null)
    if (violation !== null) return violation
  }
  for (const sighting of sightings) {
    const { key, row, record } = sighting
    const owner = owners.get(row.value)
    if (owner?.change.key !== key || row.key !== key) {
      const text = `nobody ever put this value there: ${rowText(row)}`
      return violationOf('phantom value', text, [owner?.record ?? null, record])
    }
    if (owner.record.calledAt > sighting.returnedAt) {
      const text = 'a read saw what was written after it had returned'
      return violationOf('value from the future', text, [record, owner.record])
    }
    const violation = placement.place(owner.record, row.modRevision, record)
    if (violation !== null) return violation
  }
  placement.arrange(records)
  return placement
}

export function isWrite(record: OperationRecord): record is WriteRecord {
  return record.operation.kind === 'write'
}

/** How many indexes from 0 satisfy `holds`, which holds up to some index and then no more. */
function countWhile(length: number, holds: (index: number) => boolean): number {
  let [low, high] = [0, length]
  while (low < high) {
    const middle = (low + high) >> 1
    if (holds(middle)) low = middle + 1
    else high = middle
  }
  return low
}
