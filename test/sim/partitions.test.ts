// Directed scenarios of a network that fails in part: who comes back disturbs nobody, who does not
// hear a majority leads nobody, and what flaps settles. The numbers are those of the test cases of
// the reliability reference (RFT-04, RFT-05).

import test from 'brittle'
import { Dice } from '../../lib/testing/dice.ts'
import type { Machine, Process } from '../../lib/testing/machine.ts'
import type { World } from '../../lib/testing/world.ts'
import {
  cut,
  electionCountOf,
  endWorld,
  followersOf,
  heal,
  healthyWorld,
  isAgreed,
  latestTerm,
  leaderOf,
  put
} from './healthy-world.ts'

const SEED = Number(process.env['ASPEN_TEST_SEED'] ?? Date.now() % 1_000_000)
const IS_FULL = process.env['ASPEN_FULL'] === '1'
const RUN_COUNT = IS_FULL ? 1_000 : 12
const LIMIT = { timeout: IS_FULL ? 3_600_000 : 300_000 }

type Way = 'both' | 'in' | 'out'
const WAYS: readonly Way[] = ['both', 'in', 'out']

/** What comes to a machine, or what it sends, or both, is cut off, or is not any more. */
function isolate(world: World, machine: Machine, { way, isOn }: { way: Way; isOn: boolean }): void {
  const act = isOn ? 'cut' : 'heal'
  for (const other of world.machines) {
    if (other === machine) continue
    if (way !== 'out') world.hub[act](other.address, machine.address)
    if (way !== 'in') world.hub[act](machine.address, other.address)
  }
}

test(
  'a node that was isolated for long does not disturb the leader when it returns',
  LIMIT,
  async (t) => {
    t.comment(`seed ${SEED}`)
    for (let run = 0; run < RUN_COUNT; run++) {
      const dice = Dice.of(SEED + run, 'isolation')
      const way = WAYS[run % WAYS.length] ?? 'both'
      const world = await healthyWorld({ seed: SEED + run, nodeCount: 5, targetVoters: 5 })
      const [leader, follower] = [leaderOf(world), dice.pick(followersOf(world))]
      const [term, electionCount] = [latestTerm(world), electionCountOf(world)]
      isolate(world, follower.machine, { way, isOn: true })
      const made = put(world, leader, world.timing.electionMinMs)
      await world.time.run(dice.scale(100, 200) * world.timing.electionMaxMs)
      isolate(world, follower.machine, { way, isOn: false })
      const isBack = await world.time.runUntil(() => isAgreed(world), RETURN_MS)
      await world.time.run(10 * world.timing.electionMaxMs)
      t.alike(
        {
          isBack,
          isWritten: made.revision > 0,
          leader: leaderOf(world).name,
          term: latestTerm(world)
        },
        { isBack: true, isWritten: true, leader: leader.name, term },
        `${way}, seed ${SEED + run}`
      )
      t.is(electionCountOf(world), electionCount)
      await endWorld(world)
    }
  }
)

/** Until links are dialled again, after many that failed. */
const RETURN_MS = 120_000

test(
  'a leader that can send and not hear, or hear and not send, steps down, and the rest go on',
  LIMIT,
  async (t) => {
    t.comment(`seed ${SEED}`)
    for (let run = 0; run < RUN_COUNT; run++) {
      const way = WAYS[run % WAYS.length] ?? 'both'
      const world = await healthyWorld({ seed: SEED + run, nodeCount: 5, targetVoters: 5 })
      const { electionMinMs, electionMaxMs } = world.timing
      const old = leaderOf(world)
      // whatever the phase of its heartbeats is
      await world.time.run(Dice.of(SEED + run, 'phase').unit() * electionMinMs)
      isolate(world, old.machine, { way, isOn: true })
      const isOver = (): boolean => roleOf(old) !== 'leader'
      t.ok(await world.time.runUntil(isOver, 2 * electionMinMs), `${way}, seed ${SEED + run}`)
      const isSucceeded = (): boolean => (world.leader() ?? old) !== old
      t.ok(await world.time.runUntil(isSucceeded, 3 * electionMaxMs), 'another one leads')
      const term = latestTerm(world)
      const puts = followersOf(world)
        .filter((process) => process !== old)
        .map((process) => put(world, process, electionMaxMs))
      await world.time.run(20 * electionMaxMs)
      t.ok(
        puts.every(({ revision }) => revision > 0),
        'the rest go on'
      )
      t.is(roleOf(old) === 'leader', false)
      t.is(latestTerm(world), term, 'in one term')
      isolate(world, old.machine, { way, isOn: false })
      t.ok(await world.time.runUntil(() => isAgreed(world), RETURN_MS))
      t.is(latestTerm(world), term)
      await endWorld(world)
    }
  }
)

