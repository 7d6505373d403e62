// What answers say about the state of a key at a point of the log, against what is known to have been
// written there: every read, every "it was at revision N before", every condition and the final rows
// come down to such claims.

import type { Revision } from '../state-machine/state-machine.ts'
import { atText, violationOf } from './history-text.ts'
import type { HistoryViolation } from './history-text.ts'
import type { HistoryRow, OperationRecord } from './history.ts'
import { END } from './serial-placement.ts'
import type { Placement, Timeline } from './serial-placement.ts'

/** Somebody knows that a key was at a revision. */
export interface Claim {
  /** the name of the check that fails if it cannot be true */
  readonly check: string
  readonly key: string
  /** its modRevision; 0 says that it was absent */
  readonly modRevision: Revision
  /** it was so right after some revision in [from, to] */
  readonly from: Revision
  readonly to: Revision
  /** null for the final rows */
  readonly record: OperationRecord | null
  readonly returnedAt: number
}

/** Also collects in the timelines what only a write that nobody saw can explain. */
export function checkClaim(claim: Claim, placement: Placement): HistoryViolation | null {
  const timeline = placement.timeline(claim.key)
  return claim.modRevision === 0
    ? checkAbsence(claim, timeline)
    : checkPresence(claim, timeline, placement)
}

/** That there are as many unseen writes as there is left to explain. */
export function checkHidden(key: string, timeline: Timeline): HistoryViolation | null {
  const { hiddenPuts, hiddenDeletes } = timeline
  const putCount = timeline.openCount('put', END)
  if (hiddenPuts.size > putCount) {
    const text = `${key} was put at revisions ${[...hiddenPuts].join(', ')} by nobody known, and only ${putCount} puts are in doubt`
    return violationOf('revision of nobody', text, [])
  }
  const deleteCount = timeline.openCount('delete', END)
  if (hiddenDeletes.size <= deleteCount) return null
  const text = `${key} was deleted after each of the revisions ${[...hiddenDeletes].join(', ')}, and only ${deleteCount} deletes are in doubt`
  return violationOf('unexplained absence', text, [])
}

/** That the row's version counts the puts since its creation, each applied once. */
export function checkVersion(
  row: HistoryRow,
  witness: { readonly record: OperationRecord | null; readonly returnedAt: number },
  timeline: Timeline
): HistoryViolation | null {
  const { createRevision, modRevision, version } = row
  const { puts, deletes } = timeline.countBetween(createRevision, modRevision)
  const openCount = timeline.openCount('put', witness.returnedAt)
  const isFirst = createRevision === modRevision
  const isPlausible =
    isFirst === (version === 1) && createRevision > 0 && createRevision <= modRevision
  if (isPlausible && deletes === 0 && version >= puts && version <= puts + openCount) return null
  const text = `version ${version} of ${row.key} at revision ${modRevision}, created at ${createRevision}; known in between: ${puts} puts, ${deletes} deletes, and ${openCount} puts are in doubt`
  return violationOf('version count', text, [
    timeline.at(modRevision)?.record ?? null,
    witness.record
  ])
}

function checkPresence(
  claim: Claim,
  timeline: Timeline,
  placement: Placement
): HistoryViolation | null {
  const { key, modRevision, from, to, record, returnedAt } = claim
  const placed = timeline.at(modRevision)
  if (modRevision > to) {
    const text = `${key} is said to be at revision ${modRevision} as of ${seenText(claim)} already`
    return violationOf('revision of nobody', text, [placed?.record ?? null, record])
  }
  if (placed?.change.kind === 'delete') {
    const text = `${key} was deleted at revision ${modRevision}, at which it is said to be`
    return violationOf('revision of nobody', text, [placed.record, record])
  }
  if (placed === null) {
    const other = placement.recordAt(modRevision)
    if (other !== null || timeline.openCount('put', returnedAt) === 0) {
      const text = `${key} is said to be at revision ${modRevision}, where nobody put it`
      return violationOf('revision of nobody', text, [record, other])
    }
    timeline.hiddenPuts.add(modRevision)
  }
  const next = timeline.firstAfter(modRevision)
  if (next === null || next.revision > from) return null
  const text = `${key} is said to be at revision ${modRevision} as of ${seenText(claim)}, but ${next.revision} is newer`
  return violationOf(claim.check, text, [placed?.record ?? null, next.record, record])
}

function checkAbsence(claim: Claim, timeline: Timeline): HistoryViolation | null {
  const { from, to, record, returnedAt } = claim
  const last = timeline.lastUpTo(from)
  if (last === null || last.change.kind === 'delete') return null
  if (timeline.hasDeleteIn(from, to)) return null
  // between the put and the sighting there must be a revision for a delete
  if (last.revision < to && timeline.openCount('delete', returnedAt) > 0) {
    if (from === to) timeline.hiddenDeletes.add(last.revision)
    return null
  }
  const text = `${claim.key} is said to be absent as of ${seenText(claim)}, but was put ${atText(last.revision)} and nobody deleted it`
  const check = claim.check === 'lost write' ? 'unexplained absence' : claim.check
  return violationOf(check, text, [last.record, record])
}

function seenText({ record, from }: Claim): string {
  return record === null ? 'the end' : `revision ${from}`
}
