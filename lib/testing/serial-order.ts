// Revisions against real time. What has returned before an operation was called lies before it in the
// log, whatever the keys; a stale read only promises not to be behind what its own process showed.

import type { Revision } from '../state-machine/state-machine.ts'
import type { HistoryViolation } from './history-text.ts'
import { violationOf } from './history-text.ts'
import { expectedRevision } from './history.ts'
import type { OperationRecord, WriteRecord } from './history.ts'
import type { Placement } from './serial-placement.ts'
import { END, isWrite } from './serial-placement.ts'

/** The highest revision that somebody's answer proved to be committed, and whose. */
export interface Floor {
  readonly revision: Revision
  readonly record: OperationRecord | null
}

/** What was known when each operation was called. */
export interface Floors {
  readonly overall: ReadonlyMap<OperationRecord, Floor>
  /** by reads of the same process only: what stale reads promise */
  readonly own: ReadonlyMap<OperationRecord, Floor>
}

/** Walks through calls and answers in order, and is the wiser after each answer. */
export function floorsOf(records: readonly OperationRecord[], placement: Placement): Floors {
  const overall = new Map<OperationRecord, Floor>()
  const own = new Map<OperationRecord, Floor>()
  const ownNow = new Map<string, Floor>()
  let now = NO_FLOOR
  for (const { record, isCall } of eventsOf(records)) {
    const { process } = record.operation
    const ownFloor = ownNow.get(process) ?? NO_FLOOR
    if (isCall) {
      overall.set(record, now)
      own.set(record, ownFloor)
      continue
    }
    const told = toldBy(record, overall.get(record)?.revision ?? 0, placement)
    now = raised(now, told, record)
    if (!isWrite(record)) ownNow.set(process, raised(ownFloor, told, record))
  }
  return { overall, own }
}

/** That revisions never contradict the order in which things happened. */
export function checkOrder(
  records: readonly OperationRecord[],
  placement: Placement,
  floors: Floors
): HistoryViolation | null {
  for (const record of records) {
    const violation = isWrite(record)
      ? checkWrite(placement.revisionOf(record), record, floors.overall.get(record) ?? NO_FLOOR)
      : checkGet(record, floors)
    if (violation !== null) return violation
  }
  return null
}

const NO_FLOOR: Floor = { revision: 0, record: null }

function checkWrite(
  revision: Revision | null,
  record: OperationRecord,
  floor: Floor
): HistoryViolation | null {
  if (revision === null || revision > floor.revision) return null
  const text = `a write took effect at revision ${revision}, and ${floor.revision} was known before its call`
  return violationOf('write order', text, [floor.record, record])
}

function checkGet(record: OperationRecord, floors: Floors): HistoryViolation | null {
  const { operation, outcome } = record
  if (operation.kind !== 'get' || outcome.kind !== 'got') return null
  const { revision, row } = outcome
  if (row !== null && row.modRevision > revision) {
    const text = 'a read shows more than it says that it reflects'
    return violationOf('row newer than its read', text, [record])
  }
  const isStale = operation.consistency === 'stale'
  const floor = (isStale ? floors.own : floors.overall).get(record) ?? NO_FLOOR
  if (revision >= floor.revision) return null
  if (isStale) {
    const text = `a stale read at revision ${revision} after its process had shown ${floor.revision}`
    return violationOf('stale read went back', text, [floor.record, record])
  }
  const text = `a linearizable read at revision ${revision}, and ${floor.revision} was known before its call`
  return violationOf('outdated read', text, [floor.record, record])
}

function raised(floor: Floor, revision: Revision, record: OperationRecord): Floor {
  return revision > floor.revision ? { revision, record } : floor
}

/** The revision that an answer proves to be committed. */
function toldBy(record: OperationRecord, floor: Revision, placement: Placement): Revision {
  const { outcome } = record
  if (outcome.kind === 'written' || outcome.kind === 'got') return outcome.revision
  return isWrite(record) ? toldByFailed(record, floor, placement) : 0
}

/** Where a condition that failed can have failed first. */
function toldByFailed(record: WriteRecord, floor: Revision, placement: Placement): Revision {
  const { operation, outcome } = record
  if (outcome.kind !== 'conditionFailed') return 0
  const { found } = outcome
  const position = record.returnedAt ?? END
  if (found !== null) {
    const timeline = placement.timeline(found.key)
    const earliest = timeline.earliest(floor, position, (revision) => revision === found.revision)
    return Math.max(found.revision, earliest ?? 0)
  }
  const positions = operation.changes.map(({ key, condition }) => {
    if (condition === null) return END
    const expected = expectedRevision(condition)
    const isOther = (revision: Revision): boolean => revision !== expected
    return placement.timeline(key).earliest(floor, position, isOther) ?? END
  })
  const earliest = Math.min(...positions)
  return earliest === END ? 0 : earliest
}

interface Event {
  readonly record: OperationRecord
  readonly isCall: boolean
}

/** Calls and answers in order; positions are unique, so that sorting is counting. */
function eventsOf(records: readonly OperationRecord[]): readonly Event[] {
  const events: Event[] = []
  for (const record of records) {
    events[record.calledAt] = { record, isCall: true }
    if (record.returnedAt !== null) events[record.returnedAt] = { record, isCall: false }
  }
  return events
}
