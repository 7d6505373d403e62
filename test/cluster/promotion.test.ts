// The nine checks of an explicit promotion: each alone, in their order, with and without force.

import test from 'brittle'
import { planPromotion } from '../../lib/cluster/promotion.ts'
import type { PromotionOrder, PromotionView } from '../../lib/cluster/promotion.ts'
import type { ErrorDetail } from '../../lib/errors.ts'
import { MAX_PROMOTION_LAG, MAX_VOTERS, MEMBERSHIP_COOLDOWN_MS } from '../../lib/limits.ts'
import type { MemberRole } from '../../lib/raft/configuration.ts'
import type { Seen } from './sights.ts'
import { HEARTBEAT_MS, SILENT, sightOf } from './sights.ts'

const THREE: Readonly<Record<number, MemberRole>> = {
  1: 'voter',
  2: 'voter',
  3: 'voter',
  4: 'learner'
}
const CHANGED_MS = 1_000_000

interface Situation {
  readonly order?: Partial<PromotionOrder>
  readonly roles?: Readonly<Record<number, MemberRole>>
  readonly seen?: Readonly<Record<number, Seen>>
  /** log time since the last change of the voters */
  readonly sinceMs?: number
  readonly hasView?: boolean
}

function planOf({ order, roles = THREE, seen = {}, sinceMs = 1e9, hasView = true }: Situation) {
  const view: PromotionView = {
    votersChangedMs: CHANGED_MS,
    logTimeMs: CHANGED_MS + sinceMs,
    sight: hasView ? sightOf(roles, seen) : null
  }
  return planPromotion({ learnerId: 4, replaceNode: null, force: false, ...order }, view)
}

function errorOf(situation: Situation): ErrorDetail | null {
  const plan = planOf(situation)
  return plan.kind === 'refused' ? plan.error : null
}

/** Each row fails at its check and at all those after it which it can fail at too. */
const ROWS: readonly {
  readonly code: ErrorDetail['code']
  readonly situation: Situation
  readonly text: string
  readonly fields?: ErrorDetail['fields']
  /** what force makes of it; null: the promotion goes on */
  readonly forced: ErrorDetail['code'] | null
}[] = [
  {
    code: 'MEMBERSHIP_CHANGE_TOO_RECENT',
    situation: { sinceMs: 60_500, hasView: false },
    text: 'Membership was changed recently (wait 240 s)',
    fields: { remaining_ms: MEMBERSHIP_COOLDOWN_MS - 60_500 },
    forced: 'METRICS_UNAVAILABLE'
  },
  {
    code: 'METRICS_UNAVAILABLE',
    situation: { order: { learnerId: 9 }, hasView: false },
    text: 'Failed to get cluster metrics: this node does not lead',
    forced: 'METRICS_UNAVAILABLE'
  },
  {
    code: 'NOT_A_LEARNER',
    situation: { order: { learnerId: 2, replaceNode: 3 }, seen: { 2: SILENT } },
    text: 'Node 2 is not a learner (already a voter)',
    fields: { id: 2 },
    forced: 'NOT_A_LEARNER'
  },
  {
    code: 'LEARNER_NOT_FOUND',
    situation: { order: { learnerId: 9, replaceNode: 3 }, seen: { 2: SILENT } },
    text: 'Learner 9 not found in cluster',
    fields: { id: 9 },
    forced: 'LEARNER_NOT_FOUND'
  },
  {
    code: 'LEARNER_UNHEALTHY',
    situation: { seen: { 4: { ...SILENT, lag: 500 } } },
    text: 'Learner 4 is not healthy or reachable',
    fields: { id: 4 },
    forced: null
  },
  {
    code: 'LEARNER_LAGGING',
    situation: {
      order: { replaceNode: 3 },
      seen: { 2: SILENT, 3: SILENT, 4: { lag: MAX_PROMOTION_LAG + 1 } }
    },
    text: `Learner 4 is too far behind (lag: ${MAX_PROMOTION_LAG + 1} entries)`,
    fields: { id: 4, lag: MAX_PROMOTION_LAG + 1 },
    forced: null
  },
  {
    code: 'NO_QUORUM_WITHOUT_FAILED_NODE',
    situation: { order: { replaceNode: 3 }, seen: { 2: SILENT, 3: SILENT } },
    text: 'No quorum without node 3: 1 other voters are in sight, 2 of 3 are needed',
    fields: { id: 3, in_sight: 1, needed: 2 },
    forced: null
  },
  {
    code: 'INVALID_REQUEST',
    situation: { order: { replaceNode: 7 } },
    text: 'invalid request: node 7 is to be replaced, but is no voter',
    fields: { id: 7 },
    forced: 'INVALID_REQUEST'
  },
  {
    code: 'MEMBERSHIP_CHANGE_FAILED',
    situation: { roles: { 1: 'voter', 4: 'learner' }, order: { force: true }, seen: { 4: SILENT } },
    text: 'Failed to change membership: only 1 of the 2 new voters are in sight, and they could agree to nothing',
    fields: { in_sight: 1, needed: 2 },
    forced: 'MEMBERSHIP_CHANGE_FAILED'
  }
]

