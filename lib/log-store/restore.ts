// What lies on the disk of a log, told apart: which copy of the state is to be believed, and whether a
// record is whole and in its place. Commits are atomic, so there is no torn tail: whatever is wrong here
// is corruption, and nothing is cut off or guessed (reliability of a vote depends on it). Works on
// records; knows nothing of lmdb. What is verified before a start: validation.ts.

import { unreachable } from '../assert.ts'
import { equalSecret } from '../crypto.ts'
import { REJOIN_HINT, StorageError } from '../errors.ts'
import type { IndexedConfiguration } from '../raft/configurations.ts'
import type { EntryId, Index } from '../raft/entry.ts'
import type { FoundBaseConfiguration, FoundState, LogState, VerifiedEntry } from './encoding.ts'
import { decodeEntry, indexOfRecord, LOG_FORMAT } from './encoding.ts'

/** What lies on the disk of a log. */
export interface LogRecords {
  /** both copies of the state */
  readonly states: readonly [FoundState, FoundState]
  /** both copies of the configuration at the base */
  readonly baseConfigurations: readonly [FoundBaseConfiguration, FoundBaseConfiguration]
  /** how many entry records there are under indexes above `index`; -1 for all */
  readonly countAbove: (index: Index) => number
  /** @throws StorageError IO_ERROR */
  readonly entryAt: (index: Index) => FoundEntry
}

/** The record of an entry as found on disk: verified by itself. */
export type FoundEntry =
  | ({ readonly kind: 'good' } & VerifiedEntry)
  | { readonly kind: 'missing' }
  | { readonly kind: 'damaged' }
  /** whole, but of another index */
  | { readonly kind: 'misplaced'; readonly ofIndex: Index }

/** The state that the better copy names; null for a log that was never made. @throws StorageError */
export function chooseState(records: LogRecords): LogState | null {
  const [a, b] = records.states
  for (const found of [a, b]) if (found.kind === 'newer') throw newer(found.format)
  if (a.kind === 'good' && b.kind === 'good') {
    return a.state.sequence >= b.state.sequence ? a.state : b.state
  }
  if (a.kind === 'good') return a.state
  if (b.kind === 'good') return b.state
  if (a.kind === 'missing' && b.kind === 'missing' && records.countAbove(-1) === 0) return null
  throw new StorageError({
    code: 'CORRUPTED',
    message: 'the log is damaged: neither copy of its state can be read',
    hint: REJOIN_HINT,
    fields: { variant: 'DeserializeFailed', data_type: 'state' }
  })
}

/** The state of a log that must be there, of this genesis. @throws StorageError */
export function storedState(records: LogRecords, { hash }: EntryId): LogState {
  const state = chooseState(records)
  if (state === null) throw identityWithoutLog()
  if (!equalSecret(state.genesisHash, hash)) throw otherCluster()
  const configuration = chooseConfiguration(records, state) ?? null
  return { ...state, base: { ...state.base, configuration } }
}

/** The configuration in force at the base; undefined when neither copy of it can be read. */
export function chooseConfiguration(
  records: LogRecords,
  { base }: LogState
): IndexedConfiguration | null | undefined {
  if (base.id.index === 0) return null
  for (const found of records.baseConfigurations) {
    if (found.kind === 'good' && found.baseIndex === base.id.index) return found.configuration
  }
  return undefined
}

/** What `record` is, which lies under `index`. */
export function foundRecord(record: Uint8Array | undefined, index: Index): FoundEntry {
  if (record === undefined) return { kind: 'missing' }
  const verified = decodeEntry(record, index)
  if (verified !== null) return { kind: 'good', ...verified }
  const ofIndex = indexOfRecord(record)
  return ofIndex === null ? { kind: 'damaged' } : { kind: 'misplaced', ofIndex }
}

/** The verified entry in `found`. @throws StorageError CORRUPTED naming the index */
export function wholeEntry(found: FoundEntry, index: Index): VerifiedEntry {
  switch (found.kind) {
    case 'good':
      return found
    case 'missing':
      throw corruptedEntry(index, 'is missing')
    case 'damaged':
      throw corruptedEntry(index, 'does not match its checksum')
    case 'misplaced':
      throw duplicateIndex(index, found.ofIndex)
    default:
      return unreachable(found)
  }
}

/** The verified entry in `record`, which lies under `index`. @throws StorageError CORRUPTED naming the index */
export function readRecord(record: Uint8Array | undefined, index: Index): VerifiedEntry {
  return wholeEntry(foundRecord(record, index), index)
}

export function corruptedEntry(index: Index, what: string, cause?: unknown): StorageError {
  const message = `the log is damaged: entry ${index} ${what}`
  return corrupted({ message, fields: { index } }, cause)
}

export function corrupted(
  detail: {
    readonly message: string
    readonly fields: Readonly<Record<string, string | number>>
  },
  cause?: unknown
): StorageError {
  return new StorageError({ code: 'CORRUPTED', hint: REJOIN_HINT, ...detail }, { cause })
}

/** An error that names an entry: others may be able to give it back. */
export function isDamagedEntry(error: unknown): error is StorageError {
  if (!(error instanceof StorageError) || error.code !== 'CORRUPTED') return false
  return error.detail.fields?.['index'] !== undefined
}

/** An error that says that the configuration is lost with which the log begins; a snapshot has it too. */
export function isLostBeginning(error: unknown): error is StorageError {
  return error instanceof StorageError && error.detail.fields?.['reason'] === LOST_CONFIGURATION
}

export const LOST_CONFIGURATION = 'neither copy of its configuration can be read'

function duplicateIndex(index: Index, duplicate: Index): StorageError {
  return corrupted({
    message: `duplicate log index ${duplicate}: it lies in the place of entry ${index}`,
    fields: { variant: 'LogDuplicateIndex', index, duplicate }
  })
}

function newer(format: number): StorageError {
  return new StorageError({
    code: 'FORMAT_NEWER',
    message: `the log has format ${format}; this version of aspen reads up to ${LOG_FORMAT}`,
    hint: 'install the newer version again',
    fields: { format, supported: LOG_FORMAT }
  })
}

export function otherCluster(): StorageError {
  return new StorageError({
    code: 'DATA_DIR_TAKEN',
    message: 'the log in this data directory belongs to another cluster',
    hint: 'give another data directory with --data-dir'
  })
}

export function identityWithoutLog(): StorageError {
  return new StorageError({
    code: 'IDENTITY_WITHOUT_LOG',
    message: "this data directory has a member's key but no log",
    hint: `put the log back; else ${REJOIN_HINT}`
  })
}
