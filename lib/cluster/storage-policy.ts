// When the log is cut and when history is forgotten, as pure decisions (DESIGN §4). The leader decides
// for all: a snapshot entry makes every member snapshot at the same index, a compact command makes every
// member forget the same revisions.
//
// A snapshot costs as much as the state is large, so the log has to grow by a share of that before the
// next one is worth it: with 300 MB of state, a snapshot every 10,000 small writes would write the disk
// full with the same bytes over and over. The log stays in proportion to the state instead.

import type { Index } from '../raft/entry.ts'
import type { Revision } from '../state-machine/state-machine.ts'

/** What a node keeps; every number has a default, and the leader's count. */
export interface StoragePolicy {
  /** entries in the log after the last snapshot that make another one due */
  readonly snapshotEntries: number
  /** bytes of their payloads that do */
  readonly snapshotBytes: number
  /** log time since the last one after which any change makes another one due */
  readonly snapshotAgeMs: number
  /** entries that stay in the log behind the newest snapshot, so that a member that was away shortly needs none */
  readonly keepEntries: number
  /** revisions of which history is kept, at least … */
  readonly keepRevisions: number
  /** … and for how long (log time), at least */
  readonly keepRevisionsMs: number
}

export const STORAGE_POLICY: StoragePolicy = {
  snapshotEntries: 10_000,
  snapshotBytes: 64 * 1024 * 1024,
  snapshotAgeMs: 24 * 60 * 60_000,
  keepEntries: 5_000,
  keepRevisions: 10_000,
  keepRevisionsMs: 60 * 60_000
}

/** What the log holds beyond the last snapshot entry. */
export interface LogGrowth {
  readonly entryCount: number
  /** bytes of their payloads */
  readonly byteCount: number
  /** log time from the last snapshot entry to the last applied entry */
  readonly ageMs: number
  /** bytes of the last snapshot; 0 for none */
  readonly snapshotByteCount: number
}

/** Whether a snapshot is due. */
export function isSnapshotDue(policy: StoragePolicy, growth: LogGrowth): boolean {
  const { entryCount, byteCount, ageMs, snapshotByteCount } = growth
  if (entryCount === 0) return false
  if (ageMs >= policy.snapshotAgeMs) return true
  const isLong = entryCount >= policy.snapshotEntries || byteCount >= policy.snapshotBytes
  const grownBytes = byteCount + entryCount * ENTRY_OVERHEAD_BYTES
  return isLong && grownBytes >= snapshotByteCount * SNAPSHOT_SHARE
}

/** Bytes that an entry costs beside its payload, roughly: record header, key and page. */
const ENTRY_OVERHEAD_BYTES = 128
/** The log grows by this share of the last snapshot before the next one: half as much written again, at most. */
const SNAPSHOT_SHARE = 0.5

/** What is known of history. */
export interface HistoryGrowth {
  readonly appliedIndex: Index
  /** below it nothing is kept any more */
  readonly compactedRevision: Revision
  /** the last entry that may have written a row: behind it there is nothing to forget */
  readonly changedIndex: Index
  /** the last index whose log time is at least keepRevisionsMs ago; 0 when none is known */
  readonly agedIndex: Index
}

/** The revision to compact to, or null while that is not worth an entry. */
export function compactionDue(policy: StoragePolicy, growth: HistoryGrowth): Revision | null {
  const { appliedIndex, compactedRevision, agedIndex, changedIndex } = growth
  // a compaction is an entry too: it must not be the reason of the next one
  if (compactedRevision >= changedIndex) return null
  const target = Math.min(appliedIndex - policy.keepRevisions, agedIndex)
  const worthwhile = Math.max(1, Math.floor(policy.keepRevisions / COMPACTION_STEPS))
  return target - compactedRevision >= worthwhile ? target : null
}

/** History beyond what is kept is at most one part in so many of it. */
const COMPACTION_STEPS = 10

/**
 * Which index the log had reached at a time: one mark per part of the window, so that the answer is late by
 * one part at most and the memory is bounded. A node that began later knows of nothing before: it keeps more.
 */
export class LogTimeMarks {
  readonly #windowMs: number
  readonly #marks: { readonly timeMs: number; readonly index: Index }[] = []

  constructor(windowMs: number) {
    this.#windowMs = windowMs
  }

  get markCount(): number {
    return this.#marks.length
  }

  /** An entry was applied; log time never falls. */
  note(timeMs: number, index: Index): void {
    const newest = this.#marks.at(-1)
    if (newest !== undefined && timeMs - newest.timeMs < this.#windowMs / MARKS_PER_WINDOW) return
    this.#marks.push({ timeMs, index })
    while ((this.#marks[1]?.timeMs ?? Infinity) <= timeMs - this.#windowMs) this.#marks.shift()
  }

  /** The last marked index whose time is at least a window before `timeMs`; 0 when none is known. */
  agedIndex(timeMs: number): Index {
    const aged = this.#marks.findLast((mark) => mark.timeMs <= timeMs - this.#windowMs)
    return aged?.index ?? 0
  }
}

const MARKS_PER_WINDOW = 60
