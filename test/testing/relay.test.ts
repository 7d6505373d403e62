// Relays of the simulator: who has no link to a member, but a chain of linked ones, has a path to it,
// and does not lose its leader.

import test from 'brittle'
import { present } from '../../lib/assert.ts'
import { bytesOf } from '../../lib/encoding.ts'
import type { Process } from '../../lib/testing/machine.ts'
import type { World } from '../../lib/testing/world.ts'
import {
  cut,
  endWorld,
  followersOf,
  heal,
  healthyWorld,
  isAgreed,
  latestTerm,
  leaderOf,
  put
} from '../sim/healthy-world.ts'

/** The leader and a follower that have lost each other, and one that reaches both. */
async function split(shape: { readonly seed: number; readonly relayCount: number }) {
  const world = await healthyWorld({ ...shape, nodeCount: 3 })
  const leader = leaderOf(world)
  const [follower, middle] = followersOf(world)
  if (follower === undefined || middle === undefined) throw new Error('there are two followers')
  cut(world, leader.machine, follower.machine)
  return { world, leader, follower, middle }
}

function pathOf(from: Process, to: Process): string | undefined {
  const { members } = from.assembly.service.members()
  return members.find(({ id }) => id === to.machine.id)?.path ?? undefined
}

async function lifeWithoutLink(world: World): Promise<void> {
  await world.time.run(4 * world.timing.linkTimeoutMs)
}

test('a follower that lost its link to the leader follows it over the third', async (t) => {
  for (let seed = 1; seed <= 5; seed++) {
    const { world, leader, follower, middle } = await split({ seed, relayCount: 1 })
    const term = latestTerm(world)
    await lifeWithoutLink(world)
    t.is(pathOf(follower, leader), 'relay')
    t.is(pathOf(leader, follower), 'relay')
    t.is(pathOf(follower, middle), 'direct')
    t.is(follower.assembly.replica.status.leader, leader.machine.id)
    await world.time.run(20 * world.timing.electionMaxMs)
    t.is(leaderOf(world), leader)
    const made = put(world, leader, world.timing.electionMinMs)
    await world.time.run(world.timing.electionMinMs)
    t.ok(made.revision > 0)
    t.is(follower.assembly.replica.status.commitIndex, leader.assembly.replica.status.commitIndex)
    t.ok(latestTerm(world) <= term + 1, 'the loss was news for one election timeout at most')
    await endWorld(world)
  }
})

test('a write and a linearizable read of a follower go to the leader over the third', async (t) => {
  const { world, follower } = await split({ seed: 1, relayCount: 1 })
  await lifeWithoutLink(world)
  const made = put(world, follower, world.timing.electionMinMs)
  await world.time.run(world.timing.electionMinMs)
  t.ok(made.revision > 0)
  const got = await world.time.settled(
    follower.assembly.service.kv.get(bytesOf('key')),
    world.timing.electionMinMs
  )
  t.is(got.item?.modRevision, made.revision)
  await endWorld(world)
})

test('when the third dies, the path is gone, and nobody is said to be linked', async (t) => {
  const { world, leader, follower, middle } = await split({ seed: 1, relayCount: 1 })
  await lifeWithoutLink(world)
  world.kill(middle)
  await lifeWithoutLink(world)
  t.is(pathOf(leader, follower), undefined)
  t.is(pathOf(follower, leader), undefined)
  t.is(world.leader(), null)
  await world.start(middle.machine)
  t.ok(await world.time.runUntil(() => world.leader() !== null, 10 * world.timing.electionMaxMs))
  await endWorld(world)
})

test('a request that is lost with its path ends, and the write is done once', async (t) => {
  const { world, leader, follower, middle } = await split({ seed: 2, relayCount: 1 })
  await lifeWithoutLink(world)
  t.is(follower.assembly.replica.status.leader, leaderOf(world).machine.id)
  const made = put(world, follower, 60_000)
  await world.time.run(2)
  // it is on its way: what carries it dies
  world.kill(middle)
  heal(world, leader.machine, follower.machine)
  await world.time.run(30_000)
  t.is(made.error, null)
  t.ok(made.revision > 0, 'it was sent again over the link')
  const got = await world.time.settled(
    follower.assembly.service.kv.get(bytesOf('key')),
    world.timing.electionMinMs
  )
  t.is(got.item?.version, 1)
  await endWorld(world)
})

test('a link that comes back takes over from the relay', async (t) => {
  const { world, leader, follower } = await split({ seed: 1, relayCount: 1 })
  await lifeWithoutLink(world)
  heal(world, leader.machine, follower.machine)
  t.ok(await world.time.runUntil(() => pathOf(follower, leader) === 'direct', 30_000))
  await world.time.run(world.timing.electionMaxMs)
  t.ok(isAgreed(world))
  await endWorld(world)
})

test('a relay reaches over as many members as the options say', async (t) => {
  for (const relayCount of [0, 1, 2, 3]) {
    const world = await healthyWorld({ seed: 1, nodeCount: 5, targetVoters: 5, relayCount })
    const { machines } = world
    // a row: each reaches those beside it
    for (const [at, machine] of machines.entries()) {
      for (const other of machines.slice(at + 2)) cut(world, machine, other)
    }
    await lifeWithoutLink(world)
    const first = present(machines[0]?.process ?? undefined, 'a process')
    const paths = machines.map(({ process }) => pathOf(first, present(process ?? undefined, 'all')))
    const reached = paths.filter((path) => path !== undefined)
    // the next one, and those behind it
    t.is(reached.length, 1 + relayCount, `over ${relayCount}`)
    await endWorld(world)
  }
})
