// Histories that really happened: operations drawn at random, carried out one after another by a small
// store of its own, and seen through intervals that overlap. First a script, which a test can falsify,
// then a history.

import fc from 'fast-check'
import { bytesOf } from '../../lib/encoding.ts'
import type { Condition } from '../../lib/state-machine/command.ts'
import { expectedRevision, History } from '../../lib/testing/history.ts'
import type { GetOperation, GetOutcome, HistoryChange } from '../../lib/testing/history.ts'
import type { HistoryRow, WriteOperation, WriteOutcome } from '../../lib/testing/history.ts'

/** What is drawn for one operation. It takes effect at a time of its own, `before` after its call. */
export interface Draw {
  readonly kind: 'put' | 'delete' | 'batch' | 'get' | 'stale'
  readonly key: string
  readonly condition: 'none' | 'absent' | 'current' | 'wrong'
  readonly before: number
  readonly after: number
  readonly fate: 'answered' | 'unknown' | 'lost' | 'refused'
  readonly process: string
  /** entries of others before this one in the log */
  readonly gap: number
  /** how far a stale read is behind, from 0 to 1 */
  readonly lag: number
}

export type ScriptEvent =
  | { readonly at: number; readonly kind: 'call'; readonly id: number; readonly asked: Asked }
  | { readonly at: number; readonly kind: 'end'; readonly id: number; readonly outcome: Told }

export type Asked = WriteOperation | GetOperation
export type Told = WriteOutcome | GetOutcome

export interface Script {
  /** in order of time */
  readonly events: readonly ScriptEvent[]
  readonly finalRows: readonly HistoryRow[]
}

export interface DrawOptions {
  readonly keys: readonly string[]
  /** whether outcomes may be unknown */
  readonly hasDoubt: boolean
  readonly maxLength: number
}

export function drawsOf({ keys, hasDoubt, maxLength }: DrawOptions): fc.Arbitrary<Draw[]> {
  const doubt = (['unknown', 'lost'] as const).map((value) => ({
    weight: hasDoubt ? 1 : 0,
    arbitrary: fc.constant(value)
  }))
  return fc.array(
    fc.record<Draw>({
      kind: fc.constantFrom(
        'put',
        'put',
        'put',
        'delete',
        keys.length > 1 ? 'batch' : 'put',
        'get',
        'get',
        'stale'
      ),
      key: fc.constantFrom(...keys),
      condition: fc.constantFrom('none', 'none', 'absent', 'current', 'wrong'),
      before: fc.nat(30),
      after: fc.nat(30),
      fate: fc.oneof(
        { weight: 6, arbitrary: fc.constant('answered' as const) },
        { weight: 1, arbitrary: fc.constant('refused' as const) },
        ...doubt
      ),
      process: fc.constantFrom('a#1', 'b#1'),
      gap: fc.nat(2),
      lag: fc.double({ min: 0, max: 1, noNaN: true })
    }),
    { minLength: 1, maxLength }
  )
}

/** The truth about the draws: effects 10 apart, so that about six operations overlap. */
export function scriptOf(draws: readonly Draw[], keys: readonly string[]): Script {
  const store = new Store()
  const events: ScriptEvent[] = []
  const steps: { readonly at: number; readonly run: () => void }[] = []
  for (const [id, draw] of draws.entries()) {
    const effectAt = (id + 4) * 10
    // thirds keep calls, effects and ends apart
    const callAt = effectAt - draw.before - 1 / 3
    const endAt = effectAt + draw.after + 1 / 3
    let asked: Asked | null = null
    let outcome: Told = { kind: draw.fate === 'refused' ? 'refused' : 'unknown' }
    steps.push({
      at: callAt,
      run() {
        asked = store.ask(draw, id, keys)
        events.push({ at: callAt, kind: 'call', id, asked })
      }
    })
    steps.push({
      at: effectAt,
      run() {
        const hasEffect = draw.fate === 'answered' || draw.fate === 'unknown'
        if (!hasEffect || asked === null) return
        const told = store.carryOut(asked, draw)
        if (draw.fate === 'answered') outcome = told
      }
    })
    steps.push({ at: endAt, run: () => void events.push({ at: endAt, kind: 'end', id, outcome }) })
  }
  steps.sort((a, b) => a.at - b.at)
  for (const { run } of steps) run()
  return { events, finalRows: store.rows() }
}

