// What a node does about snapshots: proposes them while it leads, offers the newest to who needs it, fetches
// the one that it is offered, hands it to the replica, and answers what others ask for.

import { FeatureLevel } from '../cluster/feature-level.ts'
import { StorageDuties } from '../cluster/storage-duties.ts'
import { REJOIN_HINT, StorageError } from '../errors.ts'
import type { NodeId } from '../node-id.ts'
import type { Entry, Index } from '../raft/entry.ts'
import { ENTRY_KIND } from '../raft/entry.ts'
import type { VerdictSource } from '../replica/log-verdict.ts'
import type { Outcome, Proposal } from '../replica/proposals.ts'
import type { Replica } from '../replica/replica.ts'
import { askOver } from '../replica/snapshot-ask.ts'
import type { Ask } from '../replica/snapshot-ask.ts'
import { StateCompare } from '../replica/state-compare.ts'
import { SnapshotDesk } from '../replica/snapshot-desk.ts'
import { SnapshotTransfer } from '../replica/snapshot-transfer.ts'
import type { FetchProgress } from '../replica/snapshot-transfer.ts'
import { FEATURE_LEVEL } from '../state-machine/command.ts'
import { encodeControl } from '../state-machine/encoding.ts'
import type { MetricCounts } from '../service/metric-counts.ts'
import type { PreparedSnapshot, SnapshotInfo } from '../state-machine/state-machine.ts'
import type { Transport } from '../transport/transport.ts'
import type { AssemblyParts } from './assembly-parts.ts'

export interface SnapshotDutyParts extends Pick<
  AssemblyParts,
  'id' | 'clock' | 'timers' | 'storagePolicy' | 'log' | 'stateMachine' | 'events' | 'onFailed'
> {
  readonly replica: Replica
  readonly core: VerdictSource['core']
  readonly transport: Pick<Transport, 'links' | 'requestSnapshot'>
  /** another member's snapshot has taken the place of what was applied here */
  readonly onAdopted: () => void
  /** null: nothing is counted */
  readonly counts: Pick<MetricCounts, 'onSnapshotMade' | 'onSnapshotMoved'> | null
}

export class SnapshotDuty {
  readonly #parts: SnapshotDutyParts
  readonly #transfer: SnapshotTransfer<PreparedSnapshot>
  readonly #desk: SnapshotDesk
  readonly #duties: StorageDuties
  readonly #compare: StateCompare
  readonly #level: FeatureLevel
  #failedCount = 0