for (const { code, situation, text, fields, forced } of ROWS) {
  test(`${code} is said with its fields, and ${forced === null ? 'force goes on' : `force ends as ${forced}`}`, (t) => {
    const error = errorOf(situation)
    t.is(error?.code, code)
    t.is(error?.message, text)
    t.alike(error?.fields, fields)
    const withForce = { ...situation, order: { ...situation.order, force: true } }
    t.is(errorOf(withForce)?.code ?? null, forced)
  })
}

test('what fails at several checks is refused by the first of them', (t) => {
  const worst: Situation = {
    sinceMs: 0,
    order: { replaceNode: 3 },
    seen: { 2: SILENT, 3: SILENT, 4: { lag: null, isLinked: false } }
  }
  const mend: readonly Situation[] = [
    {},
    { sinceMs: MEMBERSHIP_COOLDOWN_MS },
    { sinceMs: MEMBERSHIP_COOLDOWN_MS, seen: { ...worst.seen, 4: { lag: 101 } } },
    { sinceMs: MEMBERSHIP_COOLDOWN_MS, seen: { ...worst.seen, 4: {} } },
    { sinceMs: MEMBERSHIP_COOLDOWN_MS, seen: { 3: SILENT } }
  ]
  t.alike(
    mend.map((mended) => errorOf({ ...worst, ...mended })?.code ?? null),
    [
      'MEMBERSHIP_CHANGE_TOO_RECENT',
      'LEARNER_UNHEALTHY',
      'LEARNER_LAGGING',
      'NO_QUORUM_WITHOUT_FAILED_NODE',
      null
    ]
  )
})

test('the replaced voter becomes a learner in the same change', (t) => {
  t.alike(planOf({ order: { replaceNode: 3 }, seen: { 3: SILENT } }), {
    kind: 'planned',
    change: { add: [], promote: [4], demote: [3], remove: [] },
    voters: [1, 2, 4]
  })
  t.alike(planOf({}), {
    kind: 'planned',
    change: { add: [], promote: [4], demote: [], remove: [] },
    voters: [1, 2, 3, 4]
  })
})

test('MEM-05: the pause ends with its last millisecond, and without any change there is none', (t) => {
  t.is(errorOf({ sinceMs: MEMBERSHIP_COOLDOWN_MS - 1 })?.fields?.['remaining_ms'], 1)
  t.is(errorOf({ sinceMs: MEMBERSHIP_COOLDOWN_MS }), null)
  const order = { learnerId: 4, replaceNode: null, force: false }
  const view = { votersChangedMs: 0, logTimeMs: 5, sight: sightOf(THREE) }
  t.is(planPromotion(order, view).kind, 'planned')
})

test('a learner of which nothing is known is neither healthy nor caught up', (t) => {
  t.is(errorOf({ seen: { 4: { silentMs: null } } })?.code, 'LEARNER_UNHEALTHY')
  t.is(errorOf({ seen: { 4: { isLinked: false } } })?.code, 'LEARNER_UNHEALTHY')
  const silent = { silentMs: 4 * HEARTBEAT_MS + 1 }
  t.is(errorOf({ seen: { 4: silent } })?.code, 'LEARNER_UNHEALTHY')
  t.is(errorOf({ seen: { 4: { silentMs: 4 * HEARTBEAT_MS, lag: MAX_PROMOTION_LAG } } }), null)
})

test('at most MAX_VOTERS vote: one more is refused, in the place of another it is not', (t) => {
  const ids = Array.from({ length: MAX_VOTERS }, (_, at) => at + 1)
  const voters = Object.fromEntries(ids.map((id) => [id, 'voter' as const]))
  const roles = { ...voters, 200: 'learner' as const }
  const error = errorOf({ roles, order: { learnerId: 200, force: true } })
  t.is(error?.code, 'MAX_VOTERS_EXCEEDED')
  t.is(error?.message, 'Maximum voters (100) would be exceeded')
  t.alike(error?.fields, { max: MAX_VOTERS })
  t.is(errorOf({ roles, order: { learnerId: 200, replaceNode: 5 } }), null)
})
