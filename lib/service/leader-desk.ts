// Where a leader carries out whole operations on the cluster, for itself and for the members that ask. What
// changes members, voters or the leader goes one at a time; the others, up to MAX_PENDING_OPERATIONS. A node
// that does not lead, or not any more, says so before anything has happened, and the asker finds the next one.

import { unreachable } from '../assert.ts'
import { until } from '../clock.ts'
import type { PromotionOrder } from '../cluster/promotion.ts'
import { planPromotion } from '../cluster/promotion.ts'
import type { Sight } from '../cluster/sight.ts'
import { isCaughtUp, isInSight, lagOf } from '../cluster/sight.ts'
import type { ChangePlan } from '../cluster/voter-changes.ts'
import { memberNotFound, planRemoval, planVoters } from '../cluster/voter-changes.ts'
import type { ErrorDetail } from '../errors.ts'
import { REJOIN_HINT } from '../errors.ts'
import { MANY_VOTERS, MAX_MEMBER_OPERATIONS, MAX_PENDING_OPERATIONS } from '../limits.ts'
import type { NodeId } from '../node-id.ts'
import { memberOf, votersOf } from '../raft/configuration.ts'
import { majorityOf } from '../raft/quorum.ts'
import type { Outcome } from '../replica/proposals.ts'
import type { Transport } from '../transport/transport.ts'
import type { ConfigurationChangerParts, Deadline } from './configuration-changer.ts'
import { ConfigurationChanger, failed, LOOK_MS, within } from './configuration-changer.ts'
import {
  changeInProgress,
  noLeaderError,
  operationTimeout,
  operationUnknown,
  transferRefused
} from './control-errors.ts'
import { overloadedError } from './forwarding-errors.ts'
import type { ClusterOperation, OperationEnd } from './operations.ts'

export interface LeaderDeskParts extends ConfigurationChangerParts {
  readonly id: NodeId
  readonly heartbeatMs: number
  readonly isLinked: Transport['isLinked']
  /** hands leadership over to one of these, if this node leads; resolves when it is tried */
  readonly handOver: (mayTake: (id: NodeId) => boolean) => Promise<void>
  /** what makes a voter unfit to lead, as far as this leader knows; null for nothing */
  readonly whyUnfit: (id: NodeId) => string | null
  readonly snapshots: SnapshotProposer
  readonly events: {
    info(fields: object, message: string): void
    warn(fields: object, message: string): void
  }
}

/** How a leader makes every member snapshot at one entry. */
export interface SnapshotProposer {
  /** whether every member knows such an entry; may bring about that they do */
  isSupported(): boolean
  propose(onOutcome: (outcome: Outcome) => void): void
}

type OperationOf<Kind extends ClusterOperation['kind']> = Extract<ClusterOperation, { kind: Kind }>

export class LeaderDesk {
  readonly #parts: LeaderDeskParts
  readonly #changer: ConfigurationChanger
  /** operations in progress, by who asked */
  readonly #counts = new Map<NodeId, number>()
  /** an operation of the kind that goes one at a time */
  #isChanging = false

  constructor(parts: LeaderDeskParts) {
    this.#parts = parts
    this.#changer = new ConfigurationChanger(parts)
  }

