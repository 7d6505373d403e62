// Whether a node is well, in three depths. `livez`: should this process be restarted; it never depends on
// other nodes, or those that survive a lost quorum would be killed too. `readyz`: would requests succeed
// here now. `health`: everything for people, in the words of the seed, with its rule for 503. All but one
// check of `readyz` answer from memory.

import { unreachable } from '../assert.ts'
import type { Clock } from '../clock.ts'
import type { DiskState } from '../cluster/disk-watch.ts'
import { asAspenError } from '../errors.ts'
import {
  READY_WITHIN_MS,
  STALLED_MS,
  WAL_FULL_BYTES,
  WAL_WARN_BYTES,
  WEDGED_MS
} from '../health-limits.ts'
import { DISK_FULL_PERCENT, DISK_WARN_PERCENT, MAX_PROMOTION_LAG } from '../limits.ts'
import type { NodeId } from '../node-id.ts'
import type { Status as CoreStatus } from '../raft/effects.ts'
import type { Replica } from '../replica/replica.ts'
import type { Alarms } from './alarms.ts'
import type { ClusterView } from './cluster-view.ts'
import type { Health, Probe, ReadyCheck, Status } from './documents.ts'
import { READY_CHECKS } from './documents.ts'
import type { Forwarder } from './forwarding.ts'

/** Bytes of files in the data directory, as of a moment ago. */
export interface StorageSizes {
  readonly logBytes: number
  readonly stateBytes: number
  readonly snapshotBytes: number
  /** of the state machine's write-ahead log; null while there is none */
  readonly walBytes: number | null
}

export interface NodeHealthParts {
  readonly id: NodeId
  readonly clock: Clock
  readonly startedMs: number
  readonly replica: Pick<Replica, 'status' | 'appliedIndex' | 'waits'>
  readonly view: Pick<ClusterView, 'state' | 'role' | 'failureTolerance'>
  readonly alarms: Pick<Alarms, 'isOn' | 'list'>
  readonly forwarder: Pick<Forwarder, 'confirmRead'>
  readonly isInTouch: () => boolean
  /** whether the log or the state machine has failed, so that this process is about to end */
  readonly hasFailed: () => boolean
  readonly disk: () => DiskState | null
  /** null where nothing is on a disk */
  readonly sizes: () => StorageSizes | null
}

type Check = Health['checks'][string]

export class NodeHealth {
  readonly #parts: NodeHealthParts
  #isDraining = false
  /** in progress: one answers all who ask meanwhile, since anybody may ask as often as he likes */
  #confirming: Promise<string | null> | null = null

  constructor(parts: NodeHealthParts) {
    this.#parts = parts
  }

  get isDraining(): boolean {
    return this.#isDraining
  }

  /** From now on `readyz` says no. */
  drain(): void {
    this.#isDraining = true
  }

  health(): Health {
    const { id, clock, startedMs, replica, isInTouch, view, alarms } = this.#parts
    const { leader, term } = replica.status
    const state = view.state()
    const checks = this.#checks(state)
    const results = Object.values(checks).map((check) => check.status)
    const alarmed = alarms.list()
    const isWell = state === 'healthy' && !results.includes('warning') && alarmed.length === 0
    return {
      status: results.includes('error') ? 'unhealthy' : isWell ? 'healthy' : 'degraded',
      state: stateWord(replica.status, view.role()),
      current_leader: isInTouch() ? leader : null,
      term,
      node_id: id,
      raft_node_id: id,
      uptime_seconds: (clock.nowMs() - startedMs) / 1000,
      failure_tolerance: view.failureTolerance(),
      alarms: alarmed,
      supervision: NO_SUPERVISION,
      checks
    }
  }

  /** Whoever gets this answer knows that the event loop turns. */
  livez(): Probe {
    const { writeMs, applyMs } = this.#parts.replica.waits
    return probeOf({
      event_loop: null,
      apply_loop: applyMs >= WEDGED_MS ? `has been applying for ${seconds(applyMs)}` : null,
      log_writable: writeMs >= WEDGED_MS ? `no answer to a write for ${seconds(writeMs)}` : null,
      storage: this.#parts.hasFailed() ? DISK_FAILED : null
    })
  }

  /** Asks nobody for what is not in `checks`. */
  async readyz(checks: readonly ReadyCheck[] = READY_CHECKS): Promise<Probe> {
    const reasons = await Promise.all(
      checks.map(async (check) => [check, await this.#whyNot(check)] as const)
    )
    return probeOf(Object.fromEntries(reasons))
  }

  async #whyNot(check: ReadyCheck): Promise<string | null> {
    switch (check) {
      case 'leader_known':
        return this.#parts.isInTouch() ? null : NO_LEADER
      case 'linearizable_read':
        return await this.#whyUnconfirmed()
      case 'applied_caught_up':
        return this.#whyBehind()
      case 'no_corrupt_alarm':
        return this.#parts.alarms.isOn('corrupt') ? DAMAGED : null
      case 'not_draining':
        return this.#isDraining ? 'the node is being closed' : null
      default:
        unreachable(check)
    }
  }

  #whyUnconfirmed(): Promise<string | null> {
    this.#confirming ??= this.#parts.forwarder
      .confirmRead(READY_WITHIN_MS)
      .then(() => null, reasonOf)
      .finally(() => {
        this.#confirming = null
      })
    return this.#confirming
  }

