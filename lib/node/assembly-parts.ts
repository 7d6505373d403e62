// What a node is put together from: ports, identity, and the functions by which it tells what happens.

import type { Address } from '../address.ts'
import type { Clock, Timers } from '../clock.ts'
import type { DiskProbe } from '../cluster/disk-watch.ts'
import type { StoragePolicy } from '../cluster/storage-policy.ts'
import type { MemoryStore } from '../cluster/guard-keeper.ts'
import type { KeyPair } from '../crypto.ts'
import type { AspenError } from '../errors.ts'
import type { LogStore, RestoredLog } from '../log-store/log-store.ts'
import type { NodeId } from '../node-id.ts'
import type { RaftOptions, Restored } from '../raft/core.ts'
import type { Timing } from '../raft/timing.ts'
import type { Random } from '../random.ts'
import type { ConsensusCore } from '../replica/consensus-core.ts'
import type { BackupSource } from '../service/backups.ts'
import type { Status } from '../service/documents.ts'
import type { Metrics } from '../service/metrics.ts'
import type { StorageSizes } from '../service/node-health.ts'
import type { StateSize } from '../service/write-gate.ts'
import type { StateMachine } from '../state-machine/state-machine.ts'
import type { LinksOptions } from '../transport/links.ts'
import type { Network } from '../transport/network.ts'
import type { Transport, Welcome } from '../transport/transport.ts'

/** What the assembly says about itself, for the log; `lib/node` writes it with pino. */
export interface EventLog {
  info(fields: object, message: string): void
  warn(fields: object, message: string): void
}

export interface AssemblyParts {
  readonly clusterId: Uint8Array
  readonly id: NodeId
  readonly keyPair: KeyPair
  readonly name: string
  readonly version: string
  /** 16 random bytes of this process */
  readonly instance: Uint8Array
  /** since when it is up; from now on when left out */
  readonly startedMs?: number
  /** what this node was told when it joined; null for the founder */
  readonly welcome: Welcome | null
  /** for tickets; empty on the public DHT */
  readonly bootstrap: readonly Address[]
  readonly targetVoters: number
  readonly timing: Timing
  readonly clock: Clock
  readonly timers: Timers
  readonly random: Random
  readonly log: LogStore
  readonly restored: RestoredLog
  readonly stateMachine: StateMachine
  readonly network: Network
  readonly events: EventLog
  /** by hex of the public key */
  readonly savedAddresses: ReadonlyMap<string, readonly Address[]>
  readonly onAddress: (publicKey: Uint8Array, address: Address) => void
  readonly onFailed: (error: AspenError) => void
  /** what this node remembers of the others, across its lives */
  readonly memories: MemoryStore
  /** how full the data directory's disk is; null where there is none */
  readonly diskProbe: DiskProbe | null
  /** what the cluster may hold, as this node sees it when it leads */
  readonly maxState: StateSize
  /** writes that may wait here; MAX_PENDING_PROPOSALS when left out */
  readonly maxPendingProposals?: number | undefined
  /** when this node, leading, has snapshots made and history forgotten */
  readonly storagePolicy: StoragePolicy
  /** where log and state are; shown in the status */
  readonly storageBackend: Status['storage']['backend']
  /** null where nothing is on a disk */
  readonly backups: BackupSource | null
  /** bytes of the files of this node; null where nothing is on a disk */
  readonly sizes: (() => StorageSizes) | null
  /** null: nothing is counted */
  readonly metrics: Metrics | null
  /** shown in the status */
  readonly dataDir: string
  readonly pid: number
  /** a simulator watches the core and the transport, or replaces them; `Raft` and `Links` when absent */
  readonly makeCore?: (options: RaftOptions, restored: Restored) => ConsensusCore
  readonly makeTransport?: (options: LinksOptions) => Transport
}
