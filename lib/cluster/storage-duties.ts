// What a leader does so that the log and the history end somewhere: it proposes the entry at which every
// member snapshots, and the command that forgets old revisions. Every node watches what it applies, so that
// whoever leads next knows how much there is; only the leader proposes, one thing at a time.

import type { Clock } from '../clock.ts'
import type { Status } from '../raft/effects.ts'
import type { Entry, Index } from '../raft/entry.ts'
import { ENTRY_KIND } from '../raft/entry.ts'
import type { Applied } from '../state-machine/state-machine.ts'
import type { StoragePolicy } from './storage-policy.ts'
import { compactionDue, isSnapshotDue, LogTimeMarks } from './storage-policy.ts'

export interface StorageDutiesParts {
  readonly clock: Clock
  readonly policy: StoragePolicy
  readonly status: () => Status
  readonly applied: () => Pick<Applied, 'index' | 'term' | 'timeMs' | 'compactedRevision'>
  /** the newest local snapshot; null while there is none */
  readonly newestSnapshot: () => { readonly index: Index; readonly byteCount: number } | null
  /** whether every member knows these entries, asked when one is due; else none is made */
  readonly isSupported: () => boolean
  /** `onEnd` once: whether it was carried out */
  readonly proposeSnapshot: (onEnd: (isDone: boolean) => void) => void
  readonly proposeCompaction: (revision: Index, onEnd: (isDone: boolean) => void) => void
}

export class StorageDuties {
  readonly #parts: StorageDutiesParts
  readonly #marks: LogTimeMarks
  /** payload bytes applied since the last snapshot entry, by this process */
  #byteCount = 0
  /** of the last snapshot entry that was applied, or of the newest snapshot when this node began */
  #snapshotIndex: Index
  /** its stamp; of the first entry while there was none; null before that */
  #snapshotTimeMs: number | null
  /** the last entry that may have written a row */
  #changedIndex: Index
  #isAsking = false
  #isWanted = false
  #retryMs = 0
  /** when the last snapshot entry was applied, or a snapshot installed, by this process */
  #restartedMs = -Infinity

  constructor(parts: StorageDutiesParts) {
    this.#parts = parts
    this.#marks = new LogTimeMarks(parts.policy.keepRevisionsMs)
    this.#snapshotIndex = parts.newestSnapshot()?.index ?? 0
    const { index, timeMs } = parts.applied()
    this.#snapshotTimeMs = index === 0 ? null : timeMs
    this.#changedIndex = index
  }

  /** Call with everything applied, in order. */
  onApplied(entries: readonly Entry[]): void {
    for (const { index, kind, timeMs, payload } of entries) {
      this.#marks.note(timeMs, index)
      // a new cluster's log begins with its first entry, not with the epoch of the clock
      this.#snapshotTimeMs ??= timeMs
      this.#byteCount += payload.byteLength
      if (kind === ENTRY_KIND.write) this.#changedIndex = index
      if (kind === ENTRY_KIND.snapshot) this.#restart(index, timeMs)
    }
    this.look()
  }

  /** A snapshot of another member took the place of what this node had applied. */
  onInstalled(): void {
    const { index, timeMs } = this.#parts.applied()
    this.#changedIndex = index
    this.#restart(index, timeMs)
  }

  /**
   * A member needs a snapshot and there is none: due at once, unless one was just asked of everybody, and may be
   * in the making. Say it again while it is so.
   */
  want(): void {
    if (this.#parts.clock.nowMs() - this.#restartedMs < SNAPSHOT_MAKING_MS) return
    this.#isWanted = true
    this.look()
  }

  /** Proposes what is due, on a leader whose term has begun. */
  look(): void {
    const { status, applied, clock, isSupported } = this.#parts
    const { role, term } = status()
    if (role !== 'leader') this.#isWanted = false
    if (role !== 'leader' || this.#isAsking || applied().term !== term) return
    if (clock.nowMs() < this.#retryMs) return
    const due = this.#due()
    if (due !== null && isSupported()) this.#ask(due)
  }

  /** How to propose what is due; null for nothing. */
  #due(): ((onEnd: (isDone: boolean) => void) => void) | null {
    if (this.#isSnapshotDue()) return (onEnd) => this.#parts.proposeSnapshot(onEnd)
    const revision = this.#revisionDue()
    return revision === null ? null : (onEnd) => this.#parts.proposeCompaction(revision, onEnd)
  }

  #isSnapshotDue(): boolean {
    const { policy, applied, newestSnapshot } = this.#parts
    const { index, timeMs } = applied()
    const entryCount = index - this.#snapshotIndex
    if (this.#isWanted) return entryCount > 0
    return isSnapshotDue(policy, {
      entryCount,
      byteCount: this.#byteCount,
      ageMs: timeMs - (this.#snapshotTimeMs ?? timeMs),
      snapshotByteCount: newestSnapshot()?.byteCount ?? 0
    })
  }

  #revisionDue(): Index | null {
    const { policy, applied } = this.#parts
    const { index: appliedIndex, timeMs, compactedRevision } = applied()
    const agedIndex = this.#marks.agedIndex(timeMs)
    const changedIndex = this.#changedIndex
    return compactionDue(policy, { appliedIndex, compactedRevision, agedIndex, changedIndex })
  }

  #ask(propose: (onEnd: (isDone: boolean) => void) => void): void {
    this.#isAsking = true
    propose((isDone) => {
      this.#isAsking = false
      // what is refused now would be refused again at once
      if (!isDone) this.#retryMs = this.#parts.clock.nowMs() + RETRY_MS
    })
  }

  #restart(index: Index, timeMs: number): void {
    this.#byteCount = 0
    this.#snapshotIndex = index
    this.#snapshotTimeMs = timeMs
    this.#isWanted = false
    this.#restartedMs = this.#parts.clock.nowMs()
  }
}

/** What a snapshot may take to be made: so long after an entry for one nobody's need is a reason for another. */
const SNAPSHOT_MAKING_MS = 60_000

/** After a proposal that was refused or is unknown. */
const RETRY_MS = 1_000
