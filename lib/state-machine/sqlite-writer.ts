// The writing connection: rows and progress, inside transactions that stay open as long as the caller
// likes. Rows are hashed here, because it is the dear part of writing them.

import { REVISION_STRIDE } from '../limits.ts'
import type { Index } from '../raft/entry.ts'
import {
  inviteEncoding,
  nodeRecordEncoding,
  removedNodeEncoding,
  sessionEncoding
} from './encoding.ts'
import type { RevisionRow, RowPlace } from './revision-row.ts'
import { contentHash, isInPlace, revisionOf, sealOf } from './revision-row.ts'
import { sealed } from './seal.ts'
import type { Session } from './sessions.ts'
import type { Connection, Statement, WalState } from './sqlite-connection.ts'
import { prepareCheckpoint } from './sqlite-connection.ts'
import { damagedDatabase } from './sqlite-errors.ts'
import type { KeyRow } from './sqlite-keys.ts'
import { KEY_COLUMNS, KeyTable, keySeal } from './sqlite-keys.ts'
import type { ColumnType, Progress } from './sqlite-schema.ts'
import { haveTypes, sealedHead, sealedRow } from './sqlite-schema.ts'
import type { Invite, NodeRecord, RemovedNode, Revision, TrustState } from './state-machine.ts'
import type { KeyState, PlannedRow } from './write-plan.ts'

export class SqliteWriter {
  readonly #connection: Connection
  readonly #statements: Statements
  readonly #keys: KeyTable
  readonly #genesisHash: Uint8Array
  /** how large the write-ahead log is */
  readonly wal: () => WalState

  constructor(connection: Connection, genesisHash: Uint8Array) {
    this.#genesisHash = genesisHash
    this.#connection = connection
    this.wal = prepareCheckpoint(connection, 'NOOP')
    this.#statements = prepareStatements(connection)
    this.#keys = new KeyTable(connection)
  }

  /** SQLite looks at no write-ahead log then. */
  get isInTransaction(): boolean {
    return this.#connection.inTransaction
  }

  begin(): void {
    this.#statements.begin.run()
  }

