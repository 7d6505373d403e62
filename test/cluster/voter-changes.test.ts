// Who shall vote, and who shall go: the change that it is, or why it is refused.

import test from 'brittle'
import { planRemoval, planVoters } from '../../lib/cluster/voter-changes.ts'
import type { ChangePlan, RemovalOrder } from '../../lib/cluster/voter-changes.ts'
import { MAX_PROMOTION_LAG, MAX_VOTERS } from '../../lib/limits.ts'
import type { MemberRole } from '../../lib/raft/configuration.ts'
import { SILENT, sightOf } from './sights.ts'

type Roles = Readonly<Record<number, MemberRole>>
const THREE: Roles = { 1: 'voter', 2: 'voter', 3: 'voter' }
const FOUR: Roles = { ...THREE, 4: 'learner' }

function codeOf(plan: ChangePlan): string {
  return plan.kind === 'refused' ? plan.error.code : plan.kind
}

function removal(id: number, more: Partial<RemovalOrder> = {}): RemovalOrder {
  return { id, force: false, isEligible: () => true, ...more }
}

test('a new set of voters promotes and demotes in one change, and removes nobody', (t) => {
  t.alike(planVoters([4, 2, 1], sightOf(FOUR)), {
    kind: 'planned',
    change: { add: [], promote: [4], demote: [3], remove: [] },
    voters: [1, 2, 4]
  })
})

test('the present set of voters is nothing to do, in any order', (t) => {
  t.alike(planVoters([3, 1, 2], sightOf(FOUR)), { kind: 'nothing' })
  t.alike(planVoters([3, 1, 2], sightOf(FOUR, { 2: SILENT, 3: SILENT })), { kind: 'nothing' })
})

test('a change that was meant for other voters is refused', (t) => {
  t.is(codeOf(planVoters([1, 2], sightOf(FOUR), [3, 2, 1])), 'planned')
  for (const expected of [[1, 2], [1, 2, 3, 4], [1, 2, 4], []]) {
    const plan = planVoters([1, 2], sightOf(FOUR), expected)
    t.is(codeOf(plan), 'CONDITION_FAILED', expected.join())
  }
})

test('a set that makes no sense is refused with its reason', (t) => {
  const empty = planVoters([], sightOf(FOUR))
  if (empty.kind !== 'refused') return t.fail('it is refused')
  t.is(empty.error.code, 'INVALID_REQUEST')
  t.is(empty.error.message, 'members must include at least one voter')
  const stranger = planVoters([1, 2, 9], sightOf(FOUR))
  if (stranger.kind !== 'refused') return t.fail('it is refused')
  t.is(stranger.error.code, 'MEMBER_NOT_FOUND')
  t.alike(stranger.error.fields, { id: 9 })
  t.is(codeOf(planVoters([1, 2, 2], sightOf(FOUR))), 'INVALID_REQUEST')
  t.is(codeOf(planVoters([1, 3], sightOf({ ...THREE, 3: 'leaving' }))), 'MEMBER_NOT_FOUND')
  const ids = Array.from({ length: MAX_VOTERS + 1 }, (_, at) => at + 1)
  const many = Object.fromEntries(ids.map((id) => [id, id === 1 ? 'voter' : 'learner'] as const))
  t.is(codeOf(planVoters(ids, sightOf(many))), 'MAX_VOTERS_EXCEEDED')
  t.is(codeOf(planVoters(ids.slice(1), sightOf(many))), 'planned')
})

test('voters of whom no majority is in sight are refused, with the numbers', (t) => {
  const plan = planVoters([1, 3], sightOf(FOUR, { 3: SILENT }))
  if (plan.kind !== 'refused') return t.fail('it is refused')
  t.is(plan.error.code, 'QUORUM_WOULD_BE_LOST')
  t.alike(plan.error.fields, { in_sight: 1, needed: 2 })
  t.is(codeOf(planVoters([1, 2], sightOf(FOUR, { 3: SILENT }))), 'planned')
  t.is(codeOf(planVoters([1], sightOf(FOUR, { 3: SILENT }))), 'planned')
})

