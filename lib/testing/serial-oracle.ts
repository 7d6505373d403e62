// The first line of defence of end check E2: a whole history, judged with maps in one pass or nearly
// so. It relies on every put having a value of its own and on revisions, which are one total order for
// all keys and all nodes: what an answer says can then be looked up instead of searched for. It is
// exact where every outcome is known; where some are not it refuses only what no outcome could
// explain, and linearizability.ts searches.
//
// The checks by name:
// - phantom value: somebody saw a value that nobody put there
// - value from the future: … that was put only later
// - refused write applied; write applied twice; revision given twice
// - write order: revisions of writes agree with real time, over all keys
// - outdated read: a linearizable read reflects all that anybody had been told before its call
// - stale read went back: reads of one process never do; row newer than its read
// - lost write: a state shows the newest write up to its revision, for writes of many keys all of them
// - unexplained absence: what was put is gone, and no delete can have done it
// - revision of nobody: a key was at a revision that no write can have given it
// - condition ignored; unjust refusal: conditions decide, both ways
// - version count: versions count the puts since creation, each applied once
// - final state: the last rows are the newest write of each key

import { assert } from '../assert.ts'
import type { Revision } from '../state-machine/state-machine.ts'
import type { HistoryViolation } from './history-text.ts'
import { atText, violationOf } from './history-text.ts'
import { expectedRevision } from './history.ts'
import type { FoundRevision, History, HistoryRow, OperationRecord } from './history.ts'
import type { WriteRecord } from './history.ts'
import type { Claim } from './serial-claims.ts'
import { checkClaim, checkHidden, checkVersion } from './serial-claims.ts'
import type { Floors } from './serial-order.ts'
import { checkOrder, floorsOf } from './serial-order.ts'
import type { Sighting } from './serial-placement.ts'
import { END, isWrite, Placement, placeWrites, sightingsOf } from './serial-placement.ts'

/**
 * The first thing in a history that cannot be true of a linearizable store; null when there is none.
 * `finalRows` are all rows of any node that has applied everything; null when nobody looked. O(n log n).
 *
 * @throws AssertionError when two puts have the same value
 */
export function checkSerials(
  history: History,
  finalRows: readonly HistoryRow[] | null = null
): HistoryViolation | null {
  const { records } = history
  const sightings = sightingsOf(records, finalRows)
  const placement = placeWrites(records, sightings)
  if (!(placement instanceof Placement)) return placement
  const floors = floorsOf(records, placement)
  return (
    checkOrder(records, placement, floors) ??
    checkConditions({ records, placement, floors }) ??
    checkClaims(claimsOf({ records, placement, floors }), placement) ??
    checkFinal(finalRows, placement) ??
    checkVersions(sightings, placement) ??
    checkAllHidden(placement)
  )
}

interface Evidence {
  readonly records: readonly OperationRecord[]
  readonly placement: Placement
  readonly floors: Floors
}

/** Conditions against what the answers themselves say. */
function checkConditions(evidence: Evidence): HistoryViolation | null {
  for (const record of evidence.records) {
    if (!isWrite(record)) continue
    const violation = checkHeld(record) ?? checkFailed(record, evidence)
    if (violation !== null) return violation
  }
  return null
}

/** A write that was done had all its conditions fulfilled. */
function checkHeld(record: WriteRecord): HistoryViolation | null {
  const { operation, outcome } = record
  if (outcome.kind !== 'written') return null
  for (const [position, { key, condition }] of operation.changes.entries()) {
    const previous = outcome.previousRevisions[position] ?? 0
    if (condition === null || expectedRevision(condition) === previous) continue
    const text = `done although ${key} was ${atText(previous)}`
    return violationOf('condition ignored', text, [record])
  }
  return null
}

/** A write whose condition failed has a condition that did not hold. */
function checkFailed(record: WriteRecord, evidence: Evidence): HistoryViolation | null {
  const { operation, outcome } = record
  if (outcome.kind !== 'conditionFailed') return null
  const { found } = outcome
  const isJust = operation.changes.some(({ key, condition }) => {
    if (condition === null) return false
    const expected = expectedRevision(condition)
    if (found !== null) return found.key === key && found.revision !== expected
    const { from, returnedAt } = intervalOf(record, key, evidence.floors)
    const timeline = evidence.placement.timeline(key)
    return timeline.earliest(from, returnedAt, (revision) => revision !== expected) !== null
  })
  if (isJust) return null
  return violationOf('unjust refusal', 'refused although every condition held', [record])
}

