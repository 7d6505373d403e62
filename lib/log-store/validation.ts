// What is verified of a log before every start. Five checks, in this order:
//
//   1 database   it is there, and a copy of its state can be read
//   2 log        from the base to the last entry nothing is missing, twice there, damaged, in another's
//                place or outside the hash chain; the last entry is the last that was written
//   3 snapshot   the base, which a snapshot covers: its configuration can be read, its index has room
//   4 vote       the term is within its limit
//   5 committed  what was committed is there
//
// The first that fails ends the start. `fields.variant` names the fault (LogNotMonotonic,
// LogDuplicateIndex, SnapshotCorrupted, DeserializeFailed, VoteInconsistent, CommittedInconsistent).
// Pure over the records; the file itself is looked at before (lmdb-environment.ts).

import { equalSecret } from '../crypto.ts'
import type { StorageError } from '../errors.ts'
import { MAX_INDEX, MAX_TERM } from '../limits.ts'
import type { Configuration } from '../raft/configuration.ts'
import type { IndexedConfiguration } from '../raft/configurations.ts'
import { decodeConfiguration } from '../raft/encoding.ts'
import type { Entry, EntryId, Index, Term } from '../raft/entry.ts'
import { ENTRY_KIND } from '../raft/entry.ts'
import type { LogState } from './encoding.ts'
import type { RestoredLog } from './log-store.ts'
import type { LogRecords } from './restore.ts'
import {
  chooseConfiguration,
  corrupted,
  corruptedEntry,
  LOST_CONFIGURATION,
  wholeEntry
} from './restore.ts'

/** What a log that passed looks like. */
export interface ValidationReport {
  readonly checksPassed: number
  readonly lastLogIndex: Index
  /** the snapshot after which the log begins; null when it begins at the genesis */
  readonly lastSnapshotIndex: Index | null
  readonly voteTerm: Term
  readonly committedIndex: Index
  readonly validationDurationMs: number
}

export interface ValidationOptions {
  /** monotonic time, for the report */
  readonly nowMs: () => number
}

export interface Validated {
  readonly report: ValidationReport
  /** with the configuration at its base */
  readonly state: LogState
  readonly restored: RestoredLog
}

/** How many entries must at least fit behind a base: a log that cannot grow is refused. */
const MIN_INDEX_ROOM = 1_000

/**
 * The checks 2 to 5 on a log whose state could be read.
 * @throws StorageError CORRUPTED; what fails at an entry names it in `fields.index`
 */
export function validateLog(
  records: LogRecords,
  state: LogState,
  { nowMs }: ValidationOptions
): Validated {
  const startedMs = nowMs()
  const inLog = checkEntries(records, state)
  const configuration = checkBase(records, state)
  checkVote(state)
  checkCommitted(state)
  const { base, last, hardState } = state
  const baseIndex = base.id.index
  return {
    state: { ...state, base: { ...base, configuration } },
    restored: {
      hardState,
      configurations: configuration === null ? inLog : [configuration, ...inLog]
    },
    report: {
      checksPassed: CHECK_COUNT,
      lastLogIndex: last.index,
      lastSnapshotIndex: baseIndex === 0 ? null : baseIndex,
      voteTerm: hardState?.term ?? 0,
      committedIndex: hardState?.commitIndex ?? 0,
      validationDurationMs: nowMs() - startedMs
    }
  }
}

const CHECK_COUNT = 5

/** Walks the chain; returns the configurations among the entries. */
function checkEntries(records: LogRecords, { base, last }: LogState): IndexedConfiguration[] {
  const configurations: IndexedConfiguration[] = []
  let previous: EntryId = base.id
  for (let index = base.id.index + 1; index <= last.index; index++) {
    const found = records.entryAt(index)
    if (found.kind === 'missing') throw missing(records, index, last.index)
    const { entry, previousHash } = wholeEntry(found, index)
    const isLinked = equalSecret(previousHash, previous.hash)
    if (!isLinked) throw corruptedEntry(index, 'does not follow the entry before it')
    if (entry.term < previous.term) {
      throw corruptedEntry(index, 'has an older term than its predecessor')
    }
    if (entry.kind === ENTRY_KIND.configuration) {
      configurations.push({ index, configuration: configurationOf(entry) })
    }
    previous = { index, term: entry.term, hash: entry.hash }
  }
  const isLast = previous.term === last.term && equalSecret(previous.hash, last.hash)
  if (!isLast) throw corruptedEntry(last.index, 'is not the last one that was written')
  const expected = last.index - base.id.index
  if (records.countAbove(base.id.index) !== expected) {
    throw corruptedEntry(last.index + 1, `is unexpected: ${expected} entries were written`)
  }
  return configurations
}

function checkBase(records: LogRecords, state: LogState): IndexedConfiguration | null {
  const { base, genesisHash } = state
  const { index, hash } = base.id
  if (index === 0 && !equalSecret(hash, genesisHash)) {
    throw inconsistent('SnapshotCorrupted', 'the log does not begin at the genesis')
  }
  if (index >= MAX_INDEX - MIN_INDEX_ROOM) {
    throw inconsistent('SnapshotCorrupted', `its last index ${index} is out of range`)
  }
  if (base.stateBase > index) {
    const reason = `the log begins at ${index}, before the installed one at ${base.stateBase}`
    throw inconsistent('SnapshotCorrupted', reason)
  }
  const configuration = chooseConfiguration(records, state)
  if (configuration !== undefined) return configuration
  throw inconsistent('SnapshotCorrupted', LOST_CONFIGURATION)
}

function checkVote({ hardState }: LogState): void {
  const term = hardState?.term ?? 0
  if (term <= MAX_TERM) return
  throw inconsistent('VoteInconsistent', `term ${term} is out of range`)
}

function checkCommitted({ hardState, last }: LogState): void {
  const commitIndex = hardState?.commitIndex ?? 0
  if (commitIndex <= last.index) return
  const reason = `committed index ${commitIndex} is beyond the last log index ${last.index}`
  throw inconsistent('CommittedInconsistent', reason)
}

function configurationOf(entry: Entry): Configuration {
  try {
    return decodeConfiguration(entry.payload)
  } catch (error) {
    throw corruptedEntry(entry.index, 'holds no readable configuration', error)
  }
}

/** A hole names both of its ends; without a later entry it is the end of the log that is gone. */
function missing(records: LogRecords, index: Index, lastIndex: Index): StorageError {
  let next = index + 1
  while (next <= lastIndex && records.entryAt(next).kind === 'missing') next++
  if (next > lastIndex) return corruptedEntry(index, 'is missing')
  const prev = index - 1
  return corrupted({
    message: `log entries are not monotonic: gap between index ${prev} and ${next}`,
    fields: { variant: 'LogNotMonotonic', index, prev, current: next }
  })
}

type Inconsistency = 'SnapshotCorrupted' | 'VoteInconsistent' | 'CommittedInconsistent'

const SUBJECT: Readonly<Record<Inconsistency, string>> = {
  SnapshotCorrupted: 'snapshot corrupted',
  VoteInconsistent: 'vote inconsistent',
  CommittedInconsistent: 'committed index inconsistent'
}

function inconsistent(variant: Inconsistency, reason: string): StorageError {
  return corrupted({ message: `${SUBJECT[variant]}: ${reason}`, fields: { variant, reason } })
}
