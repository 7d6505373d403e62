// The controller of a cluster that exists in one object, for tests of programs that use one: no nodes, no
// clock, no chance. Every change is carried out at once, is one entry of an imagined log, and is refused by
// the rules that a cluster has, with its codes; nobody is ever slow, unhealthy or out of reach.

import { ControlPlaneError } from '../errors.ts'
import type { ErrorCode } from '../errors.ts'
import { MAX_VOTERS } from '../limits.ts'
import type { NodeId } from '../node-id.ts'
import type {
  AddLearnerRequest,
  ChangeMembershipRequest,
  ClusterController,
  InitRequest,
  NodeSpec,
  PromoteLearnerRequest,
  Promotion,
  Removal,
  RemoveMemberRequest,
  SnapshotPlace,
  TransferLeadershipRequest
} from '../service/cluster-controller.ts'
import type { ClusterNode, ClusterState, RaftMetrics } from '../service/documents.ts'

const TERM = 1
const EPOCH_MS = Date.UTC(2026, 0, 1)
const KEY = /^[0-9a-f]{64}$/

/**
 * ```ts
 * const controller = new DeterministicClusterController()
 * await controller.init({ initialMembers: [{ key: 'aa'.repeat(32) }] })
 * await controller.addLearner({ learner: { key: 'bb'.repeat(32) } })
 * await controller.promoteLearner({ learnerId: 2 })
 * ```
 */
export class DeterministicClusterController implements ClusterController {
  readonly #nodes = new Map<NodeId, ClusterNode>()
  readonly #voters = new Set<NodeId>()
  readonly #removedKeys = new Set<string>()
  #leader: NodeId | null = null
  #nextId: NodeId = 1
  /** entries of the imagined log */
  #index = 0
  #snapshot: SnapshotPlace | null = null