/** Everything that the answers say about states, in the order of the calls. */
function* claimsOf({ records, placement, floors }: Evidence): Iterable<Claim> {
  for (const record of records) {
    const { operation, outcome } = record
    if (isWrite(record)) yield* claimsOfPlaced(record, placement.revisionOf(record))
    if (outcome.kind === 'conditionFailed' && outcome.found !== null) {
      yield claimOfFound(record, outcome.found, floors)
    }
    if (operation.kind !== 'get' || outcome.kind !== 'got') continue
    const { revision, row } = outcome
    const returnedAt = record.returnedAt ?? END
    const { key } = operation
    const modRevision = row?.modRevision ?? 0
    yield {
      check: 'lost write',
      key,
      modRevision,
      from: revision,
      to: revision,
      record,
      returnedAt
    }
    if (row !== null) yield* claimsOfCreation(row, record, returnedAt)
  }
}

/** What was there right before a write: said by its answer, or by its condition if it was applied. */
function* claimsOfPlaced(record: WriteRecord, revision: Revision | null): Iterable<Claim> {
  if (revision === null) return
  const { operation, outcome, returnedAt } = record
  for (const [position, { key, condition }] of operation.changes.entries()) {
    const told = outcome.kind === 'written' ? outcome.previousRevisions[position] : undefined
    const modRevision = told ?? (condition === null ? null : expectedRevision(condition))
    if (modRevision === null) continue
    yield {
      check: told === undefined ? 'condition ignored' : 'lost write',
      key,
      modRevision,
      from: revision - 1,
      to: revision - 1,
      record,
      returnedAt: returnedAt ?? END
    }
  }
}

function claimOfFound(record: OperationRecord, found: FoundRevision, floors: Floors): Claim {
  const { key, revision } = found
  return { ...intervalOf(record, key, floors), modRevision: revision }
}

/** Some state of a key while an operation was under way. */
function intervalOf(
  record: OperationRecord,
  key: string,
  floors: Floors
): Omit<Claim, 'modRevision'> {
  return {
    check: 'unjust refusal',
    key,
    from: floors.overall.get(record)?.revision ?? 0,
    to: END,
    record,
    returnedAt: record.returnedAt ?? END
  }
}

/** A key is created where it was absent, by a put. */
function* claimsOfCreation(
  row: HistoryRow,
  record: OperationRecord | null,
  returnedAt: number
): Iterable<Claim> {
  const { key, createRevision } = row
  const claim = { check: 'version count', key, record, returnedAt }
  const before = createRevision - 1
  yield { ...claim, modRevision: 0, from: before, to: before }
  yield { ...claim, modRevision: createRevision, from: createRevision, to: createRevision }
}

function checkClaims(claims: Iterable<Claim>, placement: Placement): HistoryViolation | null {
  for (const claim of claims) {
    const violation = checkClaim(claim, placement)
    if (violation !== null) return violation
  }
  return null
}

/** The last word on every key that anybody ever wrote. */
function checkFinal(
  finalRows: readonly HistoryRow[] | null,
  placement: Placement
): HistoryViolation | null {
  if (finalRows === null) return null
  const last = { check: 'final state', from: END, to: END, record: null, returnedAt: END }
  const claims: Claim[] = []
  const seen = new Set<string>()
  for (const row of finalRows) {
    const { key, modRevision } = row
    assert(!seen.has(key), `one final row for ${key}`)
    seen.add(key)
    claims.push({ ...last, key, modRevision })
    claims.push(...claimsOfCreation(row, null, END))
  }
  for (const [key] of placement.timelines()) {
    if (seen.has(key)) continue
    claims.push({ ...last, key, modRevision: 0 })
  }
  return checkClaims(claims, placement)
}

function checkVersions(
  sightings: readonly Sighting[],
  placement: Placement
): HistoryViolation | null {
  for (const sighting of sightings) {
    const violation = checkVersion(sighting.row, sighting, placement.timeline(sighting.row.key))
    if (violation !== null) return violation
  }
  return null
}

function checkAllHidden(placement: Placement): HistoryViolation | null {
  for (const [key, timeline] of placement.timelines()) {
    const violation = checkHidden(key, timeline)
    if (violation !== null) return violation
  }
  return null
}
