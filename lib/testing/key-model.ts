// One key of the store as a model for the search: value, revision, version and existence, conditions,
// and the revisions of writes and reads in the order of the log; and what each operation of a history
// is to each of its keys.

import { unreachable } from '../assert.ts'
import { MAX_INDEX } from '../limits.ts'
import type { Revision } from '../state-machine/state-machine.ts'
import { expectedRevision } from './history.ts'
import type { GetRecord, HistoryChange, HistoryRow } from './history.ts'
import type { OperationRecord, WriteRecord } from './history.ts'
import type { Interval, Model } from './wing-gong.ts'

/** What an operation of the history is to one of its keys. */
export type KeyOperation =
  | {
      readonly kind: 'write'
      readonly record: WriteRecord
      readonly change: HistoryChange
      /** null: nobody saw that it took effect, and it need not have */
      readonly revision: Revision | null
      /** null: nobody was told */
      readonly previousRevision: Revision | null
      /** the row that it made, as somebody read it */
      readonly row: HistoryRow | null
    }
  | {
      readonly kind: 'failed'
      readonly record: WriteRecord
      /** null: it had no condition */
      readonly expected: Revision | null
      readonly found: Revision | null
    }
  | {
      readonly kind: 'get'
      readonly record: GetRecord
      readonly revision: Revision
      readonly row: HistoryRow | null
    }

export interface KeyState {
  readonly value: string
  /** 0 when the key is absent; UNSEEN when a write that nobody saw put it, at `reached` or later */
  readonly modRevision: Revision
  /** createRevision lies in [createMin, createMax]; both are the same when it is known */
  readonly createMin: Revision
  readonly createMax: Revision
  readonly version: number
  /** the last operation of the order lies at this revision or later */
  readonly reached: Revision
}

const UNSEEN = -1
const ABSENT: KeyState = {
  value: '',
  modRevision: 0,
  createMin: 0,
  createMax: 0,
  version: 0,
  reached: 0
}

/** `owned` are the revisions of which somebody knows which write they are: no other write has one of them. */
export function keyModelOf(owned: ReadonlySet<Revision>): Model<KeyState, KeyOperation> {
  const known: Known = {
    pinned(state, revision) {
      const isOthers = state.modRevision === UNSEEN && owned.has(revision)
      return isOthers ? undefined : pinnedAt(state, revision)
    },
    nextUnseen(revision) {
      let next = revision + 1
      while (owned.has(next)) next++
      return next
    }
  }
  return {
    init: () => ABSENT,
    step(state, operation) {
      switch (operation.kind) {
        case 'write':
          return afterWrite(state, operation, known)
        case 'failed':
          return afterFailed(state, operation, known)
        case 'get':
          return afterGet(state, operation)
        default:
          return unreachable(operation)
      }
    },
    keyOf: ({ value, modRevision, version }) => `${modRevision},${version},${value}`,
    covers: (state, other) =>
      state.reached <= other.reached &&
      state.createMin <= other.createMin &&
      state.createMax >= other.createMax,
    canPrecede: (state, next) => canPrecede(state, next, owned)
  }
}

/** What comes in between is nobody's: it takes revisions that nobody owns, and nobody reads it. */
function canPrecede(
  { modRevision, reached }: KeyState,
  next: KeyOperation,
  owned: ReadonlySet<Revision>
): boolean {
  if (next.kind === 'failed' || next.revision === null) return true
  if (next.kind === 'get') {
    return reached <= next.revision && (next.row === null || next.row.modRevision === modRevision)
  }
  if (reached >= next.revision) return false
  const previous = next.previousRevision ?? 0
  return previous === 0 || previous === modRevision || (previous >= reached && !owned.has(previous))
}

/** What the revisions of all writes that somebody saw say about those that nobody saw. */
interface Known {
  /** the state when its modRevision is known to be `revision`; undefined when it cannot be */
  readonly pinned: (state: KeyState, revision: Revision) => KeyState | undefined
  /** the first one behind `revision` that such a write can have */
  readonly nextUnseen: (revision: Revision) => Revision
}

