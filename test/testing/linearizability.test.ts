// The search against brute force, the two checks against histories that really happened, and against
// each other where one answer is a lie.

import test from 'brittle'
import fc from 'fast-check'
import { keyIntervals, keyModelOf, ownedRevisions } from '../../lib/testing/key-model.ts'
import { checkLinearizable } from '../../lib/testing/linearizability.ts'
import { registerModel } from '../../lib/testing/register-model.ts'
import type { RegisterOperation } from '../../lib/testing/register-model.ts'
import { checkSerials } from '../../lib/testing/serial-oracle.ts'
import { checkIntervals } from '../../lib/testing/wing-gong.ts'
import type { Interval } from '../../lib/testing/wing-gong.ts'
import { Builder, ifAt, IF_ABSENT, put, remove } from './history-builder.ts'
import { falsified, lie } from './falsified.ts'
import { drawsOf, historyOf, scriptOf } from './random-history.ts'
import type { Draw } from './random-history.ts'

const seed = Number(process.env['ASPEN_SEED'] ?? Date.now() % 1_000_000)

type RegisterInterval = Interval<RegisterOperation>

const registerOperation: fc.Arbitrary<RegisterOperation> = fc.oneof(
  fc.record({ kind: fc.constant('read' as const), value: fc.option(fc.nat(2)) }),
  fc.record({ kind: fc.constant('write' as const), value: fc.nat(2) }),
  fc.record({
    kind: fc.constant('cas' as const),
    from: fc.nat(2),
    to: fc.nat(2),
    isDone: fc.option(fc.boolean())
  })
)

/** Anything at all, most of it impossible. */
const anyIntervals = fc
  .array(fc.tuple(registerOperation, fc.nat(20), fc.nat(8), fc.nat(2)), { maxLength: 6 })
  .map((draws) =>
    draws.map(([operation, start, length, luck], id): RegisterInterval => {
      const calledAt = start + id / 100
      const isOpen = luck === 0 && operation.kind !== 'read'
      const alike = isOpen ? JSON.stringify(operation) : null
      return { operation, calledAt, returnedAt: isOpen ? null : calledAt + length + 0.5, alike }
    })
  )

/** Tries every order: the definition, not the algorithm. */
function isLinearizable(
  left: readonly RegisterInterval[],
  state: number | null = registerModel.init()
): boolean {
  if (left.every(({ returnedAt }) => returnedAt === null)) return true
  return left.some((one) => {
    const isFirst = left.every(({ returnedAt }) => returnedAt === null || returnedAt > one.calledAt)
    if (!isFirst) return false
    const after = registerModel.step(state, one.operation)
    return (
      after !== undefined &&
      isLinearizable(
        left.filter((other) => other !== one),
        after
      )
    )
  })
}

test('the search finds an order exactly when there is one', (t) => {
  t.comment(`seed ${seed}`)
  const counts = { ok: 0, illegal: 0, undecided: 0 }
  const property = fc.property(anyIntervals, (intervals) => {
    const { kind } = checkIntervals(registerModel, intervals)
    counts[kind]++
    return kind === (isLinearizable(intervals) ? 'ok' : 'illegal')
  })
  fc.assert(property, { seed, numRuns: 1_500 })
  t.comment(JSON.stringify(counts))
  t.ok(counts.ok > 150 && counts.illegal > 150, 'both are frequent')
})

/** A register that really was there; every write has its own value. */
const realIntervals = fc
  .array(
    fc.record({
      kind: fc.constantFrom('read', 'write', 'cas'),
      before: fc.nat(30),
      after: fc.nat(30),
      fate: fc.nat(7)
    }),
    { minLength: 1, maxLength: 40 }
  )
  .map((draws) => {
    let state: number | null = null
    return draws.map(({ kind, before, after, fate }, id): RegisterInterval => {
      const effectAt = id * 10
      const [calledAt, endAt] = [
        effectAt - before - 1 / 3 - id / 1000,
        effectAt + after + 1 / 3 + id / 1000
      ]
      if (kind === 'read') return { operation: { kind, value: state }, calledAt, returnedAt: endAt }
      const returnedAt = fate < 2 ? null : endAt
      const isLost = fate === 0
      if (kind === 'cas') {
        const from = fate % 2 === 0 ? (state ?? 0) : 5_000
        const isFound = state === from
        const operation = {
          kind,
          from,
          to: id,
          isDone: returnedAt === null ? null : isFound
        } as const
        if (isFound && !isLost) state = id
        return { operation, calledAt, returnedAt }
      }
      if (!isLost) state = id
      return { operation: { kind: 'write', value: id }, calledAt, returnedAt }
    })
  })

test('what a register really did is accepted', (t) => {
  t.comment(`seed ${seed}`)
  const property = fc.property(
    realIntervals,
    (intervals) => checkIntervals(registerModel, intervals).kind === 'ok'
  )
  fc.assert(property, { seed, numRuns: 300 })
  t.pass()
})

