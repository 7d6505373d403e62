// The disk form of the log, format 1. All numbers are big-endian; the first byte of every record is
// the format. Both forms carry what is needed to tell whether they are whole.
//
// An entry, in the database `entries`, under its index as an 8-byte big-endian integer:
//
//     0        1      2       10     18       26              58       90
//     | format | kind | index | term | timeMs | previous hash | hash   | payload …
//     | u8     | u8   | u64   | u64  | u64    | 32 B          | 32 B   |
//
//   `hash` is the entry's link in the hash chain (raft/entry.ts): BLAKE2b-256 over the previous hash
//   and every field after the format byte. Because the previous hash is part of the record, the link
//   is also the record's checksum: each record can be verified alone, and nothing is hashed twice.
//   The index tells a record that lies in another one's place.
//
// The state, twice, under the same key in the databases `state-a` and `state-b` (two databases, so
// that the copies lie on different pages), written in every transaction:
//
//     0        1          9      17              33             65     113         121          129    177          198
//     | format | sequence | boot | storage epoch | genesis hash | base | base time | state base | last | hard state | checksum
//     | u8     | u64      | u64  | 16 B          | 32 B         | 48 B | u64       | u64        | 48 B | 21 B       | 32 B
//
//   `base` and `last` are {index u64, term u64, hash 32 B}: what precedes the first entry, and the
//   last entry. Naming the last entry makes a lost tail visible. `base time` is the stamp of the entry at
//   the base. `state base` is the index of the snapshot that the state machine's database was installed
//   from, 0 for none: it names that database, so this record is the pointer that an install flips.
//   `hard state` is {present u8, term u64, votedFor u32 (0 for nobody), commitIndex u64}. `checksum` is
//   BLAKE2b-256 of all before it.
//
// The configuration in force at the base, twice, under a key of its own beside the states; written when
// the base moves, and at each start. There is none at the genesis:
//
//     0        1            9                     17
//     | format | base index | configuration index | configuration … | checksum
//     | u8     | u64        | u64                 | raft/encoding   | 32 B
//
//   `base index` tells whether it belongs to the base of the state. Without any configuration up to there
//   the index is 0 and the configuration has no bytes.
//
// In every future format the first byte of both stays the format and the last 32 bytes the checksum, so
// that an older program can tell "newer" from "damaged".

import { equalSecret, hash, HASH_BYTES } from '../crypto.ts'
import { assert } from '../assert.ts'
import { isNodeId } from '../node-id.ts'
import type { Entry, EntryId, Index } from '../raft/entry.ts'
import { chainHash } from '../raft/entry.ts'
import type { IndexedConfiguration } from '../raft/configurations.ts'
import type { HardState } from '../raft/effects.ts'
import { decodeConfiguration, encodeConfiguration } from '../raft/encoding.ts'

/** The format that this version writes. */
export const LOG_FORMAT = 1
export const STORAGE_EPOCH_BYTES = 16
/** Bytes of an entry's record before the payload. */
export const ENTRY_HEADER_BYTES = 90
/** Bytes of a state record. */
export const STATE_BYTES = 230
export const INDEX_KEY_BYTES = 8

/** Everything of a log that is not an entry. */
export interface LogState {
  /** grows with each write of the state */
  readonly sequence: number
  readonly boot: number
  readonly storageEpoch: Uint8Array
  /** hash of the genesis: which cluster's log this is */
  readonly genesisHash: Uint8Array
  readonly base: LogBase
  readonly last: EntryId
  readonly hardState: HardState | null
}

/** Where a log begins. */
export interface LogBase {
  readonly id: EntryId
  /** the stamp of the entry at `id`; 0 at the genesis */
  readonly timeMs: number
  /** the snapshot that the state machine's database was installed from; at most `id.index`, 0 for none */
  readonly stateBase: Index
  /** in force at `id`, null for none; not part of the state's own record */
  readonly configuration: IndexedConfiguration | null
}

/** A record of the configuration at the base, as found on disk. */
export type FoundBaseConfiguration =
  | { readonly kind: 'missing' }
  | { readonly kind: 'damaged' }
  | {
      readonly kind: 'good'
      readonly baseIndex: Index
      readonly configuration: IndexedConfiguration | null
    }

/** A state record as found on disk. */
export type FoundState =
  | { readonly kind: 'missing' }
  | { readonly kind: 'damaged' }
  | { readonly kind: 'newer'; readonly format: number }
  | { readonly kind: 'good'; readonly state: LogState }

/** A record that decoded and verified, with the hash of the entry before it. */
export interface VerifiedEntry {
  readonly entry: Entry
  readonly previousHash: Uint8Array
}

/** The key of an entry. */
export function indexKey(index: Index): Uint8Array {
  const key = new Uint8Array(INDEX_KEY_BYTES)
  setUint64(viewOf(key), 0, index)
  return key
}

