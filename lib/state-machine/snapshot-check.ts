// Whether the rows of a database are what was written, and what its meta says. SQLite does not notice a
// flipped bit in a row.

import b4a from 'b4a'
import type { RevisionRow } from './revision-row.ts'
import { contentHash, revisionOf, sealOf } from './revision-row.ts'
import type { TaskAnswer } from './snapshot-task.ts'
import type { Connection } from './sqlite-connection.ts'
import { openForReadingAll } from './sqlite-connection.ts'
import { damagedDatabase } from './sqlite-errors.ts'
import { wholeKeys } from './sqlite-keys.ts'
import { bytes, haveTypes, readCompactedRow, readProgress } from './sqlite-schema.ts'
import type { ColumnType } from './sqlite-schema.ts'
import { contentWith, EMPTY_CONTENT, isSameContent } from './state-hash.ts'
import type { Content } from './state-machine.ts'

/** Structure and rows. @throws StorageError CORRUPTED; ProtocolError when its meta is damaged */
export function checkDatabase(path: string, throwIfCancelled: () => void): TaskAnswer {
  const connection = openForReadingAll(path)
  try {
    connection.exec('BEGIN')
    // rows of a damaged page may be of any type
    checkStructure(connection)
    checkRows(connection, throwIfCancelled)
    return { kind: 'good' }
  } finally {
    connection.close()
  }
}

/** @throws StorageError CORRUPTED */
export function checkStructure(connection: Connection): void {
  const problem = connection.pragma('integrity_check(1)', { simple: true })
  if (problem !== 'ok') throw damagedDatabase(String(problem))
}

/** Each row and each key against its seal, and the live ones against the meta. @throws StorageError CORRUPTED */
export function checkRows(connection: Connection, throwIfCancelled: () => void): void {
  let rowCount = 0
  const look = (): void => {
    if (++rowCount % ROWS_BETWEEN_LOOKS === 0) throwIfCancelled()
  }
  for (const _ of wholeRows(connection, readProgress(connection).applied)) look()
  for (const _ of wholeKeys(connection)) look()
}

/**
 * All rows of the history, in their order; each is compared with its seal before it is handed out, and at the
 * end all of them with each other, with the keys and with `expected`.
 * @throws StorageError CORRUPTED
 */
export function* wholeRows(
  connection: Connection,
  expected: Content
): Generator<RevisionRow, void, void> {
  const links = new Links(readCompactedRow(connection))
  let content = EMPTY_CONTENT
  for (const stored of connection.prepare<[], StoredRow>(HISTORY).raw().iterate()) {
    if (!haveTypes(stored, STORED_TYPES)) throw damagedDatabase('a row of its history')
    const [id, superseded, createRevision, version, key, seal, value, keyHash] = stored
    const row = {
      id,
      superseded,
      createRevision,
      version,
      key: bytes(key),
      value: value === null ? null : bytes(value)
    }
    const hash = contentHash(row)
    const isWhole =
      b4a.equals(seal, sealOf(row, hash)) && (keyHash === null || b4a.equals(keyHash, hash))
    if (!isWhole) throw damagedDatabase(`the row of revision ${revisionOf(id)}`)
    const isLive = keyHash !== null
    if (isLive && row.value !== null)
      content = contentWith(content, hash, key.byteLength + row.value.byteLength)
    links.add(row, isLive)
    yield row
  }
  const keyCount = connection.prepare<[], number>('SELECT count(*) FROM keys').pluck().get()
  if (keyCount !== content.liveCount) throw damagedDatabase('keys without rows')
  if (!isSameContent(content, expected)) throw damagedDatabase('the sum of all rows')
  if (!links.areWhole) throw damagedDatabase('rows of its history are missing')
}

/**
 * Behind the compaction, the rows that are superseded are those that were a value and are not live: sums of
 * both are compared, since a row that is gone takes its seal along.
 */
class Links {
  readonly #compactedRow: number
  #named = 0
  #found = 0

  constructor(compactedRow: number) {
    this.#compactedRow = compactedRow
  }

  add({ id, superseded, value }: RevisionRow, isLive: boolean): void {
    if (id > this.#compactedRow) this.#named = summed(this.#named, superseded)
    if (value !== null && !isLive) this.#found = summed(this.#found, id)
  }

  get areWhole(): boolean {
    return this.#named === this.#found
  }
}

/** Modulo 2^52: every step is exact. */
function summed(sum: number, id: number): number {
  return (sum + (id % SUM_LIMIT)) % SUM_LIMIT
}

const SUM_LIMIT = 2 ** 52

/** How many rows are worked on before somebody looks whether to go on. */
export const ROWS_BETWEEN_LOOKS = 1_000

/** In the order of the rows: the keys are the smaller table to jump around in. */
const HISTORY = `
  SELECT r.id, r.superseded, r.create_revision, r.version, r.key, r.seal, r.value, k.hash
  FROM revisions AS r LEFT JOIN keys AS k ON k.key = r.key AND k.row = r.id
    AND k.create_revision = r.create_revision AND k.version = r.version
    AND k.value_bytes = length(r.value)
  ORDER BY r.id`

/** The hash is that of its key; null for a row that is not live. */
type StoredRow = readonly [
  id: number,
  superseded: number,
  createRevision: number,
  version: number,
  key: Buffer,
  seal: Buffer,
  value: Buffer | null,
  hash: Buffer | null
]

const STORED_TYPES: readonly ColumnType[] = [
  'integer',
  'integer',
  'integer',
  'integer',
  'blob',
  'blob',
  'blob or null',
  'blob or null'
]