  /** Writes how far it is, and what of the trust state differs, and commits. */
  commit(before: Progress, after: Progress, forgottenIndex: Index): void {
    const { applied, trust } = after
    const { epoch, nextNodeId } = trust
    const head = { genesisHash: this.#genesisHash, applied, epoch, nextNodeId, forgottenIndex }
    this.#statements.updateHead.run(sealedHead(head))
    if (before.trust !== after.trust) this.#writeTrust(before.trust, after.trust)
    this.#statements.commit.run()
  }

  /** Gives up the transaction, if one is open. */
  rollback(): void {
    if (this.#connection.inTransaction) this.#statements.rollback.run()
  }

  /** The state of a live key, within the transaction. @throws StorageError CORRUPTED */
  lookup(key: Uint8Array): KeyState | null {
    return this.#keys.find(key)
  }

  /** The row in the append-only table. @returns its hash; null for a tombstone */
  writeRevision(row: PlannedRow, revision: Revision): Uint8Array | null {
    const { key, value, createRevision, version } = row
    const id = rowIdOf(row, revision)
    const superseded = row.previous?.rowId ?? 0
    const stored = { id, superseded, createRevision, version, key, value }
    const hash = insertRow(this.#statements, stored)
    return value === null ? null : hash
  }

  /** Points the key at the row that `writeRevision` wrote. */
  writeKey(row: PlannedRow, revision: Revision, hash: Uint8Array | null): void {
    const { key, value, createRevision, version, previous } = row
    const { updateKey, deleteKey } = this.#statements
    if (value === null || hash === null) {
      assertOne(deleteKey.run(key).changes)
      return
    }
    const rowId = rowIdOf(row, revision)
    const valueBytes = value.byteLength
    const after = { key, rowId, createRevision, version, valueBytes, hash }
    if (previous === null) insertKeyRow(this.#statements, after)
    else assertOne(updateKey.run(rowId, version, valueBytes, hash, keySeal(after), key).changes)
  }

  /** Rows of the history in (after, to], ascending, at most `limit`. @throws StorageError CORRUPTED */
  historyAfter(after: number, to: number, limit: number): readonly RowPlace[] {
    const rows = this.#statements.historyAfter.all(after, to, limit)
    return rows.map((row) => {
      const [id, superseded, isTombstone, seal] = row
      const place = { id, superseded, isTombstone: isTombstone === 1 }
      const isWhole = haveTypes(row, PLACE_TYPES) && isInPlace(place, seal)
      // who believed it would delete rows that are wanted
      if (!isWhole) throw damagedDatabase(`the row of revision ${revisionOf(id)}`)
      return place
    })
  }

  dropRevision(id: number): void {
    this.#statements.deleteRevision.run(id)
  }

  /** Commits a step of the compaction, which has come to this row. */
  commitCompacted(row: number): void {
    this.#statements.updateCompacted.run(sealedRow(row))
    this.#statements.commit.run()
  }

  writeSession(session: Session): void {
    this.#statements.putSession.run(session.bornIndex, sealed('sessions', sessionEncoding, session))
  }

  dropSession(bornIndex: Index): void {
    this.#statements.dropSession.run(bornIndex)
  }

  close(): void {
    this.rollback()
    this.#connection.close()
  }

  /** Records that did not change are the same objects (trust.ts). */
  #writeTrust(before: TrustState, after: TrustState): void {
    const { putNode, dropNode, putRemoved, dropRemoved } = this.#statements
    const { putInvite, dropInvite } = this.#statements
    const nodes = differences<NodeRecord>(before.nodes, after.nodes, (node) => node.id)
    for (const node of nodes.changed)
      putNode.run(node.id, sealed('nodes', nodeRecordEncoding, node))
    for (const node of nodes.gone) dropNode.run(node.id)
    const removed = differences<RemovedNode>(before.removed, after.removed, (each) => each.id)
    for (const each of removed.changed)
      putRemoved.run(each.id, sealed('removed', removedNodeEncoding, each))
    for (const each of removed.gone) dropRemoved.run(each.id)
    const invites = differences<Invite>(
      before.invites,
      after.invites,
      (invite) => invite.createdIndex
    )
    for (const invite of invites.changed)
      putInvite.run(invite.createdIndex, sealed('invites', inviteEncoding, invite))
    for (const invite of invites.gone) dropInvite.run(invite.createdIndex)
  }
}

function rowIdOf(row: PlannedRow, revision: Revision): number {
  return revision * REVISION_STRIDE + row.ordinal
}

const PLACE_TYPES: readonly ColumnType[] = ['integer', 'integer', 'integer', 'blob']

/** A key that was found is still there. @throws StorageError CORRUPTED */
function assertOne(changeCount: number): void {
  if (changeCount !== 1) throw damagedDatabase('a key that it has is not found')
}

type Statements = ReturnType<typeof prepareStatements>

function prepareStatements(connection: Connection) {
  return {
    begin: connection.prepare<[]>('BEGIN IMMEDIATE'),
    commit: connection.prepare<[]>('COMMIT'),
    rollback: connection.prepare<[]>('ROLLBACK'),
    ...prepareRowStatements(connection),
    updateKey: connection.prepare<[number, number, number, Uint8Array, number, Uint8Array]>(
      'UPDATE keys SET row = ?, version = ?, value_bytes = ?, hash = ?, seal = ? WHERE key = ?'
    ),
    historyAfter: connection
      .prepare<
        [number, number, number],
        readonly [id: number, superseded: number, isTombstone: 0 | 1, seal: Buffer]
      >(
        'SELECT id, superseded, value IS NULL, seal FROM revisions WHERE id > ? AND id <= ? ORDER BY id LIMIT ?'
      )
      .raw(),
    deleteRevision: connection.prepare<[number]>('DELETE FROM revisions WHERE id = ?'),
    updateCompacted: connection.prepare<[Uint8Array]>('UPDATE meta SET compacted_row = ?'),
    deleteKey: connection.prepare<[Uint8Array]>('DELETE FROM keys WHERE key = ?'),
    updateHead: connection.prepare<[Uint8Array]>('UPDATE meta SET head = ?'),
    dropNode: connection.prepare<[number]>('DELETE FROM nodes WHERE id = ?'),
    dropRemoved: connection.prepare<[number]>('DELETE FROM removed WHERE id = ?'),
    dropInvite: connection.prepare<[number]>('DELETE FROM invites WHERE created_index = ?'),
    dropSession: connection.prepare<[number]>('DELETE FROM sessions WHERE born_index = ?')
  }
}

/** What also fills the tables of a new file. */
export interface RowStatements {
  readonly insertRevision: Statement<
    [
      id: number,
      superseded: number,
      createRevision: number,
      version: number,
      key: Uint8Array,
      seal: Uint8Array,
      value: Uint8Array | null
    ]
  >
  readonly insertKey: Statement<
    [
      key: Uint8Array,
      row: number,
      createRevision: number,
      version: number,
      valueBytes: number,
      hash: Uint8Array,
      seal: number
    ]
  >
  readonly putNode: Statement<[id: number, record: Uint8Array]>
  readonly putRemoved: Statement<[id: number, record: Uint8Array]>
  readonly putInvite: Statement<[createdIndex: number, record: Uint8Array]>
  readonly putSession: Statement<[bornIndex: number, record: Uint8Array]>
}

export function prepareRowStatements(connection: Connection): RowStatements {
  return {
    insertRevision: connection.prepare(
      'INSERT INTO revisions (id, superseded, create_revision, version, key, seal, value) VALUES (?, ?, ?, ?, ?, ?, ?)'
    ),
    insertKey: connection.prepare(`INSERT INTO keys (${KEY_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?)`),
    putNode: connection.prepare('INSERT OR REPLACE INTO nodes VALUES (?, ?)'),
    putRemoved: connection.prepare('INSERT OR REPLACE INTO removed VALUES (?, ?)'),
    putInvite: connection.prepare('INSERT OR REPLACE INTO invites VALUES (?, ?)'),
    putSession: connection.prepare('INSERT OR REPLACE INTO sessions VALUES (?, ?)')
  }
}

/** A row of the history, with its seal. @returns the hash of its content */
export function insertRow(
  { insertRevision }: Pick<RowStatements, 'insertRevision'>,
  row: RevisionRow
): Uint8Array {
  const { id, superseded, createRevision, version, key, value } = row
  const content = contentHash(row)
  const seal = sealOf(row, content)
  insertRevision.run(id, superseded, createRevision, version, key, seal, value)
  return content
}

/** A live key, with its seal. */
export function insertKeyRow({ insertKey }: Pick<RowStatements, 'insertKey'>, row: KeyRow): void {
  const { key, rowId, createRevision, version, valueBytes, hash } = row
  insertKey.run(key, rowId, createRevision, version, valueBytes, hash, keySeal(row))
}

interface Differences<T> {
  readonly changed: readonly T[]
  readonly gone: readonly T[]
}

function differences<T>(
  before: readonly T[],
  after: readonly T[],
  idOf: (each: T) => number
): Differences<T> {
  const old = new Set(before)
  const ids = new Set(after.map(idOf))
  return {
    changed: after.filter((each) => !old.has(each)),
    gone: before.filter((each) => !ids.has(idOf(each)))
  }
}