/** The index of an entry's key. */
export function indexOfKey(key: Uint8Array): Index {
  assert(key.byteLength === INDEX_KEY_BYTES, 'an index has eight bytes')
  return uint64At(viewOf(key), 0)
}

export function encodeEntry(entry: Entry, previousHash: Uint8Array): Uint8Array {
  assert(previousHash.byteLength === HASH_BYTES, 'a hash has 32 bytes')
  assert(entry.hash.byteLength === HASH_BYTES, 'a hash has 32 bytes')
  assert(entry.kind >= 0 && entry.kind <= 255, 'an entry kind is a byte')
  const record = new Uint8Array(ENTRY_HEADER_BYTES + entry.payload.byteLength)
  const view = viewOf(record)
  view.setUint8(0, LOG_FORMAT)
  view.setUint8(1, entry.kind)
  setUint64(view, 2, entry.index)
  setUint64(view, 10, entry.term)
  setUint64(view, 18, entry.timeMs)
  record.set(previousHash, 26)
  record.set(entry.hash, 58)
  record.set(entry.payload, ENTRY_HEADER_BYTES)
  return record
}

/**
 * The entry in `record`, verified; null when the record is damaged or belongs to another index. The
 * entry's buffers alias `record`.
 */
export function decodeEntry(record: Uint8Array, index: Index): VerifiedEntry | null {
  if (record.byteLength < ENTRY_HEADER_BYTES || record[0] !== LOG_FORMAT) return null
  const view = viewOf(record)
  const entry: Entry = {
    index: uint64At(view, 2),
    term: uint64At(view, 10),
    kind: view.getUint8(1),
    timeMs: uint64At(view, 18),
    payload: record.subarray(ENTRY_HEADER_BYTES),
    hash: record.subarray(58, 90)
  }
  const previousHash = record.subarray(26, 58)
  if (entry.index !== index) return null
  if (!Number.isSafeInteger(entry.term) || !Number.isSafeInteger(entry.timeMs)) return null
  if (!equalSecret(chainHash(previousHash, entry), entry.hash)) return null
  return { entry, previousHash }
}

export function encodeState(state: LogState): Uint8Array {
  assert(state.storageEpoch.byteLength === STORAGE_EPOCH_BYTES, 'a storage epoch has 16 bytes')
  const { base } = state
  assert(state.last.index >= base.id.index, 'the last entry is not before the base')
  assert(base.stateBase <= base.id.index, 'a log begins at or after the snapshot of its state')
  const record = new Uint8Array(STATE_BYTES)
  const view = viewOf(record)
  view.setUint8(0, LOG_FORMAT)
  setUint64(view, 1, state.sequence)
  setUint64(view, 9, state.boot)
  record.set(state.storageEpoch, 17)
  record.set(state.genesisHash, 33)
  setEntryId(record, BASE_OFFSET, base.id)
  setUint64(view, BASE_TIME_OFFSET, base.timeMs)
  setUint64(view, STATE_BASE_OFFSET, base.stateBase)
  setEntryId(record, LAST_OFFSET, state.last)
  if (state.hardState !== null) {
    view.setUint8(HARD_STATE_OFFSET, 1)
    setUint64(view, HARD_STATE_OFFSET + 1, state.hardState.term)
    view.setUint32(HARD_STATE_OFFSET + 9, state.hardState.votedFor ?? 0)
    setUint64(view, HARD_STATE_OFFSET + 13, state.hardState.commitIndex)
  }
  record.set(hash(record.subarray(0, CHECKSUM_OFFSET)), CHECKSUM_OFFSET)
  return record
}

/** What `record` is. The state's buffers are copies; the base's configuration is read apart from it. */
export function decodeState(record: Uint8Array | undefined): FoundState {
  if (record === undefined) return { kind: 'missing' }
  if (record.byteLength < HASH_BYTES + 1) return { kind: 'damaged' }
  const bodyBytes = record.byteLength - HASH_BYTES
  const checksum = hash(record.subarray(0, bodyBytes))
  if (!equalSecret(checksum, record.subarray(bodyBytes))) return { kind: 'damaged' }
  const format = record[0] ?? 0
  if (format > LOG_FORMAT) return { kind: 'newer', format }
  if (format !== LOG_FORMAT || record.byteLength !== STATE_BYTES) return { kind: 'damaged' }
  const view = viewOf(record)
  const hardState = hardStateAt(view)
  if (hardState === undefined) return { kind: 'damaged' }
  return {
    kind: 'good',
    state: {
      sequence: uint64At(view, 1),
      boot: uint64At(view, 9),
      storageEpoch: record.slice(17, 33),
      genesisHash: record.slice(33, 65),
      base: {
        id: entryIdAt(record, BASE_OFFSET),
        timeMs: uint64At(view, BASE_TIME_OFFSET),
        stateBase: uint64At(view, STATE_BASE_OFFSET),
        configuration: null
      },
      last: entryIdAt(record, LAST_OFFSET),
      hardState
    }
  }
}

