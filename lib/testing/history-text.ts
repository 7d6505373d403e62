// Operations of a history in words, and what is said when one cannot be true.

import { unreachable } from '../assert.ts'
import type { Condition } from '../state-machine/command.ts'
import type { HistoryChange, HistoryRow, OperationRecord } from './history.ts'

/** What of the end check E2 did not hold. */
export interface HistoryViolation {
  readonly invariant: 'E2'
  /** the check's name */
  readonly check: string
  /** one line: the check, what is wrong, the operations concerned */
  readonly message: string
  readonly operations: readonly OperationRecord[]
}

/** `text` is followed by the operations, each in words. */
export function violationOf(
  check: string,
  text: string,
  operations: readonly (OperationRecord | null)[]
): HistoryViolation {
  const known = operations.filter((record) => record !== null)
  const shown = known.map((record) => describe(record)).join('; ')
  const message = `${check}: ${text}${shown === '' ? '' : `: ${shown}`}`
  return { invariant: 'E2', check, message, operations: known }
}

/** One operation in words: `#7 put a = s3 via b#1 [12-15, 2031-2047 ms]: revision 18`. */
export function describe(record: OperationRecord): string {
  const { id, operation, calledAt, calledMs, returnedAt, returnedMs } = record
  const what =
    operation.kind === 'write'
      ? operation.changes.map((change) => changeText(change)).join(', ')
      : `${operation.consistency === 'stale' ? 'stale get' : 'get'} ${operation.key}`
  const when = `[${calledAt}-${returnedAt ?? ''}, ${Math.round(calledMs)}-${returnedMs === null ? '' : Math.round(returnedMs)} ms]`
  return `#${id} ${what} via ${operation.process} ${when}: ${outcomeText(record)}`
}

/** A row in words. */
export function rowText(row: HistoryRow): string {
  const { key, value, createRevision, modRevision, version } = row
  return `${key} = ${value} at revision ${modRevision} (created at ${createRevision}, version ${version})`
}

function outcomeText({ outcome }: OperationRecord): string {
  switch (outcome.kind) {
    case 'unknown':
      return 'unknown'
    case 'refused':
      return 'refused'
    case 'written':
      return `revision ${outcome.revision} after ${outcome.previousRevisions.join(', ')}`
    case 'conditionFailed':
      return outcome.found === null
        ? 'condition failed'
        : `condition failed, ${outcome.found.key} was ${atText(outcome.found.revision)}`
    case 'got':
      return `${outcome.row === null ? 'absent' : rowText(outcome.row)}, read at revision ${outcome.revision}`
    default:
      return unreachable(outcome)
  }
}

function changeText(change: HistoryChange): string {
  const condition = conditionText(change.condition)
  if (change.kind === 'delete') return `delete ${change.key}${condition}`
  return `put ${change.key} = ${change.value}${condition}`
}

function conditionText(condition: Condition | null): string {
  if (condition === null) return ''
  return condition.kind === 'absent' ? ' if absent' : ` if at revision ${condition.revision}`
}

/** A modRevision in words. */
export function atText(revision: number): string {
  return revision === 0 ? 'absent' : `at revision ${revision}`
}
