// The tables of the database file, its format record, and what it remembers besides rows.
//
//   revisions  append-only. id = revision × REVISION_STRIDE + ordinal of the change in its entry; a
//              row without value is a tombstone. `superseded` is the row that was the newest of the key
//              before (0: none), so that a compaction reads each row once and looks for nothing. The
//              value is last, so that the rest of a row is read without it.
//   keys       one row per live key, pointing at its newest revision row; the mod revision follows
//              from that id. `hash` is the row's term of the state hash.
//   meta       one row: how far the machine is, written in every transaction that applies entries; and
//              up to which row the compaction has come, which is this machine's own business.
//   nodes, invites   the trust state, one record each.
//   sessions   one record each, by the entry that began it.
//
// `application_id` says that the file is ours, `user_version` is the format record.

import b4a from 'b4a'
import { assert, present } from '../assert.ts'
import { decode, encode } from '../encoding.ts'
import { StorageError } from '../errors.ts'
import { REVISION_STRIDE } from '../limits.ts'
import { configurationEncoding } from '../raft/encoding.ts'
import type { EntryId } from '../raft/entry.ts'
import { appliedAtGenesis } from './apply-entry.ts'
import { inviteEncoding, nodeRecordEncoding, sessionEncoding } from './encoding.ts'
import type { StoredSessions } from './sessions.ts'
import type { SnapshotHead } from './snapshot-encoding.ts'
import type { Connection } from './sqlite-connection.ts'
import type { Applied, Revision, TrustState } from './state-machine.ts'
import { EMPTY_TRUST } from './trust.ts'

const FORMAT = 1
const APPLICATION_ID = 0x4173_706e

const SCHEMA = `
  CREATE TABLE revisions (
    id INTEGER PRIMARY KEY,
    superseded INTEGER NOT NULL,
    create_revision INTEGER NOT NULL,
    version INTEGER NOT NULL,
    key BLOB NOT NULL,
    value BLOB
  ) STRICT;
  CREATE TABLE keys (
    key BLOB PRIMARY KEY,
    row INTEGER NOT NULL,
    create_revision INTEGER NOT NULL,
    version INTEGER NOT NULL,
    value_bytes INTEGER NOT NULL,
    hash BLOB NOT NULL
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE meta (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    genesis BLOB NOT NULL,
    applied_index INTEGER NOT NULL,
    applied_term INTEGER NOT NULL,
    chain_hash BLOB NOT NULL,
    time_ms INTEGER NOT NULL,
    configuration BLOB NOT NULL,
    configuration_index INTEGER NOT NULL,
    state_hash BLOB NOT NULL,
    live_count INTEGER NOT NULL,
    live_bytes INTEGER NOT NULL,
    compacted_revision INTEGER NOT NULL,
    feature_level INTEGER NOT NULL,
    epoch INTEGER NOT NULL,
    next_node_id INTEGER NOT NULL,
    forgotten_session_index INTEGER NOT NULL,
    compacted_row INTEGER NOT NULL
  ) STRICT;
  CREATE TABLE nodes (id INTEGER PRIMARY KEY, record BLOB NOT NULL) STRICT;
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
  if (application !== APPLICATION_ID) {
    throw new StorageError({ code: 'CORRUPTED', message: 'the database file is not one of Aspen' })
  }
  if (format > FORMAT) {
    throw new StorageError({
      code: 'FORMAT_NEWER',
      message: `the database has format ${format}, and this version knows formats up to ${FORMAT}`,
      hint: 'update Aspen on this node, or go back to the version that wrote the data',
      fields: { format, max: FORMAT }
    })
  }
  assert(format === FORMAT, 'there was no format before the first')
  if (b4a.equals(readGenesis(connection), genesis.hash)) return
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
  const { genesisHash, applied, epoch, nextNodeId, forgottenIndex } = head
  const { index, term, hash, timeMs, configuration, configurationIndex, stateHash } = applied
  const { liveCount, liveBytes, compactedRevision, featureLevel } = applied
  const values = [
    [genesisHash, index, term, hash, timeMs],
    [encode(configurationEncoding, configuration), configurationIndex],
    [stateHash, liveCount, liveBytes, compactedRevision, featureLevel],
    [epoch, nextNodeId, forgottenIndex, lastRowOf(compactedRevision)]
  ].flat()
  const places = values.map(() => '?').join(', ')
  connection.prepare(`INSERT INTO meta VALUES (1, ${places})`).run(values)
}

/** The highest id that a row of the revision may have. */
export function lastRowOf(revision: Revision): number {
  return revision * REVISION_STRIDE + REVISION_STRIDE - 1
}

/** @throws ProtocolError when a record is not what was written */
export function readProgress(connection: Connection): Progress {
  const meta = present(connection.prepare<[], MetaRow>('SELECT * FROM meta').get(), 'the meta row')
  const records = (table: 'nodes' | 'invites', order: string): Buffer[] =>
    connection.prepare<[], Buffer>(`SELECT record FROM ${table} ORDER BY ${order}`).pluck().all()
  return {
    applied: {
      index: meta.applied_index,
      term: meta.applied_term,
      hash: bytes(meta.chain_hash),
      timeMs: meta.time_ms,
      configuration: decode(configurationEncoding, bytes(meta.configuration)),
      configurationIndex: meta.configuration_index,
      stateHash: bytes(meta.state_hash),
      liveCount: meta.live_count,
      liveBytes: meta.live_bytes,
      compactedRevision: meta.compacted_revision,
      featureLevel: meta.feature_level
    },
    trust: {
      epoch: meta.epoch,
      nextNodeId: meta.next_node_id,
      nodes: records('nodes', 'id').map((each) => decode(nodeRecordEncoding, bytes(each))),
      invites: records('invites', 'created_index').map((each) =>
        decode(inviteEncoding, bytes(each))
      )
    }
  }
}

/** @throws ProtocolError when a record is not what was written */
export function readSessions(connection: Connection): StoredSessions {
  const pluck = <T>(sql: string) => connection.prepare<[], T>(sql).pluck()
  const records = pluck<Buffer>('SELECT record FROM sessions ORDER BY born_index').all()
  const forgotten = pluck<number>('SELECT forgotten_session_index FROM meta').get()
  return {
    sessions: records.map((each) => decode(sessionEncoding, bytes(each))),
    forgottenIndex: present(forgotten, 'the meta row')
  }
}

/** Hash of the genesis of the cluster that it belongs to. */
export function readGenesis(connection: Connection): Uint8Array {
  const genesis = connection.prepare<[], Buffer>('SELECT genesis FROM meta').pluck().get()
  return bytes(present(genesis, 'the genesis'))
}

/** Up to which row the compaction has come. */
export function readCompactedRow(connection: Connection): number {
  const row = connection.prepare<[], number>('SELECT compacted_row FROM meta').pluck().get()
  return present(row, 'the meta row')
}

/** What SQLite gives back, as a plain array of bytes. */
export function bytes(buffer: Buffer): Uint8Array {
  return new Uint8Array(buffer.buffer, buffer.byteOffset, buffer.byteLength)
}

interface MetaRow {
  readonly genesis: Buffer
  readonly applied_index: number
  readonly applied_term: number
  readonly chain_hash: Buffer
  readonly time_ms: number
  readonly configuration: Buffer
  readonly configuration_index: number
  readonly state_hash: Buffer
  readonly live_count: number
  readonly live_bytes: number
  readonly compacted_revision: number
  readonly feature_level: number
  readonly epoch: number
  readonly next_node_id: number
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
