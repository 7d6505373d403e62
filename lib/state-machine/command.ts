// What the entries of kind `write` and `control` say. Layout: encoding.ts.

import type { Address } from '../address.ts'
import type { NodeId } from '../node-id.ts'
import type { Index } from '../raft/entry.ts'
import type { Revision } from './state-machine.ts'

/** Names a command, so that it is carried out once, however often it comes (sessions.ts). */
export interface RequestId {
  /** CLIENT_ID_BYTES random bytes */
  readonly clientId: Uint8Array
  /** an index that was applied somewhere before the client's first request */
  readonly since: Index
  /** 1, 2, 3 …: one per command of the client, in any order, with gaps */
  readonly sequence: number
  /** the client has the answers of all requests below this one, or does not wait for them any more; at most `sequence` */
  readonly answeredBelow: number
}

export const CLIENT_ID_BYTES = 16

/** A command as an entry holds it; null: it is carried out whenever it comes. */
export type Requested<Command> = Command & { readonly request: RequestId | null }

/** A client's write: all changes or none. At most MAX_SETMULTI_KEYS, no key twice. */
export interface ChangeSet {
  readonly changes: readonly Change[]
}

export type Change =
  | {
      readonly kind: 'put'
      readonly key: Uint8Array
      readonly value: Uint8Array
      readonly condition: Condition | null
    }
  | { readonly kind: 'delete'; readonly key: Uint8Array; readonly condition: Condition | null }

/** Decided at apply. When one fails, the whole command is refused with CONDITION_FAILED. */
export type Condition =
  | { readonly kind: 'absent' }
  /** the key's modRevision is exactly this; at least 1 */
  | { readonly kind: 'revision'; readonly revision: Revision }

export type ControlCommand =
  /** the second entry of a cluster: its first node and epoch 1 */
  | {
      readonly kind: 'found'
      readonly id: NodeId
      readonly publicKey: Uint8Array
      readonly name: string
      readonly version: string
      readonly addresses: readonly Address[]
      readonly sealedSecret: Uint8Array
    }
  | {
      readonly kind: 'createInvite'
      readonly publicKey: Uint8Array
      readonly proofKey: Uint8Array
      readonly topic: Uint8Array
      readonly role: 'voter' | 'learner'
      /** life from the entry's stamp on */
      readonly ttlMs: number
      readonly uses: number
      readonly createdBy: NodeId
    }
  | { readonly kind: 'revokeInvite'; readonly publicKey: Uint8Array }
  /** idempotent per (invite, node key); refused when the epoch has moved */
  | {
      readonly kind: 'admit'
      readonly invitePublicKey: Uint8Array
      readonly publicKey: Uint8Array
      readonly name: string
      readonly version: string
      readonly addresses: readonly Address[]
      readonly epoch: number
      readonly sealedSecret: Uint8Array
    }
  /** an operator's: no ticket, no use; idempotent per key; refused when the epoch has moved */
  | {
      readonly kind: 'admitKey'
      readonly publicKey: Uint8Array
      readonly name: string
      readonly addresses: readonly Address[]
      /** what the growth rule may make of it */
      readonly role: 'voter' | 'learner'
      /** the id that the operator takes for granted; null: whichever it gets */
      readonly expectedId: NodeId | null
      readonly epoch: number
      readonly sealedSecret: Uint8Array
    }
  /** a member's own word about itself, when it has changed */
  | {
      readonly kind: 'describe'
      readonly id: NodeId
      readonly name: string
      readonly version: string
      readonly addresses: readonly Address[]
    }
  /** forgets what was superseded at or before `revision`, which is before this entry; never goes back */
  | { readonly kind: 'compact'; readonly revision: Revision }
  /** all members can do what the level brings; never falls */
  | { readonly kind: 'raiseFeatureLevel'; readonly level: number }

/** The highest feature level that this program knows; an entry that raises it further stops the node. */
export const FEATURE_LEVEL = 1
