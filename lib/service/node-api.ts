// What a node can be asked, by whatever door: the HTTP API, the embedding program. Every operation
// works on every node; what only the leader can do takes one hop to it.

import type { ChangeSet } from '../state-machine/command.ts'
import type { ChangeResult, KeyValue, Revision } from '../state-machine/state-machine.ts'
import type { ClusterController } from './cluster-controller.ts'
import type { CheckpointAnswer, LogLevelAnswer } from './cluster-documents.ts'
import type {
  Health,
  LogLevel,
  Members,
  NewTicket,
  NodeInfo,
  Probe,
  ReadyCheck,
  Status,
  Survey,
  Tickets
} from './documents.ts'

export type Consistency = 'linearizable' | 'stale'

export interface RequestOptions {
  /** how long to wait, counted from the call; DEFAULT_REQUEST_TIMEOUT_MS when left out */
  readonly timeoutMs?: number
}

export interface ReadOptions extends RequestOptions {
  readonly consistency?: Consistency
  /**
   * With `stale` only: how long ago this node may have heard of the leader last; beyond, UNAVAILABLE. It bounds
   * for how long the node may have been cut off, not how far behind it is where it is still catching up.
   */
  readonly maxAgeMs?: number
}

/** @see KeyValueStoreError for every refusal; a write ends as done, refused or unknown */
export interface KeyValueApi {
  write(command: ChangeSet, options?: RequestOptions): Promise<Written>
  get(key: Uint8Array, options?: ReadOptions): Promise<Got>
  scan(request: ScanOptions, options?: ReadOptions): Promise<Scanned>
}

export interface Written {
  readonly revision: Revision
  readonly changes: readonly ChangeResult[]
}

export interface ReadMeta {
  /** index of the last entry that the answer reflects */
  readonly revision: Revision
  /** what the answer is worth */
  readonly consistency: Consistency
  /** of a stale read: how long ago this node heard of the leader last; null: never, or the read is linearizable */
  readonly leaderContactMs: number | null
}

export interface Got extends ReadMeta {
  /** null when there is no such key */
  readonly item: KeyValue | null
}

export interface ScanOptions {
  readonly prefix: Uint8Array
  readonly after?: Uint8Array
  readonly limit?: number
}

export interface Scanned extends ReadMeta {
  readonly items: readonly KeyValue[]
  readonly hasMore: boolean
}

export interface TicketOptions extends RequestOptions {
  readonly role?: 'voter' | 'learner'
  readonly ttlMs?: number
  readonly uses?: number
}

/** A backup of everything but secrets (state-machine/backup-encoding.ts), as of one entry. */
export interface Backup {
  readonly byteCount: number
  /** The bytes, as they are taken; once. */
  pieces(): AsyncIterable<Uint8Array>
  /** Must be called; may be called twice. */
  close(): Promise<void>
}

/** What can be asked of the process and of the disk of this node, and of no other's. */
export interface NodeAdmin {
  /** Logs at this level from now on. */
  setLogLevel(level: LogLevel): LogLevelAnswer
  /**
   * Copies SQLite's write-ahead log into the database, as far as no reader is in the way.
   * @throws ControlPlaneError INVALID_REQUEST where the state is not in SQLite
   */
  checkpoint(): Promise<CheckpointAnswer>
}

export interface NodeApi {
  readonly kv: KeyValueApi
  readonly cluster: ClusterController
  /** From memory; works without quorum. */
  status(): Status
  members(): Members
  /** Also of a node without a cluster. */
  nodeInfo(): NodeInfo
  health(): Health
  /** Never depends on other nodes. */
  livez(): Probe
  /** Whether requests would succeed here now, as far as these checks say; all of them when left out. */
  readyz(checks?: readonly ReadyCheck[]): Promise<Probe>
  createTicket(options?: TicketOptions): Promise<NewTicket>
  listTickets(options?: RequestOptions): Promise<Tickets>
  /** `id` as printed by list and show, or a ticket's text. */
  revokeTicket(id: string, options?: RequestOptions): Promise<void>
  /** `stale`: of what this node has, without asking anybody. */
  backup(options?: ReadOptions): Promise<Backup>
  /** For Prometheus, as text; from memory, works without quorum. */
  metrics(): Promise<string>
  /** Asks all members that are in reach what they have; works without quorum. */
  survey(): Promise<Survey>
}
