// What a member answers to one whose log is damaged: the entry itself, or, from the leader, that no such
// entry ever was committed.
//
// Why that word can be trusted. A leader's log holds every entry that was committed in an earlier term
// (leader completeness, RFT §5.4), and it commits none itself that it does not hold. That it leads is
// confirmed by a majority after the question came, and a read is confirmed only when an entry of its own
// term is committed. So if its log has another entry at the index, or ends before it, the one in question
// is not committed now. It may be later, if a member that holds it leads once: but then it is counted anew,
// without the log that was cut. It is what a follower does whose entries a leader overwrites.
//
// The leader's log is the core's, with what is not durable here yet: others may have made it committed.

import { equalSecret } from '../crypto.ts'
import type { LogStore } from '../log-store/log-store.ts'
import type { Status } from '../raft/effects.ts'
import type { EntryId, Index } from '../raft/entry.ts'
import type { SnapshotAnswer } from './encoding.ts'
import type { OnRead } from './waiting-reads.ts'

/** An entry of the log by its index and hash. */
export interface EntryName {
  readonly index: Index
  readonly hash: Uint8Array
}

/** What is needed of the core and its loop. */
export interface VerdictSource {
  readonly core: {
    status(): Pick<Status, 'role' | 'term'>
    /** of the entry at `index`, durable or not (`Raft.idAt`) */
    idAt(index: Index): EntryId | 'compacted' | 'missing'
  }
  /** `Replica.readIndex`: confirms that this node leads */
  readonly readIndex: (onOutcome: OnRead) => void
}

/**
 * The entry, if the durable log holds it.
 * @throws StorageError CORRUPTED when the own record is damaged
 */
export function entryAnswer(
  log: Pick<LogStore, 'entries' | 'idAt'>,
  { index, hash }: EntryName
): SnapshotAnswer {
  if (!isEntry(log.idAt(index), hash)) return NOT_HERE
  const previous = log.idAt(index - 1)
  // an entry that a snapshot stands for has an id and no content
  if (typeof previous === 'string') return NOT_HERE
  const [entry] = log.entries(index, index + 1, 1)
  if (entry === undefined) return NOT_HERE
  const { term, kind, timeMs, payload } = entry
  return { kind: 'entry', entry: { previousHash: previous.hash, term, kind, timeMs, payload } }
}

/** Answers once, maybe at once. */
export function giveVerdict(
  { core, readIndex }: VerdictSource,
  { index, hash }: EntryName,
  answer: (answer: SnapshotAnswer) => void
): void {
  if (core.status().role !== 'leader') {
    answer(NOT_HERE)
    return
  }
  readIndex((outcome) => {
    const { role, term } = core.status()
    if (outcome.kind === 'refused' || role !== 'leader') {
      answer(NOT_HERE)
      return
    }
    const id = core.idAt(index)
    const isOther = id !== 'compacted' && !isEntry(id, hash)
    answer(isOther ? { kind: 'neverCommitted', term } : NOT_HERE)
  })
}

function isEntry(id: EntryId | 'compacted' | 'missing', hash: Uint8Array): boolean {
  return typeof id !== 'string' && equalSecret(id.hash, hash)
}

const NOT_HERE: SnapshotAnswer = { kind: 'notHere' }
