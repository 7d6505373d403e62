// Directed scenarios of configuration changes: a leader that is to go goes once that is committed,
// changes come one at a time, and learners never count (RFT-11 to RFT-13).

import test from 'brittle'
import type { NodeId } from '../../lib/node-id.ts'
import type { Outcome } from '../../lib/replica/proposals.ts'
import type { Process } from '../../lib/testing/machine.ts'
import type { World } from '../../lib/testing/world.ts'
import { endWorld, followersOf, healthyWorld, latestTerm, leaderOf, put } from './healthy-world.ts'

const SEED = Number(process.env['ASPEN_TEST_SEED'] ?? Date.now() % 1_000_000)
const IS_FULL = process.env['ASPEN_FULL'] === '1'
const RUN_COUNT = IS_FULL ? 500 : 10
const LIMIT = { timeout: IS_FULL ? 3_600_000 : 300_000 }

const NOTHING = { add: [], promote: [], demote: [], remove: [] }

for (const how of ['demote', 'remove'] as const) {
  test(
    `a leader that is to ${how} itself leads until that is committed, then another one does`,
    LIMIT,
    async (t) => {
      t.comment(`seed ${SEED}`)
      for (let run = 0; run < RUN_COUNT; run++) {
        const world = await healthyWorld({ seed: SEED + run, nodeCount: 5, targetVoters: 5 })
        const { electionMaxMs } = world.timing
        const old = leaderOf(world)
        const term = latestTerm(world)
        const outcomes = change(old, { [how]: [old.machine.id] })
        const isGone = (): boolean => old.assembly.replica.status.role !== 'leader'
        t.ok(await world.time.runUntil(isGone, electionMaxMs), `steps down, seed ${SEED + run}`)
        const { commitIndex, configurationIndex, configuration } = old.assembly.replica.status
        t.ok(commitIndex >= configurationIndex, 'not before the last configuration is committed')
        t.alike(configuration.outgoing, [])
        t.absent(votes(old, configuration.members))
        const isSucceeded = (): boolean => world.leader() !== null
        t.ok(await world.time.runUntil(isSucceeded, 2 * electionMaxMs), 'another one leads')
        const made = put(world, leaderOf(world), electionMaxMs)
        await world.time.run(electionMaxMs)
        t.ok(made.revision > 0)
        t.is(outcomes[0]?.kind, 'done')
        t.is(latestTerm(world), term + 1, 'in the next term')
        t.not(leaderOf(world), old)
        await endWorld(world)
      }
    }
  )
}

function votes({ machine }: Process, members: readonly { id: NodeId; role: string }[]): boolean {
  return members.some(({ id, role }) => id === machine.id && role === 'voter')
}

test('a second change at once is refused, and the first one is carried out', LIMIT, async (t) => {
  for (let run = 0; run < RUN_COUNT; run++) {
    const world = await healthyWorld({ seed: SEED + run, nodeCount: 5, targetVoters: 5 })
    const leader = leaderOf(world)
    const [one, other] = followersOf(world)
    if (one === undefined || other === undefined) throw new Error('four follow')
    const first = change(leader, { demote: [one.machine.id] })
    const second = change(leader, { demote: [other.machine.id] })
    // while the first one is in its joint phase
    await world.time.runUntil(
      () => leader.assembly.replica.status.configuration.outgoing.length > 0,
      1_000
    )
    const third = change(leader, { demote: [other.machine.id] })
    await world.time.run(1_000)
    t.is(first[0]?.kind, 'done', `seed ${SEED + run}`)
    const refused = { kind: 'refused', reason: 'changeInProgress' }
    t.alike([second, third], [[refused], [refused]])
    const { members } = leader.assembly.replica.status.configuration
    t.absent(votes(one, members))
    t.ok(votes(other, members))
    await endWorld(world)
  }
})

test('a leader that has committed nothing in its term refuses a change', LIMIT, async (t) => {
  for (let run = 0; run < RUN_COUNT; run++) {
    const world = await healthyWorld({ seed: SEED + run, nodeCount: 5, targetVoters: 5 })
    const first = leaderOf(world)
    world.kill(first)
    await world.time.runUntil(() => world.leader() !== null, 60_000)
    const outcomes = change(leaderOf(world), { demote: [first.machine.id] })
    await world.time.run(1_000)
    t.alike(outcomes, [{ kind: 'refused', reason: 'changeInProgress' }], `seed ${SEED + run}`)
    await endWorld(world)
  }
})

test(
  'without a majority of the voters nothing is committed, however many learners are up',
  LIMIT,
  async (t) => {
    t.comment(`seed ${SEED}`)
    for (let run = 0; run < RUN_COUNT; run++) {
      const world = await healthyWorld({ seed: SEED + run, nodeCount: 7, targetVoters: 3 })
      const { electionMinMs, electionMaxMs } = world.timing
      const leader = leaderOf(world)
      const voters = world
        .running()
        .filter((one) => votes(one, leader.assembly.replica.status.configuration.members))
      t.is(voters.length, 3)
      const followers = voters.filter((one) => one !== leader)
      // the leader stays, or one of the others does
      const left = run % 2 === 0 ? leader : followers[0]
      const dead = voters.filter((one) => one !== left)
      const committedCount = world.oracles.committedCount
      for (const process of dead) world.kill(process)
      t.is(world.running().length, 5, 'a majority of the members')
      const puts = world.running().map((process) => put(world, process, 20 * electionMaxMs))
      await world.time.run(2 * electionMinMs)
      t.is(world.leader(), null, 'nobody leads')
      await world.time.run(20 * electionMaxMs)
      t.is(world.oracles.committedCount, committedCount, `nothing is committed, seed ${SEED + run}`)
      t.ok(puts.every(({ revision }) => revision === 0))
      await recovers(world, dead)
      t.ok(world.oracles.committedCount > committedCount, 'with one voter more something is')
      await endWorld(world)
    }
  }
)

/** One of the dead starts again. */
async function recovers(world: World, [first]: readonly Process[]): Promise<void> {
  if (first === undefined) throw new Error('somebody died')
  await world.start(first.machine)
  await world.time.runUntil(() => world.leader() !== null, 60_000)
  await world.time.run(1_000)
}

/** The outcome is added when it is known. */
function change(
  { assembly }: Process,
  wanted: Partial<Record<'demote' | 'remove', readonly NodeId[]>>
): readonly Outcome[] {
  const outcomes: Outcome[] = []
  assembly.replica.change({ ...NOTHING, ...wanted }, (outcome) => outcomes.push(outcome))
  return outcomes
}
