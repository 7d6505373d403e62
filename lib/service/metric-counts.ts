// What happens in a node, counted: the functions by which the layers tell it. Each of them is called on the
// way of a request or a message, and does no more than count.

import type { ErrorCode } from '../errors.ts'
import type { NodeId } from '../node-id.ts'
import type { Configuration } from '../raft/configuration.ts'
import { ENTRY_KIND } from '../raft/entry.ts'
import type { Status as CoreStatus } from '../raft/effects.ts'
import type { ReplicaObserver } from '../replica/durations.ts'
import type { ApplyResult, SnapshotInfo, TrustState } from '../state-machine/state-machine.ts'
import type { JoinAnswer } from '../transport/transport.ts'
import type { TrafficObserver } from '../transport/traffic.ts'
import type { ForwardObserver } from './forwarder-parts.ts'
import type { RequestNote } from './measured-store.ts'
import type { Metrics } from './metrics.ts'
import { RaftTally } from './raft-tally.ts'

export class MetricCounts {
  readonly #metrics: Metrics
  readonly #tally: RaftTally
  /** members with a series of their own */
  readonly #peers = new Set<NodeId>()
  #commitIndex: number | null = null

  constructor(metrics: Metrics) {
    this.#metrics = metrics
    this.#tally = new RaftTally({
      onLeaderChange: () => metrics.count('aspen_raft_leader_changes_seen_total'),
      onElection: (result) => metrics.count('aspen_raft_elections_total', { result })
    })
  }

  readonly replica: ReplicaObserver = {
    onWritten: (durationMs) => {
      const labels = { store: 'log' }
      this.#metrics.observe('aspen_storage_commit_duration_seconds', durationMs / 1_000, labels)
    },
    onCommitted: (durationMs) =>
      this.#metrics.observe('aspen_raft_commit_duration_seconds', durationMs / 1_000),
    onApplied: (entryCount, durationMs) => {
      this.#metrics.count('aspen_raft_proposals_applied_total', {}, entryCount)
      this.#metrics.observe('aspen_raft_apply_duration_seconds', durationMs / 1_000)
    }
  }

  readonly traffic: TrafficObserver = {
    onSent: (channel, byteCount) => {
      this.#metrics.count('aspen_net_messages_total', SENT[channel])
      this.#metrics.count('aspen_net_bytes_total', SENT[channel], byteCount)
    },
    onReceived: (channel, byteCount) => {
      this.#metrics.count('aspen_net_messages_total', RECEIVED[channel])
      this.#metrics.count('aspen_net_bytes_total', RECEIVED[channel], byteCount)
    },
    onRejected: (reason, isHeartbeat) => {
      this.#metrics.count('aspen_net_messages_rejected_total', { reason })
      if (isHeartbeat) this.#metrics.count('aspen_raft_heartbeat_send_failures_total')
    },
    onRequested: (to, isAnswered, durationMs) => {
      if (!isAnswered) {
        this.#metrics.count('aspen_errors_total', { type: 'rpc' })
        return
      }
      this.#peers.add(to)
      const labels = { peer: String(to) }
      this.#metrics.observe('aspen_rpc_duration_seconds', durationMs / 1_000, labels)
    },
    onDialed: (result) => {
      this.#metrics.count('aspen_net_dials_total', { result })
      if (result !== 'ok') this.#metrics.count('aspen_errors_total', { type: 'network' })
    },
    onConnected: (isLink) => {
      if (isLink) this.#metrics.count('aspen_net_connections_established_total')
      else this.#metrics.count('aspen_net_connections_failed_total')
    }
  }

  readonly forwarding: ForwardObserver = {
    onForwarded: (what) => {
      const command = what === ENTRY_KIND.write ? 'write' : 'control'
      const op = what === 'read' ? what : command
      this.#metrics.count('aspen_kv_forwarded_total', { op })
    },
    onReadConfirmed: (durationMs) =>
      this.#metrics.observe('aspen_raft_read_index_duration_seconds', durationMs / 1_000),
    onSubmitFailed: (code) =>
      this.#metrics.count('aspen_raft_proposals_failed_total', { reason: reasonOf(code) })
  }

  /** Role, term, leader or configuration changed. */
  onStatus(status: Pick<CoreStatus, 'role' | 'leader' | 'configuration'>): void {
    this.#tally.look(status)
    this.#forgetOthers(status.configuration)
  }

  onApplied(commitIndex: number, results: readonly ApplyResult[], trust: TrustState): void {
    this.#countCommitted(commitIndex)
    for (const result of results) {
      if (result.kind !== 'admitted' || !result.isNew) continue
      const node = trust.nodes.find(({ id }) => id === result.id)
      // neither the founder nor who was let in by its key
      if (node !== undefined && node.invitePublicKey !== null) {
        this.#metrics.count('aspen_ticket_uses_total')
      }
    }
  }

  onRequest({ op, consistency, result, durationMs }: RequestNote): void {
    this.#metrics.count('aspen_kv_requests_total', { op, consistency, result })
    const labels = { op, consistency }
    this.#metrics.observe('aspen_kv_request_duration_seconds', durationMs / 1_000, labels)
  }

  onSnapshotMade(snapshot: SnapshotInfo | null, durationMs: number): void {
    if (snapshot === null) {
      this.#metrics.count('aspen_errors_total', { type: 'storage' })
      return
    }
    this.#metrics.observe('aspen_snapshot_duration_seconds', durationMs / 1_000)
    this.#metrics.observe('aspen_snapshot_size_bytes', snapshot.byteCount)
  }

  /** A snapshot of another member came here, or one of this node was asked for. */
  onSnapshotMoved(direction: 'in' | 'out', isOk: boolean): void {
    const result = isOk ? 'ok' : 'failed'
    this.#metrics.count('aspen_snapshot_transfers_total', { direction, result })
  }

  /** A node knocked with a ticket. */
  onAdmission(answer: JoinAnswer): void {
    this.#metrics.count('aspen_admissions_total', { result: admissionOf(answer) })
  }

  onStorageFailed(): void {
    this.#metrics.count('aspen_errors_total', { type: 'storage' })
  }

  /** What is committed above what was known first. */
  #countCommitted(commitIndex: number): void {
    const before = this.#commitIndex ?? commitIndex
    this.#commitIndex = Math.max(before, commitIndex)
    const by = this.#commitIndex - before
    if (by > 0) this.#metrics.count('aspen_raft_proposals_committed_total', {}, by)
  }

  #forgetOthers({ members }: Configuration): void {
    for (const id of this.#peers) {
      if (members.some((member) => member.id === id)) continue
      this.#peers.delete(id)
      this.#metrics.removeSeries('aspen_rpc_duration_seconds', { peer: String(id) })
    }
  }
}

