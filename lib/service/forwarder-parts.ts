// What a forwarder works with, and what it tells of its work.

import type { Clock, Timers } from '../clock.ts'
import type { ErrorCode } from '../errors.ts'
import type { NodeId } from '../node-id.ts'
import type { Entry } from '../raft/entry.ts'
import type { Random } from '../random.ts'
import type { Replica } from '../replica/replica.ts'
import type { Transport } from '../transport/transport.ts'
import type { LeaderDesk } from './leader-desk.ts'
import type { WriteGate } from './write-gate.ts'

export interface ForwarderParts {
  readonly id: NodeId
  readonly clock: Clock
  readonly timers: Timers
  readonly replica: Pick<
    Replica,
    'status' | 'appliedIndex' | 'propose' | 'read' | 'readIndex' | 'waitApplied'
  >
  readonly request: Transport['request']
  readonly random: Random
  /** asked before a leader proposes */
  readonly gate: Pick<WriteGate, 'refusalOf'>
  /** null: nothing is counted */
  readonly observer: ForwardObserver | null
  /** whether this node's disk could take a leader's writes */
  readonly hasSpace: () => boolean
  /** carries out a whole operation on the cluster, as the leader */
  readonly operate: LeaderDesk['carryOut']
  /** callers of writes that may wait here; MAX_PENDING_PROPOSALS when left out */
  readonly maxPendingProposals?: number | undefined
}

/** To be counted. */
export interface ForwardObserver {
  /** an entry of that kind, or a question for reads, leaves for a leader elsewhere */
  onForwarded(what: Entry['kind'] | 'read'): void
  onReadConfirmed(durationMs: number): void
  /** a command that a caller waited for */
  onSubmitFailed(code: ErrorCode): void
}
