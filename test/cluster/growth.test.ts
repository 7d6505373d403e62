// The growth rule, row by row: who becomes a voter, when, and who does not.

import test from 'brittle'
import { promotionsDue, votersWhenGrown } from '../../lib/cluster/growth.ts'
import type { GrowthInput } from '../../lib/cluster/growth.ts'
import { MAX_PROMOTION_LAG, PROMOTION_STABILITY_MS } from '../../lib/limits.ts'
import type { NodeId } from '../../lib/node-id.ts'
import type { MemberRole } from '../../lib/raft/configuration.ts'
import type { FollowerStatus, Status } from '../../lib/raft/effects.ts'

const LAST_INDEX = 1_000

function statusWith(roles: Readonly<Record<NodeId, MemberRole>>, lag = 0): Status {
  const ids = Object.keys(roles).map(Number)
  const members = ids.map((id) => ({
    id,
    publicKey: new Uint8Array(32).fill(id),
    role: roles[id] ?? 'learner',
    addresses: []
  }))
  const follower: FollowerStatus = {
    matchIndex: LAST_INDEX - lag,
    state: 'replicate',
    heardMs: 0,
    inflightCount: 0,
    inflightBytes: 0
  }
  return {
    role: 'leader',
    term: 1,
    leader: 1,
    commitIndex: LAST_INDEX,
    lastIndex: LAST_INDEX,
    lastTerm: 1,
    durableIndex: LAST_INDEX,
    onDisk: { term: 1, lastIndex: LAST_INDEX },
    configuration: { members, outgoing: [] },
    configurationIndex: 1,
    transferTarget: null,
    logTimeMs: 0,
    leaderHeardMs: null,
    wrongClocks: [],
    progress: new Map(ids.filter((id) => id !== 1).map((id) => [id, follower]))
  }
}

function inputOf(status: Status, overrides: Partial<GrowthInput> = {}): GrowthInput {
  return {
    status,
    targetVoters: 3,
    isEligible: () => true,
    isLinked: () => true,
    readySinceMs: new Map(status.configuration.members.map(({ id }) => [id, 0])),
    nowMs: PROMOTION_STABILITY_MS,
    heartbeatMs: PROMOTION_STABILITY_MS,
    ...overrides
  }
}

test('with target 3, 1 to 5 members have 1, 1, 3, 3, 3 voters; with target 5, 1, 1, 3, 3, 5', (t) => {
  const grown = (target: number) => [1, 2, 3, 4, 5].map((count) => votersWhenGrown(count, target))
  t.alike(grown(3), [1, 1, 3, 3, 3])
  t.alike(grown(5), [1, 1, 3, 3, 5])
})

test('one learner stays a learner; two become voters in one change', (t) => {
  t.alike(promotionsDue(inputOf(statusWith({ 1: 'voter', 2: 'learner' }))), [])
  const three = statusWith({ 1: 'voter', 2: 'learner', 3: 'learner' })
  t.alike(promotionsDue(inputOf(three)), [2, 3])
})

test('the fourth and fifth member are promoted only when the target is five', (t) => {
  const five = statusWith({ 1: 'voter', 2: 'voter', 3: 'voter', 4: 'learner', 5: 'learner' })
  t.alike(promotionsDue(inputOf(five)), [])
  t.alike(promotionsDue(inputOf(five, { targetVoters: 5 })), [4, 5])
  const four = statusWith({ 1: 'voter', 2: 'voter', 3: 'voter', 4: 'learner' })
  t.alike(promotionsDue(inputOf(four, { targetVoters: 5 })), [])
})

test('two voters, the rest of a removal, are completed by one learner', (t) => {
  const two = statusWith({ 1: 'voter', 2: 'voter', 3: 'learner' })
  t.alike(promotionsDue(inputOf(two)), [3])
})

test('a learner must have been ready for the stability time', (t) => {
  const three = statusWith({ 1: 'voter', 2: 'learner', 3: 'learner' })
  t.alike(promotionsDue(inputOf(three, { nowMs: PROMOTION_STABILITY_MS - 1 })), [])
  t.alike(promotionsDue(inputOf(three, { readySinceMs: new Map([[2, 0]]) })), [])
})

test('a learner that has not answered lately is not promoted, though its link seems to be up', (t) => {
  const status = statusWith({ 1: 'voter', 2: 'learner', 3: 'learner' })
  const [nowMs, heartbeatMs] = [PROMOTION_STABILITY_MS, 100]
  const promoted = (...heard: readonly (number | null)[]) => {
    const progress = new Map(
      [...status.progress].map(([id, one], at) => [id, { ...one, heardMs: heard[at] ?? null }])
    )
    return promotionsDue(inputOf({ ...status, progress }, { nowMs, heartbeatMs }))
  }
  t.alike(promoted(nowMs, nowMs - 200), [2, 3])
  t.alike(promoted(nowMs, nowMs - 201), [])
  t.alike(promoted(null, nowMs), [])
})

test('a learner that lags, has no link, or came to learn only is not promoted', (t) => {
  const roles = { 1: 'voter', 2: 'learner', 3: 'learner' } as const
  t.alike(promotionsDue(inputOf(statusWith(roles, MAX_PROMOTION_LAG))), [2, 3])
  t.alike(promotionsDue(inputOf(statusWith(roles, MAX_PROMOTION_LAG + 1))), [])
  t.alike(promotionsDue(inputOf(statusWith(roles), { isLinked: (id) => id !== 3 })), [])
  t.alike(promotionsDue(inputOf(statusWith(roles), { isEligible: (id) => id !== 2 })), [])
})

test('nothing is promoted while a joint change is in progress', (t) => {
  const status = statusWith({ 1: 'voter', 2: 'learner', 3: 'learner' })
  const joint = { ...status, configuration: { ...status.configuration, outgoing: [1] } }
  t.alike(promotionsDue(inputOf(joint)), [])
})
