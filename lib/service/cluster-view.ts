// What a node shows of itself and its cluster, from memory alone: it answers without quorum, without
// peers, without the disk.

import { formatAddress } from '../address.ts'
import type { Clock } from '../clock.ts'
import type { DiskState } from '../cluster/disk-watch.ts'
import { hexOf } from '../encoding.ts'
import { MAX_PROMOTION_LAG } from '../limits.ts'
import type { LogStore } from '../log-store/log-store.ts'
import type { NodeId } from '../node-id.ts'
import type { Configuration, Member } from '../raft/configuration.ts'
import { learnersOf, votersOf } from '../raft/configuration.ts'
import type { Replica } from '../replica/replica.ts'
import type { FetchProgress } from '../replica/snapshot-transfer.ts'
import type {
  Applied,
  NodeRecord,
  Snapshots,
  StateMachine
} from '../state-machine/state-machine.ts'
import type { LinkStatus, Transport } from '../transport/transport.ts'
import type { MemberRow, Members, Status } from './documents.ts'

export interface ClusterViewParts {
  readonly id: NodeId
  readonly publicKey: Uint8Array
  readonly clusterId: Uint8Array
  readonly name: () => string
  readonly version: string
  readonly dataDir: string
  readonly pid: number
  readonly storageBackend: Status['storage']['backend']
  readonly api: () => { readonly socket: string; readonly http: string }
  readonly clock: Clock
  readonly startedMs: number
  readonly replica: Pick<Replica, 'status' | 'appliedIndex'>
  readonly stateMachine: Pick<StateMachine, 'trust'> & {
    applied(): Pick<Applied, 'stateHash' | 'liveCount' | 'liveBytes' | 'compactedRevision'>
    readonly snapshots: Pick<Snapshots, 'list'>
  }
  readonly log: Pick<LogStore, 'base' | 'last'>
  readonly transport: Pick<Transport, 'links' | 'addresses' | 'discovery'>
  /** the configuration in use, or the welcome's */
  readonly configuration: () => Configuration
  readonly isInTouch: () => boolean
  readonly disk: () => DiskState | null
  /** the snapshot that is on its way here; null for none */
  readonly fetching: () => FetchProgress | null
}

export class ClusterView {
  readonly #parts: ClusterViewParts

  constructor(parts: ClusterViewParts) {
    this.#parts = parts
  }

