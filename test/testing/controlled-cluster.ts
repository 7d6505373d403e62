// A cluster in memory whose controllers are asked things, with what their tests have in common.

import { AspenError } from '../../lib/errors.ts'
import type { ErrorDetail } from '../../lib/errors.ts'
import { MEMBERSHIP_COOLDOWN_MS } from '../../lib/limits.ts'
import type { NodeId } from '../../lib/node-id.ts'
import type { ClusterController } from '../../lib/service/cluster-controller.ts'
import { MemoryCluster } from '../../lib/testing/memory-cluster.ts'
import type { MemoryClusterOptions } from '../../lib/testing/memory-cluster.ts'
import type { Process } from '../../lib/testing/machine.ts'

export const LONG_MS = 60_000

/** Nodes of these names, 1, 2, 3 …, grown, and long after the last change of the voters. */
export async function formed(
  names: readonly string[],
  options: Partial<MemoryClusterOptions> = {}
): Promise<Controlled> {
  const cluster = new MemoryCluster({ seed: 1, ...options })
  await cluster.form(names)
  await cluster.time.run(MEMBERSHIP_COOLDOWN_MS + 1_000)
  return new Controlled(cluster)
}

export class Controlled {
  readonly cluster: MemoryCluster

  constructor(cluster: MemoryCluster) {
    this.cluster = cluster
  }

  of(name: string): ClusterController {
    return this.cluster.node(name).assembly.service.cluster
  }

  /** The node that leads. */
  get leader(): Process {
    const leader = this.cluster.leader()
    if (leader === null) throw new Error('somebody leads')
    return leader
  }

  /** A node that does not lead. */
  get follower(): Process {
    const { leader } = this
    const other = this.cluster.nodes().find((node) => node !== leader)
    if (other === undefined) throw new Error('there is another node')
    return other
  }

  idOf(name: string): NodeId {
    return this.cluster.node(name).machine.id
  }

  votersSeenBy(name: string): readonly NodeId[] {
    return this.cluster.node(name).assembly.service.status().voters
  }

  /** Lets time pass until it has ended well. */
  async done<T>(promise: Promise<T>): Promise<T> {
    return await this.cluster.time.settled(promise, LONG_MS)
  }

  /** Lets time pass until it has ended; its error, or null. */
  async refusal(promise: Promise<unknown>): Promise<ErrorDetail | null> {
    try {
      await this.done(promise)
      return null
    } catch (error) {
      if (error instanceof AspenError) return error.detail
      throw error
    }
  }

  async code(promise: Promise<unknown>): Promise<string | null> {
    return (await this.refusal(promise))?.code ?? null
  }
}
