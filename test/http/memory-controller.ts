// The controller of a cluster of one that grows by what it is told (lib/testing), with a note of what was asked
// last: for the tests of the HTTP API and of the client. What may go wrong comes through `run`.

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
import type { ClusterState, RaftMetrics } from '../../lib/service/documents.ts'
import type { ReadOptions, RequestOptions } from '../../lib/service/node-api.ts'
import { DeterministicClusterController } from '../../lib/testing/deterministic-controller.ts'

type Run = <T>(options: RequestOptions | undefined, operation: () => T) => Promise<T>

export class MemoryController implements ClusterController {
  /** what was asked last */
  lastRequest: object | undefined
  readonly #run: Run
  readonly #cluster = new DeterministicClusterController()

  constructor(run: Run) {
    this.#run = run
    const founder = { key: 'ab'.repeat(32), addresses: ['127.0.0.1:4000'] }
    void this.#cluster.init({ initialMembers: [founder] }) // done when it returns
  }

  init(request: InitRequest, options?: RequestOptions): Promise<ClusterState> {
    return this.#did(request, options, () => this.#cluster.init(request))
  }

  addLearner(request: AddLearnerRequest, options?: RequestOptions): Promise<ClusterState> {
    return this.#did(request, options, () => this.#cluster.addLearner(request))
  }

  changeMembership(
    request: ChangeMembershipRequest,
    options?: RequestOptions
  ): Promise<ClusterState> {
    return this.#did(request, options, () => this.#cluster.changeMembership(request))
  }

  currentState(options?: ReadOptions): Promise<ClusterState> {
    return this.#did({}, options, () => this.#cluster.currentState())
  }

  getMetrics(): Promise<RaftMetrics> {
    return this.#did({}, undefined, () => this.#cluster.getMetrics())
  }

  getLeader(): Promise<number | null> {
    return this.#cluster.getLeader()
  }

  triggerSnapshot(options?: RequestOptions): Promise<SnapshotPlace> {
    return this.#did({}, options, () => this.#cluster.triggerSnapshot())
  }

  promoteLearner(request: PromoteLearnerRequest, options?: RequestOptions): Promise<Promotion> {
    return this.#did(request, options, () => this.#cluster.promoteLearner(request))
  }

  async removeMember(request: RemoveMemberRequest, options?: RequestOptions): Promise<Removal> {
    const removed = await this.#did(request, options, () => this.#cluster.removeMember(request))
    return { ...removed, revokedTickets: ['00000001'] }
  }

  transferLeadership(
    request: TransferLeadershipRequest = {},
    options?: RequestOptions
  ): Promise<{ readonly leader: number }> {
    return this.#did(request, options, () => this.#cluster.transferLeadership(request))
  }

  async #did<T>(
    request: object,
    options: RequestOptions | undefined,
    operation: () => Promise<T>
  ): Promise<T> {
    this.lastRequest = request
    return await this.#run(options, operation)
  }
}
