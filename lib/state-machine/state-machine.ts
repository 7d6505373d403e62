// The contract of the state machine: committed entries go in, in order; reads come out. It is a view
// of the log and can always be rebuilt from it. Two implementations, SQLite and memory; one
// conformance suite.

import type { Address } from '../address.ts'
import type { ErrorDetail } from '../errors.ts'
import type { NodeId } from '../node-id.ts'
import type { Configuration } from '../raft/configuration.ts'
import type { Entry, EntryId, Index, Term } from '../raft/entry.ts'

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
  /** What would still be applied after a loss of power; 0 until a checkpoint has said more. Never above `applied().index`. */
  readonly durableAppliedIndex: Index
  /**
   * Begins to write a snapshot of the state as of `applied()`. Neither while applying nor while another
   * one begins. Never calls before it returns.
   */
  snapshot(on: SnapshotProgress): void
  readonly snapshots: Snapshots
  /**
   * Switches to a prepared snapshot: from then on `applied()` is the snapshot's. Until then, reads
   * see the old state. Only when the log's pointer to it is durable, and not while applying; a snapshot
   * that is being written is given up. Never calls before it returns.
   */
  adopt(prepared: PreparedSnapshot, onAdopted: () => void): void
  close(): Promise<void>
}

export interface SnapshotProgress {
  /** Applying may go on. */
  onBegun(): void
  /** After `onBegun`: the snapshot is durable and in the list; or null, and an event has said why not. */
  onEnded(info: SnapshotInfo | null): void
}

/** A snapshot is named by its index and its content: members that are right make the same one. */
export interface SnapshotInfo {
  /** the entry as of which it is */
  readonly index: Index
  readonly term: Term
  /** chain hash of that entry */
  readonly chainHash: Uint8Array
  /** BLAKE2b-256 over the manifest */
  readonly contentHash: Uint8Array
  readonly byteCount: number
  /** of SNAPSHOT_CHUNK_BYTES, the last one shorter */
  readonly chunkCount: number
}

/** What is needed to find one. */
export type SnapshotName = Pick<SnapshotInfo, 'index' | 'contentHash'>

/** Snapshots that this member has: made here or fetched. */
export interface Snapshots {
  /** Durable ones, newest first. */
  list(): readonly SnapshotInfo[]
  /** The manifest: BLAKE2b-256 of each chunk, one after the other; null: not here. Never calls before it returns. */
  manifest(name: SnapshotName, onRead: (manifest: Uint8Array | null) => void): void
  /** A chunk, verified; null: not here, or damaged, and then the snapshot is gone. Never calls before it returns. */
  chunk(name: SnapshotName, position: number, onRead: (bytes: Uint8Array | null) => void): void
  /**
   * Begins to fetch, or goes on where it was left, also by an earlier process. One at a time: what was
   * fetched of another one is deleted. Null: the manifest is not that of `info`; or the disk has no room for
   * it, and an event says so.
   */
  receive(info: SnapshotInfo, manifest: Uint8Array): IncomingSnapshot | null
}

/** A snapshot on its way here. */
export interface IncomingSnapshot {
  readonly info: SnapshotInfo
  /** Positions of the chunks that are not here, ascending. */
  missing(): readonly number[]
  /** Keeps a chunk if its hash is right; one that is here already is 'kept' too. `bytes` may be changed afterwards. */
  put(position: number, bytes: Uint8Array): 'kept' | 'bad'
  /**
   * Makes a state of it, once nothing is missing. Null: it could not be made, and an event has said why;
   * if chunks are missing again, they had been damaged on the disk, else it is of no use and deleted.
   * Never calls before it returns.
   */
  prepare(onPrepared: (prepared: PreparedSnapshot | null) => void): void
  /** Deletes what is here of it; what is being prepared is not said any more. */
  discard(): void
}

/** A whole state beside the one in use, durable, not yet in force. Good until another snapshot is received, which deletes it if it was not adopted. */
export interface PreparedSnapshot {
  readonly info: SnapshotInfo
  /** stamp of the entry at `info.index` */
  readonly timeMs: number
  /** in force at `info.index`, and the entry that says so */
  readonly configuration: Configuration
  readonly configurationIndex: Index
}

/** What happened to a snapshot, for the log of the node. */
export interface SnapshotEvent {
  readonly event: 'refused' | 'failed' | 'damaged'
  readonly index: Index
  readonly message: string
}

/** Beyond these a machine refuses to make a snapshot. */
export interface SnapshotLimits {
  /** live keys */
  readonly maxEntries: number
  /** bytes of live keys and values */
  readonly maxBytes: number
}

export interface Applied extends Content {
  readonly index: Index
  readonly term: Term
  /** chain hash of the entry at `index` */
  readonly hash: Uint8Array
  /** log time: stamp of that entry */
  readonly timeMs: number
  /** the last configuration entry at or below `index` */
  readonly configuration: Configuration
  readonly configurationIndex: Index
  /** log time of the entry with which the voters were last others; 0: the same since the founding */
  readonly votersChangedMs: number
  /** history at and before it has been forgotten: only what is live at it is left; 0 for nothing */
  readonly compactedRevision: Revision
  /** what all members can do; 0 at first */
  readonly featureLevel: number
}

/** What the live rows amount to. */
export interface Content {
  /** sum modulo 2^256 over the live rows of BLAKE2b-256(row): the order of writing does not matter */
  readonly stateHash: Uint8Array
  readonly liveCount: number
  /** of their keys and values */
  readonly liveBytes: number
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
  /** empty, configuration and snapshot entries */
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
  /** history is forgotten up to there */
  | { readonly kind: 'compacted'; readonly revision: Revision }
  | { readonly kind: 'levelRaised'; readonly level: number }
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
  /** nodes that were removed, by id ascending; at most MAX_REMOVED_KEYS: those removed first are forgotten */
  readonly removed: readonly RemovedNode[]
}

/** A node that was a member and is none any more. Its key is never let in again. */
export interface RemovedNode {
  readonly id: NodeId
  readonly publicKey: Uint8Array
  /** log time */
  readonly atMs: number
}

export interface NodeRecord {
  readonly id: NodeId
  readonly publicKey: Uint8Array
  readonly name: string
  /** empty: it has not said yet */
  readonly version: string
  readonly addresses: readonly Address[]
  /** what the growth rule may make of it */
  readonly role: 'voter' | 'learner'
  /** the secret of `epoch`, sealed to the node */
  readonly epoch: number
  readonly sealedSecret: Uint8Array
  /** the invite that let it in; null for the founder and for whom an operator admitted by key */
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

/** The log that a state is a view of, as much of it as choosing a state takes. */
export interface Backing {
  /** index before the first entry of the log: a state that has not come so far cannot go on */
  readonly base: Index
  /** whether the log holds this entry, or begins after it: a state that is ahead of the log has no promises behind it */
  readonly holds: (id: EntryId) => boolean
}
