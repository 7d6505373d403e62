// A log entry and the hash chain that runs through all of them.

import b4a from 'b4a'
import { hash } from '../crypto.ts'
import { bytesOf } from '../encoding.ts'

export type Term = number
export type Index = number

/**
 * What an entry is. The core itself looks only at `empty` (the first entry of each term) and
 * `configuration`; everything else is for the state machine. The byte is part of format 1. Numbers
 * 16 and above are reserved for later features; a node that meets one it does not know stops there.
 */
export const ENTRY_KIND = {
  empty: 0,
  configuration: 1,
  /** a client's write: state-machine/command.ts */
  write: 2,
  /** invites, admission: state-machine/command.ts */
  control: 3,
  /** every member makes a snapshot of its state as of this entry; without payload */
  snapshot: 4
} as const

export interface Entry {
  readonly index: Index
  readonly term: Term
  /** one of ENTRY_KIND, or a number of a newer version */
  readonly kind: number
  /** the leader's stamp: milliseconds since the Unix epoch, never falling along the log */
  readonly timeMs: number
  readonly payload: Uint8Array
  /** 32 bytes: hash of the previous entry's hash and of all fields above */
  readonly hash: Uint8Array
}

/** What can be known of an entry without its payload. */
export interface EntryId {
  readonly index: Index
  readonly term: Term
  readonly hash: Uint8Array
}

/** Where a cluster's log begins: index 0, term 0, hash over the cluster id. */
export function genesis(clusterId: Uint8Array): EntryId {
  return { index: 0, term: 0, hash: hash(GENESIS_NAMESPACE, clusterId) }
}

const GENESIS_NAMESPACE = hash(bytesOf('aspen/log/1'))

/**
 * hashᵢ = BLAKE2b-256(hashᵢ₋₁ ‖ index ‖ term ‖ kind ‖ timeMs ‖ payload); the numbers as big-endian
 * 64-bit integers, the kind as one byte.
 */
export function chainHash(previousHash: Uint8Array, entry: Omit<Entry, 'hash'>): Uint8Array {
  const numbers = new Uint8Array(25)
  const view = new DataView(numbers.buffer)
  view.setBigUint64(0, BigInt(entry.index))
  view.setBigUint64(8, BigInt(entry.term))
  view.setUint8(16, entry.kind)
  view.setBigUint64(17, BigInt(entry.timeMs))
  return hash(previousHash, numbers, entry.payload)
}

/** The entry with its hash, following `previous`. */
export function chained(previous: EntryId, entry: Omit<Entry, 'index' | 'hash'>): Entry {
  const unhashed = { ...entry, index: previous.index + 1 }
  return { ...unhashed, hash: chainHash(previous.hash, unhashed) }
}

/** Whether both name one entry, with all that precedes it. */
export function isSameEntry(a: EntryId, b: EntryId): boolean {
  return a.index === b.index && a.term === b.term && b4a.equals(a.hash, b.hash)
}
