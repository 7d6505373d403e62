// What this node knows about keys, as the transport asks for it at each handshake: who is a member,
// who holds an open invite, who is turned away with a reason, who with silence.
//
// Two sources, both replicated: the configuration in use (the log's last configuration entry) and the
// trust state (nodes admitted, invites). A node that has just joined has neither and lives on its
// welcome until its log arrives.

import { openSealed } from '../crypto.ts'
import type { KeyPair } from '../crypto.ts'
import { hexOf } from '../encoding.ts'
import type { ErrorCode } from '../errors.ts'
import type { NodeId } from '../node-id.ts'
import type { Configuration } from '../raft/configuration.ts'
import { memberOf } from '../raft/configuration.ts'
import type { Status } from '../raft/effects.ts'
import type { Invite, NodeRecord, TrustState } from '../state-machine/state-machine.ts'
import type { OwnHello, Standing, Trust, Welcome } from '../transport/transport.ts'

export interface TrustParts {
  readonly clusterId: Uint8Array
  readonly keyPair: KeyPair
  readonly id: NodeId
  readonly boot: number
  readonly instance: Uint8Array
  readonly version: string
  /** what this node was told when it joined; null for the founder */
  readonly welcome: Welcome | null
  readonly trustState: () => TrustState
  readonly status: () => Status
  /** whether this node hears a leader, so that its configuration is as new as the cluster's */
  readonly isInTouch: () => boolean
}

export class ClusterTrust implements Trust {
  readonly #parts: TrustParts
  /** of epochs whose box was opened; at most one per epoch of this run */
  readonly #secrets = new Map<number, Uint8Array>()
  #index: KeyIndex | null = null

  constructor(parts: TrustParts) {
    this.#parts = parts
  }

  get clusterId(): Uint8Array {
    return this.#parts.clusterId
  }

  hello(): OwnHello {
    const { id, boot, instance, version } = this.#parts
    const { term, durableIndex } = this.#parts.status()
    return {
      id,
      boot,
      instance,
      version,
      epoch: this.epoch(),
      durableTerm: term,
      lastIndex: durableIndex
    }
  }

  /** The newest epoch whose secret this node has. */
  epoch(): number {
    const own = this.#ownBox()
    return own === null ? 0 : own.epoch
  }

  epochSecret(epoch: number): Uint8Array | null {
    const known = this.#secrets.get(epoch)
    if (known !== undefined) return known
    const box = this.#ownBox()
    if (box === null || box.epoch !== epoch) return null
    const secret = openSealed(box.sealedSecret, this.#parts.keyPair)
    if (secret !== null) this.#secrets.set(epoch, secret)
    return secret
  }

  standing(publicKey: Uint8Array): Standing {
    const index = this.#keyIndex()
    const hex = hexOf(publicKey)
    const id = index.members.get(hex)
    if (id !== undefined) return { kind: 'member', id }
    const invite = index.invites.get(hex)
    if (invite !== undefined) return standingOfInvite(invite)
    return this.#parts.isInTouch() ? { kind: 'stranger' } : { kind: 'unproven' }
  }

  welcomeFor(publicKey: Uint8Array): Welcome | null {
    const hex = hexOf(publicKey)
    const record = this.#parts.trustState().nodes.find((node) => hexOf(node.publicKey) === hex)
    if (record === undefined) return null
    const { id, epoch, sealedSecret } = record
    return { id, epoch, sealedSecret, configuration: this.configuration() }
  }

  /** The configuration in use, or the welcome's until the log has come to one with this node in it. */
  configuration(): Configuration {
    const { configuration } = this.#parts.status()
    if (memberOf(configuration, this.#parts.id) !== undefined) return configuration
    return this.#parts.welcome?.configuration ?? configuration
  }

  /** The node's record, if its admission has been applied here. */
  nodeRecord(id: NodeId): NodeRecord | undefined {
    return this.#parts.trustState().nodes.find((node) => node.id === id)
  }

  #ownBox(): { readonly epoch: number; readonly sealedSecret: Uint8Array } | null {
    return this.nodeRecord(this.#parts.id) ?? this.#parts.welcome
  }

  /** Both sources are never changed in place, so the index is made anew only when one was replaced. */
  #keyIndex(): KeyIndex {
    const configuration = this.configuration()
    const trustState = this.#parts.trustState()
    const index = this.#index
    if (index?.configuration === configuration && index.trustState === trustState) return index
    const members = new Map<string, NodeId>()
    for (const { publicKey, id } of trustState.nodes) members.set(hexOf(publicKey), id)
    for (const { publicKey, id } of configuration.members) members.set(hexOf(publicKey), id)
    const invites = new Map(trustState.invites.map((invite) => [hexOf(invite.publicKey), invite]))
    this.#index = { configuration, trustState, members, invites }
    return this.#index
  }
}

interface KeyIndex {
  readonly configuration: Configuration
  readonly trustState: TrustState
  readonly members: ReadonlyMap<string, NodeId>
  readonly invites: ReadonlyMap<string, Invite>
}

/** Expiry is the cluster's to decide, at the attempt: an invite that nobody has closed is open. */
function standingOfInvite(invite: Invite): Standing {
  if (invite.closed === null) return { kind: 'invite', proofKey: invite.proofKey }
  const { code, message } = CLOSED[invite.closed.reason]
  return {
    kind: 'refused',
    error: { code, message, hint: 'ask for a new one: aspen ticket create' }
  }
}

const CLOSED: Record<'usedUp' | 'revoked' | 'expired', { code: ErrorCode; message: string }> = {
  usedUp: { code: 'TICKET_USED_UP', message: 'all uses of this ticket are spent' },
  revoked: { code: 'TICKET_REVOKED', message: 'this ticket was revoked' },
  expired: { code: 'TICKET_EXPIRED', message: 'this ticket has expired' }
}
