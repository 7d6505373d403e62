// The tables of the database file, its format record, and what it remembers besides rows.
//
//   revisions  append-only. id = revision × REVISION_STRIDE + ordinal of the change in its entry; a
//              row without value is a tombstone. `superseded` is the row that was the newest of the key
//              before (0: none), so that a compaction reads each row once and looks for nothing. `seal`
//              is what revision-row.ts says. The value is last, so that the rest is read without it.
//   keys       one row per live key, pointing at its newest revision row; the mod revision follows
//              from that id. `hash` is the row's term of the state hash; `seal` is what sqlite-keys.ts says.
//   meta       one row: how far the machine is, as a snapshot's head says it, written in every transaction
//              that applies entries; and up to which row the compaction has come, which is this machine's own
//              business. Every record, here and in the tables below, has its hash behind it (seal.ts).
//   nodes, removed, invites   the trust state, one record each.
//   sessions   one record each, by the entry that began it.
//
// `application_id` says that the file is ours, `user_version` is the format record.

import b4a from 'b4a'
import { boundedUint, decode } from '../encoding.ts'
import { StorageError } from '../errors.ts'
import { REVISION_STRIDE } from '../limits.ts'
import type { EntryId } from '../raft/entry.ts'
import { appliedAtGenesis } from './apply-entry.ts'
import {
  inviteEncoding,
  nodeRecordEncoding,
  removedNodeEncoding,
  sessionEncoding
} from './encoding.ts'
import type { StoredSessions } from './sessions.ts'
import { sealed, unsealed } from './seal.ts'
import { snapshotHeadEncoding } from './snapshot-encoding.ts'
import type { SnapshotHead } from './snapshot-encoding.ts'
import type { Connection } from './sqlite-connection.ts'
import { damagedDatabase } from './sqlite-errors.ts'
import type { Applied, Revision, TrustState } from './state-machine.ts'
import { EMPTY_TRUST } from './trust.ts'

const FORMAT = 4
const APPLICATION_ID = 0x4173_706e

const SCHEMA = `
  CREATE TABLE revisions (
    id INTEGER PRIMARY KEY,
    superseded INTEGER NOT NULL,
    create_revision INTEGER NOT NULL,
    version INTEGER NOT NULL,
    key BLOB NOT NULL,
    seal BLOB NOT NULL,
    value BLOB
  ) STRICT;
  CREATE TABLE keys (
    key BLOB PRIMARY KEY,
    row INTEGER NOT NULL,
    create_revision INTEGER NOT NULL,
    version INTEGER NOT NULL,
    value_bytes INTEGER NOT NULL,
    hash BLOB NOT NULL,
    seal INTEGER NOT NULL
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE meta (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    head BLOB NOT NULL,
    compacted_row BLOB NOT NULL
  ) STRICT;
  CREATE TABLE nodes (id INTEGER PRIMARY KEY, record BLOB NOT NULL) STRICT;
  CREATE TABLE removed (id INTEGER PRIMARY KEY, record BLOB NOT NULL) STRICT;
  CREATE TABLE invites (created_index INTEGER PRIMARY KEY, record BLOB NOT NULL) STRICT;
  CREATE TABLE sessions (born_index INTEGER PRIMARY KEY, record BLOB NOT NULL) STRICT;
  PRAGMA application_id = ${APPLICATION_ID};
  PRAGMA user_version = ${FORMAT};
`

/** What is in the file besides rows. */
export interface Progress {
  readonly applied: Applied
  readonly trust: TrustState
}

/**
 * Makes the tables of a new file, or checks that those of an old one are ours.
 * @throws StorageError CORRUPTED, FORMAT_NEWER, WRONG_CLUSTER
 */
export function prepareFormat(connection: Connection, genesis: EntryId): void {
  const application = Number(connection.pragma('application_id', { simple: true }))
  const format = Number(connection.pragma('user_version', { simple: true }))
  if (application === 0 && format === 0) {
    createSchema(connection, genesis)
    return
  }
  checkFormat(connection, genesis.hash)
}

/** Of a file with tables. @throws StorageError CORRUPTED, FORMAT_NEWER, WRONG_CLUSTER */
export function checkFormat(connection: Connection, genesisHash: Uint8Array): void {
  const application = Number(connection.pragma('application_id', { simple: true }))
  const format = Number(connection.pragma('user_version', { simple: true }))
  if (application !== APPLICATION_ID) {
    throw new StorageError({ code: 'CORRUPTED', message: 'the database file is not one of Aspen' })
  }
  // made again, like one that is damaged
  if (format < FORMAT) {
    const message = `the database has format ${format}, and this version writes format ${FORMAT}`
    throw new StorageError({ code: 'CORRUPTED', message })
  }
  if (format > FORMAT) {
    throw new StorageError({
      code: 'FORMAT_NEWER',
      message: `the database has format ${format}, and this version knows formats up to ${FORMAT}`,
      hint: 'update Aspen on this node, or go back to the version that wrote the data',
      fields: { format, max: FORMAT }
    })
  }
  if (b4a.equals(readHead(connection).genesisHash, genesisHash)) return
  throw new StorageError({
    code: 'WRONG_CLUSTER',
    message: 'the database belongs to another cluster'
  })
}