function afterWrite(
  state: KeyState,
  { change, revision, previousRevision, row }: KeyOperation & { readonly kind: 'write' },
  { pinned, nextUnseen }: Known
): KeyState | undefined {
  const { condition } = change
  const told = previousRevision === null ? state : pinned(state, previousRevision)
  // one that nobody saw and that changes nothing need not be in the order
  const before =
    condition === null || told === undefined ? told : pinned(told, expectedRevision(condition))
  if (before === undefined || (revision !== null && revision <= before.reached)) return undefined
  const isAbsent = before.modRevision === 0
  const reached = revision ?? nextUnseen(before.reached)
  if (change.kind === 'delete') {
    return isAbsent && revision === null ? undefined : { ...ABSENT, reached }
  }
  const after = {
    // of an unseen write nobody ever read the value
    value: revision === null ? '' : change.value,
    modRevision: revision ?? UNSEEN,
    createMin: isAbsent ? reached : before.createMin,
    createMax: isAbsent
      ? (revision ?? MAX_INDEX)
      : Math.min(before.createMax, (revision ?? MAX_INDEX) - 1),
    version: before.version + 1,
    reached
  }
  return row === null ? after : shown(after, row)
}

function afterGet(
  state: KeyState,
  { revision, row }: KeyOperation & { readonly kind: 'get' }
): KeyState | undefined {
  if (revision < state.reached) return undefined
  const after = { ...state, reached: revision }
  if (row === null) return state.modRevision === 0 ? after : undefined
  return shown(after, row)
}

/** The state when somebody has read it as `row`; undefined when it cannot be that. */
function shown(state: KeyState, row: HistoryRow): KeyState | undefined {
  const { value, modRevision, createRevision, version } = row
  const isSame =
    value === state.value && modRevision === state.modRevision && version === state.version
  if (!isSame) return undefined
  if (createRevision < state.createMin || createRevision > state.createMax) return undefined
  return { ...state, createMin: createRevision, createMax: createRevision }
}

function afterFailed(
  state: KeyState,
  { expected, found }: KeyOperation & { readonly kind: 'failed' },
  { pinned }: Known
): KeyState | undefined {
  if (expected === null) return undefined
  if (found === null) return state.modRevision === expected ? undefined : state
  return found === expected ? undefined : pinned(state, found)
}

function pinnedAt(state: KeyState, revision: Revision): KeyState | undefined {
  const { modRevision, createMin, createMax, version, reached } = state
  if (modRevision !== UNSEEN) return modRevision === revision ? state : undefined
  if (revision < reached) return undefined
  const isFirst = version === 1
  return {
    ...state,
    modRevision: revision,
    createMin: isFirst ? revision : createMin,
    createMax: isFirst ? revision : Math.min(createMax, revision - 1),
    reached: revision
  }
}

/** The revisions of writes that were answered, or whose values somebody read. */
export function ownedRevisions(records: readonly OperationRecord[]): ReadonlySet<Revision> {
  const owned = new Set(seenRevisions(records).values())
  for (const { outcome } of records) if (outcome.kind === 'written') owned.add(outcome.revision)
  return owned
}

/** The operations by key, each with what it says about that key. */
export function keyIntervals(
  records: readonly OperationRecord[]
): ReadonlyMap<string, readonly Interval<KeyOperation>[]> {
  const [seen, rows] = [seenRevisions(records), rowsByValue(records)]
  const byKey = new Map<string, Interval<KeyOperation>[]>()
  for (const record of records) {
    const { calledAt, returnedAt } = record
    for (const [key, part] of partsOf(record, seen)) {
      const operation = withRow(part, rows)
      const intervals = byKey.get(key) ?? []
      if (intervals.length === 0) byKey.set(key, intervals)
      const isReadOnly = operation.kind !== 'write'
      const [alike, isOnce] = [alikeOf(operation), leavesForGood(operation)]
      intervals.push({ operation, calledAt, returnedAt, alike, isOnce, isReadOnly })
    }
  }
  for (const [key, intervals] of byKey) byKey.set(key, ranked(intervals))
  return byKey
}

/**
 * The log has put in order whatever has a revision: writes by theirs, and reads behind the write that
 * they saw; reads at one revision by when they ended, which is no order that they contradict.
 */