export function historyOf(events: readonly ScriptEvent[]): History {
  const history = new History()
  const ends = new Map<number, (told: Told) => void>()
  for (const event of events) {
    if (event.kind === 'call') ends.set(event.id, begin(history, event.asked))
    else ends.get(event.id)?.(event.outcome)
  }
  return history
}

function begin(history: History, asked: Asked): (told: Told) => void {
  if (asked.kind === 'write') {
    const call = history.call(asked)
    return (told) => {
      if (told.kind === 'refused') call.refused()
      else if (told.kind === 'conditionFailed') call.conditionFailed(told.found)
      else if (told.kind === 'written') {
        const changes = told.previousRevisions.map((previousRevision) => ({ previousRevision }))
        call.done({ revision: told.revision, changes })
      } else call.unknown()
    }
  }
  const call = history.call(asked)
  return (told) => {
    if (told.kind === 'refused') call.refused()
    else if (told.kind === 'got') call.done({ revision: told.revision, item: itemOf(told.row) })
    else call.unknown()
  }
}

function itemOf(row: HistoryRow | null) {
  if (row === null) return null
  return { ...row, key: bytesOf(row.key), value: bytesOf(row.value) }
}

type Rows = ReadonlyMap<string, HistoryRow>

/** One copy, one operation after another, all of its past. */
class Store {
  readonly #past: { readonly revision: number; readonly rows: Rows }[] = [
    { revision: 0, rows: new Map() }
  ]
  /** position in the past that a process has shown */
  readonly #shown = new Map<string, number>()

  rows(): readonly HistoryRow[] {
    return [...this.#now().rows.values()]
  }

  ask(draw: Draw, id: number, keys: readonly string[]): Asked {
    const { kind, key, process } = draw
    if (kind === 'get') return { kind, key, consistency: 'linearizable', process }
    if (kind === 'stale') return { kind: 'get', key, consistency: 'stale', process }
    const condition = this.#conditionOf(draw)
    if (kind === 'delete') return { kind: 'write', changes: [{ kind, key, condition }], process }
    const changes: HistoryChange[] = [{ kind: 'put', key, value: `s${id}`, condition }]
    for (const other of kind === 'batch' ? keys : []) {
      if (other === key) continue
      changes.push({ kind: 'put', key: other, value: `s${id}.${other}`, condition: null })
    }
    return { kind: 'write', changes, process }
  }

  carryOut(asked: Asked, draw: Draw): Told {
    if (asked.kind === 'get') return this.#get(asked, draw)
    const { revision: before, rows } = this.#now()
    const revision = before + 1 + draw.gap
    const after = new Map(rows)
    const previousRevisions: number[] = []
    for (const change of asked.changes) {
      const { key, condition } = change
      const row = rows.get(key)
      const at = row?.modRevision ?? 0
      if (condition !== null && expectedRevision(condition) !== at) {
        this.#past.push({ revision, rows })
        return { kind: 'conditionFailed', found: draw.lag < 0.5 ? { key, revision: at } : null }
      }
      previousRevisions.push(at)
      const { createRevision, version } = row ?? { createRevision: revision, version: 0 }
      const count = { createRevision, modRevision: revision, version: version + 1 }
      if (change.kind === 'delete') after.delete(key)
      else after.set(key, { key, value: change.value, ...count })
    }
    this.#past.push({ revision, rows: after })
    return { kind: 'written', revision, previousRevisions }
  }

  #get({ key, consistency, process }: GetOperation, { lag }: Draw): Told {
    const last = this.#past.length - 1
    const shown = this.#shown.get(process) ?? 0
    const position = consistency === 'stale' ? Math.max(shown, Math.floor(last * lag)) : last
    this.#shown.set(process, position)
    const { revision, rows } = this.#past[position] ?? this.#now()
    return { kind: 'got', revision, row: rows.get(key) ?? null }
  }

  #conditionOf({ condition, key }: Draw): Condition | null {
    const { revision, rows } = this.#now()
    const at = rows.get(key)?.modRevision ?? 0
    if (condition === 'none') return null
    if (condition === 'wrong') return { kind: 'revision', revision: Math.max(1, revision - 1) }
    return condition === 'absent' || at === 0
      ? { kind: 'absent' }
      : { kind: 'revision', revision: at }
  }

  #now(): { readonly revision: number; readonly rows: Rows } {
    return this.#past.at(-1) ?? { revision: 0, rows: new Map() }
  }
}
