// A hash behind each record of the database: SQLite does not notice a flipped bit in what it stores, and a
// record that differs would be believed. Not a secret: it finds faults of disks. Pure.

import b4a from 'b4a'
import { HASH_BYTES, hash, namespace } from '../crypto.ts'
import { ProtocolError } from '../errors.ts'

const SEAL = namespace('state-record/1')

/** The record with its hash behind it. `table` keeps records of one table out of another. */
export function sealed(table: string, record: Uint8Array): Uint8Array {
  const out = new Uint8Array(record.byteLength + HASH_BYTES)
  out.set(record)
  out.set(sealOf(table, record), record.byteLength)
  return out
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
