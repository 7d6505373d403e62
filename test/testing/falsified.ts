// One lie in a script: an answer that was not given.

import fc from 'fast-check'
import type { HistoryRow } from '../../lib/testing/history.ts'
import type { ScriptEvent, Told } from './random-history.ts'

export interface Lie {
  /** which answer, modulo their number */
  readonly position: number
  readonly kind: number
  readonly by: number
}

export const lie: fc.Arbitrary<Lie> = fc.record({
  position: fc.nat(),
  kind: fc.nat(5),
  by: fc.constantFrom(-3, -2, -1, 1, 2, 3)
})

/** The same events, one answer changed; it may happen to be possible all the same. */
export function falsified(
  events: readonly ScriptEvent[],
  { position, kind, by }: Lie
): readonly ScriptEvent[] {
  const answers = events.filter((event) => event.kind === 'end' && isAnswer(event.outcome))
  const victim = answers[position % Math.max(1, answers.length)]
  if (victim?.kind !== 'end') return events
  const rows = rowsOf(events)
  const outcome = changed(victim.outcome, {
    kind,
    by,
    row: rows[position % Math.max(1, rows.length)] ?? null
  })
  return events.map((event) => (event === victim ? { ...victim, outcome } : event))
}

function isAnswer({ kind }: Told): boolean {
  return kind === 'written' || kind === 'got' || kind === 'conditionFailed'
}

function rowsOf(events: readonly ScriptEvent[]): readonly (HistoryRow | null)[] {
  return events.flatMap((event) =>
    event.kind === 'end' && event.outcome.kind === 'got' ? [event.outcome.row] : []
  )
}

function changed(
  told: Told,
  { kind, by, row }: { readonly kind: number; readonly by: number; readonly row: HistoryRow | null }
): Told {
  if (told.kind === 'written') {
    if (kind < 2) return { ...told, revision: Math.max(1, told.revision + by) }
    if (kind === 2) return { kind: 'refused' }
    if (kind === 3) return { kind: 'conditionFailed', found: null }
    const previousRevisions = told.previousRevisions.map((one) => Math.max(0, one + by))
    return { ...told, previousRevisions }
  }
  if (told.kind === 'conditionFailed') {
    const found = { key: 'a', revision: Math.max(0, (told.found?.revision ?? 0) + by) }
    return { ...told, found }
  }
  if (told.kind !== 'got') return told
  if (kind === 0) return { ...told, revision: Math.max(0, told.revision + by) }
  if (kind === 1 || told.row === null) return { ...told, row }
  if (kind === 2)
    return { ...told, row: { ...told.row, version: Math.max(1, told.row.version + by) } }
  if (kind === 3) return { ...told, row: { ...told.row, modRevision: told.row.modRevision + by } }
  if (kind === 4) return { ...told, row: null }
  return { ...told, row: { ...told.row, createRevision: told.row.createRevision + by } }
}
