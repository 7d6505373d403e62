// A controller of a cluster of one that grows by what it is told, in memory: for the tests of the HTTP API
// and of the client. What may go wrong comes through `run`.

import { ControlPlaneError } from '../../lib/errors.ts'
import type { NodeId } from '../../lib/node-id.ts'
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
} from '../../lib/service/cluster-controller.ts'
import type { ClusterNode, ClusterState, RaftMetrics } from '../../lib/service/documents.ts'
import type { ReadOptions, RequestOptions } from '../../lib/service/node-api.ts'

type Run = <T>(options: RequestOptions | undefined, operation: () => T) => Promise<T>

export class MemoryController implements ClusterController {
  /** what was asked last */
  lastRequest: object | undefined
  readonly #run: Run
  #nodes: ClusterNode[] = [{ id: 1, key: 'ab'.repeat(32), addresses: ['127.0.0.1:4000'] }]
  #voters: readonly NodeId[] = [1]
  #leader: NodeId = 1
  #index = 10

  constructor(run: Run) {
    this.#run = run
  }

  init(request: InitRequest, options?: RequestOptions): Promise<ClusterState> {
    return this.#did(request, options, () => {
      throw new ControlPlaneError({ code: 'ALREADY_INITIALIZED', message: 'there is a cluster' })
    })
  }

  addLearner(request: AddLearnerRequest, options?: RequestOptions): Promise<ClusterState> {
    return this.#did(request, options, () => {
      const { key, addresses = [] } = request.learner
      const isKnown = this.#nodes.some((node) => node.key === key)
      const id = this.#nodes.length + 1
      if (!isKnown) this.#nodes.push({ id, key, addresses: [...addresses] })
      return this.#state()
    })
  }

  changeMembership(
    request: ChangeMembershipRequest,
    options?: RequestOptions
  ): Promise<ClusterState> {
    return this.#did(request, options, () => {
      for (const id of request.members) this.#find(id)
      this.#voters = [...request.members]
      return this.#state()
    })
  }

  currentState(options?: ReadOptions): Promise<ClusterState> {
    return this.#did({}, options, () => this.#state())
  }

  getMetrics(): Promise<RaftMetrics> {
    return this.#did({}, undefined, () => ({
      node_id: 1,
      state: 'Leader' as const,
      current_leader: this.#leader,
      current_term: 2,
      last_log_index: this.#index,
      last_applied: { term: 2, index: this.#index },
      snapshot: null,
      replication: {},
      millis_since_quorum_ack: 0
    }))
  }

  getLeader(): Promise<NodeId | null> {
    return Promise.resolve(this.#leader)
  }

  triggerSnapshot(options?: RequestOptions): Promise<SnapshotPlace> {
    return this.#did({}, options, () => ({ term: 2, index: this.#index }))
  }

  promoteLearner(request: PromoteLearnerRequest, options?: RequestOptions): Promise<Promotion> {
    return this.#did(request, options, () => {
      const { learnerId, replaceNode } = request
      if (this.#voters.includes(learnerId)) {
        throw new ControlPlaneError({ code: 'INVALID_REQUEST', message: 'it votes already' })
      }
      const previousVoters = this.#voters
      const kept = previousVoters.filter((id) => id !== replaceNode)
      this.#voters = [...kept, this.#find(learnerId).id].toSorted((a, b) => a - b)
      const timestamp = new Date(0).toISOString()
      return { learnerId, previousVoters, newVoters: this.#voters, timestamp }
    })
  }

  removeMember(request: RemoveMemberRequest, options?: RequestOptions): Promise<Removal> {
    return this.#did(request, options, () => {
      const { id } = this.#find(request.id)
      this.#nodes = this.#nodes.filter((node) => node.id !== id)
      this.#voters = this.#voters.filter((voter) => voter !== id)
      return { ...this.#state(), revokedTickets: ['00000001'] }
    })
  }

  transferLeadership(
    request: TransferLeadershipRequest = {},
    options?: RequestOptions
  ): Promise<{ readonly leader: NodeId }> {
    return this.#did(request, options, () => {
      this.#leader = this.#find(request.target ?? this.#voters.at(-1) ?? 0).id
      return { leader: this.#leader }
    })
  }

  #did<T>(request: object, options: RequestOptions | undefined, operation: () => T): Promise<T> {
    this.lastRequest = request
    return this.#run(options, operation)
  }

  #find(id: NodeId): ClusterNode {
    const node = this.#nodes.find((one) => one.id === id)
    if (node !== undefined) return node
    throw new ControlPlaneError({ code: 'MEMBER_NOT_FOUND', message: `no member has the id ${id}` })
  }

  #state(): ClusterState {
    const isVoter = (node: ClusterNode): boolean => this.#voters.includes(node.id)
    const learners = this.#nodes.filter((node) => !isVoter(node))
    return { nodes: [...this.#nodes], members: [...this.#voters], learners }
  }
}