export function encodeBaseConfiguration({ id, configuration }: LogBase): Uint8Array {
  const { index, bytes } =
    configuration === null
      ? { index: 0, bytes: new Uint8Array(0) }
      : {
          index: configuration.index,
          bytes: encodeConfiguration(configuration.configuration)
        }
  assert(index <= id.index, 'what is in force at the base is not after it')
  const record = new Uint8Array(BASE_CONFIGURATION_OFFSET + bytes.byteLength + HASH_BYTES)
  const view = viewOf(record)
  view.setUint8(0, LOG_FORMAT)
  setUint64(view, 1, id.index)
  setUint64(view, 9, index)
  record.set(bytes, BASE_CONFIGURATION_OFFSET)
  const bodyBytes = record.byteLength - HASH_BYTES
  record.set(hash(record.subarray(0, bodyBytes)), bodyBytes)
  return record
}

/** What `record` is. */
export function decodeBaseConfiguration(record: Uint8Array | undefined): FoundBaseConfiguration {
  if (record === undefined) return { kind: 'missing' }
  const bodyBytes = record.byteLength - HASH_BYTES
  if (bodyBytes < BASE_CONFIGURATION_OFFSET || record[0] !== LOG_FORMAT) return { kind: 'damaged' }
  const checksum = hash(record.subarray(0, bodyBytes))
  if (!equalSecret(checksum, record.subarray(bodyBytes))) return { kind: 'damaged' }
  const view = viewOf(record)
  const [baseIndex, index] = [uint64At(view, 1), uint64At(view, 9)]
  const bytes = record.slice(BASE_CONFIGURATION_OFFSET, bodyBytes)
  if (bytes.byteLength === 0) return { kind: 'good', baseIndex, configuration: null }
  try {
    const configuration = decodeConfiguration(bytes)
    return { kind: 'good', baseIndex, configuration: { index, configuration } }
  } catch {
    return { kind: 'damaged' }
  }
}

/** The index under which `record` is a whole entry; null when it is damaged. For one in another's place. */
export function indexOfRecord(record: Uint8Array): Index | null {
  if (record.byteLength < ENTRY_HEADER_BYTES) return null
  const index = uint64At(viewOf(record), 2)
  return Number.isSafeInteger(index) && decodeEntry(record, index) !== null ? index : null
}

const BASE_OFFSET = 65
const BASE_TIME_OFFSET = 113
const STATE_BASE_OFFSET = 121
const LAST_OFFSET = 129
const HARD_STATE_OFFSET = 177
const BASE_CONFIGURATION_OFFSET = 17
const CHECKSUM_OFFSET = STATE_BYTES - HASH_BYTES

/** Null when there is none, undefined when the bytes make no sense. */
function hardStateAt(view: DataView): HardState | null | undefined {
  const isPresent = view.getUint8(HARD_STATE_OFFSET)
  if (isPresent === 0) return null
  const vote = view.getUint32(HARD_STATE_OFFSET + 9)
  if (isPresent !== 1 || (vote !== 0 && !isNodeId(vote))) return undefined
  return {
    term: uint64At(view, HARD_STATE_OFFSET + 1),
    votedFor: vote === 0 ? null : vote,
    commitIndex: uint64At(view, HARD_STATE_OFFSET + 13)
  }
}

function setEntryId(record: Uint8Array, offset: number, id: EntryId): void {
  assert(id.hash.byteLength === HASH_BYTES, 'a hash has 32 bytes')
  const view = viewOf(record)
  setUint64(view, offset, id.index)
  setUint64(view, offset + 8, id.term)
  record.set(id.hash, offset + 16)
}

function entryIdAt(record: Uint8Array, offset: number): EntryId {
  const view = viewOf(record)
  return {
    index: uint64At(view, offset),
    term: uint64At(view, offset + 8),
    hash: record.slice(offset + 16, offset + 16 + HASH_BYTES)
  }
}

/** Without BigInt, which would cost as much as the rest of a record. */
function setUint64(view: DataView, offset: number, value: number): void {
  assert(Number.isSafeInteger(value) && value >= 0, `${value} is a safe integer`)
  view.setUint32(offset, Math.floor(value / 2 ** 32))
  view.setUint32(offset + 4, value >>> 0)
}

/** May be no safe integer if the bytes are damaged. */
function uint64At(view: DataView, offset: number): number {
  return view.getUint32(offset) * 2 ** 32 + view.getUint32(offset + 4)
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}

assert(HARD_STATE_OFFSET + 21 === CHECKSUM_OFFSET, 'the state record has the layout drawn above')
