// What a node is, as gauges, read when somebody asks for the metrics: from the same memory as its status
// and its health.

import type { Clock } from '../clock.ts'
import type { DiskState } from '../cluster/disk-watch.ts'
import { inviteState } from '../cluster/invites.ts'
import { hexOf } from '../encoding.ts'
import type { LogStore } from '../log-store/log-store.ts'
import type { NodeId } from '../node-id.ts'
import type { Configuration } from '../raft/configuration.ts'
import { votersOf } from '../raft/configuration.ts'
import type { Status as CoreStatus } from '../raft/effects.ts'
import type { StateMachine } from '../state-machine/state-machine.ts'
import type { Alarms } from './alarms.ts'
import type { ClusterView, ClusterViewParts } from './cluster-view.ts'
import type { MemberRow } from './documents.ts'
import { ALARMS } from './documents.ts'
import type { Labels, Metrics } from './metrics.ts'
import type { StorageSizes } from './node-health.ts'
import { quorumAgeMs } from './raft-metrics.ts'
import type { Unreachable } from './unreachable.ts'

export interface MetricStatesParts extends Pick<
  ClusterViewParts,
  'id' | 'clusterId' | 'name' | 'replica' | 'transport' | 'configuration' | 'isInTouch'
> {
  readonly clock: Clock
  readonly log: LogStore
  readonly stateMachine: Pick<StateMachine, 'applied' | 'trust' | 'snapshots'>
  readonly hasFailed: () => boolean
  readonly view: Pick<ClusterView, 'members' | 'failureTolerance'>
  readonly alarms: Pick<Alarms, 'isOn'>
  readonly unreachable: Pick<Unreachable, 'list'>
  readonly isFetching: () => boolean
  readonly isDraining: () => boolean
  readonly disk: () => DiskState | null
  /** null where nothing is on a disk */
  readonly sizes: () => StorageSizes | null
  /** commands given to this node that have no answer */
  readonly pendingCount: () => number
}

export class MetricStates {
  readonly #parts: MetricStatesParts

  constructor(parts: MetricStatesParts) {
    this.#parts = parts
  }

