// The clusters that simulated runs begin with: formed once per shape, the way users do it (create,
// ticket, join, growth), and kept as disks from which any number of runs go on.

import { assert } from '../assert.ts'
import { STORAGE_POLICY } from '../cluster/storage-policy.ts'
import { SEND_LIMITS } from '../raft/send-limits.ts'
import type { Kept } from './machine.ts'
import { drawOptions } from './swarm.ts'
import type { SimulationOptions } from './swarm.ts'
import { World } from './world.ts'

const formed = new Map<string, readonly Kept[]>()

/** Disks and keys of a cluster of that shape; each call gets copies of its own. */
export async function formCluster(
  nodeCount: number,
  targetVoters: number
): Promise<readonly Kept[]> {
  const shape = `${nodeCount}/${targetVoters}`
  const known = formed.get(shape) ?? (await form(nodeCount, targetVoters))
  formed.set(shape, known)
  return known.map((kept) => ({ ...kept, logDisk: kept.logDisk.copy() }))
}

async function form(nodeCount: number, targetVoters: number): Promise<readonly Kept[]> {
  const world = new World(calmOptions(nodeCount, targetVoters))
  const { time } = world
  const founder = await time.settled(world.addMachine().create(), FORMATION_MS)
  const { service } = founder.assembly
  const { ticket } = await time.settled(service.createTicket(), FORMATION_MS)
  for (let count = 1; count < nodeCount; count++) {
    await time.settled(world.addMachine().join(ticket), FORMATION_MS)
  }
  const wanted = Math.min(targetVoters, nodeCount - (1 - (nodeCount % 2)))
  const isGrown = (): boolean =>
    world.running().every(({ assembly }) => assembly.service.status().voters.length === wanted)
  assert(await time.runUntil(isGrown, FORMATION_MS), `${wanted} nodes of ${nodeCount} vote`)
  await time.run(1_000)
  for (const process of world.running()) world.kill(process)
  await time.run(1)
  return world.machines.map(({ keyPair, logDisk, clusterId, welcome }) => {
    assert(clusterId !== null, 'every machine is in the cluster')
    return { keyPair, logDisk, clusterId, welcome }
  })
}

/** Virtual milliseconds that any step of a formation may take. */
const FORMATION_MS = 60_000

/** A run in which nothing goes wrong unless it is done to it. */
export function calmOptions(nodeCount: number, targetVoters: number): SimulationOptions {
  const drawn = drawOptions(0)
  const { network, disk, process, membership } = drawn
  return {
    ...drawn,
    nodeCount,
    targetVoters,
    timing: 'lan',
    timingFactor: 1,
    limits: SEND_LIMITS,
    network: {
      ...network,
      delayMs: 1,
      jitterMs: 0,
      lossChance: 0,
      repeatChance: 0,
      lateChance: 0,
      cutMeanMs: null,
      strandMeanMs: null,
      resetMeanMs: null,
      relayCount: 0
    },
    disk: {
      ...disk,
      writeMs: 1,
      applyMs: 0,
      jitterMs: 0,
      stallMeanMs: null,
      failMeanMs: null,
      flipMeanMs: null,
      wipeMeanMs: null,
      checkpointChance: 0
    },
    process: {
      ...process,
      crashMeanMs: null,
      crashAllMeanMs: null,
      boundaryCrashChance: 0,
      pauseMeanMs: null,
      clockDrift: 0,
      clockJumpMeanMs: null
    },
    storage: STORAGE_POLICY,
    membership: {
      ...membership,
      changeMeanMs: null,
      removeMeanMs: null,
      transferMeanMs: null,
      joinMeanMs: null
    }
  }
}