  status(): Status {
    const { id, publicKey, clusterId, name, dataDir, pid, api, version } = this.#parts
    const { clock, startedMs, transport, replica, stateMachine } = this.#parts
    const configuration = this.#parts.configuration()
    const { leader, term, commitIndex } = replica.status
    const { isOnline, isAnnounced, usesTopics } = transport.discovery()
    return {
      node: { id, key: hexOf(publicKey), name: name() },
      cluster: { id: hexOf(clusterId) },
      role: this.role(),
      data_dir: dataDir,
      pid,
      api: api(),
      leader: this.#parts.isInTouch() ? leader : null,
      term,
      commit_index: commitIndex,
      applied_index: replica.appliedIndex,
      state_hash: hexOf(stateMachine.applied().stateHash),
      voters: [...votersOf(configuration)],
      learners: [...learnersOf(configuration)],
      state: this.state(),
      failure_tolerance: this.failureTolerance(),
      version,
      uptime_ms: Math.round(clock.nowMs() - startedMs),
      discovery: {
        online: isOnline,
        announced: usesTopics && isAnnounced,
        gossip: usesTopics
      },
      addresses: transport.addresses().map(formatAddress),
      storage: this.#storage(),
      disk: diskDocument(this.#parts.disk())
    }
  }

  #storage(): Status['storage'] {
    const { stateMachine, log, storageBackend } = this.#parts
    const { liveCount, liveBytes, compactedRevision } = stateMachine.applied()
    const [newest] = stateMachine.snapshots.list()
    return {
      backend: storageBackend,
      keys: liveCount,
      bytes: liveBytes,
      compacted_revision: compactedRevision,
      log_base: log.base.index,
      log_last: log.last.index,
      snapshot: newest === undefined ? null : { index: newest.index, bytes: newest.byteCount },
      fetching: fetchDocument(this.#parts.fetching())
    }
  }

  members(): Members {
    const { id, transport, stateMachine } = this.#parts
    const links = new Map(transport.links().map((link) => [link.id, link]))
    const records = new Map(stateMachine.trust().nodes.map((node) => [node.id, node]))
    const members = this.#parts
      .configuration()
      .members.map((member) => this.#row(member, records.get(member.id), links.get(member.id)))
      .map((row) => (row.id === id ? this.#ownRow(row) : row))
    return { members }
  }

  role(): Status['role'] {
    const configuration = this.#parts.configuration()
    if (votersOf(configuration).includes(this.#parts.id)) return 'voter'
    return learnersOf(configuration).includes(this.#parts.id) ? 'learner' : 'none'
  }

  /** Voters that may fail now with writes going on: those in sight beyond a majority. */
  failureTolerance(): number {
    // those that have just gone may still seem to be in sight
    if (!this.#parts.isInTouch()) return 0
    return Math.max(0, Math.min(...this.#quorums().map(({ seen, needed }) => seen - needed)))
  }

  state(): Status['state'] {
    const { id, isInTouch, replica } = this.#parts
    const { configuration, commitIndex } = replica.status
    // until its log has come to the entry that names it, a node lives on its welcome
    if (!configuration.members.some((member) => member.id === id)) return 'joining'
    if (!isInTouch()) return 'no_quorum'
    if (commitIndex - replica.appliedIndex > MAX_PROMOTION_LAG) return 'joining'
    return this.#quorums().some(({ seen, count }) => seen < count) ? 'degraded' : 'healthy'
  }

  /** Each set of voters that must agree: one, or two while a change is in progress. */
  #quorums(): readonly { seen: number; count: number; needed: number }[] {
    const configuration = this.#parts.configuration()
    const { outgoing } = configuration
    const sets = [votersOf(configuration), ...(outgoing.length === 0 ? [] : [outgoing])]
    return sets.map((voters) => ({
      seen: this.#votersInSight(voters),
      count: voters.length,
      needed: majorityOf(voters.length)
    }))
  }

  #votersInSight(voters: readonly NodeId[]): number {
    const linked = new Set(this.#parts.transport.links().map((link) => link.id))
    return voters.filter((id) => id === this.#parts.id || linked.has(id)).length
  }

  #row(member: Member, record: NodeRecord | undefined, link: LinkStatus | undefined): MemberRow {
    const { replica } = this.#parts
    const { role, leader, lastIndex, progress } = replica.status
    const matchIndex = progress.get(member.id)?.matchIndex
    return {
      id: member.id,
      key: hexOf(member.publicKey),
      name: record?.name ?? '',
      role: member.role === 'leaving' ? 'none' : member.role,
      is_leader: leader === member.id,
      is_self: false,
      linked: link !== undefined,
      path: link?.path ?? null,
      rtt_ms: link?.rttMs ?? null,
      lag: role === 'leader' && matchIndex !== undefined ? lastIndex - matchIndex : null,
      version: link?.version ?? record?.version ?? '',
      addresses: (record ?? member).addresses.map(formatAddress)
    }
  }

  #ownRow(row: MemberRow): MemberRow {
    const { replica, transport, name, version } = this.#parts
    const { role, lastIndex, durableIndex } = replica.status
    return {
      ...row,
      name: name(),
      is_self: true,
      linked: true,
      lag: role === 'leader' ? lastIndex - durableIndex : null,
      version,
      addresses: transport.addresses().map(formatAddress)
    }
  }
}

function fetchDocument(fetch: FetchProgress | null): Status['storage']['fetching'] {
  if (fetch === null) return null
  const { index, byteCount, chunkCount, missingCount } = fetch
  const share = (chunkCount - missingCount) / Math.max(1, chunkCount)
  return { index, bytes: byteCount, percent: Math.floor(share * 1_000) / 10 }
}

function diskDocument(disk: DiskState | null): Status['disk'] {
  if (disk === null) return null
  const { usedBytes, totalBytes, percent, isFull } = disk
  return {
    used_bytes: usedBytes,
    total_bytes: totalBytes,
    percent: Math.round(percent * 10) / 10,
    is_full: isFull
  }
}

function majorityOf(count: number): number {
  return Math.floor(count / 2) + 1
}
