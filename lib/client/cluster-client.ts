// The controller of a cluster (service/cluster-controller.ts) over the HTTP API of any of its nodes.

import { DEFAULT_REQUEST_TIMEOUT_MS } from '../limits.ts'
import type { NodeId } from '../node-id.ts'
import type {
  AddLearnerRequest,
  ChangeMembershipRequest,
  ClusterController,
  InitRequest,
  PromoteLearnerRequest,
  Promotion,
  Removal,
  RemoveMemberRequest,
  SnapshotPlace,
  TransferLeadershipRequest
} from '../service/cluster-controller.ts'
import type { ClusterState, RaftMetrics } from '../service/documents.ts'
import type { ReadOptions, RequestOptions } from '../service/node-api.ts'
import type { Connection } from './connection.ts'
import type { Shape } from './shapes.ts'
import { shapes } from './shapes.ts'

export class ClusterClient implements ClusterController {
  readonly #connection: Connection

  constructor(connection: Connection) {
    this.#connection = connection
  }

  init({ initialMembers }: InitRequest, options?: RequestOptions): Promise<ClusterState> {
    const body = { initial_members: initialMembers }
    return this.#change({ path: '/cluster/init', body, shape: shapes.clusterState }, options)
  }

  addLearner({ learner }: AddLearnerRequest, options?: RequestOptions): Promise<ClusterState> {
    const shape = shapes.clusterState
    return this.#change({ path: '/cluster/add-learner', body: { learner }, shape }, options)
  }

  changeMembership(
    { members, expected }: ChangeMembershipRequest,
    options?: RequestOptions
  ): Promise<ClusterState> {
    const shape = shapes.clusterState
    const body = { members, expected_members: expected }
    return this.#change({ path: '/cluster/change-membership', body, shape }, options)
  }

  currentState(options: ReadOptions = {}): Promise<ClusterState> {
    const { consistency = 'linearizable', timeoutMs = DEFAULT_REQUEST_TIMEOUT_MS } = options
    const path = `/cluster/state?consistency=${consistency}&timeout_ms=${timeoutMs}`
    return this.#connection.ask({ method: 'GET', path, shape: shapes.clusterState, timeoutMs })
  }

  getMetrics(): Promise<RaftMetrics> {
    const shape = shapes.raftMetrics
    return this.#connection.ask({ method: 'GET', path: '/raft-metrics', shape, isImmediate: true })
  }

  async getLeader(): Promise<NodeId | null> {
    const asked = { method: 'GET', path: '/leader', shape: shapes.leader } as const
    return (await this.#connection.ask({ ...asked, isImmediate: true })).leader
  }

  async triggerSnapshot(options?: RequestOptions): Promise<SnapshotPlace> {
    const shape = shapes.snapshot
    const path = '/admin/trigger-snapshot'
    return (await this.#change({ path, body: {}, shape }, options)).snapshot
  }

  async promoteLearner(
    { learnerId, replaceNode, force }: PromoteLearnerRequest,
    options?: RequestOptions
  ): Promise<Promotion> {
    const body = { learner_id: learnerId, replace_node: replaceNode, force }
    const { learner_id, previous_voters, new_voters, timestamp } = await this.#change(
      { path: '/admin/promote-learner', body, shape: shapes.promotion },
      options
    )
    return {
      learnerId: learner_id,
      previousVoters: previous_voters,
      newVoters: new_voters,
      timestamp
    }
  }

  async removeMember(
    { id, force }: RemoveMemberRequest,
    options?: RequestOptions
  ): Promise<Removal> {
    const { revoked_tickets: revokedTickets, ...state } = await this.#change(
      { path: '/cluster/remove-member', body: { id, force }, shape: shapes.removal },
      options
    )
    return { ...state, revokedTickets }
  }

  async transferLeadership(
    { target }: TransferLeadershipRequest = {},
    options?: RequestOptions
  ): Promise<{ readonly leader: NodeId }> {
    const path = '/cluster/transfer-leadership'
    const { leader } = await this.#change(
      { path, body: { target }, shape: shapes.transfer },
      options
    )
    return { leader }
  }

  /** Never carried out twice. */
  #change<T>(
    { path, body, shape }: { path: string; body: object; shape: Shape<T> },
    { timeoutMs }: RequestOptions = {}
  ): Promise<T> {
    const question = { method: 'POST', path, shape, isWrite: true, timeoutMs } as const
    return this.#connection.ask({ ...question, body: { ...body, timeout_ms: timeoutMs } })
  }
}
