// What a node shows of itself and its cluster, from memory alone: it answers without quorum, without
// peers, without the disk.

import { formatAddress } from '../address.ts'
import type { Clock } from '../clock.ts'
import { hexOf } from '../encoding.ts'
import type { NodeId } from '../node-id.ts'
import type { Configuration, Member } from '../raft/configuration.ts'
import { learnersOf, votersOf } from '../raft/configuration.ts'
import type { Status as CoreStatus } from '../raft/effects.ts'
import type { Replica } from '../replica/replica.ts'
import type { NodeRecord, StateMachine } from '../state-machine/state-machine.ts'
import type { LinkStatus, Transport } from '../transport/transport.ts'
import type { Health, MemberRow, Members, Probe, Status } from './documents.ts'

export interface ClusterViewParts {
  readonly id: NodeId
  readonly publicKey: Uint8Array
  readonly clusterId: Uint8Array
  readonly name: () => string
  readonly version: string
  readonly dataDir: string
  readonly pid: number
  readonly api: () => { readonly socket: string; readonly http: string }
  readonly clock: Clock
  readonly startedMs: number
  readonly replica: Replica
  readonly stateMachine: StateMachine
  readonly transport: Transport
  /** the configuration in use, or the welcome's */
  readonly configuration: () => Configuration
  readonly isInTouch: () => boolean
}

export class ClusterView {
  readonly #parts: ClusterViewParts

  constructor(parts: ClusterViewParts) {
    this.#parts = parts
  }

  status(): Status {
    const { id, publicKey, clusterId, name, dataDir, pid, api, version } = this.#parts
    const { clock, startedMs, transport, replica } = this.#parts
    const configuration = this.#parts.configuration()
    const { leader, term, commitIndex } = replica.status
    const { isOnline, isAnnounced } = transport.discovery()
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
      voters: [...votersOf(configuration)],
      learners: [...learnersOf(configuration)],
      state: this.state(),
      failure_tolerance: this.failureTolerance(),
      version,
      uptime_ms: Math.round(clock.nowMs() - startedMs),
      discovery: { online: isOnline, announced: isAnnounced },
      addresses: transport.addresses().map(formatAddress)
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
    const voters = votersOf(this.#parts.configuration())
    return Math.max(0, this.#votersInSight(voters) - majorityOf(voters.length))
  }

  state(): Status['state'] {
    const { id, configuration, isInTouch } = this.#parts
    const voters = votersOf(configuration())
    const isMember = configuration().members.some((member) => member.id === id)
    if (!isMember) return 'joining'
    if (!isInTouch()) return 'no_quorum'
    const tolerance = this.failureTolerance()
    return voters.length > 1 && tolerance < voters.length - majorityOf(voters.length)
      ? 'degraded'
      : 'healthy'
  }

  health(): Health {
    const { id, clock, startedMs, replica } = this.#parts
    const { term } = replica.status
    const state = this.state()
    const leader = this.status().leader
    const checks: Health['checks'] = {
      node: { status: 'ok' },
      cluster: leader === null ? { status: 'warning', message: 'No leader elected' } : { status: 'ok' },
      quorum:
        state === 'degraded'
          ? { status: 'warning', message: 'a voter is out of sight' }
          : { status: state === 'no_quorum' ? 'warning' : 'ok' }
    }
    return {
      status: state === 'healthy' ? 'healthy' : 'degraded',
      state: stateWord(replica.status, this.role()),
      current_leader: leader,
      term,
      node_id: id,
      uptime_seconds: (clock.nowMs() - startedMs) / 1000,
      failure_tolerance: this.failureTolerance(),
      checks
    }
  }

  livez(): Probe {
    return { ok: true, checks: { event_loop: true } }
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

function majorityOf(count: number): number {
  return Math.floor(count / 2) + 1
}

function stateWord(status: CoreStatus, role: Status['role']): string {
  if (status.role === 'leader') return 'Leader'
  if (status.role === 'follower') return role === 'voter' ? 'Follower' : 'Learner'
  return 'Candidate'
}