  read(metrics: Metrics): void {
    this.#readRaft(metrics)
    this.#readReplication(metrics)
    this.#readStore(metrics)
    this.#readDisk(metrics)
    this.#readMembers(metrics)
    this.#readNetwork(metrics)
    for (const alarm of ALARMS) {
      metrics.set('aspen_alarms', Number(this.#parts.alarms.isOn(alarm)), { alarm })
    }
  }

  #readRaft(metrics: Metrics): void {
    const { id, name, clusterId, replica, isInTouch, pendingCount, configuration } = this.#parts
    metrics.set('aspen_node_draining', Number(this.#parts.isDraining()))
    const { status, appliedIndex } = replica
    const info = { id: String(id), name: name(), cluster: hexOf(clusterId) }
    metrics.setAll('aspen_node_info', [[info, 1]])
    metrics.setOrRemove('aspen_current_leader', isInTouch() ? status.leader : null)
    metrics.set('aspen_raft_has_leader', Number(isInTouch()))
    const state = stateOf(status, configuration(), id)
    for (const one of STATES) metrics.set('aspen_raft_state', Number(one === state), { state: one })
    metrics.set('aspen_raft_term', status.term)
    metrics.set('aspen_raft_last_log_index', status.lastIndex)
    metrics.set('aspen_raft_commit_index', status.commitIndex)
    metrics.set('aspen_raft_applied_index', appliedIndex)
    metrics.set('aspen_apply_lag', Math.max(0, status.lastIndex - appliedIndex))
    metrics.set('aspen_raft_proposals_pending', pendingCount())
  }

  #readReplication(metrics: Metrics): void {
    const { clock, replica } = this.#parts
    const { role, progress, lastIndex } = replica.status
    const followers = role === 'leader' ? [...progress] : []
    const lags: [Labels, number][] = []
    const contacts: [Labels, number][] = []
    for (const [id, { matchIndex, heardMs }] of followers) {
      if (id === this.#parts.id) continue
      const peer = String(id)
      lags.push([{ peer }, Math.max(0, lastIndex - matchIndex)])
      if (heardMs !== null) contacts.push([{ peer }, (clock.nowMs() - heardMs) / 1_000])
    }
    metrics.setAll('aspen_raft_replication_lag_entries', lags)
    metrics.setAll('aspen_raft_peer_last_contact_seconds', contacts)
    const quorumMs = quorumAgeMs(this.#parts)
    metrics.setOrRemove('aspen_quorum_acked_seconds', quorumMs === null ? null : quorumMs / 1_000)
  }

  #readStore(metrics: Metrics): void {
    const { stateMachine, log, isFetching, clock, replica } = this.#parts
    const { liveCount, liveBytes, compactedRevision } = stateMachine.applied()
    const [newest] = stateMachine.snapshots.list()
    metrics.set('aspen_kv_keys', liveCount)
    metrics.set('aspen_kv_bytes', liveBytes)
    metrics.set('aspen_kv_revision', replica.appliedIndex)
    metrics.set('aspen_kv_compact_revision', compactedRevision)
    metrics.set('aspen_log_entries', log.last.index - log.base.index)
    metrics.setOrRemove('aspen_raft_snapshot_index', newest?.index ?? null)
    metrics.set('aspen_snapshot_apply_in_progress', Number(isFetching()))
    const open = stateMachine
      .trust()
      .invites.filter((invite) => inviteState(invite, clock.wallMs()) === 'open')
    metrics.set('aspen_tickets_open', open.length)
  }

  #readDisk(metrics: Metrics): void {
    const disk = this.#parts.disk()
    const left = disk === null ? null : disk.totalBytes - disk.usedBytes
    metrics.setOrRemove('aspen_disk_available_bytes', left)
    metrics.setOrRemove('aspen_disk_size_bytes', disk?.totalBytes ?? null)
    const sizes = this.#parts.sizes()
    metrics.set('aspen_storage_size_bytes', sizes?.logBytes ?? 0, { store: 'log' })
    metrics.set('aspen_storage_size_bytes', sizes?.stateBytes ?? 0, { store: 'state' })
    metrics.set('aspen_storage_size_bytes', sizes?.snapshotBytes ?? 0, { store: 'snapshots' })
    metrics.setOrRemove('sqlite_wal_size_bytes', sizes?.walBytes ?? null)
  }

  #readMembers(metrics: Metrics): void {
    const { view, unreachable } = this.#parts
    const { members } = view.members()
    for (const role of ['voter', 'learner'] as const) {
      for (const isLinked of [true, false]) {
        const count = members.filter((row) => row.role === role && row.linked === isLinked).length
        metrics.set('aspen_members', count, { role, health: isLinked ? 'linked' : 'unreachable' })
      }
    }
    metrics.set('aspen_failure_tolerance', view.failureTolerance())
    metrics.set('aspen_unreachable_nodes', members.filter((row) => !row.linked).length)
    const needing = unreachable.list().filter((one) => one.needsAttention)
    metrics.set('aspen_nodes_needing_attention', needing.length)
    metrics.setAll(
      'aspen_node_unreachable_seconds',
      needing.map(({ id, failureType, seconds }) => [
        { peer: String(id), failure_type: failureType },
        seconds
      ])
    )
    metrics.setAll('aspen_raft_peer_rtt_seconds', members.flatMap(rttOf))
  }

  #readNetwork(metrics: Metrics): void {
    const { transport } = this.#parts
    const links = transport.links()
    for (const path of ['direct', 'relay'] as const) {
      const count = links.filter((link) => link.path === path).length
      metrics.set('aspen_net_connections', count, { path })
    }
    const { isOnline, isAnnounced } = transport.discovery()
    metrics.set('aspen_dht_online', Number(isOnline))
    metrics.set('aspen_dht_announced', Number(isAnnounced))
  }
}

const STATES = ['leader', 'follower', 'candidate', 'learner'] as const

function stateOf(
  { role }: CoreStatus,
  configuration: Configuration,
  id: NodeId
): (typeof STATES)[number] {
  if (role === 'leader') return 'leader'
  if (role !== 'follower') return 'candidate'
  return votersOf(configuration).includes(id) ? 'follower' : 'learner'
}

function rttOf({ id, rtt_ms: rttMs }: MemberRow): [Labels, number][] {
  return rttMs === null ? [] : [[{ peer: String(id) }, rttMs / 1_000]]
}
