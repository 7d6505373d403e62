// Invites: how one is made, how its ticket is written, how it is shown. The cluster keeps public
// key, proof key and topic; the secret is in the ticket and nowhere else.

import type { Address } from '../address.ts'
import type { NodeId } from '../node-id.ts'
import type { Random } from '../random.ts'
import { randomBytes } from '../random.ts'
import type { ControlCommand } from '../state-machine/command.ts'
import type { Invite } from '../state-machine/state-machine.ts'
import { encodeTicket, inviteIdOf, inviteKeysOf } from '../../tickets/tickets.ts'

export interface InviteRequest {
  readonly role: 'voter' | 'learner'
  readonly ttlMs: number
  readonly uses: number
  readonly createdBy: NodeId
}

export interface NewInvite {
  readonly secret: Uint8Array
  readonly command: ControlCommand & { readonly kind: 'createInvite' }
}

/** A fresh secret and the command that opens its invite. */
export function newInvite(request: InviteRequest, random: Random): NewInvite {
  const secret = randomBytes(random, 16)
  const { keyPair, proofKey, topic } = inviteKeysOf(secret)
  return {
    secret,
    command: { kind: 'createInvite', publicKey: keyPair.publicKey, proofKey, topic, ...request }
  }
}

/** Where a joiner finds the cluster. */
export interface Whereabouts {
  readonly clusterId: Uint8Array
  /** members to dial, the one that made the ticket first */
  readonly memberKeys: readonly Uint8Array[]
  readonly addresses: readonly Address[]
  /** empty for the public DHT */
  readonly bootstrap: readonly Address[]
}

/** The ticket's text; the only place where the secret is written. */
export function ticketText(invite: Invite, secret: Uint8Array, where: Whereabouts): string {
  return encodeTicket({ role: invite.role, secret, expiresMs: invite.expiresMs, ...where })
}

export type InviteState = 'open' | 'used_up' | 'revoked' | 'expired'

/** What a list shows; an open invite beyond its time is shown as expired though nobody has tried it. */
export function inviteState(invite: Invite, wallMs: number): InviteState {
  if (invite.closed === null) return wallMs > invite.expiresMs ? 'expired' : 'open'
  return invite.closed.reason === 'usedUp' ? 'used_up' : invite.closed.reason
}

/** The invite that a person named by its id; undefined when there is none. */
export function findInvite(invites: readonly Invite[], id: string): Invite | undefined {
  return invites.find((invite) => inviteIdOf(invite.publicKey) === id)
}