  /** For the member `from`. Ends within the time; never rejects for an operating error. */
  async carryOut(
    operation: ClusterOperation,
    timeoutMs: number,
    from: NodeId
  ): Promise<OperationEnd> {
    if (!this.#maybeEnter(from)) return failed(overloadedError('the leader').detail)
    try {
      // of the asker's time something is kept for the answer, which says more than a deadline
      const forMs = Math.max(timeoutMs / 2, timeoutMs - ANSWER_MARGIN_MS)
      const deadline = { atMs: this.#parts.clock.nowMs() + forMs, timeoutMs }
      if (!(await this.#begins(deadline))) return { kind: 'again' }
      // whoever asked may have been removed by what was applied meanwhile
      if (!this.#isNode(from)) return failed(removedError(from))
      return await this.#carryOut(operation, deadline, from)
    } finally {
      this.#leave(from)
    }
  }

  /** Whether there is room for one more of this member. */
  #maybeEnter(from: NodeId): boolean {
    const count = this.#counts.get(from) ?? 0
    const all = [...this.#counts.values()].reduce((sum, each) => sum + each, 0)
    const isOwn = from === this.#parts.id
    if (all >= MAX_PENDING_OPERATIONS || (!isOwn && count >= MAX_MEMBER_OPERATIONS)) return false
    this.#counts.set(from, count + 1)
    return true
  }

  #leave(from: NodeId): void {
    const left = (this.#counts.get(from) ?? 1) - 1
    if (left === 0) this.#counts.delete(from)
    else this.#counts.set(from, left)
  }

  #isNode(id: NodeId): boolean {
    return this.#parts.stateMachine.trust().nodes.some((node) => node.id === id)
  }

  async #carryOut(
    operation: ClusterOperation,
    deadline: Deadline,
    from: NodeId
  ): Promise<OperationEnd> {
    switch (operation.kind) {
      case 'changeVoters':
        return await this.#alone(deadline, () => this.#changeVoters(operation, deadline))
      case 'promote':
        return await this.#alone(deadline, () => this.#promote(operation, deadline))
      case 'remove':
        return await this.#alone(deadline, () => this.#remove(operation, deadline, from))
      case 'transfer':
        return await this.#alone(deadline, () => this.#transfer(operation, deadline))
      case 'snapshot':
        return await this.#snapshot(operation, deadline)
      case 'awaitLearner':
        return await this.#awaitLearner(operation, deadline)
      default:
        return unreachable(operation)
    }
  }

  /** Leads, and has applied all that earlier leaders committed; waits for that. */
  async #begins({ atMs }: Deadline): Promise<boolean> {
    const { replica, stateMachine } = this.#parts
    const hasBegun = (): boolean => stateMachine.applied().term === replica.status.term
    const isOver = (): boolean => !this.#leads() || hasBegun()
    await until(this.#parts, isOver, { deadlineMs: atMs, everyMs: LOOK_MS })
    return this.#leads() && hasBegun()
  }

  async #alone(deadline: Deadline, run: () => Promise<OperationEnd>): Promise<OperationEnd> {
    if (this.#isChanging) return failed(changeInProgress())
    this.#isChanging = true
    try {
      const isSettled = await this.#changer.isSettled(deadline)
      if (!this.#leads()) return { kind: 'again' }
      return isSettled ? await run() : failed(changeInProgress())
    } finally {
      this.#isChanging = false
    }
  }

  async #changeVoters({ members, expected }: OperationOf<'changeVoters'>, deadline: Deadline) {
    return await this.#carryPlan(planVoters(members, this.#sight(), expected), deadline)
  }

  async #promote(order: PromotionOrder, deadline: Deadline): Promise<OperationEnd> {
    const { stateMachine, replica } = this.#parts
    const plan = planPromotion(order, {
      logTimeMs: replica.status.logTimeMs,
      votersChangedMs: stateMachine.applied().votersChangedMs,
      sight: this.#sight()
    })
    return await this.#carryPlan(plan, deadline)
  }

  async #remove(
    { id, force }: OperationOf<'remove'>,
    deadline: Deadline,
    from: NodeId
  ): Promise<OperationEnd> {
    const { stateMachine } = this.#parts
    const { nodes } = stateMachine.trust()
    const mayVote = new Set(nodes.filter(({ role }) => role === 'voter').map((node) => node.id))
    const isEligible = (other: NodeId): boolean => mayVote.has(other)
    const plan = planRemoval({ id, force, isEligible }, this.#sight())
    if (id !== this.#parts.id || plan.kind !== 'planned') {
      return await this.#carryPlan(plan, deadline, id === from)
    }
    return await this.#leaveTo(plan.change.promote, deadline)
  }

  /** A leader removes nobody less than itself: it hands over, and the next one is asked to remove it. */
  async #leaveTo(substitutes: readonly NodeId[], deadline: Deadline): Promise<OperationEnd> {
    const { id, replica, handOver } = this.#parts
    const isAlone = votersOf(replica.status.configuration).length === 1
    if (isAlone) {
      const change = { add: [], promote: substitutes, demote: [], remove: [] }
      const end = await this.#changer.carryThrough(change, deadline)
      if (end.kind !== 'done') return end
    }
    const candidates = this.#candidates()
    await handOver((other) => candidates.includes(other))
    const isOver = await this.#isTransferOver(deadline)
    if (!this.#leads()) return { kind: 'again' }
    const state = isOver ? `node ${id} leads, and no other voter can take over` : HANDING_OVER
    // another votes since, so it is no refusal any more
    if (isAlone || !isOver) return failed(operationTimeout(deadline.timeoutMs, state).detail)
    return failed(transferRefused(state))
  }

  async #carryPlan(plan: ChangePlan, deadline: Deadline, onlyBegun = false): Promise<OperationEnd> {
    if (plan.kind === 'refused') return failed(plan.error)
    if (plan.kind === 'nothing') {
      return { kind: 'done', result: { kind: 'changed', ...this.#changer.changed() } }
    }
    const end = await this.#changer.carryThrough(plan.change, deadline, onlyBegun)
    if (end.kind === 'done') this.#tell(plan)
    return end
  }

  #tell({ change, voters }: ChangePlan & { readonly kind: 'planned' }): void {
    const { events } = this.#parts
    const fields = { event: 'cluster.voters', voters }
    const tolerated = voters.length - majorityOf(voters.length)
    for (const removed of change.remove) {
      events.info({ event: 'cluster.removed', member: removed }, 'removed a member for good')
    }
    if (voters.length > MANY_VOTERS) {
      events.warn(fields, `each write now waits for a majority of ${voters.length} voters`)
    }
    if (tolerated === 0) events.warn(fields, 'from now on no voter may fail')
  }

  async #transfer({ target }: OperationOf<'transfer'>, deadline: Deadline): Promise<OperationEnd> {
    const { id, replica, handOver } = this.#parts
    if (target === id) return { kind: 'done', result: { kind: 'transferred', leader: id } }
    const error = target === null ? null : this.#whyNotTo(target)
    if (error !== null) return error
    const candidates = target === null ? this.#candidates() : [target]
    if (candidates.length === 0) {
      return failed(transferRefused('no other voter is in sight and fit to lead'))
    }
    await handOver((other) => candidates.includes(other))
    const isOver = await this.#isTransferOver(deadline)
    const { leader } = replica.status
    if (leader === null || !isOver) {
      const state = isOver ? 'leadership was handed over, and no leader is known yet' : HANDING_OVER
      return failed(operationTimeout(deadline.timeoutMs, state).detail)
    }
    if (leader !== id) return { kind: 'done', result: { kind: 'transferred', leader } }
    const who = target === null ? 'nobody has' : `node ${target} has not`
    return failed(transferRefused(`${who} taken over in time; node ${id} leads`))
  }

  /** Whether a leader is known and nobody is being asked to take over any more; waits for that. */
  async #isTransferOver({ atMs }: Deadline): Promise<boolean> {
    const { replica, isOpen } = this.#parts
    const isOver = (): boolean => {
      const { leader, transferTarget } = replica.status
      return (leader !== null && transferTarget === null) || !isOpen()
    }
    await until(this.#parts, isOver, { deadlineMs: atMs, everyMs: LOOK_MS })
    return replica.status.transferTarget === null
  }

  #whyNotTo(target: NodeId): OperationEnd | null {
    const sight = this.#sight()
    const member = memberOf(sight.status.configuration, target)
    if (member === undefined) return failed(memberNotFound(target))
    if (member.role !== 'voter') {
      return failed(
        transferRefused(`node ${target} is a ${member.role}, and only a voter can lead`)
      )
    }
    if (!isInSight(sight, target)) {
      return failed(transferRefused(`node ${target} is not in reach of the leader`))
    }
    const unfit = this.#parts.whyUnfit(target)
    return unfit === null ? null : failed(transferRefused(`node ${target} is not fit: ${unfit}`))
  }

