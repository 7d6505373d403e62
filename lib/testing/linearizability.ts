// The second line of defence of end check E2: a search for one order of the operations on each key,
// independent of serial-oracle.ts and slower; where outcomes are unknown it tries what they may have
// been. The search is wing-gong.ts, what one key does is key-model.ts. Stale reads are not its
// business, nor is anything between keys: for both there is the oracle.

import type { HistoryViolation } from './history-text.ts'
import { violationOf } from './history-text.ts'
import type { History, OperationRecord } from './history.ts'
import type { KeyOperation } from './key-model.ts'
import { keyIntervals, keyModelOf, ownedRevisions } from './key-model.ts'
import type { Verdict } from './wing-gong.ts'
import { checkIntervals } from './wing-gong.ts'

export interface LinearizableOptions {
  /** for each key; DEFAULT_STEP_BUDGET when left out */
  readonly stepBudget?: number
}

export type HistoryVerdict =
  | { readonly kind: 'ok'; readonly stepCount: number }
  | (Failed & { readonly kind: 'illegal' })
  /** to be looked at like a failure: smaller histories, or a greater budget */
  | (Failed & { readonly kind: 'undecided' })

interface Failed {
  readonly stepCount: number
  /** one line, with the operations concerned */
  readonly message: string
  /** if illegal, the end of the longest order that was found and the operation that got stuck */
  readonly operations: readonly OperationRecord[]
}

/** Whether writes and linearizable reads of each key could have happened one after another. */
export function checkLinearizable(
  history: History,
  options: LinearizableOptions = {}
): HistoryVerdict {
  let stepCount = 0
  const undecided: string[] = []
  const model = keyModelOf(ownedRevisions(history.records))
  for (const [key, intervals] of keyIntervals(history.records)) {
    const verdict = checkIntervals(model, intervals, options.stepBudget)
    stepCount += verdict.stepCount
    if (verdict.kind === 'undecided') undecided.push(key)
    if (verdict.kind !== 'illegal') continue
    return { kind: 'illegal', stepCount, ...explain(key, verdict) }
  }
  if (undecided.length === 0) return { kind: 'ok', stepCount }
  const message = `linearizability: undecided after ${stepCount} steps for ${undecided.join(', ')}`
  return { kind: 'undecided', stepCount, message, operations: [] }
}

/** How many operations before the one that is stuck are shown. */
const SHOWN_COUNT = 4

function explain(
  key: string,
  { prefix, stuck }: Verdict<KeyOperation> & { readonly kind: 'illegal' }
): Pick<HistoryViolation, 'message' | 'operations'> {
  const shown = prefix.slice(-SHOWN_COUNT).map(({ record }) => record)
  const text = `the operations on ${key} have no order; the longest found has ${prefix.length}, ending with these, after which the last one shown cannot come`
  return violationOf('linearizability', text, [...shown, stuck.record])
}
