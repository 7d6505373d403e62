// A log as a list, and random steps to hold a log store against it.

import fc from 'fast-check'
import { assert } from '../../lib/assert.ts'
import type { LogStore, OpenedLog } from '../../lib/log-store/log-store.ts'
import type { LogWrite } from '../../lib/log-store/log-tail.ts'
import type { HardState } from '../../lib/raft/effects.ts'
import type { Entry, EntryId } from '../../lib/raft/entry.ts'
import { durably, entriesAfter, GENESIS, NOTHING, plain } from './log-samples.ts'

/** Opens the same log again and again. */
export type Open = (genesis?: EntryId) => Promise<OpenedLog<LogStore>>

const ALL = Number.MAX_SAFE_INTEGER

export type Step =
  | { readonly kind: 'append'; readonly count: number }
  | { readonly kind: 'replace'; readonly back: number; readonly count: number }
  | { readonly kind: 'vote' }
  | { readonly kind: 'wait' }
  | { readonly kind: 'reopen' }

/** Any one thing that may happen to a log. */
export function step(): fc.Arbitrary<Step> {
  return fc.oneof(
    fc.record({ kind: fc.constant('append' as const), count: fc.nat(5) }),
    fc.record({ kind: fc.constant('replace' as const), back: fc.nat(6), count: fc.nat(3) }),
    fc.record({ kind: fc.constant('vote' as const) }),
    fc.record({ kind: fc.constant('wait' as const) }),
    fc.record({ kind: fc.constant('reopen' as const) })
  )
}

/** The model: all entries and the hard state as given, durable or not. */
interface Model {
  entries: Entry[]
  hardState: HardState | null
  term: number
}

/** Does the steps to a log and to a list, and compares. @throws AssertionError */
export async function playSteps(open: Open, steps: readonly Step[]): Promise<void> {
  const model: Model = { entries: [], hardState: null, term: 1 }
  let { store } = await open()
  for (const one of steps) {
    if (one.kind === 'wait') await durably(store, {})
    else if (one.kind === 'reopen') {
      await store.close()
      const opened = await open()
      assertSame(opened.store, model)
      assert(
        JSON.stringify(opened.restored.hardState) === JSON.stringify(model.hardState),
        'the hard state came back'
      )
      store = opened.store
    } else store.write(nextWrite(one, model), () => {})
  }
  await durably(store, {})
  assertSame(store, model)
  await store.close()
}

function nextWrite(one: Exclude<Step, { kind: 'wait' | 'reopen' }>, model: Model): LogWrite {
  model.term++
  if (one.kind === 'vote') {
    model.hardState = { term: model.term, votedFor: 1, commitIndex: 0 }
    return { ...NOTHING, hardState: model.hardState }
  }
  const back = one.kind === 'replace' ? Math.min(one.back, model.entries.length) : 0
  model.entries.length -= back
  const before = model.entries.at(-1) ?? GENESIS
  const entries = entriesAfter(before, { count: one.count, term: model.term, payloadBytes: 40 })
  model.entries.push(...entries)
  const truncateFrom = one.kind === 'replace' ? before.index + 1 : null
  return { ...NOTHING, truncateFrom, entries }
}

function assertSame(store: LogStore, model: Model): void {
  const found = store.entries(1, model.entries.length + 10, ALL).map(plain)
  const expected = model.entries.map(plain)
  assert(found.join() === expected.join(), 'the same entries')
  assert(store.last.index === expected.length, 'the same last entry')
}