/** The empty tables of a file; for their one row of meta: `writeMeta`. */
export function createTables(connection: Connection): void {
  connection.exec(SCHEMA)
}

/** The row of meta, in a file that has none. What was compacted is compacted to the end. */
export function writeMeta(connection: Connection, head: SnapshotHead): void {
  const compactedRow = lastRowOf(head.applied.compactedRevision)
  connection
    .prepare<[Uint8Array, Uint8Array]>(
      'INSERT INTO meta (id, head, compacted_row) VALUES (1, ?, ?)'
    )
    .run(sealedHead(head), sealedRow(compactedRow))
}

/** The head of the state as meta keeps it. */
export function sealedHead(head: SnapshotHead): Uint8Array {
  return sealed('meta', snapshotHeadEncoding, head)
}

/** Up to which row the compaction has come, as meta keeps it. */
export function sealedRow(compactedRow: number): Uint8Array {
  return sealed('compaction', rowEncoding, compactedRow)
}

const rowEncoding = boundedUint(Number.MAX_SAFE_INTEGER)

/** The highest id that a row of the revision may have. */
export function lastRowOf(revision: Revision): number {
  return revision * REVISION_STRIDE + REVISION_STRIDE - 1
}

/** @throws ProtocolError when a record is not what was written */
export function readHead(connection: Connection): SnapshotHead {
  return decode(snapshotHeadEncoding, unsealed('meta', readMeta(connection, 'head')))
}

/** @throws ProtocolError when a record is not what was written */
export function readProgress(connection: Connection): Progress {
  const { applied, epoch, nextNodeId } = readHead(connection)
  const nodes = readRecords(connection, 'nodes', 'id')
  const removed = readRecords(connection, 'removed', 'id')
  const invites = readRecords(connection, 'invites', 'created_index')
  return {
    applied,
    trust: {
      epoch,
      nextNodeId,
      nodes: nodes.map((each) => decode(nodeRecordEncoding, each)),
      invites: invites.map((each) => decode(inviteEncoding, each)),
      removed: removed.map((each) => decode(removedNodeEncoding, each))
    }
  }
}

/** @throws ProtocolError when a record is not what was written */
export function readSessions(connection: Connection): StoredSessions {
  const { forgottenIndex } = readHead(connection)
  const records = readRecords(connection, 'sessions', 'born_index')
  return { sessions: records.map((each) => decode(sessionEncoding, each)), forgottenIndex }
}

/** Up to which row the compaction has come. @throws ProtocolError when it is not what was written */
export function readCompactedRow(connection: Connection): number {
  return decode(rowEncoding, unsealed('compaction', readMeta(connection, 'compacted_row')))
}

function readMeta(connection: Connection, column: 'head' | 'compacted_row'): Uint8Array {
  const record = connection.prepare<[]>(`SELECT ${column} FROM meta`).pluck().get()
  return bytesOrDamage(record, 'the row of meta')
}

function readRecords(
  connection: Connection,
  table: 'nodes' | 'removed' | 'invites' | 'sessions',
  order: string
): readonly Uint8Array[] {
  const select = `SELECT record FROM ${table} ORDER BY ${order}`
  const records = connection.prepare<[]>(select).pluck().all()
  return records.map((each) => unsealed(table, bytesOrDamage(each, `a row of ${table}`)))
}

/** A damaged row may be none, or of another type. @throws StorageError CORRUPTED */
function bytesOrDamage(value: unknown, what: string): Uint8Array {
  if (!Buffer.isBuffer(value)) throw damagedDatabase(what)
  return bytes(value)
}

export type ColumnType = 'integer' | 'blob' | 'blob or null'

/** Whether the columns have the types with which they were written: those of a damaged row may have any. */
export function haveTypes(row: readonly unknown[], types: readonly ColumnType[]): boolean {
  for (const [at, type] of types.entries()) {
    const value = row[at]
    const isOne =
      type === 'integer'
        ? Number.isSafeInteger(value)
        : Buffer.isBuffer(value) || (type === 'blob or null' && value === null)
    if (!isOne) return false
  }
  return true
}

/** What SQLite gives back, as a plain array of bytes. */
export function bytes(buffer: Buffer): Uint8Array {
  return new Uint8Array(buffer.buffer, buffer.byteOffset, buffer.byteLength)
}

function createSchema(connection: Connection, genesis: EntryId): void {
  const { epoch, nextNodeId } = EMPTY_TRUST
  connection.exec('BEGIN IMMEDIATE')
  createTables(connection)
  const applied = appliedAtGenesis(genesis)
  writeMeta(connection, {
    genesisHash: genesis.hash,
    applied,
    epoch,
    nextNodeId,
    forgottenIndex: 0
  })
  connection.exec('COMMIT')
}
