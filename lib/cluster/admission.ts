// Letting a node in, on the member that it dialled. Two entries do it: `admit`, decided when it is
// applied, and the configuration entry that makes the node a learner, which the leader adds for every
// admitted node that is in no configuration (leader-duties.ts). This side proposes the first through
// whoever leads, waits for the second, and hands the joiner its welcome.

import type { Clock, Timers } from '../clock.ts'
import { until } from '../clock.ts'
import { seal } from '../crypto.ts'
import type { ErrorDetail } from '../errors.ts'
import { AspenError, CODES } from '../errors.ts'
import { JOIN_DEADLINE_MS } from '../limits.ts'
import { memberOf } from '../raft/configuration.ts'
import type { Random } from '../random.ts'
import type { ControlCommand } from '../state-machine/command.ts'
import type { ApplyResult } from '../state-machine/state-machine.ts'
import type { JoinAnswer, VerifiedJoinRequest } from '../transport/transport.ts'
import type { ClusterTrust } from './trust.ts'

export interface AdmissionParts {
  readonly trust: Pick<
    ClusterTrust,
    'epoch' | 'epochSecret' | 'configuration' | 'welcomeFor' | 'whyUsedUp'
  >
  readonly clock: Clock
  readonly timers: Timers
  readonly random: Random
  /** proposes on whoever leads; rejects with an AspenError */
  readonly submit: (command: ControlCommand, timeoutMs: number) => Promise<ApplyResult>
  /** the node is in the trust state for the first time */
  readonly onAdmitted: (request: VerifiedJoinRequest) => void
  /** what somebody who knocked is told */
  readonly onAnswered: (answer: JoinAnswer) => void
}

export class Admission {
  readonly #parts: AdmissionParts

  constructor(parts: AdmissionParts) {
    this.#parts = parts
  }

  /** Answers once, within JOIN_DEADLINE_MS. */
  onJoin(request: VerifiedJoinRequest, answer: (answer: JoinAnswer) => void): void {
    // nobody waits for it: operating errors are answers, any other ends the process
    void this.#admit(request)
      .catch((error: unknown) => {
        if (error instanceof AspenError) return answerOf(error.detail)
        throw error
      })
      .then((answered) => {
        this.#parts.onAnswered(answered)
        answer(answered)
      })
  }

  async #admit(request: VerifiedJoinRequest): Promise<JoinAnswer> {
    const { trust, clock, random, submit } = this.#parts
    const deadlineMs = clock.nowMs() + JOIN_DEADLINE_MS - ANSWER_MARGIN_MS
    const epoch = trust.epoch()
    const secret = trust.epochSecret(epoch)
    if (secret === null) return { kind: 'busy' }
    const { publicKey, invitePublicKey, name, version, addresses } = request
    const refusal = trust.whyUsedUp(invitePublicKey, publicKey)
    if (refusal !== null) return { kind: 'refused', error: refusal }
    const sealedSecret = sealedTo(publicKey, secret, random)
    if (sealedSecret === null) return { kind: 'refused', error: NOT_A_KEY }
    const result = await submit(
      { kind: 'admit', invitePublicKey, publicKey, name, version, addresses, epoch, sealedSecret },
      JOIN_DEADLINE_MS - ANSWER_MARGIN_MS
    )
    if (result.kind === 'refused') return answerOf(result.error)
    if (result.kind !== 'admitted') return { kind: 'busy' }
    if (result.isNew) this.#parts.onAdmitted(request)
    const isConfigured = (): boolean =>
      memberOf(trust.configuration(), result.id) !== undefined &&
      trust.welcomeFor(publicKey) !== null
    await until(this.#parts, isConfigured, { deadlineMs, everyMs: 10 })
    const welcome = isConfigured() ? trust.welcomeFor(publicKey) : null
    return welcome === null ? { kind: 'busy' } : { kind: 'admitted', welcome }
  }
}

/** What is kept of the joiner's time for sending the answer. */
const ANSWER_MARGIN_MS = 500

const NOT_A_KEY: ErrorDetail = {
  code: 'PROTOCOL',
  message: 'the key of the new node is none that a secret can be sealed to'
}

/** The secret sealed to a key; null for a point that signs but cannot be converted for sealing: only made on purpose. */
export function sealedTo(
  publicKey: Uint8Array,
  secret: Uint8Array,
  random: Random
): Uint8Array | null {
  try {
    return seal(secret, publicKey, random)
  } catch {
    return null
  }
}

/** No leader, a lost link, an unknown outcome: `admit` is idempotent, so the joiner asks again. */
function answerOf(error: ErrorDetail): JoinAnswer {
  const { isRetryable, outcome } = CODES[error.code]
  return isRetryable || outcome === 'unknown' ? { kind: 'busy' } : { kind: 'refused', error }
}