  #whyBehind(): string | null {
    const { id, replica } = this.#parts
    const { configuration, commitIndex } = replica.status
    if (!configuration.members.some((member) => member.id === id)) {
      return 'the log here has not come to the entry that made this node a member'
    }
    const lag = commitIndex - replica.appliedIndex
    return lag > MAX_PROMOTION_LAG ? `${lag} committed entries are not applied` : null
  }

  #checks(state: Status['state']): Record<string, Check> {
    const { replica, hasFailed, disk, sizes, alarms } = this.#parts
    const found = sizes()
    return {
      raft_actor: actorCheck(replica.waits),
      raft_cluster: replica.status.leader === null ? warning(NO_LEADER) : OK,
      quorum: quorumCheck(state),
      storage: hasFailed() ? failure(DISK_FAILED) : alarms.isOn('corrupt') ? warning(DAMAGED) : OK,
      disk_space: diskCheck(disk(), found === null),
      ...(found !== null && { wal_file: walCheck(found.walBytes) })
    }
  }
}

const OK: Check = { status: 'ok' }
// the seed's words
const NO_LEADER = 'No leader elected'
const IN_MEMORY = 'In-memory storage (no disk check needed)'
const DISK_FAILED = 'the disk has failed'
const DAMAGED = 'damage was found on the disk that no other member can repair'

/** Nothing supervises a node yet. */
export const NO_SUPERVISION: Health['supervision'] = {
  status: 'healthy',
  consecutive_failures: 0,
  circuit_state: 'Closed',
  enabled: false
}

function warning(message: string): Check {
  return { status: 'warning', message }
}

function failure(message: string): Check {
  return { status: 'error', message }
}

/** A process that is wedged is restarted; one that is slow is looked at. */
function actorCheck({ writeMs, applyMs }: Replica['waits']): Check {
  const longest = Math.max(writeMs, applyMs)
  if (longest < STALLED_MS) return OK
  const what = writeMs >= applyMs ? 'the log has not answered' : 'entries have been applied'
  const message = `${what} for ${seconds(longest)}`
  return longest >= WEDGED_MS ? failure(message) : warning(message)
}

function quorumCheck(state: Status['state']): Check {
  if (state === 'degraded') return warning('a voter is out of sight')
  return state === 'no_quorum' ? warning('no majority in sight') : OK
}

function diskCheck(disk: DiskState | null, isInMemory: boolean): Check {
  if (disk === null) return isInMemory ? { status: 'ok', message: IN_MEMORY } : OK
  const percent = Math.floor(disk.percent)
  if (disk.isFull) {
    return failure(`Disk usage critical: ${percent}% (threshold: ${DISK_FULL_PERCENT}%)`)
  }
  if (percent >= DISK_WARN_PERCENT) return warning(`Disk usage high: ${percent}%`)
  return { status: 'ok', message: `Disk usage: ${percent}%` }
}

/** The seed says MB and counts by 1,024. */
function walCheck(byteCount: number | null): Check {
  if (byteCount === null) return { status: 'ok', message: 'No WAL file present' }
  const megabytes = Math.floor(byteCount / MIB)
  const message = `WAL file size: ${megabytes}MB`
  if (byteCount > WAL_FULL_BYTES) {
    return failure(`${message} (exceeds ${WAL_FULL_BYTES / MIB}MB critical threshold)`)
  }
  if (byteCount <= WAL_WARN_BYTES) return { status: 'ok', message }
  return warning(`${message} (exceeds ${WAL_WARN_BYTES / MIB}MB warning threshold)`)
}

const MIB = 1024 * 1024

/** Each check with why it fails, or null. */
function probeOf(reasons: Readonly<Record<string, string | null>>): Probe {
  const failed = Object.entries(reasons).flatMap(([check, reason]) =>
    reason === null ? [] : [[check, reason] as const]
  )
  return {
    ok: failed.length === 0,
    checks: Object.fromEntries(
      Object.entries(reasons).map(([check, why]) => [check, why === null])
    ),
    reasons: Object.fromEntries(failed)
  }
}

function reasonOf(error: unknown): string {
  return asAspenError(error).message
}

function seconds(milliseconds: number): string {
  return `${Math.floor(milliseconds / 1_000)} s`
}

function stateWord(status: CoreStatus, role: Status['role']): string {
  if (status.role === 'leader') return 'Leader'
  if (status.role === 'follower') return role === 'voter' ? 'Follower' : 'Learner'
  return 'Candidate'
}
