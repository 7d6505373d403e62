// The contract of the state machine: committed entries go in, in order; reads come out. It is a view
// of the log and can always be rebuilt from it. Two implementations, SQLite and memory; one
// conformance suite.

import type { Address } from '../address.ts'
import type { ErrorDetail } from '../errors.ts'
import type { NodeId } from '../node-id.ts'
import type { Configuration } from '../raft/configuration.ts'
import type { Entry, Index, Term } from '../raft/entry.ts'

/** The index of the entry that made a change. */
export type Revision = Index

export interface StateMachine {
  /** How far it is; changes only while `apply` runs. */
  applied(): Applied
  /**
   * Applies entries, contiguous from `applied().index + 1`, each atomically, at most MAX_BATCH_SIZE.
   * Works in slices, so that no turn of the event loop takes long; reads meanwhile see a whole number
   * of entries. `onApplied` gets one result per entry, after the transaction that holds them. Only one
   * apply may be in progress. Storage errors go to the `onFailed` given at open, and nothing else
   * happens then.
   */
  apply(entries: readonly Entry[], onApplied: (results: readonly ApplyResult[]) => void): void
  get(key: Uint8Array): KeyValue | null
  scan(request: ScanRequest): ScanPage
  /** Invites, nodes and epochs, as of `applied()`. Never changed in place. */
  trust(): TrustState
  close(): Promise<void>
}

export interface Applied {
  readonly index: Index
  readonly term: Term
  /** chain hash of the entry at `index` */
  readonly hash: Uint8Array
  /** log time: stamp of that entry */
  readonly timeMs: number
  /** the last configuration entry at or below `index` */
  readonly configuration: Configuration
  readonly configurationIndex: Index
  /** sum modulo 2^256 over the live rows of BLAKE2b-256(row): the order of writing does not matter */
  readonly stateHash: Uint8Array
}

export interface KeyValue {
  readonly key: Uint8Array
  readonly value: Uint8Array
  readonly createRevision: Revision
  readonly modRevision: Revision
  /** 1 for a new key, one more with each put; starts again at 1 after a delete */
  readonly version: number
}

export interface ScanRequest {
  readonly prefix: Uint8Array
  /** only keys after this one; null for all */
  readonly after: Uint8Array | null
  /** 1 to MAX_SCAN_LIMIT */
  readonly limit: number
}

export interface ScanPage {
  /** ascending in byte order */
  readonly items: readonly KeyValue[]
  /** whether keys with the prefix follow the last item */
  readonly hasMore: boolean
}

export type ApplyResult =
  /** empty and configuration entries */
  | { readonly kind: 'none' }
  | {
      readonly kind: 'written'
      readonly revision: Revision
      readonly changes: readonly ChangeResult[]
    }
  | { readonly kind: 'inviteCreated' }
  | { readonly kind: 'inviteRevoked' }
  | { readonly kind: 'admitted'; readonly id: NodeId; readonly isNew: boolean }
  | { readonly kind: 'described' }
  /** the entry changed nothing */
  | { readonly kind: 'refused'; readonly error: ErrorDetail }

/** One per change of the command, in its order. */
export interface ChangeResult {
  /** modRevision before the change; 0 when the key was absent */
  readonly previousRevision: Revision
}

/** What the cluster has agreed on about who may come in. */
export interface TrustState {
  /** current epoch; 0 before the founding entry is applied */
  readonly epoch: number
  /** the id that the next admitted node gets */
  readonly nextNodeId: NodeId
  /** every node ever admitted and not removed, by id ascending */
  readonly nodes: readonly NodeRecord[]
  /** open and closed, in order of creation; closed ones bounded by MAX_CLOSED_INVITES and age */
  readonly invites: readonly Invite[]
}

export interface NodeRecord {
  readonly id: NodeId
  readonly publicKey: Uint8Array
  readonly name: string
  readonly version: string
  readonly addresses: readonly Address[]
  /** what the growth rule may make of it */
  readonly role: 'voter' | 'learner'
  /** the secret of `epoch`, sealed to the node */
  readonly epoch: number
  readonly sealedSecret: Uint8Array
  /** the invite that let it in; null for the founder */
  readonly invitePublicKey: Uint8Array | null
  readonly admittedIndex: Index
}

export interface Invite {
  readonly publicKey: Uint8Array
  readonly proofKey: Uint8Array
  readonly topic: Uint8Array
  readonly role: 'voter' | 'learner'
  readonly createdBy: NodeId
  readonly createdIndex: Index
  readonly createdMs: number
  /** log time */
  readonly expiresMs: number
  readonly uses: number
  readonly usesLeft: number
  /** open until used up, revoked, or found expired by log time: at an attempt to use it or at the next createInvite */
  readonly closed: {
    readonly reason: 'usedUp' | 'revoked' | 'expired'
    readonly atMs: number
  } | null
}
