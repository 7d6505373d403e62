// The table `keys` as it is read and written: applying takes what it finds there over into the next row, and
// nothing else would notice a flipped bit in it. So each row has a seal, an integer of 48 bits:
//
//   the CRC-32 of: key ‖ row ‖ create revision ‖ version ‖ size of the value ‖ hash 32 B
//   the low 16 bits of the CRC-32 of the key alone
//
// with the numbers as big-endian 64-bit floats, which hold them exactly and are written faster than integers.
// It finds every burst of up to 32 bits and costs a third of a hash; an overwriting put has two of them.
//
// A key whose own bytes have changed is not found, or ends a scan too early; but then it lies next to the
// place where it is looked for. So where there is no key, the two beside that place are compared with the
// lower part of their seals.

import { crc32 } from 'node:zlib'
import { HASH_BYTES } from '../crypto.ts'
import { revisionOf } from './revision-row.ts'
import type { Connection } from './sqlite-connection.ts'
import { damagedDatabase } from './sqlite-errors.ts'
import type { ColumnType } from './sqlite-schema.ts'
import { bytes, haveTypes } from './sqlite-schema.ts'
import type { KeyState } from './write-plan.ts'

/** What a row of `keys` says. */
export interface KeyRow extends Omit<KeyState, 'modRevision'> {
  readonly key: Uint8Array
}

type StoredKey = readonly [
  key: Buffer,
  row: number,
  createRevision: number,
  version: number,
  valueBytes: number,
  hash: Buffer,
  seal: number
]

const STORED_TYPES: readonly ColumnType[] = [
  'blob',
  'integer',
  'integer',
  'integer',
  'integer',
  'blob',
  'integer'
]

/** The columns of a `StoredKey`. */
export const KEY_COLUMNS = 'key, row, create_revision, version, value_bytes, hash, seal'

export class KeyTable {
  readonly #at: ReturnType<typeof prepareAt>
  readonly #beside: ReturnType<typeof prepareBeside>

  constructor(connection: Connection) {
    this.#at = prepareAt(connection)
    this.#beside = prepareBeside(connection)
  }

  /** The state of a live key; null when it is absent. @throws StorageError CORRUPTED */
  find(key: Uint8Array): KeyState | null {
    const found = this.#at.get(key)
    if (found !== undefined) return wholeKey(found)
    this.checkBeside(key, key)
    return null
  }

  /** The last key before `from` and the first one at or after `to` are what was written. @throws StorageError CORRUPTED */
  checkBeside(from: Uint8Array, to: Uint8Array): void {
    for (const row of this.#beside.all(from, to)) {
      const [key, seal] = row
      const isWhole = haveTypes(row, BESIDE_TYPES) && seal % 2 ** KEY_BITS === keyCheck(crc32(key))
      if (!isWhole) throw damagedDatabase('a row of its keys')
    }
  }
}

/** What is stored in the column `seal`. */
export function keySeal({ key, rowId, createRevision, version, valueBytes, hash }: KeyRow): number {
  REST_VIEW.setFloat64(0, rowId)
  REST_VIEW.setFloat64(8, createRevision)
  REST_VIEW.setFloat64(16, version)
  REST_VIEW.setFloat64(24, valueBytes)
  REST.set(hash, 32)
  const ofKey = crc32(key)
  return crc32(REST, ofKey) * 2 ** KEY_BITS + keyCheck(ofKey)
}

function keyCheck(ofKey: number): number {
  return ofKey % 2 ** KEY_BITS
}

const KEY_BITS = 16

/** What a seal is of besides the key, written anew for each. */
const REST = new Uint8Array(32 + HASH_BYTES)
const REST_VIEW = new DataView(REST.buffer)

/** The row, when it is what was written. @throws StorageError CORRUPTED */
function wholeKey(stored: StoredKey): KeyRow & KeyState {
  if (!haveTypes(stored, STORED_TYPES)) throw damagedDatabase('a row of its keys')
  const [key, rowId, createRevision, version, valueBytes, hash, seal] = stored
  const rest = { createRevision, version, valueBytes, hash: bytes(hash) }
  const row = { key: bytes(key), rowId, modRevision: revisionOf(rowId), ...rest }
  if (hash.byteLength === HASH_BYTES && keySeal(row) === seal) return row
  throw damagedDatabase('a row of its keys')
}

/** All rows, ascending by key. @throws StorageError CORRUPTED */
export function* wholeKeys(connection: Connection): Generator<KeyRow & KeyState, void, void> {
  const all = `SELECT ${KEY_COLUMNS} FROM keys ORDER BY key`
  for (const stored of connection.prepare<[], StoredKey>(all).raw().iterate())
    yield wholeKey(stored)
}

function prepareAt(connection: Connection) {
  const at = `SELECT ${KEY_COLUMNS} FROM keys WHERE key = ?`
  return connection.prepare<[Uint8Array], StoredKey>(at).raw()
}

/** One statement: outside of a transaction, to begin to read costs as much as a row. */
function prepareBeside(connection: Connection) {
  const before = 'SELECT key, seal FROM keys WHERE key < ? ORDER BY key DESC LIMIT 1'
  const behind = 'SELECT key, seal FROM keys WHERE key >= ? ORDER BY key LIMIT 1'
  const beside = `SELECT * FROM (${before}) UNION ALL SELECT * FROM (${behind})`
  return connection
    .prepare<[Uint8Array, Uint8Array], readonly [key: Buffer, seal: number]>(beside)
    .raw()
}

const BESIDE_TYPES: readonly ColumnType[] = ['blob', 'integer']
