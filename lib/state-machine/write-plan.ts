// What a write does, decided before anything is written: the conditions of all its changes, then the
// rows it makes. Pure; both implementations carry out the same plan.

import type { ErrorDetail } from '../errors.ts'
import { assert } from '../assert.ts'
import { textOf } from '../encoding.ts'
import { refusalAtApply } from './check-write.ts'
import type { Change, ChangeSet } from './command.ts'
import type { ChangeResult, Revision } from './state-machine.ts'

/** What is stored about a live key, besides its value. */
export interface KeyState {
  /** of its row: modRevision × REVISION_STRIDE + ordinal */
  readonly rowId: number
  readonly createRevision: Revision
  readonly modRevision: Revision
  readonly version: number
  readonly valueBytes: number
  /** `rowHash` of the whole row, 32 bytes */
  readonly hash: Uint8Array
}

/** One row to write. */
export interface PlannedRow {
  /** position of the change in its command */
  readonly ordinal: number
  readonly key: Uint8Array
  /** null: a tombstone */
  readonly value: Uint8Array | null
  readonly createRevision: Revision
  /** 0 in a tombstone */
  readonly version: number
  /** what the key was before; null when it was absent */
  readonly previous: KeyState | null
}

export type WritePlan =
  | { readonly kind: 'refused'; readonly error: ErrorDetail }
  | {
      readonly kind: 'rows'
      readonly rows: readonly PlannedRow[]
      /** one per change, also for those that make no row */
      readonly changes: readonly ChangeResult[]
    }

/** `lookup` gives the state of a live key before this revision, or null. */
export function planWrite(
  command: ChangeSet,
  revision: Revision,
  lookup: (key: Uint8Array) => KeyState | null
): WritePlan {
  const refusal = refusalAtApply(command)
  if (refusal !== null) return { kind: 'refused', error: refusal }
  const rows: PlannedRow[] = []
  const changes: ChangeResult[] = []
  for (const [ordinal, change] of command.changes.entries()) {
    const previous = lookup(change.key)
    const error = refusalOfCondition(change, previous)
    if (error !== null) return { kind: 'refused', error }
    assert(
      previous === null || previous.modRevision < revision,
      'a row is newer than all before it'
    )
    changes.push({ previousRevision: previous?.modRevision ?? 0 })
    const row = rowOf(change, revision, previous)
    if (row !== null) rows.push({ ordinal, ...row })
  }
  return { kind: 'rows', rows, changes }
}

/** The row that a change makes; null for a delete of what is not there. */
function rowOf(
  change: Change,
  revision: Revision,
  previous: KeyState | null
): Omit<PlannedRow, 'ordinal'> | null {
  const { key } = change
  if (change.kind === 'put') {
    const createRevision = previous?.createRevision ?? revision
    const version = (previous?.version ?? 0) + 1
    return { key, value: change.value, createRevision, version, previous }
  }
  if (previous === null) return null
  return { key, value: null, createRevision: previous.createRevision, version: 0, previous }
}

function refusalOfCondition(change: Change, previous: KeyState | null): ErrorDetail | null {
  const { condition, key } = change
  if (condition === null) return null
  const actual = previous?.modRevision ?? 0
  const expected = condition.kind === 'absent' ? 0 : condition.revision
  if (actual === expected) return null
  const name = textOf(key)
  const found = actual === 0 ? 'does not exist' : `is at revision ${actual}`
  const wanted =
    expected === 0 ? 'it was expected to be absent' : `revision ${expected} was expected`
  return {
    code: 'CONDITION_FAILED',
    message: `${name === null ? 'the key' : `the key ${JSON.stringify(name)}`} ${found}; ${wanted}`,
    hint: 'read the key again and decide anew',
    fields: { key: name, revision: actual, expected }
  }
}