  constructor(parts: SnapshotDutyParts) {
    this.#parts = parts
    const { clock, timers, storagePolicy: policy, log, stateMachine, onFailed } = parts
    const { id, replica, core, transport, events } = parts
    const { snapshots } = stateMachine
    this.#level = new FeatureLevel({
      id,
      ownLevel: FEATURE_LEVEL,
      status: () => replica.status,
      applied: () => stateMachine.applied(),
      links: () => transport.links(),
      admitted: () => stateMachine.trust().nodes,
      propose: (raised, onEnd) => this.#proposeLevel(raised, onEnd),
      onHeldBack: (needed, by) => {
        const fields = { event: 'cluster.level_held_back', level: needed, by }
        const what = 'what is due needs a feature level that not all members say they have'
        events.warn(fields, what)
      }
    })
    this.#duties = new StorageDuties({
      clock,
      policy,
      status: () => replica.status,
      applied: () => stateMachine.applied(),
      newestSnapshot: () => snapshots.list()[0] ?? null,
      isSupported: () => this.isSupported(),
      proposeSnapshot: (onEnd) => this.#propose(ENTRY_KIND.snapshot, EMPTY, onEnd),
      proposeCompaction: (revision, onEnd) => this.#proposeCompaction(revision, onEnd)
    })
    const ask = askOver((to, payload, onAnswer) => transport.requestSnapshot(to, payload, onAnswer))
    this.#compare = this.#newCompare(ask)
    this.#transfer = new SnapshotTransfer<PreparedSnapshot>({
      clock,
      timers,
      ask,
      snapshots,
      status: () => replica.status,
      logBase: () => log.base.index,
      sources: () => transport.links().map((link) => link.id),
      onPrepared: (prepared) => this.#install(prepared),
      onServed: (isHere) => this.#parts.counts?.onSnapshotMoved('out', isHere),
      onNoneHere: () => this.#duties.want()
    })
    const readIndex: VerdictSource['readIndex'] = (onOutcome) => replica.readIndex(onOutcome)
    const verdicts = { core, readIndex }
    this.#desk = new SnapshotDesk({
      log,
      transfer: this.#transfer,
      verdicts,
      snapshots,
      onNoneHere: () => this.#duties.want(),
      onFailed
    })
  }

  #newCompare(ask: Ask): StateCompare {
    const { timers, replica, id, events, onFailed } = this.#parts
    return new StateCompare({
      timers,
      ask,
      others: () =>
        replica.status.configuration.members.map((member) => member.id).filter((one) => one !== id),
      onDifference: ({ index, same, different, isOutvoted }) => {
        const fields = { event: 'storage.states_differ', index, same, different }
        events.warn(fields, 'members have different states, which must be the same')
        if (isOutvoted) onFailed(outvoted(index, different))
      }
    })
  }

  /** Of the snapshot that is on its way here; null for none. */
  get fetching(): FetchProgress | null {
    return this.#transfer.progress
  }

  /** Snapshots that this node was to make and could not. */
  get failedCount(): number {
    return this.#failedCount
  }

  /** Whether every member knows entries at which all snapshot; if they do and have not agreed on it, they will. */
  isSupported(): boolean {
    return this.#level.isReached(STORAGE_LEVEL)
  }

  /** On the leader: every member snapshots at the entry. Only where it is supported. */
  propose(onOutcome: (outcome: Outcome) => void): void {
    this.#parts.replica.propose({ kind: ENTRY_KIND.snapshot, payload: EMPTY, onOutcome })
  }

  /** Call when the status changed. */
  look(): void {
    this.#duties.look()
  }

  onApplied(entries: readonly Entry[]): void {
    this.#duties.onApplied(entries)
  }

  onSnapshotsNeeded(ids: readonly NodeId[]): void {
    this.#transfer.onSnapshotsNeeded(ids)
  }

  /** A snapshot of this node has ended. */
  onSnapshot(snapshot: SnapshotInfo | null, durationMs: number): void {
    this.#parts.counts?.onSnapshotMade(snapshot, durationMs)
    if (snapshot === null) this.#failedCount++
    if (snapshot === null) return
    const { index, byteCount } = snapshot
    this.#compare.onSnapshot(snapshot)
    const fields = { event: 'storage.snapshot', index, bytes: byteCount }
    this.#parts.events.info(fields, 'made a snapshot')
  }

  /** What a member asks over `aspen/snapshot`. */
  onRequest(from: NodeId, payload: Uint8Array, answer: (payload: Uint8Array) => void): void {
    this.#desk.onRequest(from, payload, answer)
  }

  close(): void {
    this.#transfer.close()
    this.#compare.close()
  }

  #install(prepared: PreparedSnapshot): void {
    const { replica, events, onAdopted } = this.#parts
    const { index, byteCount } = prepared.info
    replica.install(prepared, (isAdopted) => {
      this.#transfer.onSettled()
      this.#parts.counts?.onSnapshotMoved('in', isAdopted)
      if (!isAdopted) return
      events.info({ event: 'storage.installed', index, bytes: byteCount }, 'installed a snapshot')
      this.#duties.onInstalled()
      onAdopted()
    })
  }

  #proposeCompaction(revision: Index, onEnd: (isDone: boolean) => void): void {
    this.#propose(ENTRY_KIND.control, encodeControl({ kind: 'compact', revision }), onEnd)
  }

  #proposeLevel(level: number, onEnd: () => void): void {
    this.#parts.events.info({ event: 'cluster.level', level }, 'raising the feature level')
    this.#propose(ENTRY_KIND.control, encodeControl({ kind: 'raiseFeatureLevel', level }), onEnd)
  }

  #propose(kind: number, payload: Uint8Array, onEnd: (isDone: boolean) => void): void {
    const onOutcome = (outcome: Outcome): void => onEnd(outcome.kind === 'done')
    const proposal: Proposal = { kind, payload, onOutcome }
    this.#parts.replica.propose(proposal)
  }
}

/** The feature level of snapshot entries and compactions. */
const STORAGE_LEVEL = 1

/** Deterministic programs on sound machines never come here. */
function outvoted(index: Index, different: readonly NodeId[]): StorageError {
  return new StorageError({
    code: 'STATE_DIVERGED',
    message: `the state at entry ${index} is not the one that most members have (${different.join(', ')})`,
    hint: REJOIN_HINT,
    fields: { index }
  })
}

const EMPTY = new Uint8Array(0)
