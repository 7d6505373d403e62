// The reading connection: rows as of the last committed transaction. Each call is one read
// transaction, which ends with the call, so it never holds back a checkpoint.

import b4a from 'b4a'
import { assert } from '../assert.ts'
import { MAX_SCAN_BYTES, MAX_SCAN_LIMIT } from '../limits.ts'
import { prefixEnd, successorOf } from './byte-order.ts'
import { revisionOf } from './revision-row.ts'
import type { Connection } from './sqlite-connection.ts'
import { damagedDatabase } from './sqlite-errors.ts'
import { KeyTable } from './sqlite-keys.ts'
import type { ColumnType } from './sqlite-schema.ts'
import { bytes, haveTypes } from './sqlite-schema.ts'
import { rowHash } from './state-hash.ts'
import type { KeyValue, ScanPage, ScanRequest } from './state-machine.ts'

export class SqliteReader {
  readonly #connection: Connection
  readonly #statements: Statements
  readonly #keys: KeyTable

  constructor(connection: Connection) {
    this.#connection = connection
    this.#statements = prepareStatements(connection)
    this.#keys = new KeyTable(connection)
  }

  get(key: Uint8Array): KeyValue | null {
    const row = this.#statements.get.get(key)
    if (row !== undefined) return verified(row)
    this.#keys.checkBeside(key, key)
    return null
  }

  scan(request: ScanRequest): ScanPage {
    const { prefix, after, limit } = request
    assert(limit >= 1 && limit <= MAX_SCAN_LIMIT, `a scan has a limit of 1 to ${MAX_SCAN_LIMIT}`)
    const items: KeyValue[] = []
    let byteCount = 0
    const begin = startOf(prefix, after)
    const end = prefixEnd(prefix)
    this.#keys.checkBeside(begin, end)
    for (const row of this.#statements.scan.iterate(begin, end, limit + 1)) {
      byteCount += row[0].byteLength + (row[1]?.byteLength ?? 0)
      if (items.length === limit || byteCount > MAX_SCAN_BYTES) return { items, hasMore: true }
      items.push(verified(row))
    }
    return { items, hasMore: false }
  }

  close(): void {
    this.#connection.close()
  }
}

/** The least key of a page. */
function startOf(prefix: Uint8Array, after: Uint8Array | null): Uint8Array {
  if (after === null) return prefix
  const next = successorOf(after)
  return b4a.compare(next, prefix) < 0 ? prefix : next
}

/** Statements are `raw`: making objects would cost as much as reading. */
type Row = readonly [
  key: Buffer,
  /** null: there is no such row */
  value: Buffer | null,
  row: number,
  createRevision: number,
  version: number,
  hash: Buffer
]

const ROW_TYPES: readonly ColumnType[] = [
  'blob',
  'blob or null',
  'integer',
  'integer',
  'integer',
  'blob'
]

type Statements = ReturnType<typeof prepareStatements>

// LEFT JOIN: SQLite must walk the keys and look up the rows, and a row that is not there must be noticed.
const COLUMNS = 'k.key, r.value, k.row, k.create_revision, k.version, k.hash'
const TABLES = 'keys AS k LEFT JOIN revisions AS r ON r.id = k.row'

function prepareStatements(connection: Connection) {
  return {
    get: connection
      .prepare<[Uint8Array], Row>(`SELECT ${COLUMNS} FROM ${TABLES} WHERE k.key = ?`)
      .raw(),
    scan: connection
      .prepare<[Uint8Array, Uint8Array, number], Row>(
        `SELECT ${COLUMNS} FROM ${TABLES} WHERE k.key >= ? AND k.key < ? ORDER BY k.key LIMIT ?`
      )
      .raw()
  }
}

/** A row that a fault of the disk has changed is read by nobody. @throws StorageError CORRUPTED */
function verified(row: Row): KeyValue {
  const item = haveTypes(row, ROW_TYPES) ? keyValueOf(row) : null
  if (item !== null && b4a.equals(rowHash(item), row[5])) return item
  throw damagedDatabase(`the row of revision ${revisionOf(row[2])}`)
}

function keyValueOf(row: Row): KeyValue | null {
  const [key, value, id, createRevision, version] = row
  if (value === null) return null
  return {
    key: bytes(key),
    value: bytes(value),
    createRevision,
    modRevision: revisionOf(id),
    version
  }
}
