// What this node knows about keys, as the transport asks for it at each handshake: who is a member,
// who holds an open invite, who is turned away with a reason, who with silence.
//
// Two sources, both replicated: the configuration in use (the log's last configuration entry) and the
// trust state (nodes admitted, invites). A node that has just joined has neither and lives on its
// welcome until its log arrives.

import { openSealed } from '../crypto.ts'
import type { KeyPair } from '../crypto.ts'
import { hexOf } from '../encoding.ts'
import type { ErrorCode, ErrorDetail } from '../errors.ts'
import { REJOIN_HINT } from '../errors.ts'
import type { NodeId } from '../node-id.ts'
import type { Configuration } from '../raft/configuration.ts'
import { memberOf } from '../raft/configuration.ts'
import type { Status } from '../raft/effects.ts'
import { FEATURE_LEVEL } from '../state-machine/command.ts'
import type {
  ApplyResult,
  Invite,
  NodeRecord,
  RemovedNode,
  TrustState
} from '../state-machine/state-machine.ts'
import type { OwnHello, Standing, Trust, Welcome } from '../transport/transport.ts'
import type { GuardKeeper } from './guard-keeper.ts'

export interface TrustParts {
  readonly clusterId: Uint8Array
  readonly keyPair: KeyPair
  readonly id: NodeId
  readonly boot: number
  readonly instance: Uint8Array
  readonly storageEpoch: Uint8Array
  readonly version: string
  /** what this node was told when it joined; null for the founder */
  readonly welcome: Welcome | null
  readonly trustState: () => TrustState
  readonly status: () => Status
  /** whether this node hears a leader, so that its configuration is as new as the cluster's */
  readonly isInTouch: () => boolean
  /** who has forgotten something, or is one of two with one key */
  readonly guard: Pick<GuardKeeper, 'refusalOf' | 'onVerified'>
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

  hello(): OwnHello | null {
    // whoever has lost its state, and joined nowhere, is told by others what it is
    if (this.#ownBox() === null) return null
    const { id, boot, instance, storageEpoch, version } = this.#parts
    const { onDisk } = this.#parts.status()
    return {
      id,
      boot,
      instance,
      storageEpoch,
      version,
      featureLevel: FEATURE_LEVEL,
      epoch: this.epoch(),
      // of one and the same write: the amnesia guard compares the pair with what was acknowledged
      durableTerm: onDisk.term,
      lastIndex: onDisk.lastIndex
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
    // what is sealed was said by another member
    if (secret?.byteLength !== EPOCH_SECRET_BYTES) return null
    this.#secrets.set(epoch, secret)
    return secret
  }

  standing(publicKey: Uint8Array): Standing {
    const index = this.#keyIndex()
    const hex = hexOf(publicKey)
    // first: what this node was told when it joined may still name it as a member
    const removed = index.removed.get(hex)
    if (removed !== undefined)
      return { kind: 'refused', error: removedError(removed, this.clusterId) }
    const id = index.members.get(hex)
    if (id !== undefined) return { kind: 'member', id }
    const invite = index.invites.get(hex)
    if (invite !== undefined) return standingOfInvite(invite)
    return this.#knowsAllMembers() ? { kind: 'stranger' } : { kind: 'unproven' }
  }

  /**
   * Why the ticket lets this key in no more, as far as this node knows; null when it is to be asked for.
   * Used up is a ticket also by the key whose answer was lost: that one is let in again.
   */
  whyUsedUp(invitePublicKey: Uint8Array, publicKey: Uint8Array): ErrorDetail | null {
    const { members, invites } = this.#keyIndex()
    const invite = invites.get(hexOf(invitePublicKey))
    const isUsedUp = invite?.closed?.reason === 'usedUp'
    return isUsedUp && !members.has(hexOf(publicKey)) ? closedError('usedUp') : null
  }

  welcomeFor(publicKey: Uint8Array): Welcome | null {
    const hex = hexOf(publicKey)
    const record = this.#parts.trustState().nodes.find((node) => hexOf(node.publicKey) === hex)
    if (record === undefined) return null
    const { id, epoch, sealedSecret } = record
    return { id, epoch, sealedSecret, configuration: this.configuration() }
  }

  /** Of this node, if it has applied its own; null while it may belong to the cluster. */
  ownRemoval(): RemovedNode | null {
    return this.#keyIndex().removed.get(hexOf(this.#parts.keyPair.publicKey)) ?? null
  }

  refusalOf(publicKey: Uint8Array, hello: OwnHello): ErrorDetail | null {
    return this.#parts.guard.refusalOf(publicKey, hello)
  }

  onVerified(publicKey: Uint8Array, hello: OwnHello): void {
    this.#parts.guard.onVerified(publicKey, hello)
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

  /**
   * Whether every member that was one when the present leader began is known here: its first entry is.
   * To hear it is not enough: its own admission may be among what has not come yet.
   */
  #knowsAllMembers(): boolean {
    const { term, lastTerm } = this.#parts.status()
    return this.#parts.isInTouch() && lastTerm === term
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
    const removed = new Map(trustState.removed.map((each) => [hexOf(each.publicKey), each]))
    this.#index = { configuration, trustState, members, invites, removed }
    return this.#index
  }
}

interface KeyIndex {
  readonly configuration: Configuration
  readonly trustState: TrustState
  readonly members: ReadonlyMap<string, NodeId>
  readonly invites: ReadonlyMap<string, Invite>
  readonly removed: ReadonlyMap<string, RemovedNode>
}

const EPOCH_SECRET_BYTES = 32

/**
 * Expiry is the cluster's to decide, at the attempt: an invite that nobody has closed is open. One that
 * is used up may be shown by the key that used it last, whose answer was lost (`whyUsedUp`).
 */
function standingOfInvite({ closed, proofKey }: Invite): Standing {
  if (closed === null || closed.reason === 'usedUp') return { kind: 'invite', proofKey }
  return { kind: 'refused', error: closedError(closed.reason) }
}

function closedError(reason: keyof typeof CLOSED): ErrorDetail {
  return {
    ...CLOSED[reason],
    hint: "ask for a new one; 'aspen ticket create' on any member makes it"
  }
}

const CLOSED: Record<'usedUp' | 'revoked' | 'expired', { code: ErrorCode; message: string }> = {
  usedUp: { code: 'TICKET_USED_UP', message: 'all uses of this ticket are spent' },
  revoked: { code: 'TICKET_REVOKED', message: 'this ticket was revoked' },
  expired: { code: 'TICKET_EXPIRED', message: 'this ticket has expired' }
}

/** With the cluster: whoever is told may be a member of another one. */
function removedError({ id }: RemovedNode, clusterId: Uint8Array): ErrorDetail {
  return {
    code: 'MEMBER_REMOVED',
    message: `node ${id} was removed from the cluster`,
    hint: REJOIN_HINT,
    fields: { id, cluster: hexOf(clusterId) }
  }
}

/** Whether after this somebody may come in who could not before. */
export function mayLetIn({ kind }: ApplyResult): boolean {
  return LETTING_IN.has(kind)
}

const LETTING_IN: ReadonlySet<ApplyResult['kind']> = new Set([
  'inviteCreated',
  'inviteRevoked',
  'admitted',
  'described'
])