  /** Other voters that could lead now. */
  #candidates(): readonly NodeId[] {
    const { id, whyUnfit } = this.#parts
    const sight = this.#sight()
    return votersOf(sight.status.configuration).filter(
      (voter) => voter !== id && isInSight(sight, voter) && whyUnfit(voter) === null
    )
  }

  /** Where the asker has one of the very last entry there is nothing to make. */
  async #snapshot({ newest }: OperationOf<'snapshot'>, deadline: Deadline): Promise<OperationEnd> {
    const { atMs, timeoutMs } = deadline
    const { replica, snapshots } = this.#parts
    if (newest === replica.status.lastIndex) return snapshotAt(newest)
    const isOver = (): boolean => !this.#leads() || snapshots.isSupported()
    const isInTime = await until(this.#parts, isOver, { deadlineMs: atMs, everyMs: LOOK_MS })
    if (!this.#leads()) return { kind: 'again' }
    if (!isInTime) {
      const cause = 'not every member says that it can snapshot at a common entry'
      return failed(noLeaderError(timeoutMs, cause).detail)
    }
    const outcome = await within(this.#parts, deadline, (onOutcome) => snapshots.propose(onOutcome))
    if (outcome === 'deadline') {
      return failed(operationTimeout(timeoutMs, 'the entry for it is not committed').detail)
    }
    if (outcome.kind === 'unknown') return failed(operationUnknown())
    return outcome.kind === 'done' ? snapshotAt(outcome.index) : { kind: 'again' }
  }

  async #awaitLearner(
    { id }: OperationOf<'awaitLearner'>,
    { atMs, timeoutMs }: Deadline
  ): Promise<OperationEnd> {
    const isOver = (): boolean =>
      !this.#leads() || !this.#isNode(id) || this.#whatIsMissingOf(id) === null
    await until(this.#parts, isOver, { deadlineMs: atMs, everyMs: LEARNER_LOOK_MS })
    if (!this.#leads()) return { kind: 'again' }
    if (!this.#isNode(id)) return failed(this.#whyNoNode(id))
    const missing = this.#whatIsMissingOf(id)
    if (missing !== null) return failed(operationTimeout(timeoutMs, missing).detail)
    return { kind: 'done', result: { kind: 'changed', ...this.#changer.changed() } }
  }

  #whyNoNode(id: NodeId): ErrorDetail {
    const isRemoved = this.#parts.stateMachine.trust().removed.some((node) => node.id === id)
    return isRemoved ? removedError(id) : memberNotFound(id)
  }

  /** What keeps a node from being a caught-up member, in words; null for nothing. */
  #whatIsMissingOf(id: NodeId): string | null {
    const { configuration } = this.#parts.stateMachine.applied()
    const sight = this.#sight()
    if (memberOf(configuration, id) === undefined) {
      return `node ${id} is admitted, and the configuration with it is on its way`
    }
    if (!isInSight(sight, id)) {
      return `node ${id} is admitted and has not connected yet: start it, and it goes on by itself`
    }
    if (isCaughtUp(sight, id)) return null
    return `node ${id} has connected and is ${lagOf(sight, id) ?? 'all'} entries behind`
  }

  #leads(): boolean {
    return this.#parts.isOpen() && this.#parts.replica.status.role === 'leader'
  }

  #sight(): Sight {
    const { id, replica, isLinked, clock, heartbeatMs } = this.#parts
    return { id, status: replica.status, isLinked, nowMs: clock.nowMs(), heartbeatMs }
  }
}

const ANSWER_MARGIN_MS = 200
/** Many may wait at once, and a learner takes its time. */
const LEARNER_LOOK_MS = 50
const HANDING_OVER = 'leadership is being handed over'

/** Nobody asks anything for a node that is gone, and nobody waits for it. */
function removedError(id: NodeId): ErrorDetail {
  return {
    code: 'MEMBER_REMOVED',
    message: `node ${id} was removed from the cluster`,
    hint: REJOIN_HINT,
    fields: { id }
  }
}

function snapshotAt(index: number): OperationEnd {
  return { kind: 'done', result: { kind: 'snapshotAt', index } }
}
