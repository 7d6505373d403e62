// What is done with a log that was found on disk, before anything else may use it: choose a good
// copy of the state, then walk the entries from the base to the last and verify that none is
// missing, damaged, in another's place or outside the hash chain. Commits are atomic, so there is no
// torn tail: whatever is wrong here is corruption, and nothing is cut off or guessed (reliability of
// a vote depends on it). Works on records; knows nothing of lmdb.

import { equalSecret } from '../crypto.ts'
import { StorageError } from '../errors.ts'
import type { Configuration } from '../raft/configuration.ts'
import { decodeConfiguration } from '../raft/encoding.ts'
import type { Entry, EntryId, Index } from '../raft/entry.ts'
import { ENTRY_KIND } from '../raft/entry.ts'
import type { FoundState, LogState, VerifiedEntry } from './encoding.ts'
import { decodeEntry, LOG_FORMAT } from './encoding.ts'
import type { RestoredLog } from './log-store.ts'

/** What lies on the disk of a log. */
export interface LogRecords {
  /** both copies of the state */
  readonly states: readonly [FoundState, FoundState]
  /** how many entry records there are */
  readonly entryCount: number
  /** verified by itself. @throws StorageError CORRUPTED, also when there is none */
  readonly entryAt: (index: Index) => VerifiedEntry
}

/** The state that both copies agree on; null for a log that was never made. */
export function chooseState(records: LogRecords): LogState | null {
  const [a, b] = records.states
  for (const found of [a, b]) if (found.kind === 'newer') throw newer(found.format)
  if (a.kind === 'good' && b.kind === 'good') {
    return a.state.sequence >= b.state.sequence ? a.state : b.state
  }
  if (a.kind === 'good') return a.state
  if (b.kind === 'good') return b.state
  if (a.kind === 'missing' && b.kind === 'missing' && records.entryCount === 0) return null
  throw new StorageError({
    code: 'CORRUPTED',
    message: 'the log is damaged: neither copy of its state can be read',
    hint: 'remove this member from another one and let the machine join again'
  })
}

/**
 * Verifies all entries and collects the configurations among them.
 * @throws StorageError CORRUPTED, with the index of the first bad entry in `fields.index`
 */
export function verifyLog(records: LogRecords, state: LogState): RestoredLog {
  const configurations: { index: Index; configuration: Configuration }[] = []
  let previous: EntryId = state.base
  for (let index = state.base.index + 1; index <= state.last.index; index++) {
    const { entry, previousHash } = records.entryAt(index)
    const isLinked = equalSecret(previousHash, previous.hash)
    if (!isLinked) throw corrupted(index, 'does not follow the entry before it')
    if (entry.term < previous.term) throw corrupted(index, 'has an older term than its predecessor')
    if (entry.kind === ENTRY_KIND.configuration) {
      configurations.push({ index, configuration: configurationOf(entry) })
    }
    previous = { index, term: entry.term, hash: entry.hash }
  }
  const isLast = previous.term === state.last.term && equalSecret(previous.hash, state.last.hash)
  if (!isLast) throw corrupted(state.last.index, 'is not the last one that was written')
  const expected = state.last.index - state.base.index
  if (records.entryCount !== expected) {
    throw corrupted(state.last.index + 1, `is unexpected: ${expected} entries were written`)
  }
  const commitIndex = state.hardState?.commitIndex ?? 0
  if (commitIndex > state.last.index) throw corrupted(commitIndex, 'was committed and is missing')
  return { hardState: state.hardState, configurations }
}

/** The verified entry in `record`. @throws StorageError CORRUPTED naming the index */
export function readRecord(record: Uint8Array | undefined, index: Index): VerifiedEntry {
  if (record === undefined) throw corrupted(index, 'is missing')
  const verified = decodeEntry(record, index)
  if (verified === null) throw corrupted(index, 'does not match its checksum')
  return verified
}

function configurationOf(entry: Entry): Configuration {
  try {
    return decodeConfiguration(entry.payload)
  } catch (error) {
    throw corrupted(entry.index, 'holds no readable configuration', error)
  }
}

function corrupted(index: Index, what: string, cause?: unknown): StorageError {
  return new StorageError(
    {
      code: 'CORRUPTED',
      message: `the log is damaged: entry ${index} ${what}`,
      hint: 'remove this member from another one and let the machine join again',
      fields: { index }
    },
    { cause }
  )
}

function newer(format: number): StorageError {
  return new StorageError({
    code: 'FORMAT_NEWER',
    message: `the log has format ${format}; this version of aspen reads up to ${LOG_FORMAT}`,
    hint: 'install the newer version again',
    fields: { format, supported: LOG_FORMAT }
  })
}