test('a learner that is far behind does not count as a voter that could agree', (t) => {
  const roles: Roles = { 1: 'voter', 2: 'learner', 3: 'learner' }
  const far = { lag: MAX_PROMOTION_LAG + 1 }
  t.is(codeOf(planVoters([1, 2], sightOf(roles, { 2: far }))), 'QUORUM_WOULD_BE_LOST')
  t.is(codeOf(planVoters([1, 2, 3], sightOf(roles, { 2: far }))), 'planned')
  t.is(codeOf(planVoters([1, 2], sightOf(roles, { 2: { lag: null } }))), 'QUORUM_WOULD_BE_LOST')
  const voter = { ...roles, 2: 'voter' } as const
  t.is(codeOf(planVoters([1, 2, 3], sightOf(voter, { 2: far }))), 'planned', 'one that votes does')
})

test('in the place of a removed voter comes the learner that is least behind', (t) => {
  const roles: Roles = { ...THREE, 4: 'learner', 5: 'learner', 6: 'learner' }
  const sight = sightOf(roles, { 4: { lag: 9 }, 5: { lag: 3 }, 6: { ...SILENT, lag: 0 } })
  t.alike(planRemoval(removal(3), sight), {
    kind: 'planned',
    change: { add: [], promote: [5], demote: [], remove: [3] },
    voters: [1, 2, 5]
  })
})

test('a learner that may not vote, is behind or out of sight takes nobody’s place', (t) => {
  const without = {
    kind: 'planned',
    change: { add: [], promote: [], demote: [], remove: [3] },
    voters: [1, 2]
  }
  t.alike(planRemoval(removal(3, { isEligible: () => false }), sightOf(FOUR)), without)
  const far = sightOf(FOUR, { 4: { lag: MAX_PROMOTION_LAG + 1 } })
  t.alike(planRemoval(removal(3), far), without)
  t.alike(planRemoval(removal(3), sightOf(FOUR, { 4: { isLinked: false } })), without)
})

test('a learner goes, and nothing comes in its place', (t) => {
  const roles: Roles = { 1: 'voter', 4: 'learner', 5: 'learner' }
  t.alike(planRemoval(removal(4), sightOf(roles, { 4: SILENT })), {
    kind: 'planned',
    change: { add: [], promote: [], demote: [], remove: [4] },
    voters: [1]
  })
})

test('the last voter goes only where a learner takes its place', (t) => {
  t.is(codeOf(planRemoval(removal(1), sightOf({ 1: 'voter' }))), 'LAST_VOTER')
  const two: Roles = { 1: 'voter', 2: 'learner' }
  t.is(codeOf(planRemoval(removal(1), sightOf(two, { 2: SILENT }))), 'LAST_VOTER')
  t.is(codeOf(planRemoval(removal(1, { force: true }), sightOf({ 1: 'voter' }))), 'LAST_VOTER')
  t.is(codeOf(planRemoval(removal(1), sightOf(two))), 'planned')
})

test('a removal that leaves no majority in sight is refused, unless it is forced', (t) => {
  const sight = sightOf(THREE, { 3: SILENT })
  t.is(codeOf(planRemoval(removal(2), sight)), 'QUORUM_WOULD_BE_LOST')
  t.is(codeOf(planRemoval(removal(2, { force: true }), sight)), 'planned')
  t.is(codeOf(planRemoval(removal(3), sight)), 'planned', 'the one that is gone may go')
})

test('nobody is removed twice, and no stranger', (t) => {
  t.is(codeOf(planRemoval(removal(9), sightOf(THREE))), 'MEMBER_NOT_FOUND')
  t.is(codeOf(planRemoval(removal(3), sightOf({ ...THREE, 3: 'leaving' }))), 'MEMBER_NOT_FOUND')
})
