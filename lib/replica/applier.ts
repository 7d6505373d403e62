// Hands committed entries to the state machine, one batch at a time, and stops where something else has
// to happen between two entries: at a snapshot entry, until the state machine has fixed what it will
// write; and while another member's snapshot takes the place of what was applied.
//
// When a snapshot is durable the log before it may go, less what is kept for members that are a little
// behind. Like the rest of this folder it has no promise: every port completes by callback, later.

import { assert } from '../assert.ts'
import type { Clock } from '../clock.ts'
import { MAX_APPLY_BYTES, MAX_BATCH_SIZE } from '../limits.ts'
import type { LogStore } from '../log-store/log-store.ts'
import type { Entry, Index } from '../raft/entry.ts'
import { ENTRY_KIND } from '../raft/entry.ts'
import type {
  ApplyResult,
  PreparedSnapshot,
  SnapshotInfo,
  StateMachine
} from '../state-machine/state-machine.ts'

export interface ApplierParts {
  readonly stateMachine: Pick<StateMachine, 'apply' | 'snapshot' | 'adopt'> & {
    applied(): { readonly index: Index }
    readonly snapshots: { list(): readonly SnapshotInfo[] }
  }
  readonly log: Pick<LogStore, 'base' | 'compact'>
  readonly clock: Clock
  /** entries that stay in the log behind a snapshot */
  readonly keepEntries: Index
  /** committed entries of [from, to), at least the first */
  readonly entries: (from: Index, to: Index, maxBytes: number) => readonly Entry[]
  /** what is committed, and durable in the log: a state machine is never ahead of what a crash leaves of it */
  readonly readyIndex: () => Index
  /** after the transaction that holds them */
  readonly onApplied: (entries: readonly Entry[], results: readonly ApplyResult[]) => void
  /** a snapshot of this node is durable; null: it could not be made */
  readonly onSnapshot: (snapshot: SnapshotInfo | null, durationMs: number) => void
  readonly onFailed: (error: unknown) => void
}

/**
 * What keeps the next entries from being applied: a batch that is with the state machine; a snapshot whose
 * state it is fixing; another member's snapshot that is being adopted.
 */
type Busy = 'applying' | 'cutting' | 'held'

export class Applier {
  readonly #parts: ApplierParts
  #busy: Busy | null = null
  #applyBeganMs = 0
  /** who waits until nothing is being applied */
  #onHeld: (() => void) | null = null
  #isCompacting = false
  #isEnded = false

  constructor(parts: ApplierParts) {
    this.#parts = parts
  }

  get appliedIndex(): Index {
    return this.#parts.stateMachine.applied().index
  }

  /** For how long a batch has been with the state machine; 0 while none is. */
  get applyMs(): number {
    return this.#busy === 'applying' ? this.#parts.clock.nowMs() - this.#applyBeganMs : 0
  }

  /** When the last batch was handed over. */
  get lastBeganMs(): number {
    return this.#applyBeganMs
  }

  maybeApply(): void {
    const { readyIndex, stateMachine, entries } = this.#parts
    const applied = this.appliedIndex
    if (this.#busy !== null || this.#isEnded || applied >= readyIndex()) return
    this.#busy = 'applying'
    this.#applyBeganMs = this.#parts.clock.nowMs()
    const to = Math.min(readyIndex(), applied + MAX_BATCH_SIZE) + 1
    try {
      const batch = upToSnapshot(entries(applied + 1, to, MAX_APPLY_BYTES))
      assert(batch[0]?.index === applied + 1, 'committed entries are there to be applied')
      stateMachine.apply(batch, (results) => this.#onApplied(batch, results))
    } catch (error) {
      this.#parts.onFailed(error)
    }
  }

  /** Calls back, now or later, when nothing is being applied; from then on nothing is, until `release`. */
  hold(onHeld: () => void): void {
    assert(this.#onHeld === null && this.#busy !== 'held', 'one holds at a time')
    this.#onHeld = onHeld
    if (this.#busy === null) this.#next()
  }

  /** Switches to a snapshot whose place in the log is durable, and releases. */
  adopt(prepared: PreparedSnapshot, onAdopted: () => void): void {
    assert(this.#busy === 'held', 'nothing is applied while a snapshot is adopted')
    this.#parts.stateMachine.adopt(prepared, () => {
      if (this.#isEnded) return
      assert(this.appliedIndex === prepared.info.index, 'the state is that of the snapshot')
      onAdopted()
      this.release()
    })
  }

  release(): void {
    assert(this.#busy === 'held' || this.#isEnded, 'what is held is released')
    this.#next()
  }

  /** Cuts the log behind the newest snapshot that is durable here. */
  maybeCompact(): void {
    const { log, stateMachine, keepEntries } = this.#parts
    // one that is ahead was fetched, and does not help a state that has to be made again; or this is a start,
    // and what comes before it has still to be applied
    const isReached = ({ index }: SnapshotInfo): boolean => index <= this.appliedIndex
    const [newest, older] = stateMachine.snapshots.list().filter(isReached)
    if (newest === undefined || this.#isCompacting || this.#isEnded) return
    // the one before bounds what is kept in bytes: a snapshot is due by those too
    const to = Math.max(newest.index - keepEntries, older?.index ?? 0)
    const before = log.base.index
    if (to <= before) return
    this.#isCompacting = true
    const onDone = (): void => {
      this.#isCompacting = false
      // a log keeps its last entry: what could not be cut now goes behind the next snapshot
      if (log.base.index > before) this.maybeCompact()
    }
    try {
      log.compact(to, onDone)
    } catch (error) {
      this.#parts.onFailed(error)
    }
  }

  end(): void {
    this.#isEnded = true
    this.#onHeld = null
  }

  #onApplied(entries: readonly Entry[], results: readonly ApplyResult[]): void {
    if (this.#isEnded) return
    assert(entries.length === results.length, 'one result per entry')
    const isCut = entries.at(-1)?.kind === ENTRY_KIND.snapshot
    if (isCut) this.#cut()
    this.#parts.onApplied(entries, results)
    if (!isCut) this.#next()
  }

  /** The state as of the entry applied last becomes a snapshot; nothing is applied until it is fixed. */
  #cut(): void {
    const { clock } = this.#parts
    const beganMs = clock.nowMs()
    this.#busy = 'cutting'
    this.#parts.stateMachine.snapshot({
      onBegun: () => this.#next(),
      onEnded: (snapshot) => {
        if (this.#isEnded) return
        this.#parts.onSnapshot(snapshot, clock.nowMs() - beganMs)
        this.maybeCompact()
      }
    })
  }

  /** What was in progress has ended. */
  #next(): void {
    if (this.#isEnded) return
    this.#busy = null
    const onHeld = this.#onHeld
    this.#onHeld = null
    if (onHeld === null) {
      this.maybeApply()
    } else {
      this.#busy = 'held'
      onHeld()
    }
  }
}

/** A batch ends with the first snapshot entry: the snapshot is of the state just there. */
function upToSnapshot(entries: readonly Entry[]): readonly Entry[] {
  const at = entries.findIndex((entry) => entry.kind === ENTRY_KIND.snapshot)
  return at === -1 ? entries : entries.slice(0, at + 1)
}
