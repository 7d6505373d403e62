// Revisions against real time. What has returned before an operation was called lies before it in the
// log, whatever the keys; a stale read only promises not to be behind what its own process showed.

import type { Revision } from '../state-machine/state-machine.ts'
import type { HistoryViolation } from './history-text.ts'
import { violationOf } from './history-text.ts'
import type { OperationRecord } from './history.ts'
import type { Placement } from './serial-placement.ts'
import { isWrite } from './serial-placement.ts'

/** The highest revision that somebody had been told, and who. */
export interface Floor {
  readonly revision: Revision
  readonly record: OperationRecord | null
}

/** What was known when each operation was called. */
export interface Floors {
  readonly overall: ReadonlyMap<OperationRecord, Floor>
  /** by reads of the same process */
  readonly own: ReadonlyMap<OperationRecord, Floor>
}

export function floorsOf(records: readonly OperationRecord[]): Floors {
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
    const told = toldBy(record)
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
  const text = `a write took effect at revision ${revision}, and ${floor.revision} had been told before its call`
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
  const text = `a linearizable read at revision ${revision}, and ${floor.revision} had been told before its call`
  return violationOf('outdated read', text, [floor.record, record])
}

function raised(floor: Floor, revision: Revision, record: OperationRecord): Floor {
  return revision > floor.revision ? { revision, record } : floor
}

/** The revision that an answer proves to be committed. */
function toldBy({ outcome }: OperationRecord): Revision {
  if (outcome.kind === 'written' || outcome.kind === 'got') return outcome.revision
  return outcome.kind === 'conditionFailed' ? (outcome.found?.revision ?? 0) : 0
}

/** Calls and answers in order; positions are unique, so that sorting is counting. */
function eventsOf(
  records: readonly OperationRecord[]
): readonly { readonly record: OperationRecord; readonly isCall: boolean }[] {
  const events: { record: OperationRecord; isCall: boolean }[] = []
  for (const record of records) {
    events[record.calledAt] = { record, isCall: true }
    if (record.returnedAt !== null) events[record.returnedAt] = { record, isCall: false }
  }
  return events
}