test('a read of what was overwritten before its call is rejected', (t) => {
  t.comment(`seed ${seed}`)
  const property = fc.property(realIntervals, fc.nat(), (intervals, choice) => {
    const last = Math.max(...intervals.map(({ returnedAt, calledAt }) => returnedAt ?? calledAt))
    // two writes and a read, one after another, behind everything else
    const old = { kind: 'write', value: 9_001 + (choice % 3) } as const
    const writes = [old, { kind: 'write', value: 9_000 } as const]
    const tail = [...writes, { kind: 'read', value: old.value } as const]
    const spans = tail.map((operation, position): RegisterInterval => {
      const calledAt = last + 1 + position
      return { operation, calledAt, returnedAt: calledAt + 0.5 }
    })
    const verdict = checkIntervals(registerModel, [...intervals, ...spans])
    return verdict.kind === 'illegal' && verdict.stuck === tail.at(-1)
  })
  fc.assert(property, { seed, numRuns: 300 })
  t.pass()
})

test('a read of what nobody wrote is rejected wherever it is', (t) => {
  t.comment(`seed ${seed}`)
  const property = fc.property(realIntervals, fc.nat(), (intervals, choice) => {
    const reads = intervals.filter(({ operation }) => operation.kind === 'read')
    const victim = reads[choice % Math.max(1, reads.length)]
    if (victim === undefined) return true
    const wrong = { ...victim, operation: { kind: 'read', value: 7_777 } as const }
    const changed = intervals.map((one) => (one === victim ? wrong : one))
    const verdict = checkIntervals(registerModel, changed)
    return verdict.kind === 'illegal'
  })
  fc.assert(property, { seed, numRuns: 300 })
  t.pass()
})

test('both checks accept what a store really did', (t) => {
  t.comment(`seed ${seed}`)
  const keys = ['a', 'b', 'c']
  const draws = drawsOf({ keys, hasDoubt: true, maxLength: 80 })
  const property = fc.property(draws, (drawn) => {
    const { events, finalRows } = scriptOf(drawn, keys)
    const history = historyOf(events)
    const violation = checkSerials(history, finalRows) ?? checkSerials(history)
    if (violation !== null) throw new Error(violation.message)
    const verdict = checkLinearizable(history)
    if (verdict.kind !== 'ok') throw new Error(verdict.message)
  })
  fc.assert(property, { seed, numRuns: 300 })
  t.pass()
})

/** Stale reads are the oracle's alone. */
function fresh(draw: Draw): Draw {
  return draw.kind === 'stale' ? { ...draw, kind: 'get' } : draw
}

test('both checks agree about lies on one key when every outcome is known', (t) => {
  t.comment(`seed ${seed}`)
  const keys = ['a']
  const counts = { accepted: 0, rejected: 0 }
  const draws = drawsOf({ keys, hasDoubt: false, maxLength: 25 })
  const property = fc.property(draws, lie, (drawn, told) => {
    const history = historyOf(falsified(scriptOf(drawn.map(fresh), keys).events, told))
    const violation = checkSerials(history)
    const verdict = checkLinearizable(history)
    const isSame = (violation === null) === (verdict.kind === 'ok')
    counts[violation === null ? 'accepted' : 'rejected']++
    if (isSame) return
    throw new Error(violation?.message ?? JSON.stringify(verdict))
  })
  fc.assert(property, { seed, numRuns: 1_500 })
  t.comment(JSON.stringify(counts))
  t.ok(counts.accepted > 150 && counts.rejected > 150, 'both are frequent')
})

test('what the oracle refuses on one key, the search refuses too', (t) => {
  t.comment(`seed ${seed}`)
  const keys = ['a']
  const counts = { neither: 0, both: 0, searchOnly: 0 }
  const draws = drawsOf({ keys, hasDoubt: true, maxLength: 25 })
  const property = fc.property(draws, lie, (drawn, told) => {
    const history = historyOf(falsified(scriptOf(drawn.map(fresh), keys).events, told))
    const violation = checkSerials(history)
    const isIllegal = checkLinearizable(history).kind === 'illegal'
    if (violation !== null && !isIllegal) throw new Error(violation.message)
    if (violation !== null) counts.both++
    else counts[isIllegal ? 'searchOnly' : 'neither']++
  })
  fc.assert(property, { seed, numRuns: 1_500 })
  t.comment(JSON.stringify(counts))
  t.ok(counts.both > 150 && counts.neither > 150, 'both are frequent')
})

