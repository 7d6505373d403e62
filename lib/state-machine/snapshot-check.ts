// Whether the rows of a database are what its meta says. SQLite does not notice a flipped bit in a row: only
// the state hash does.

import b4a from 'b4a'
import { StorageError } from '../errors.ts'
import type { TaskAnswer } from './snapshot-task.ts'
import type { Connection } from './sqlite-connection.ts'
import { openForReadingAll } from './sqlite-connection.ts'
import { bytes, readProgress } from './sqlite-schema.ts'
import { revisionOf } from './sqlite-writer.ts'
import { EMPTY_CONTENT, addHash, rowHash } from './state-hash.ts'
import type { Content, KeyValue } from './state-machine.ts'

/** Adds live rows up. */
export class ContentSum {
  #content: Content = EMPTY_CONTENT

  /** @throws StorageError CORRUPTED when the row has not the hash that its key says */
  add(row: KeyValue, hash: Uint8Array): void {
    if (!b4a.equals(rowHash(row), hash)) throw damaged(`the row of revision ${row.modRevision}`)
    const { stateHash, liveCount, liveBytes } = this.#content
    this.#content = {
      stateHash: addHash(stateHash, hash),
      liveCount: liveCount + 1,
      liveBytes: liveBytes + row.key.byteLength + row.value.byteLength
    }
  }

  /** @throws StorageError CORRUPTED */
  mustBe(expected: Content): void {
    const { stateHash, liveCount, liveBytes } = this.#content
    const isSame =
      b4a.equals(stateHash, expected.stateHash) &&
      liveCount === expected.liveCount &&
      liveBytes === expected.liveBytes
    if (!isSame) throw damaged('the sum of all rows')
  }
}

/** Structure and rows. @throws StorageError CORRUPTED */
export function checkDatabase(path: string, throwIfCancelled: () => void): TaskAnswer {
  const connection = openForReadingAll(path)
  try {
    connection.exec('BEGIN')
    checkRows(connection, throwIfCancelled)
    checkStructure(connection)
    return { kind: 'good' }
  } finally {
    connection.close()
  }
}

/** @throws StorageError CORRUPTED */
export function checkStructure(connection: Connection): void {
  const problem = connection.pragma('integrity_check(1)', { simple: true })
  if (problem !== 'ok') throw damaged(String(problem))
}

/** Each live row against its hash, and all of them against the meta. @throws StorageError CORRUPTED */
export function checkRows(connection: Connection, throwIfCancelled: () => void): void {
  const { applied } = readProgress(connection)
  const sum = new ContentSum()
  let rowCount = 0
  for (const [id, createRevision, version, key, value, hash] of connection
    .prepare<[], LiveRow>(LIVE_ROWS)
    .raw()
    .iterate()) {
    const modRevision = revisionOf(id)
    const row = { key: bytes(key), value: bytes(value), createRevision, modRevision, version }
    sum.add(row, bytes(hash))
    if (++rowCount % ROWS_BETWEEN_LOOKS === 0) throwIfCancelled()
  }
  const keyCount = connection.prepare<[], number>('SELECT count(*) FROM keys').pluck().get()
  if (keyCount !== rowCount) throw damaged('keys without rows')
  sum.mustBe(applied)
}

/** How many rows are worked on before somebody looks whether to go on. */
export const ROWS_BETWEEN_LOOKS = 1_000

/** In the order of the rows: the keys are the smaller table to jump around in. */
const LIVE_ROWS = `
  SELECT r.id, r.create_revision, r.version, r.key, r.value, k.hash
  FROM revisions AS r CROSS JOIN keys AS k ON k.key = r.key
  WHERE k.row = r.id AND k.create_revision = r.create_revision AND k.version = r.version
    AND k.value_bytes = length(r.value)`

type LiveRow = readonly [
  id: number,
  createRevision: number,
  version: number,
  key: Buffer,
  value: Buffer,
  hash: Buffer
]

function damaged(what: string): StorageError {
  return new StorageError({
    code: 'CORRUPTED',
    message: `the database of the state machine is damaged: ${what}`
  })
}
