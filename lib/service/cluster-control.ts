// The controller of a node that belongs to a cluster: what it knows itself it answers from its own state,
// what only the leader can do it asks of whoever leads.

import { formatAddress, parseAddress } from '../address.ts'
import type { AdmittedByKey, NodeToAdmit } from '../cluster/admission-by-key.ts'
import { PUBLIC_KEY_BYTES } from '../crypto.ts'
import { bytesFromHex, hexOf } from '../encoding.ts'
import { tooManyVoters } from '../cluster/voter-changes.ts'
import { AspenError, CODES, ControlPlaneError } from '../errors.ts'
import { MAX_MEMBERS } from '../limits.ts'
import type { NodeId } from '../node-id.ts'
import { isNodeId } from '../node-id.ts'
import type { Configuration, Member } from '../raft/configuration.ts'
import { learnersOf, votersOf } from '../raft/configuration.ts'
import type {
  Applied,
  NodeRecord,
  Snapshots,
  StateMachine
} from '../state-machine/state-machine.ts'
import type {
  AddLearnerRequest,
  ChangeMembershipRequest,
  ClusterController,
  NodeSpec,
  PromoteLearnerRequest,
  Promotion,
  Removal,
  RemoveMemberRequest,
  SnapshotPlace,
  TransferLeadershipRequest
} from './cluster-controller.ts'
import type { ClusterNode, ClusterState, RaftMetrics } from './documents.ts'
import type { Forwarder } from './forwarding.ts'
import { timeoutOf } from './request-timeout.ts'
import type { ReadOptions, RequestOptions } from './node-api.ts'
import type { OperationLane } from './operation-lane.ts'
import type { Changed, ChangingOperation } from './operations.ts'
import type { RaftMetricsParts } from './raft-metrics.ts'
import { raftMetricsOf } from './raft-metrics.ts'
import type { SnapshotMaker } from './snapshot-maker.ts'

export interface ClusterControlParts extends RaftMetricsParts {
  readonly stateMachine: Pick<StateMachine, 'trust'> & {
    applied(): Pick<Applied, 'index' | 'term' | 'configuration'>
    readonly snapshots: Pick<Snapshots, 'list'>
  }
  readonly forwarder: Pick<Forwarder, 'confirmRead' | 'checkOpen' | 'waitApplied'>
  readonly lane: Pick<OperationLane, 'ask'>
  readonly snapshots: Pick<SnapshotMaker, 'make'>
  /** resolves when the node is in the registry; rejects with a ControlPlaneError */
  readonly admit: (spec: NodeToAdmit, timeoutMs: number) => Promise<AdmittedByKey>
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

  async addLearner(
    request: AddLearnerRequest,
    options: RequestOptions = {}
  ): Promise<ClusterState> {
    const deadline = this.#deadlineOf(options)
    const { id, isNew } = await this.#parts.admit(nodeToAdmit(request.learner), deadline.leftMs())
    try {
      return await this.#changed({ kind: 'awaitLearner', id }, deadline)
    } catch (error) {
      throw isNew ? sinceAdmitted(id, error) : error
    }
  }

