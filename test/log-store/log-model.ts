// A log as a list, and random steps to hold a log store against it.

import b4a from 'b4a'
import fc from 'fast-check'
import { assert } from '../../lib/assert.ts'
import type { LogStore, OpenedLog } from '../../lib/log-store/log-store.ts'
import type { LogWrite } from '../../lib/log-store/log-tail.ts'
import type { HardState } from '../../lib/raft/effects.ts'
import { EMPTY_CONFIGURATION } from '../../lib/raft/configuration.ts'
import type { IndexedConfiguration } from '../../lib/raft/configurations.ts'
import type { Entry, EntryId, Index } from '../../lib/raft/entry.ts'
import {
  durably,
  entriesAfter,
  GENESIS,
  nameOf,
  NOTHING,
  OTHER_GENESIS,
  plain
} from './log-samples.ts'

/** Opens the same log again and again. */
export type Open = (genesis?: EntryId) => Promise<OpenedLog<LogStore>>

const ALL = Number.MAX_SAFE_INTEGER

export type Step =
  | { readonly kind: 'append'; readonly count: number }
  | { readonly kind: 'replace'; readonly back: number; readonly count: number }
  | { readonly kind: 'vote' }
  | { readonly kind: 'compact'; readonly keep: number }
  | { readonly kind: 'install'; readonly ahead: number; readonly keepsTail: boolean }
  | { readonly kind: 'wait' }
  | { readonly kind: 'reopen' }

/** Any one thing that may happen to a log. */
export function step(): fc.Arbitrary<Step> {
  return fc.oneof(
    fc.record({ kind: fc.constant('append' as const), count: fc.nat(5) }),
    fc.record({ kind: fc.constant('replace' as const), back: fc.nat(6), count: fc.nat(3) }),
    fc.record({ kind: fc.constant('vote' as const) }),
    fc.record({ kind: fc.constant('compact' as const), keep: fc.nat(6) }),
    fc.record({
      kind: fc.constant('install' as const),
      ahead: fc.nat(9),
      keepsTail: fc.boolean()
    }),
    fc.record({ kind: fc.constant('wait' as const) }),
    fc.record({ kind: fc.constant('reopen' as const) })
  )
}

/** The model: the base, all entries and the hard state as given, durable or not. */
interface Model {
  base: EntryId
  baseTimeMs: number
  stateBase: Index
  configurations: readonly IndexedConfiguration[]
  entries: Entry[]
  hardState: HardState | null
  term: number
}

/** Does the steps to a log and to a list, and compares. @throws AssertionError */
export async function playSteps(open: Open, steps: readonly Step[]): Promise<void> {
  const model: Model = {
    base: GENESIS,
    baseTimeMs: 0,
    stateBase: 0,
    configurations: [],
    entries: [],
    hardState: null,
    term: 1
  }
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
      assert(
        JSON.stringify(opened.restored.configurations) === JSON.stringify(model.configurations),
        'the configuration at the base came back'
      )
      store = opened.store
    } else if (one.kind === 'compact') await compact(store, model, one.keep)
    else store.write(nextWrite(one, model), () => {})
  }
  await durably(store, {})
  assertSame(store, model)
  await store.close()
}

type Written = Exclude<Step, { kind: 'wait' | 'reopen' | 'compact' }>

async function compact(store: LogStore, model: Model, keep: number): Promise<void> {
  await durably(store, {})
  const last = lastOf(model)
  const to = Math.max(0, last.index - keep)
  const end = Math.min(to, last.index - 1)
  if (end > model.base.index) rebase(model, end)
  await new Promise<void>((resolve) => store.compact(to, resolve))
  assertSame(store, model)
}

/** The log begins after its entry `index`. */
function rebase(model: Model, index: Index): void {
  const [id] = model.entries.splice(0, index - model.base.index).slice(-1)
  assert(id !== undefined, 'the entry is there')
  model.base = nameOf(id)
  model.baseTimeMs = id.timeMs
}

function nextWrite(one: Written, model: Model): LogWrite {
  model.term++
  if (one.kind === 'install') return nextInstall(one, model)
  if (one.kind === 'vote') {
    model.hardState = { term: model.term, votedFor: 1, commitIndex: 0 }
    return { ...NOTHING, hardState: model.hardState }
  }
  const back = one.kind === 'replace' ? Math.min(one.back, model.entries.length) : 0
  model.entries.length -= back
  const before = lastOf(model)
  const entries = entriesAfter(before, { count: one.count, term: model.term, payloadBytes: 40 })
  model.entries.push(...entries)
  const truncateFrom = one.kind === 'replace' ? before.index + 1 : null
  return { ...NOTHING, truncateFrom, entries }
}

/** A snapshot at a later entry than the base: an own one, or one of another log. */
function nextInstall(one: Written & { kind: 'install' }, model: Model): LogWrite {
  const { base, term } = model
  const index = base.index + 1 + one.ahead
  const own = model.entries[one.ahead]
  const keepsTail = one.keepsTail && own !== undefined
  const [other] = entriesAfter({ index: index - 1, term, hash: OTHER_GENESIS.hash }, { count: 1 })
  const entry = keepsTail ? own : other
  assert(entry !== undefined, 'an entry')
  if (keepsTail) rebase(model, index)
  else model.entries = []
  model.base = nameOf(entry)
  model.baseTimeMs = entry.timeMs
  model.stateBase = index
  const configuration = { index: one.ahead, configuration: EMPTY_CONFIGURATION }
  model.configurations = [configuration]
  const { timeMs } = entry
  const snapshot = { id: model.base, timeMs, configuration: EMPTY_CONFIGURATION }
  const install = { ...snapshot, configurationIndex: one.ahead, keepsTail }
  return { ...NOTHING, install }
}

function assertSame(store: LogStore, model: Model): void {
  const { base, entries, baseTimeMs, stateBase } = model
  const found = store.entries(base.index + 1, base.index + entries.length + 10, ALL).map(plain)
  assert(found.join() === entries.map(plain).join(), 'the same entries')
  assert(isSameId(store.last, lastOf(model)), 'the same last entry')
  assert(isSameId(store.base, base), 'the same base')
  assert(store.baseTimeMs === baseTimeMs, 'the same stamp at the base')
  assert(store.stateBase === stateBase, 'the same snapshot of the state')
  assert(base.index === 0 || store.idAt(base.index - 1) === 'compacted', 'nothing below the base')
}

function lastOf(model: Model): EntryId {
  return model.entries.at(-1) ?? model.base
}

function isSameId(a: EntryId, b: EntryId): boolean {
  return a.index === b.index && a.term === b.term && b4a.equals(a.hash, b.hash)
}
