// What is said of a cluster that has lost its quorum: who has the most, and what may be lost.

import test from 'brittle'
import {
  prospectDocument,
  prospectLines,
  prospectOf,
  refusalOf
} from '../../lib/cli/recover-lines.ts'
import { styleOf } from '../../lib/cli/style.ts'
import type { Prospect, SurveyedMember } from '../../lib/cli/recover-lines.ts'

/** A voter with a log that ends at (term, index); null: out of reach. */
function voter(id: number, at: readonly [term: number, index: number] | null): SurveyedMember {
  const log =
    at === null
      ? null
      : { last_term: at[0], last_index: at[1], commit_index: at[1] - 2, applied_index: at[1] - 2 }
  return { id, key: 'ab'.repeat(32), name: `n${id}`, role: 'voter', is_self: id === 1, log }
}

function linesOf(found: Prospect): string {
  const style = styleOf({ write: () => true }, {}, false)
  return prospectLines(found, { style, selector: '', isRunning: false }).join('\n')
}

function prospect(members: readonly SurveyedMember[]) {
  const cluster = { id: 'cd'.repeat(16) }
  return prospectOf({ cluster, has_quorum: false, members: [...members] })
}

test('the most complete log is that of the latest term, then the longest; then this one', (t) => {
  const best = (...logs: ([number, number] | null)[]): number | undefined =>
    prospect(logs.map((log, at) => voter(at + 1, log))).best?.id
  t.is(best([2, 10], [2, 10], null), 1)
  t.is(best([2, 10], [2, 11], null), 2)
  t.is(best([2, 10], [3, 4], [3, 5]), 3, 'a longer log of an older term has less')
  t.is(best([3, 1], [2, 99], null), 1)
  t.is(best([2, 10], null, null), 1)
})

test('nothing acknowledged is lost exactly where those in reach meet every majority', (t) => {
  const mayLose = (inReach: number, count: number): boolean =>
    prospect(Array.from({ length: count }, (_, at) => voter(at + 1, at < inReach ? [2, 9] : null)))
      .mayLoseAcknowledged
  t.alike(
    [1].map((inReach) => mayLose(inReach, 1)),
    [false]
  )
  t.alike(
    [1, 2].map((inReach) => mayLose(inReach, 3)),
    [true, false]
  )
  t.alike(
    [1, 2, 3].map((inReach) => mayLose(inReach, 4)),
    [true, false, false]
  )
  t.alike(
    [1, 2, 3].map((inReach) => mayLose(inReach, 5)),
    [true, true, false]
  )
  const learner = { ...voter(2, [2, 9]), role: 'learner' } as const
  t.ok(prospect([voter(1, [2, 9]), learner, voter(3, null), voter(4, null)]).mayLoseAcknowledged)
  const leaving = { ...voter(2, [2, 9]), role: 'none' } as const
  t.ok(prospect([voter(1, [2, 9]), leaving]).mayLoseAcknowledged, 'while it changes nobody knows')
})

test('people are told how many voters have to come back, and which', (t) => {
  const advice = (...logs: (readonly [number, number] | null)[]): string =>
    linesOf(prospect(logs.map((log, at) => voter(at + 1, log))))
  t.ok(advice([2, 9], null, null).includes('If any of 2 n2, 3 n3 can be brought back'))
  t.ok(advice([2, 9], null, null, null, null).includes('If 2 of 2 n2, 3 n3, 4 n4, 5 n5 can be'))
  const learner = { ...voter(4, null), role: 'learner' } as const
  const lone = linesOf(prospect([voter(1, [2, 9]), voter(2, null), voter(3, null), learner]))
  t.ok(lone.includes('If any of 2 n2, 3 n3 can be'), 'a learner brings no quorum')
  t.ok(advice([2, 9], [2, 9], null).includes('will have a leader soon'))
  const late = prospect([voter(1, [2, 9]), voter(2, null), voter(3, null)])
  const works = linesOf({ ...late, survey: { ...late.survey, has_quorum: true } })
  t.ok(works.includes('the cluster works: nothing'), 'also where a voter answered too late')
})

test('what is not known to be committed is named', (t) => {
  const { uncertain, most_complete: best } = Object.fromEntries(
    Object.entries(prospectDocument(prospect([voter(1, [2, 9]), voter(2, null), voter(3, null)])))
  )
  t.alike(uncertain, { from: 8, to: 9 })
  t.is(best, 1)
})

test('a majority in reach is not split, even while nobody leads it; only --force does', (t) => {
  const refusal = (
    logs: readonly (readonly [number, number] | null)[],
    { isRunning = false, isForced = false } = {}
  ): string | null => {
    const found = prospect(logs.map((log, at) => voter(at + 1, log)))
    return refusalOf(found, { selector: '', isRunning, isForced })?.code ?? null
  }
  t.is(refusal([[2, 10], [2, 10], null]), 'QUORUM_REACHABLE')
  t.is(refusal([[2, 10], [2, 10], null], { isRunning: true }), 'QUORUM_REACHABLE')
  t.is(refusal([[2, 10], [2, 10], null], { isForced: true }), null)
  t.is(refusal([[2, 10], [2, 10], null, null]), null, 'half of them is no majority')
  t.is(refusal([[2, 10], null, null]), null)
  t.is(refusal([[2, 10], null, null], { isRunning: true }), 'LOCKED')
  t.is(refusal([[2, 10], null, null], { isRunning: true, isForced: true }), 'LOCKED')
  t.is(refusal([[2, 10], [2, 11], null, null]), 'CONFIG_INVALID', 'another one has more')
  t.is(refusal([[2, 10], [2, 11], null, null], { isForced: true }), null)
  const works = prospect([voter(1, [2, 9])])
  const forced = { selector: '', isRunning: false, isForced: true }
  const working = { ...works, survey: { ...works.survey, has_quorum: true } }
  t.is(refusalOf(working, forced)?.code, 'QUORUM_REACHABLE', 'one that works never is')
})
