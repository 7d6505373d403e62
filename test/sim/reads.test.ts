// Directed scenarios of linearizable reads: a leader that slept, and one that has just begun, never
// answer with less than what was done before the question (RFT-07, RFT-09).

import test from 'brittle'
import { bytesOf } from '../../lib/encoding.ts'
import { Dice } from '../../lib/testing/dice.ts'
import type { Process } from '../../lib/testing/machine.ts'
import type { World } from '../../lib/testing/world.ts'
import { Clients } from './clients.ts'
import { cut, endWorld, followersOf, heal, healthyWorld, leaderOf, put } from './healthy-world.ts'

const SEED = Number(process.env['ASPEN_TEST_SEED'] ?? Date.now() % 1_000_000)
const IS_FULL = process.env['ASPEN_FULL'] === '1'
const LIMIT = { timeout: IS_FULL ? 3_600_000 : 300_000 }

const PAUSED_RUNS = IS_FULL ? 100 : 6
const PAUSES_PER_RUN = 10

test(
  'RFT-09, TIM-04: a leader that sleeps for 1 to 30 seconds gives no stale read when it wakes',
  LIMIT,
  async (t) => {
    t.comment(`seed ${SEED}`)
    for (let run = 0; run < PAUSED_RUNS; run++) {
      const world = await healthyWorld({ seed: SEED + run, nodeCount: 3 })
      const dice = Dice.of(SEED + run, 'pauses')
      const clients = new Clients(world)
      clients.start()
      await world.time.run(1_000)
      let deposedCount = 0
      for (let pause = 0; pause < PAUSES_PER_RUN; pause++) {
        const sleeper = leaderOf(world)
        await sleep({ world, clients, sleeper, dice })
        const isLed = await world.time.runUntil(() => world.leader() !== null, 30_000)
        if (!isLed) t.fail(`nobody leads, seed ${SEED + run}`)
        if (leaderOf(world) !== sleeper) deposedCount++
      }
      await world.time.run(5_000)
      t.is(await clients.judge(), null, `seed ${SEED + run}`)
      t.ok(clients.gotCount > 100, `${clients.gotCount} reads were answered`)
      t.ok(deposedCount > 0, `${deposedCount} of ${PAUSES_PER_RUN} lost the leadership asleep`)
      await endWorld(world)
    }
  }
)

interface Sleep {
  readonly world: World
  readonly clients: Clients
  readonly sleeper: Process
  readonly dice: Dice
}

/** It is asked while it sleeps, and at once when it wakes, before it has heard from anybody. */
async function sleep({ world, clients, sleeper, dice }: Sleep): Promise<void> {
  const forMs = dice.scale(1_000, 30_000)
  sleeper.time.pause()
  for (let asked = 0; asked < 4; asked++) {
    await world.time.run(forMs / 4)
    void clients.get(sleeper)
  }
  sleeper.time.resume()
  for (let asked = 0; asked < 4; asked++) {
    void clients.get(sleeper)
    await world.time.run(dice.scale(0.1, 10))
  }
  await world.time.run(dice.between(100, 3_000))
}

const FRESH_RUNS = IS_FULL ? 1_000 : 25

test(
  'a leader that has committed nothing in its term answers no read before it has',
  LIMIT,
  async (t) => {
    t.comment(`seed ${SEED}`)
    let behindCount = 0
    for (let run = 0; run < FRESH_RUNS; run++) {
      const { world, revision, heir, other } = await newLeader(SEED + run)
      const { electionMinMs } = world.timing
      if (heir.assembly.replica.status.commitIndex < revision) behindCount++
      // nothing that it appends from now on reaches anybody
      cut(world, heir.machine, other.machine)
      let answer: number | null = null
      const read = heir.assembly.service.kv.get(bytesOf('key'), { timeoutMs: 60_000 })
      void read.then(({ item }) => {
        answer = item?.modRevision ?? 0
      })
      await world.time.run(electionMinMs / 2)
      const early = answer
      heal(world, heir.machine, other.machine)
      await world.time.run(10 * electionMinMs)
      t.alike({ early, answer }, { early: null, answer: revision }, `seed ${SEED + run}`)
      await endWorld(world)
    }
    t.ok(behindCount > 0, `${behindCount} did not know yet that the last write was committed`)
  }
)

test(
  'the first read of a new leader, asked in the moment of its election, sees the last write',
  LIMIT,
  async (t) => {
    t.comment(`seed ${SEED}`)
    for (let run = 0; run < FRESH_RUNS; run++) {
      const { world, revision, heir } = await newLeader(SEED + run)
      const got = await world.time.settled(heir.assembly.service.kv.get(bytesOf('key')), 10_000)
      t.is(got.item?.modRevision, revision, `seed ${SEED + run}`)
      await endWorld(world)
    }
  }
)

/** The leader dies in the moment in which a write is done; one of the two others is elected, just now. */
async function newLeader(seed: number) {
  const world = await healthyWorld({ seed, nodeCount: 3 })
  const first = leaderOf(world)
  const made = put(world, first, 10_000)
  await world.time.runUntil(() => made.doneMs !== null, 10_000)
  world.kill(first)
  const isElected = await world.time.runUntil(() => world.leader() !== null, 60_000)
  if (!isElected) throw new Error('one of the two others is elected')
  const heir = leaderOf(world)
  const [other] = followersOf(world)
  if (other === undefined) throw new Error('two are left')
  return { world, revision: made.revision, heir, other }
}
