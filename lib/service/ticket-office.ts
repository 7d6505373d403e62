// Tickets for a person: made, listed, revoked, through the log, on any node.

import type { Clock } from '../clock.ts'
import { asAspenError, ControlPlaneError } from '../errors.ts'
import { findInvite, inviteState, newInvite, ticketText } from '../cluster/invites.ts'
import type { Whereabouts } from '../cluster/invites.ts'
import { hexOf } from '../encoding.ts'
import { DEFAULT_INVITE_TTL_MS, DEFAULT_INVITE_USES } from '../limits.ts'
import { MAX_INVITE_TTL_MS, MAX_INVITE_USES } from '../limits.ts'
import type { NodeId } from '../node-id.ts'
import type { Index } from '../raft/entry.ts'
import { ENTRY_KIND } from '../raft/entry.ts'
import type { Random } from '../random.ts'
import type { ControlCommand } from '../state-machine/command.ts'
import { encodeControl } from '../state-machine/encoding.ts'
import type { ApplyResult, Invite, StateMachine } from '../state-machine/state-machine.ts'
import { inviteIdOf } from '../../tickets/tickets.ts'
import type { NewTicket, TicketRow, Tickets } from './documents.ts'
import type { Forwarder } from './forwarding.ts'
import { timeoutOf } from './request-timeout.ts'
import type { RequestOptions, TicketOptions } from './node-api.ts'
import type { Submitted } from './submission.ts'

export interface TicketOfficeParts {
  readonly id: NodeId
  readonly clock: Clock
  readonly random: Random
  readonly forwarder: Forwarder
  readonly stateMachine: Pick<StateMachine, 'trust'>
  readonly whereabouts: () => Whereabouts
}

export class TicketOffice {
  readonly #parts: TicketOfficeParts

  constructor(parts: TicketOfficeParts) {
    this.#parts = parts
  }

  async create(options: TicketOptions = {}): Promise<NewTicket> {
    const { role = 'voter', ttlMs = DEFAULT_INVITE_TTL_MS, uses = DEFAULT_INVITE_USES } = options
    checkRange('uses', uses, MAX_INVITE_USES)
    checkRange('life in milliseconds', ttlMs, MAX_INVITE_TTL_MS)
    const { random, whereabouts, id } = this.#parts
    const deadline = this.#deadlineOf(options)
    const { secret, command } = newInvite({ role, ttlMs, uses, createdBy: id }, random)
    const { index, result } = await this.#submit(command, deadline.leftMs())
    if (result.kind === 'refused') throw new ControlPlaneError(result.error)
    const made = await this.#made(command.publicKey, index, deadline.leftMs())
    return { ticket: ticketText(made, secret, whereabouts()), ...this.#row(made) }
  }

  async list(options: RequestOptions = {}): Promise<Tickets> {
    await this.#parts.forwarder.confirmRead(timeoutOf(options))
    const { invites } = this.#parts.stateMachine.trust()
    return { tickets: invites.map((invite) => this.#row(invite)) }
  }

  async revoke(id: string, options: RequestOptions = {}): Promise<void> {
    const deadline = this.#deadlineOf(options)
    await this.#parts.forwarder.confirmRead(deadline.leftMs())
    const invite = findInvite(this.#parts.stateMachine.trust().invites, id)
    if (invite === undefined) {
      // it may have been the text of one, which is a secret, and of another cluster
      const what = /^[0-9a-f]{8}$/.test(id) ? `the id ${id}` : 'that id or text'
      throw new ControlPlaneError({
        code: 'TICKET_NOT_FOUND',
        message: `no ticket of this cluster has ${what}`,
        hint: "'aspen ticket list' shows them"
      })
    }
    const command = { kind: 'revokeInvite', publicKey: invite.publicKey } as const
    const { result } = await this.#submit(command, deadline.leftMs())
    if (result.kind === 'refused') throw new ControlPlaneError(result.error)
  }

  /** Proposes a control command on whoever leads. */
  async submit(command: ControlCommand, timeoutMs: number): Promise<ApplyResult> {
    return (await this.#submit(command, timeoutMs)).result
  }

  #submit(command: ControlCommand, timeoutMs: number): Promise<Submitted> {
    return this.#parts.forwarder.submit(
      (request) => ({ kind: ENTRY_KIND.control, payload: encodeControl(command, request) }),
      timeoutMs
    )
  }

  /** One deadline for all that an operation waits for; at least 1 ms is left, so that it can fail properly. */
  #deadlineOf(options: RequestOptions): { leftMs(): number } {
    const { clock } = this.#parts
    const atMs = clock.nowMs() + timeoutOf(options)
    return { leftMs: () => Math.max(1, atMs - clock.nowMs()) }
  }

  /** The invite as this node knows it, once it has applied the entry that made it. */
  async #made(publicKey: Uint8Array, index: Index, timeoutMs: number): Promise<Invite> {
    const { forwarder, stateMachine } = this.#parts
    await forwarder.waitApplied(index, timeoutMs).catch((error: unknown) => {
      throw madeInVain(asAspenError(error).message)
    })
    const hex = hexOf(publicKey)
    const made = stateMachine.trust().invites.find((invite) => hexOf(invite.publicKey) === hex)
    if (made === undefined) throw madeInVain('it was closed at once')
    return made
  }

  #row(invite: Invite): TicketRow {
    return {
      id: inviteIdOf(invite.publicKey),
      role: invite.role,
      state: inviteState(invite, this.#parts.clock.wallMs()),
      uses: invite.uses,
      uses_left: invite.usesLeft,
      created_by: invite.createdBy,
      created_at: new Date(invite.createdMs).toISOString(),
      expires_at: new Date(invite.expiresMs).toISOString()
    }
  }
}

function checkRange(what: string, value: number, max: number): void {
  if (Number.isInteger(value) && value >= 1 && value <= max) return
  throw new ControlPlaneError({
    code: 'INVALID_REQUEST',
    message: `the ${what} of a ticket is a whole number from 1 to ${max}, not ${value}`,
    fields: { max }
  })
}

/** The invite exists, but its text is lost with this error. */
function madeInVain(why: string): ControlPlaneError {
  return new ControlPlaneError({
    code: 'OUTCOME_UNKNOWN',
    message: `the ticket was made, but cannot be printed: ${why}`,
    hint: "'aspen ticket list' shows it; revoke it and make another"
  })
}
