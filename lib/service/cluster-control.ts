// The controller of a node that belongs to a cluster: what it knows itself it answers from its own state,
// what only the leader can do it asks of whoever leads.

import { formatAddress } from '../address.ts'
import { hexOf } from '../encoding.ts'
import { ControlPlaneError } from '../errors.ts'
import type { NodeId } from '../node-id.ts'
import type { Configuration, Member } from '../raft/configuration.ts'
import { learnersOf, votersOf } from '../raft/configuration.ts'
import type {
  Applied,
  NodeRecord,
  Snapshots,
  StateMachine
} from '../state-machine/state-machine.ts'
import type { ClusterController } from './cluster-controller.ts'
import type { ClusterNode, ClusterState, RaftMetrics } from './documents.ts'
import type { Forwarder } from './forwarding.ts'
import { timeoutOf } from './request-timeout.ts'
import type { ReadOptions } from './node-api.ts'
import type { RaftMetricsParts } from './raft-metrics.ts'
import { raftMetricsOf } from './raft-metrics.ts'

export interface ClusterControlParts extends RaftMetricsParts {
  readonly stateMachine: Pick<StateMachine, 'trust'> & {
    applied(): Pick<Applied, 'index' | 'term' | 'configuration'>
    readonly snapshots: Pick<Snapshots, 'list'>
  }
  readonly forwarder: Pick<Forwarder, 'confirmRead' | 'checkOpen'>
  /** the configuration in use, or the welcome's while the log has none with this node in it */
  readonly configuration: () => Configuration
}

export class ClusterControl implements ClusterController {
  readonly #parts: ClusterControlParts

  constructor(parts: ClusterControlParts) {
    this.#parts = parts
  }

  async init(): Promise<ClusterState> {
    throw new ControlPlaneError({
      code: 'ALREADY_INITIALIZED',
      message: 'this node belongs to a cluster',
      hint: "'aspen members' shows who else does; other nodes join it with a ticket"
    })
  }

  async currentState(options: ReadOptions = {}): Promise<ClusterState> {
    const { forwarder } = this.#parts
    const timeoutMs = timeoutOf(options)
    if (options.consistency === 'stale') forwarder.checkOpen()
    else await forwarder.confirmRead(timeoutMs)
    return this.#state()
  }

  async getMetrics(): Promise<RaftMetrics> {
    return raftMetricsOf(this.#parts)
  }

  async getLeader(): Promise<NodeId | null> {
    return this.#parts.isInTouch() ? this.#parts.replica.status.leader : null
  }

  async addLearner(): Promise<never> {
    throw unavailable()
  }

  async changeMembership(): Promise<never> {
    throw unavailable()
  }

  async triggerSnapshot(): Promise<never> {
    throw unavailable()
  }

  async promoteLearner(): Promise<never> {
    throw unavailable()
  }

  async removeMember(): Promise<never> {
    throw unavailable()
  }

  async transferLeadership(): Promise<never> {
    throw unavailable()
  }

  /** As applied here; until anything of the kind is, as this node was told when it joined. */
  #state(): ClusterState {
    const { stateMachine, configuration } = this.#parts
    const applied = stateMachine.applied().configuration
    const known = applied.members.length > 0 ? applied : configuration()
    return clusterStateOf(known, stateMachine.trust().nodes)
  }
}

function unavailable(): ControlPlaneError {
  return new ControlPlaneError({
    code: 'UNAVAILABLE',
    message: 'not carried out: this operation is not part of this version'
  })
}

/** `records`: what is known of the members beside the configuration. */
function clusterStateOf(
  configuration: Configuration,
  records: readonly NodeRecord[]
): ClusterState {
  const byId = new Map(records.map((record) => [record.id, record]))
  const nodeOf = (member: Member): ClusterNode => ({
    id: member.id,
    key: hexOf(member.publicKey),
    addresses: (byId.get(member.id) ?? member).addresses.map(formatAddress)
  })
  const learners = new Set(learnersOf(configuration))
  const present = configuration.members.filter((member) => member.role !== 'leaving')
  return {
    nodes: present.map(nodeOf),
    members: [...votersOf(configuration)],
    learners: present.filter((member) => learners.has(member.id)).map(nodeOf)
  }
}
