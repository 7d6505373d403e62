// How a machine becomes a member: it shows its ticket to a member, is admitted, opens its log, and is
// a member's directory from then on; then it catches up. An attempt that was interrupted before the
// directory was complete is repeated with the same key, and the cluster answers with the same id.

import type { Clock, Timers } from '../clock.ts'
import { sleep } from '../clock.ts'
import type { KeyPair } from '../crypto.ts'
import { TransportError } from '../errors.ts'
import { requestAdmission } from '../transport/join.ts'
import type { Network } from '../transport/network.ts'
import { inviteKeysOf } from '../../tickets/tickets.ts'
import { VERSION } from '../version.ts'
import type { Assembly } from './assembly.ts'
import { newMembership } from './membership.ts'
import type { Membership } from './membership.ts'
import type { Progress } from './options.ts'
import type { Plan } from './plan.ts'

export interface AdmissionInput {
  readonly network: Network
  readonly keyPair: KeyPair
  readonly plan: Plan & { readonly kind: 'join' }
  readonly timeoutMs: number
  readonly clock: Clock
  readonly timers: Timers
  readonly onProgress: (progress: Progress) => void
}

/** Asks the cluster of the ticket to let this node in. @throws TransportError, TicketError */
export async function admit(input: AdmissionInput): Promise<Membership> {
  const { network, keyPair, plan, timeoutMs, clock, timers, onProgress } = input
  const { ticket, name } = plan
  const welcome = await requestAdmission({
    network,
    ticket: { ...inviteKeysOf(ticket.secret), ...ticket },
    keyPair,
    name,
    version: VERSION,
    deadlineMs: clock.nowMs() + timeoutMs,
    clock,
    timers,
    onPhase: (phase, text) => onProgress({ phase, text })
  })
  const { clusterId } = ticket
  return newMembership(plan, { state: 'member', clusterId, id: welcome.id, welcome })
}

export interface CatchUpInput {
  readonly timeoutMs: number
  readonly clock: Clock
  readonly timers: Timers
  readonly onProgress: (progress: Progress) => void
}

/** Resolves when this node has everything that was committed when it asked. @throws TransportError UNAVAILABLE */
export async function awaitCaughtUp(assembly: Assembly, input: CatchUpInput): Promise<void> {
  const { timeoutMs, clock, timers, onProgress } = input
  const deadlineMs = clock.nowMs() + timeoutMs
  onProgress({ phase: 'catchup', text: 'catching up' })
  while (clock.nowMs() < deadlineMs && !assembly.isHalted) {
    const leftMs = Math.max(1, deadlineMs - clock.nowMs())
    if (await assembly.isCaughtUp(Math.min(leftMs, ATTEMPT_MS))) return
    await sleep(timers, PAUSE_MS)
  }
  throw new TransportError({
    code: 'UNAVAILABLE',
    message: `this node is a member now, but did not catch up within ${Math.round(timeoutMs / 1000)} s`,
    hint: "'aspen start' goes on with it; 'aspen status' shows how far it is"
  })
}

/** One question to the leader; then, after a pause, again, with whoever leads by then. */
const ATTEMPT_MS = 2_000
const PAUSE_MS = 50
