// A hash behind each record of the database: SQLite does not notice a flipped bit in what it stores, and a
// record that differs would be believed. Not a secret: it finds faults of disks. Pure.

import b4a from 'b4a'
import { HASH_BYTES, hash, namespace } from '../crypto.ts'
import { encode } from '../encoding.ts'
import type { Encoder } from '../encoding.ts'
import { ProtocolError, StorageError } from '../errors.ts'

const SEAL = namespace('state-record/1')

/**
 * The value as a record with its hash behind it. `table` keeps records of one table out of another.
 * @throws StorageError FAILED (Serialize) for a value that has no such form
 */
export function sealed<Value>(table: string, encoding: Encoder<Value>, value: Value): Uint8Array {
  const record = recordOf(table, encoding, value)
  const out = new Uint8Array(record.byteLength + HASH_BYTES)
  out.set(record)
  out.set(sealOf(table, record), record.byteLength)
  return out
}

function recordOf<Value>(table: string, encoding: Encoder<Value>, value: Value): Uint8Array {
  try {
    return encode(encoding, value)
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error)
    const message = `a row of the table ${table} cannot be written: ${why}`
    throw new StorageError(
      { code: 'FAILED', message, fields: { variant: 'Serialize' } },
      { cause: error }
    )
  }
}

/** @throws ProtocolError when the record is not what was sealed */
export function unsealed(table: string, bytes: Uint8Array): Uint8Array {
  const record = bytes.subarray(0, Math.max(0, bytes.byteLength - HASH_BYTES))
  if (b4a.equals(sealOf(table, record), bytes.subarray(record.byteLength))) return record
  throw new ProtocolError(`a record of the table ${table} is not what was written`)
}

function sealOf(table: string, record: Uint8Array): Uint8Array {
  return hash(SEAL, namespace(table), record)
}
