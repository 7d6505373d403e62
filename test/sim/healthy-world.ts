// Simulated clusters in which nothing goes wrong by itself: where a scenario begins that does its own
// harm. Profile `lan`; small delays with jitter, so that messages over different ways overtake.

import { assert, present } from '../../lib/assert.ts'
import { bytesOf } from '../../lib/encoding.ts'
import { calmOptions, formCluster } from '../../lib/testing/formation.ts'
import type { Machine, Process } from '../../lib/testing/machine.ts'
import { World } from '../../lib/testing/world.ts'

export interface Shape {
  readonly seed: number
  readonly nodeCount: number
  /** 3 when left out */
  readonly targetVoters?: number
  /** members over which others write to each other; 0 when left out */
  readonly relayCount?: number
}

/** A formed cluster that has started, leads, is fully linked and has applied all that is committed. */
export async function healthyWorld(shape: Shape): Promise<World> {
  const { seed, nodeCount, targetVoters = 3, relayCount = 0 } = shape
  const calm = calmOptions(nodeCount, targetVoters)
  const network = { ...calm.network, delayMs: 1, jitterMs: 2, relayCount }
  const world = new World({ ...calm, seed, network })
  for (const kept of await formCluster(nodeCount, targetVoters)) world.addMachine(kept)
  for (const machine of world.machines) void world.start(machine)
  const isHealthy = await world.time.runUntil(() => isAgreed(world), START_MS)
  assert(isHealthy, 'a cluster without faults starts')
  return world
}

/** All processes end; whoever waits for one of them does no more. */
export async function endWorld(world: World): Promise<void> {
  for (const process of world.running()) world.kill(process)
  await world.time.run(1)
}

/** Everybody runs, has a link to everybody else and follows one leader, whose term has begun. */
export function isAgreed(world: World): boolean {
  const running = world.running()
  const leader = world.leader()
  if (leader === null || running.length < world.machines.length) return false
  const { term, commitIndex, lastTerm, lastIndex } = leader.assembly.replica.status
  if (lastTerm !== term || lastIndex !== commitIndex) return false
  return running.every((process) => {
    const { status, appliedIndex } = process.assembly.replica
    const isFollowing = status.leader === leader.machine.id && status.term === term
    return isFollowing && appliedIndex === commitIndex && isLinkedToAll(process, running)
  })
}

function isLinkedToAll(process: Process, running: readonly Process[]): boolean {
  const links = process.links()
  return running.every((other) => other === process || links.includes(other.machine.id))
}

/** The process that leads; there is one. */
export function leaderOf(world: World): Process {
  return present(world.leader() ?? undefined, 'somebody leads')
}

export function followersOf(world: World): readonly Process[] {
  const leader = leaderOf(world)
  return world.running().filter((process) => process !== leader)
}

export function cut(world: World, a: Machine, b: Machine): void {
  world.hub.cut(a.address, b.address)
  world.hub.cut(b.address, a.address)
}

export function heal(world: World, a: Machine, b: Machine): void {
  world.hub.heal(a.address, b.address)
  world.hub.heal(b.address, a.address)
}

export interface Put {
  /** null until it is done */
  doneMs: number | null
  revision: number
  /** why it was not done */
  error: unknown
}

/** Puts a key by this node; the answer is written down when it comes. */
export function put(world: World, process: Process, timeoutMs: number): Put {
  const made: Put = { doneMs: null, revision: 0, error: null }
  const key = bytesOf('key')
  const change = { kind: 'put', key, value: bytesOf(process.name), condition: null } as const
  process.assembly.service.kv.write({ changes: [change] }, { timeoutMs }).then(
    ({ revision }) => {
      made.doneMs = world.time.nowMs()
      made.revision = revision
    },
    (error: unknown) => {
      made.error = error
    }
  )
  return made
}

/** The latest term that any node is in. */
export function latestTerm(world: World): number {
  return Math.max(...world.running().map(({ assembly }) => assembly.replica.status.term))
}

/** How often somebody was elected, since the world began. */
export function electionCountOf(world: World): number {
  return world.coverage.entries().find(([name]) => name === 'elections')?.[1] ?? 0
}

const START_MS = 30_000