  async changeMembership(
    { members, expected }: ChangeMembershipRequest,
    options: RequestOptions = {}
  ): Promise<ClusterState> {
    for (const id of [...members, ...(expected ?? [])]) checkId(id)
    // so many belong to no cluster, and would not fit the request to its leader
    const count = Math.max(members.length, expected?.length ?? 0)
    if (count > MAX_MEMBERS) throw new ControlPlaneError(tooManyVoters())
    return await this.#changed(
      { kind: 'changeVoters', members, expected: expected ?? null },
      this.#deadlineOf(options)
    )
  }

  async triggerSnapshot(options: RequestOptions = {}): Promise<SnapshotPlace> {
    return await this.#parts.snapshots.make(timeoutOf(options))
  }

  async promoteLearner(
    request: PromoteLearnerRequest,
    options: RequestOptions = {}
  ): Promise<Promotion> {
    const { learnerId, replaceNode = null, force = false } = request
    checkId(learnerId)
    if (replaceNode !== null) checkId(replaceNode)
    const operation = { kind: 'promote', learnerId, replaceNode, force } as const
    const { previousVoters, configuration, timeMs } = await this.#carriedOut(
      operation,
      this.#deadlineOf(options)
    )
    const timestamp = new Date(timeMs).toISOString()
    return { learnerId, previousVoters, newVoters: votersOf(configuration), timestamp }
  }

  async removeMember(
    { id, force = false }: RemoveMemberRequest,
    options: RequestOptions = {}
  ): Promise<Removal> {
    checkId(id)
    const operation = { kind: 'remove', id, force } as const
    const changed = await this.#carriedOut(operation, this.#deadlineOf(options))
    return { ...clusterStateOf(changed.configuration), revokedTickets: changed.revokedTickets }
  }

  async transferLeadership(
    { target }: TransferLeadershipRequest = {},
    options: RequestOptions = {}
  ): Promise<{ readonly leader: NodeId }> {
    if (target !== undefined) checkId(target)
    const { lane } = this.#parts
    const operation = { kind: 'transfer', target: target ?? null } as const
    const { leader } = await lane.ask(operation, timeoutOf(options))
    return { leader }
  }

  async #changed(operation: ChangingOperation, deadline: Deadline): Promise<ClusterState> {
    return clusterStateOf((await this.#carriedOut(operation, deadline)).configuration)
  }

  /** Carried out by the leader; and, if that does not take long, applied here. */
  async #carriedOut(operation: ChangingOperation, deadline: Deadline): Promise<Changed> {
    const { id, lane, forwarder } = this.#parts
    const changed = await lane.ask(operation, deadline.leftMs(), deadline.timeoutMs)
    if (operation.kind === 'remove' && operation.id === id) return changed
    const waitMs = Math.min(deadline.leftMs(), APPLIED_HERE_MS)
    // it is done whether this node hears of it soon or not
    await forwarder.waitApplied(changed.index, waitMs).catch(() => null)
    return changed
  }

  /** One deadline for all that an operation waits for; at least 1 ms is left, so that it can fail properly. */
  #deadlineOf(options: RequestOptions): Deadline {
    const { clock } = this.#parts
    const timeoutMs = timeoutOf(options)
    const atMs = clock.nowMs() + timeoutMs
    return { timeoutMs, leftMs: () => Math.max(1, atMs - clock.nowMs()) }
  }

  /** As applied here; until anything of the kind is, as this node was told when it joined. */
  #state(): ClusterState {
    const { stateMachine, configuration } = this.#parts
    const applied = stateMachine.applied().configuration
    const known = applied.members.length > 0 ? applied : configuration()
    return clusterStateOf(known, stateMachine.trust().nodes)
  }
}

/** By then something has happened: that nobody could be asked how it goes on is no refusal any more. */
function sinceAdmitted(id: NodeId, error: unknown): unknown {
  const isRefusal = error instanceof AspenError && error.outcome === 'refused'
  if (!isRefusal || !CODES[error.code].isRetryable) return error
  return new ControlPlaneError(
    {
      code: 'OUTCOME_UNKNOWN',
      message: `node ${id} is admitted; whether it has caught up is not known: ${error.message}`,
      hint: 'ask again: a node is admitted once'
    },
    { cause: error }
  )
}

/** How long a node that asked waits until it has applied what the leader has carried out. */
const APPLIED_HERE_MS = 1_000

interface Deadline {
  readonly timeoutMs: number
  leftMs(): number
}

/** @throws ControlPlaneError INVALID_REQUEST */
function checkId(id: NodeId): void {
  if (!isNodeId(id)) throw invalid('a node id is a whole number, at least 1')
}

/** @throws ControlPlaneError INVALID_REQUEST */
function nodeToAdmit({ key, id, name, addresses = [] }: NodeSpec): NodeToAdmit {
  const publicKey = bytesFromHex(key.toLowerCase(), PUBLIC_KEY_BYTES)
  if (publicKey === null) throw invalid('the key of a node is 64 hex digits')
  if (id !== undefined) checkId(id)
  const parsed = addresses.map((text) => {
    const address = parseAddress(text)
    if (address === null) throw invalid(`${JSON.stringify(text)} is no IPv4 address and port`)
    return address
  })
  // whoever adds a learner decides when it votes
  return {
    publicKey,
    name: name ?? null,
    addresses: parsed,
    role: 'learner',
    expectedId: id ?? null
  }
}

function invalid(reason: string): ControlPlaneError {
  return new ControlPlaneError({
    code: 'INVALID_REQUEST',
    message: `invalid request: ${reason}`
  })
}

/** `records`: what is known of the members beside the configuration. */
function clusterStateOf(
  configuration: Configuration,
  records: readonly NodeRecord[] = []
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