function ranked(intervals: readonly Interval<KeyOperation>[]): Interval<KeyOperation>[] {
  const placed = intervals.flatMap((interval) => {
    const { operation, returnedAt } = interval
    if (operation.kind === 'failed' || operation.revision === null) return []
    const place = [operation.revision, operation.kind === 'get' ? 1 : 0, returnedAt ?? 0] as const
    return [{ interval, place }]
  })
  placed.sort(
    ({ place: [revision, kind, endedAt] }, { place: other }) =>
      revision - other[0] || kind - other[1] || endedAt - other[2]
  )
  const ranks = new Map(placed.map(({ interval }, rank) => [interval, rank]))
  return intervals.map((interval) => ({ ...interval, rank: ranks.get(interval) ?? null }))
}

/** Unseen writes that ask for the same do the same: which of them it was makes no difference. */
function alikeOf(operation: KeyOperation): string | null {
  if (operation.kind !== 'write' || operation.revision !== null) return null
  const { kind, condition } = operation.change
  return condition === null ? kind : `${kind} if at ${expectedRevision(condition)}`
}

/** What needs a revision leaves it, and it never comes again: the next one like it fails. */
function leavesForGood(operation: KeyOperation): boolean {
  return operation.kind === 'write' && operation.change.condition?.kind === 'revision'
}

/** What the write made is as its readers say from the moment on at which it is made. */
function withRow(part: KeyOperation, rows: ReadonlyMap<string, HistoryRow>): KeyOperation {
  if (part.kind !== 'write' || part.change.kind !== 'put' || part.revision === null) return part
  return { ...part, row: rows.get(part.change.value) ?? null }
}

/** What linearizable reads saw; of several that saw one value, the first. */
function rowsByValue(records: readonly OperationRecord[]): ReadonlyMap<string, HistoryRow> {
  const rows = new Map<string, HistoryRow>()
  for (const record of records) {
    if (!isGet(record) || record.outcome.kind !== 'got') continue
    const { row } = record.outcome
    if (row === null || record.operation.consistency === 'stale') continue
    if (!rows.has(row.value)) rows.set(row.value, row)
  }
  return rows
}

function* partsOf(
  record: OperationRecord,
  seen: ReadonlyMap<OperationRecord, Revision>
): Iterable<readonly [string, KeyOperation]> {
  if (isGet(record)) {
    const { operation, outcome } = record
    if (operation.consistency === 'stale' || outcome.kind !== 'got') return
    const { revision, row } = outcome
    yield [operation.key, { kind: 'get', record, revision, row }]
    return
  }
  const { operation, outcome } = record
  if (outcome.kind === 'refused') return
  if (outcome.kind === 'conditionFailed') {
    yield* partsOfFailed(record, outcome.found)
    return
  }
  const isDone = outcome.kind === 'written'
  const revision = isDone ? outcome.revision : (seen.get(record) ?? null)
  for (const [position, change] of operation.changes.entries()) {
    const previousRevision = isDone ? (outcome.previousRevisions[position] ?? 0) : null
    yield [change.key, { kind: 'write', record, change, revision, previousRevision, row: null }]
  }
}

/** A write of several changes says something only about the key that it names. */
function* partsOfFailed(
  record: WriteRecord,
  found: { readonly key: string; readonly revision: Revision } | null
): Iterable<readonly [string, KeyOperation]> {
  const { changes } = record.operation
  for (const { key, condition } of changes) {
    const isMeant = found === null ? changes.length === 1 : found.key === key
    const expected = condition === null ? null : expectedRevision(condition)
    if (isMeant) yield [key, { kind: 'failed', record, expected, found: found?.revision ?? null }]
  }
}

/** The revisions of writes of unknown outcome one of whose values was read. */
function seenRevisions(
  records: readonly OperationRecord[]
): ReadonlyMap<OperationRecord, Revision> {
  const owners = new Map<string, WriteRecord>()
  for (const record of records) {
    if (isGet(record) || record.outcome.kind !== 'unknown') continue
    for (const change of record.operation.changes) {
      if (change.kind === 'put') owners.set(change.value, record)
    }
  }
  const seen = new Map<OperationRecord, Revision>()
  for (const { outcome } of records) {
    if (outcome.kind !== 'got' || outcome.row === null) continue
    const owner = owners.get(outcome.row.value)
    if (owner !== undefined) seen.set(owner, outcome.row.modRevision)
  }
  return seen
}

function isGet(record: OperationRecord): record is GetRecord {
  return record.operation.kind === 'get'
}