const SENT = {
  raft: { direction: 'sent', channel: 'raft' },
  rpc: { direction: 'sent', channel: 'rpc' },
  snapshot: { direction: 'sent', channel: 'snapshot' }
} as const
const RECEIVED = {
  raft: { direction: 'received', channel: 'raft' },
  rpc: { direction: 'received', channel: 'rpc' },
  snapshot: { direction: 'received', channel: 'snapshot' }
} as const

function reasonOf(code: ErrorCode): string {
  return REASONS[code] ?? 'refused'
}

const REASONS: Partial<Record<ErrorCode, string>> = {
  UNAVAILABLE: 'no_leader',
  OUTCOME_UNKNOWN: 'dropped',
  TIMEOUT: 'timeout',
  OVERLOADED: 'overloaded',
  DISK_SPACE_INSUFFICIENT: 'no_space',
  STORE_FULL: 'no_space'
}

function admissionOf(answer: JoinAnswer): string {
  if (answer.kind === 'admitted') return 'ok'
  if (answer.kind === 'busy') return 'busy'
  const { code } = answer.error
  if (code === 'TICKET_EXPIRED') return 'expired'
  if (code === 'TICKET_REVOKED') return 'revoked'
  return code === 'TICKET_USED_UP' ? 'used' : 'refused'
}