  async init({ initialMembers }: InitRequest): Promise<ClusterState> {
    if (this.#leader !== null)
      throw refused('ALREADY_INITIALIZED', 'the cluster has been founded already')
    if (initialMembers.length === 0) {
      throw refused('INVALID_REQUEST', 'initial_members must not be empty')
    }
    const keys = new Set(initialMembers.map(({ key }) => key))
    if (keys.size < initialMembers.length) {
      throw refused('INVALID_REQUEST', 'a key is named twice in initial_members')
    }
    initialMembers.forEach((spec, at) => this.#checkSpec(spec, at + 1))
    for (const spec of initialMembers) this.#voters.add(this.#admit(spec).id)
    this.#leader = 1
    this.#index++
    return this.#state()
  }

  async addLearner({ learner }: AddLearnerRequest): Promise<ClusterState> {
    this.#checkInitialized()
    const known = [...this.#nodes.values()].find(({ key }) => key === learner.key)
    this.#checkSpec(learner, known?.id ?? this.#nextId)
    if (known !== undefined) return this.#state()
    this.#admit(learner)
    this.#index++
    return this.#state()
  }

  async changeMembership({ members, expected }: ChangeMembershipRequest): Promise<ClusterState> {
    this.#checkInitialized()
    if (members.length === 0) {
      throw refused('INVALID_REQUEST', 'members must include at least one voter')
    }
    for (const id of members) this.#node(id)
    if (expected !== undefined && ascending(expected).join() !== ascending(this.#voters).join()) {
      throw refused('CONDITION_FAILED', 'the voters are not those that were expected')
    }
    this.#setVoters(new Set(members))
    return this.#state()
  }

  async currentState(): Promise<ClusterState> {
    this.#checkInitialized()
    return this.#state()
  }

  async getMetrics(): Promise<RaftMetrics> {
    this.#checkInitialized()
    const last = { term: TERM, index: this.#index }
    const others = [...this.#nodes.keys()].filter((id) => id !== this.#leader)
    return {
      node_id: this.#leader ?? 1,
      state: 'Leader',
      current_leader: this.#leader,
      current_term: TERM,
      last_log_index: this.#index,
      last_applied: last,
      snapshot: this.#snapshot,
      replication: Object.fromEntries(others.map((id) => [String(id), last])),
      millis_since_quorum_ack: 0
    }
  }

  async getLeader(): Promise<NodeId | null> {
    return this.#leader
  }

  async triggerSnapshot(): Promise<SnapshotPlace> {
    this.#checkInitialized()
    if (this.#snapshot?.index !== this.#index) {
      this.#index++
      this.#snapshot = { term: TERM, index: this.#index }
    }
    return this.#snapshot ?? { term: TERM, index: this.#index }
  }

  async promoteLearner({ learnerId, replaceNode }: PromoteLearnerRequest): Promise<Promotion> {
    this.#checkInitialized()
    if (this.#voters.has(learnerId)) {
      throw refused('NOT_A_LEARNER', `Node ${learnerId} is not a learner (already a voter)`)
    }
    if (!this.#nodes.has(learnerId)) {
      throw refused('LEARNER_NOT_FOUND', `Learner ${learnerId} not found in cluster`)
    }
    if (replaceNode !== undefined && !this.#voters.has(replaceNode)) {
      throw refused('INVALID_REQUEST', `node ${replaceNode} is no voter that could be replaced`)
    }
    const previousVoters = ascending(this.#voters)
    const kept = previousVoters.filter((id) => id !== replaceNode)
    this.#setVoters(new Set([...kept, learnerId]))
    const timestamp = new Date(EPOCH_MS + this.#index).toISOString()
    return { learnerId, previousVoters, newVoters: ascending(this.#voters), timestamp }
  }

  async removeMember({ id }: RemoveMemberRequest): Promise<Removal> {
    this.#checkInitialized()
    const { key } = this.#node(id)
    const left = new Set([...this.#voters].filter((voter) => voter !== id))
    const [learner] = ascending(this.#nodes.keys()).filter((each) => !this.#voters.has(each))
    if (this.#voters.has(id) && learner !== undefined) left.add(learner)
    if (left.size === 0) throw refused('LAST_VOTER', 'the last voter cannot be removed')
    this.#nodes.delete(id)
    this.#removedKeys.add(key)
    this.#setVoters(left)
    return { ...this.#state(), revokedTickets: [] }
  }

  async transferLeadership({ target }: TransferLeadershipRequest = {}): Promise<{
    leader: NodeId
  }> {
    this.#checkInitialized()
    const leader =
      target ?? ascending(this.#voters).find((id) => id !== this.#leader) ?? this.#leader
    if (leader === null || !this.#voters.has(this.#node(leader).id)) {
      throw refused('INVALID_REQUEST', `node ${leader} is no voter`)
    }
    this.#leader = leader
    return { leader }
  }

  #state(): ClusterState {
    const nodes = [...this.#nodes.values()]
    const learners = nodes.filter(({ id }) => !this.#voters.has(id))
    return { nodes, members: ascending(this.#voters), learners }
  }

  #admit({ key, addresses = [] }: NodeSpec): ClusterNode {
    const node = { id: this.#nextId++, key, addresses: [...addresses] }
    this.#nodes.set(node.id, node)
    return node
  }

  #setVoters(voters: ReadonlySet<NodeId>): void {
    if (voters.size > MAX_VOTERS) {
      const message = `Maximum voters (${MAX_VOTERS}) would be exceeded`
      throw refused('MAX_VOTERS_EXCEEDED', message)
    }
    this.#voters.clear()
    for (const id of voters) this.#voters.add(id)
    if (this.#leader === null || !voters.has(this.#leader))
      this.#leader = ascending(voters)[0] ?? null
    this.#index++
  }

  #node(id: NodeId): ClusterNode {
    const node = this.#nodes.get(id)
    if (node === undefined) throw refused('MEMBER_NOT_FOUND', `there is no node ${id}`)
    return node
  }

  #checkInitialized(): void {
    if (this.#leader === null) throw refused('NOT_INITIALIZED', 'cluster not initialized')
  }

  #checkSpec({ key, id }: NodeSpec, expected: NodeId): void {
    if (!KEY.test(key)) throw refused('INVALID_REQUEST', 'a key is 64 hexadecimal digits')
    if (this.#removedKeys.has(key)) {
      throw refused(
        'MEMBER_REMOVED',
        'the node with this key was removed, which is final for the key'
      )
    }
    if (id !== undefined && id !== expected) {
      throw refused('INVALID_REQUEST', `the cluster assigns ids: this node's is ${expected}`)
    }
  }
}

function ascending(ids: Iterable<NodeId>): NodeId[] {
  return [...ids].toSorted((a, b) => a - b)
}

function refused(code: ErrorCode, message: string): ControlPlaneError {
  return new ControlPlaneError({ code, message })
}
