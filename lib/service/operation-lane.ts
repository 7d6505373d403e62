// The way of an operation on the cluster to whoever leads: this node itself, or another one in one hop. Before
// anything has left it waits for a leader until its deadline. What has left is not sent again: it ends with the
// leader's answer, or nobody knows how; only what may be carried out twice is asked again of the next leader.

import type { Clock, Timers } from '../clock.ts'
import { sleep } from '../clock.ts'
import { decode, encode } from '../encoding.ts'
import { ControlPlaneError, ProtocolError } from '../errors.ts'
import type { NodeId } from '../node-id.ts'
import type { Replica } from '../replica/replica.ts'
import type { RequestAnswer, Transport } from '../transport/transport.ts'
import { noLeaderError, operationTimeout, operationUnknown } from './control-errors.ts'
import { leaderAnswer, leaderRequest } from './encoding.ts'
import { rejectedError } from './forwarding-errors.ts'
import type { LeaderDesk } from './leader-desk.ts'
import type { ClusterOperation, OperationEnd, OperationResult, ResultOf } from './operations.ts'
import { isRepeatable } from './operations.ts'

export interface OperationLaneParts {
  readonly id: NodeId
  readonly clock: Clock
  readonly timers: Timers
  readonly replica: Pick<Replica, 'status'>
  readonly request: Transport['request']
  readonly desk: Pick<LeaderDesk, 'carryOut'>
  /** this node has not ended */
  readonly isOpen: () => boolean
}

/** How one attempt ended. */
type Attempt =
  | OperationEnd
  /** it has left, and no answer came: the link is gone, or the answer cannot be read */
  | { readonly kind: 'lost' }
  | { readonly kind: 'rejected' }
  | { readonly kind: 'deadline' }

export class OperationLane {
  readonly #parts: OperationLaneParts

  constructor(parts: OperationLaneParts) {
    this.#parts = parts
  }

  /**
   * `saidMs`: what the caller allowed in all, for people.
   * @throws ControlPlaneError, KeyValueStoreError: what the leader says, or UNAVAILABLE (nothing happened), TIMEOUT, OUTCOME_UNKNOWN
   */
  async ask<Operation extends ClusterOperation>(
    operation: Operation,
    timeoutMs: number,
    saidMs = timeoutMs
  ): Promise<ResultOf<Operation>> {
    const { clock, timers, isOpen } = this.#parts
    const deadlineMs = clock.nowMs() + timeoutMs
    let isInDoubt = false
    for (;;) {
      const leftMs = deadlineMs - clock.nowMs()
      const endError = isInDoubt ? operationTimeout : noLeaderError
      if (!isOpen()) throw endError(saidMs, 'this node is closing')
      if (leftMs <= 0) throw endError(saidMs, this.#whyNobody())
      const attempt = await this.#attempt(operation, leftMs)
      isInDoubt ||= mayHaveHappened(attempt)
      const result = resultOf(attempt, saidMs, isRepeatable(operation))
      if (result !== null && isResultOf(operation, result)) return result
      if (result !== null) throw new ControlPlaneError(operationUnknown())
      await sleep(timers, Math.min(RETRY_MS, Math.max(0, deadlineMs - clock.nowMs())))
    }
  }

  async #attempt(operation: ClusterOperation, leftMs: number): Promise<Attempt> {
    const { id, replica, desk } = this.#parts
    const { role, leader } = replica.status
    const timeoutMs = Math.max(1, Math.round(leftMs))
    if (role === 'leader') return await desk.carryOut(operation, timeoutMs, id)
    if (leader === null || leader === id) return { kind: 'again' }
    const payload = encode(leaderRequest, { kind: 'operate', timeoutMs, operation })
    return await this.#sent(leader, payload, leftMs)
  }

  #sent(leader: NodeId, payload: Uint8Array, leftMs: number): Promise<Attempt> {
    const { timers, request } = this.#parts
    return new Promise((resolve) => {
      const timer = timers.start(leftMs, () => resolve({ kind: 'deadline' }))
      request(leader, payload, (answer) => {
        timer.cancel()
        resolve(attemptOf(answer))
      })
    })
  }

  #whyNobody(): string {
    const { id, replica } = this.#parts
    const { leader } = replica.status
    if (leader === null) return 'no leader is known'
    if (leader === id) return 'this node leads but a majority does not answer'
    return `node ${leader} leads but does not answer`
  }
}

/** Another leader's program may answer anything. */
function isResultOf<Operation extends ClusterOperation>(
  { kind }: Operation,
  result: OperationResult
): result is OperationResult & ResultOf<Operation> {
  if (kind === 'transfer') return result.kind === 'transferred'
  return result.kind === (kind === 'snapshot' ? 'snapshotAt' : 'changed')
}

/** A leader that was lost while it was at it. */
function mayHaveHappened(attempt: Attempt): boolean {
  if (attempt.kind === 'failed') return attempt.error.code === 'OUTCOME_UNKNOWN'
  return attempt.kind === 'lost'
}

/** Null: nothing happened, or nothing that may not happen again; ask the next leader. */
function resultOf(attempt: Attempt, timeoutMs: number, mayRepeat: boolean): OperationResult | null {
  if (attempt.kind === 'done') return attempt.result
  if (attempt.kind === 'again') return null
  if (attempt.kind === 'rejected') throw rejectedError()
  if (attempt.kind === 'deadline') throw operationTimeout(timeoutMs, 'the leader is at it')
  if (attempt.kind === 'lost') {
    if (mayRepeat) return null
    throw new ControlPlaneError(operationUnknown())
  }
  const { error } = attempt
  if (mayRepeat && error.code === 'OUTCOME_UNKNOWN') return null
  // the leader was given less time than the caller has
  const isLate = error.code === 'TIMEOUT'
  throw new ControlPlaneError(isLate ? { ...error, fields: { timeout_ms: timeoutMs } } : error)
}

/** An answer that cannot be read tells nothing of what the leader did. */
function attemptOf(answer: RequestAnswer): Attempt {
  if (answer.kind === 'notSent') return { kind: 'again' }
  if (answer.kind === 'lost') return { kind: 'lost' }
  try {
    const { kind, ...rest } = decode(leaderAnswer, answer.payload)
    if (kind === 'rejected') return { kind: 'rejected' }
    return 'end' in rest ? rest.end : { kind: 'lost' }
  } catch (error) {
    if (error instanceof ProtocolError) return { kind: 'lost' }
    throw error
  }
}

/** Between two tries with a leader that cannot be reached, or does not lead. */
const RETRY_MS = 50
