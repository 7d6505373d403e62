// What a node's consensus core says of itself, as the document of `/raft-metrics`: from memory, without
// quorum, without peers.

import type { Clock } from '../clock.ts'
import type { LogStore } from '../log-store/log-store.ts'
import type { NodeId } from '../node-id.ts'
import type { Index } from '../raft/entry.ts'
import { quorumValue, votersIn } from '../raft/quorum.ts'
import type { Replica } from '../replica/replica.ts'
import type { Applied, Snapshots } from '../state-machine/state-machine.ts'
import type { RaftMetrics } from './documents.ts'

export interface RaftMetricsParts {
  readonly id: NodeId
  readonly clock: Clock
  readonly replica: Pick<Replica, 'status'>
  readonly stateMachine: {
    applied(): Pick<Applied, 'index' | 'term'>
    readonly snapshots: Pick<Snapshots, 'list'>
  }
  readonly log: Pick<LogStore, 'idAt'>
  /** leads, or hears who does */
  readonly isInTouch: () => boolean
  /** a store has failed, so that this process is about to end */
  readonly hasFailed: () => boolean
}

export function raftMetricsOf(parts: RaftMetricsParts): RaftMetrics {
  const { id, replica, stateMachine, isInTouch } = parts
  const { status } = replica
  const { index, term } = stateMachine.applied()
  const [newest] = stateMachine.snapshots.list()
  return {
    node_id: id,
    state: stateOf(parts),
    current_leader: isInTouch() ? status.leader : null,
    current_term: status.term,
    last_log_index: status.lastIndex,
    last_applied: index === 0 ? null : { term, index },
    snapshot: newest === undefined ? null : { term: newest.term, index: newest.index },
    replication: replicationOf(parts),
    millis_since_quorum_ack: quorumAgeMs(parts)
  }
}

function stateOf({ id, replica, hasFailed }: RaftMetricsParts): RaftMetrics['state'] {
  const { role, configuration } = replica.status
  if (hasFailed()) return 'Shutdown'
  if (role === 'leader') return 'Leader'
  if (role !== 'follower') return 'Candidate'
  return votersIn(configuration).incoming.includes(id) ? 'Follower' : 'Learner'
}

function replicationOf({ replica, log }: RaftMetricsParts): RaftMetrics['replication'] {
  const { role, progress } = replica.status
  if (role !== 'leader') return null
  const rows = [...progress].map(([id, { matchIndex }]) => [id, logIdAt(log, matchIndex)] as const)
  return Object.fromEntries(rows)
}

/** Null for nothing, and for what lies so far back that its term is not known here any more. */
function logIdAt(
  log: RaftMetricsParts['log'],
  index: Index
): { readonly term: number; readonly index: number } | null {
  const found = index === 0 ? 'missing' : log.idAt(index)
  return found === 'missing' || found === 'compacted' ? null : { term: found.term, index }
}

/**
 * How long ago this node last knew that it was not cut off: it heard the leader, or, leading, a majority
 * answered it. Null: never in this life of the process. What it holds may be older, while it catches up.
 */
export function leaderAgeMs(
  parts: Pick<RaftMetricsParts, 'id' | 'replica' | 'clock'>
): number | null {
  const { role, leaderHeardMs } = parts.replica.status
  if (role === 'leader') return quorumAgeMs(parts)
  return leaderHeardMs === null
    ? null
    : Math.max(0, Math.round(parts.clock.nowMs() - leaderHeardMs))
}

/** Null on other nodes than the leader, and until a majority has answered it once. */
export function quorumAgeMs({
  id,
  replica,
  clock
}: Pick<RaftMetricsParts, 'id' | 'replica' | 'clock'>): number | null {
  const { role, configuration, progress } = replica.status
  const voters = votersIn(configuration)
  if (role !== 'leader' || voters.incoming.length === 0) return null
  const nowMs = clock.nowMs()
  const heardMs = quorumValue(voters, (voter) =>
    voter === id ? nowMs : (progress.get(voter)?.heardMs ?? -Infinity)
  )
  return heardMs === -Infinity ? null : Math.max(0, Math.round(nowMs - heardMs))
}