function roleOf({ assembly }: Process): string {
  return assembly.replica.status.role
}

test(
  'a link that flaps for shorter than an election timeout changes no leader between two voters',
  LIMIT,
  async (t) => {
    t.comment(`seed ${SEED}`)
    for (let run = 0; run < RUN_COUNT / 2; run++) {
      const world = await twoVoters(SEED + run)
      const dice = Dice.of(SEED + run, 'flaps')
      const { electionMinMs } = world.timing
      const [leader, term] = [leaderOf(world), latestTerm(world)]
      const puts = []
      for (let flap = 0; flap < 60; flap++) {
        puts.push(put(world, dice.pick(world.running()), 2 * electionMinMs))
        await flapOnce(world, {
          downMs: dice.between(1, electionMinMs / 2),
          upMs: dice.between(electionMinMs / 4, electionMinMs)
        })
      }
      await world.time.run(2 * electionMinMs)
      t.is(leaderOf(world), leader, `seed ${SEED + run}`)
      t.is(latestTerm(world), term)
      t.ok(
        puts.every(({ revision }) => revision > 0),
        'every write is done'
      )
      await endWorld(world)
    }
  }
)

test(
  'a link that flaps for longer costs two voters a term each time, seldom more, and no write',
  LIMIT,
  async (t) => {
    t.comment(`seed ${SEED}`)
    for (let run = 0; run < RUN_COUNT / 2; run++) {
      const world = await twoVoters(SEED + run)
      const dice = Dice.of(SEED + run, 'flaps')
      const { electionMaxMs, linkTimeoutMs } = world.timing
      const puts = []
      const before = latestTerm(world)
      for (let flap = 0; flap < FLAP_COUNT; flap++) {
        puts.push(put(world, dice.pick(world.running()), 60_000))
        await flapOnce(world, {
          downMs: dice.scale(electionMaxMs / 10, 3 * linkTimeoutMs),
          upMs: dice.scale(electionMaxMs / 2, 4 * electionMaxMs)
        })
      }
      await world.time.run(60_000)
      // both may ask at the same moment, and then neither wins: a split vote, as seldom as chance has it
      const termCount = latestTerm(world) - before
      t.ok(termCount <= 1.5 * FLAP_COUNT, `${termCount} terms, seed ${SEED + run}`)
      t.ok(
        puts.every(({ revision }) => revision > 0),
        'every write is done'
      )
      await endWorld(world)
    }
  }
)

const FLAP_COUNT = 20

interface Flap {
  readonly downMs: number
  readonly upMs: number
}

async function flapOnce(world: World, { downMs, upMs }: Flap): Promise<void> {
  const [one, other] = world.running()
  if (one === undefined || other === undefined) throw new Error('two run')
  cut(world, one.machine, other.machine)
  await world.time.run(downMs)
  heal(world, one.machine, other.machine)
  await world.time.run(upMs)
}

/** Of three, one is gone and does not vote any more. */
async function twoVoters(seed: number): Promise<World> {
  const world = await healthyWorld({ seed, nodeCount: 3 })
  const { replica } = leaderOf(world).assembly
  const [gone] = followersOf(world)
  if (gone === undefined) throw new Error('somebody follows')
  world.kill(gone)
  let isDone = false
  const change = { add: [], promote: [], demote: [gone.machine.id], remove: [] }
  replica.change(change, ({ kind }) => {
    isDone = kind === 'done'
  })
  const isSettled = (): boolean =>
    isDone && world.running().every(({ assembly }) => assembly.service.status().voters.length === 2)
  if (!(await world.time.runUntil(isSettled, 10_000))) throw new Error('two are left to vote')
  await world.time.run(world.timing.electionMaxMs)
  return world
}