test('what the search knows of logs and doubts spares it steps, and changes no verdict', (t) => {
  t.comment(`seed ${seed}`)
  const keys = ['a']
  const counts = { ok: 0, illegal: 0, undecided: 0, steps: 0, plainSteps: 0 }
  const draws = drawsOf({ keys, hasDoubt: true, maxLength: 25 })
  const property = fc.property(draws, lie, fc.boolean(), (drawn, told, isTrue) => {
    const doubted = drawn.map((draw, at) => (at % 3 === 0 ? inDoubt(draw) : fresh(draw)))
    const { events } = scriptOf(doubted, keys)
    const { records } = historyOf(isTrue ? events : falsified(events, told))
    const model = keyModelOf(ownedRevisions(records))
    const plainModel = {
      init: model.init,
      step: model.step,
      keyOf: (state: object) => JSON.stringify(state)
    }
    for (const intervals of keyIntervals(records).values()) {
      const verdict = checkIntervals(model, intervals, 50_000)
      const plain = checkIntervals(
        plainModel,
        intervals.map(({ operation, calledAt, returnedAt }) => ({
          operation,
          calledAt,
          returnedAt
        })),
        50_000
      )
      counts[plain.kind]++
      counts.steps += verdict.stepCount
      counts.plainSteps += plain.stepCount
      if (plain.kind !== 'undecided' && plain.kind !== verdict.kind) return false
    }
    return true
  })
  fc.assert(property, { seed, numRuns: 600 })
  t.comment(JSON.stringify(counts))
  t.ok(counts.ok > 100 && counts.illegal > 60, 'both are frequent')
  t.ok(counts.steps < counts.plainSteps, 'steps are spared')
})

function inDoubt(draw: Draw): Draw {
  return { ...fresh(draw), fate: draw.lag < 0.5 ? 'unknown' : 'lost' }
}

test('a history without an order is illegal, and the message shows where it gets stuck', (t) => {
  const builder = new Builder()
    .done(1, 0, put('a', 's1'))
    .done(2, 1, put('a', 's2'))
    .get('a', 2, { value: 's1', at: 1 })
  const verdict = checkLinearizable(builder.history)
  t.is(verdict.kind, 'illegal')
  if (verdict.kind !== 'illegal') return
  t.is(
    verdict.message,
    'linearizability: the operations on a have no order; the longest found has 2, ending with these, after which the last one shown cannot come: ' +
      '#1 put a = s1 via a#1 [0-1, 0-0 ms]: revision 1 after 0; ' +
      '#2 put a = s2 via a#1 [2-3, 0-0 ms]: revision 2 after 1; ' +
      '#3 get a via a#1 [4-5, 0-0 ms]: a = s1 at revision 1 (created at 1, version 1), read at revision 2'
  )
  t.alike(verdict.operations, [...builder.history.records])
})

test('one delete in doubt cannot have happened twice: only the search sees it', (t) => {
  const twice = (deleteCount: number): Builder => {
    const builder = new Builder().done(1, 0, put('a', 's1'))
    for (let count = 0; count < deleteCount; count++) builder.call(remove('a', ifAt(1))).unknown()
    builder.get('a', 4, null).done(5, 0, put('a', 's2'))
    // the second delete had a condition that was never true again
    return builder.get('a', 9, null)
  }
  for (const deleteCount of [1, 2]) {
    t.is(checkLinearizable(twice(deleteCount).history).kind, 'illegal')
  }
  t.is(checkSerials(twice(1).history)?.check, 'unexplained absence')
  t.is(checkSerials(twice(2).history), null)
})

test('a search beyond its budget is undecided, and says for which keys', (t) => {
  const builder = new Builder().done(1, 0, put('b', 'b1'))
  for (let count = 0; count < 9; count++) builder.call(put('a', `a${count}`)).unknown()
  builder.get('a', 90, null)
  t.is(checkLinearizable(builder.history).kind, 'ok')
  const impossible = { value: 'a3', at: 99, createdAt: 7, version: 99 }
  builder.get('a', 99, impossible)
  const verdict = checkLinearizable(builder.history, { stepBudget: 9 })
  t.is(verdict.kind, 'undecided')
  if (verdict.kind !== 'undecided') return
  t.is(verdict.message, 'linearizability: undecided after 10 steps for a')
  t.is(checkLinearizable(builder.history, { stepBudget: 1_000 }).kind, 'illegal')
})

test('a hundred writes in doubt on one key leave nothing undecided', (t) => {
  const builder = new Builder()
  for (let count = 0; count < 100; count++) {
    const condition = [null, null, null, IF_ABSENT, ifAt(7 * count)][count % 5] ?? null
    const change = count % 6 === 5 ? remove('a') : put('a', `a${count}`, condition)
    builder.call(change).unknown()
  }
  for (let count = 0; count < 20; count++) {
    const row = { value: `b${count}`, createdAt: 5, at: 10 * count + 9, version: 3 * count + 4 }
    builder.done(10 * count + 9, 10 * count + 8, put('a', row.value)).get('a', 10 * count + 9, row)
  }
  const verdict = checkLinearizable(builder.history)
  t.is(verdict.kind, 'ok')
  builder.get('a', 300, { value: 'b19', createdAt: 5, at: 199, version: 62 })
  t.is(checkLinearizable(builder.history).kind, 'illegal')
})

test('nothing at all is linearizable, and so is what never ended', (t) => {
  const builder = new Builder()
  t.alike(checkLinearizable(builder.history), { kind: 'ok', stepCount: 0 })
  builder.call(put('a', 's1', IF_ABSENT))
  builder.callGet('a')
  t.is(checkLinearizable(builder.history).kind, 'ok')
})
