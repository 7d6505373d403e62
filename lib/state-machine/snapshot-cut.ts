// Writes the snapshot of a database, in a thread: one read transaction, so that it is as of one entry while
// the node goes on writing, and every row is checked against its seal on the way, so that what a disk has
// damaged goes into no snapshot.

import { closeSync, existsSync, openSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { AssertionError, assert } from '../assert.ts'
import { ProtocolError } from '../errors.ts'
import { MAX_SNAPSHOT_CHUNKS, REVISION_STRIDE } from '../limits.ts'
import { revisionOf } from './revision-row.ts'
import { ROWS_BETWEEN_LOOKS, wholeRows } from './snapshot-check.ts'
import { publish, writeAll } from './snapshot-files.ts'
import type { Manifested } from './snapshot-files.ts'
import { SnapshotWriter } from './snapshot-stream.ts'
import { TaskRefusal, deadlineOf } from './snapshot-task.ts'
import type { BodyRecord } from './snapshot-encoding.ts'
import type { SnapshotTask, TaskAnswer, TaskWatch } from './snapshot-task.ts'
import type { Connection } from './sqlite-connection.ts'
import { openForReadingAll } from './sqlite-connection.ts'
import { damagedDatabase } from './sqlite-errors.ts'
import { wholeKeys } from './sqlite-keys.ts'
import { lastRowOf, readHead, readProgress, readSessions } from './sqlite-schema.ts'
import type { Progress } from './sqlite-schema.ts'

export type CutTask = Extract<SnapshotTask, { kind: 'cut' }>

export interface Cutting extends TaskWatch {
  /** The read transaction is open. */
  readonly onBegun: () => void
}

/** @throws TaskRefusal, StorageError and what SQLite and the file system throw */
export function cutSnapshot(task: CutTask, cutting: Cutting): TaskAnswer {
  const { throwIfCancelled, onBegun, onBoundary } = cutting
  const { database, folder, index, maxReadMs } = task
  const making = join(folder, `making-${index}.snap`)
  const connection = openForReadingAll(database)
  try {
    connection.exec('BEGIN')
    const progress = readProgress(connection)
    onBegun()
    assert(progress.applied.index === index, 'nothing is applied before a snapshot has begun')
    const look = deadlineOf(maxReadMs, throwIfCancelled)
    const made = writeWhole(making, { connection, progress, look, ...EVERYTHING })
    // no reader holds the write-ahead log back while the disk syncs
    connection.close()
    throwIfCancelled()
    publish({ folder, stream: making, onBoundary }, made)
    return { kind: 'made', made }
  } finally {
    connection.close()
    if (existsSync(making)) rmSync(making)
  }
}

export interface Source {
  readonly connection: Connection
  readonly progress: Progress
  readonly look: () => void
  /** null: the record is left out */
  readonly keep: (each: BodyRecord) => BodyRecord | null
  /** rows that are forgotten, and that the compaction has not come to */
  readonly isForgotten: (row: number) => boolean
}

const EVERYTHING = { keep: (each: BodyRecord) => each, isForgotten: () => false }

/** What the database has and no stream can, has come from a fault of the disk. */
export function writeWhole(path: string, source: Source): Manifested {
  try {
    return writeStream(path, source)
  } catch (error) {
    if (!(error instanceof AssertionError || error instanceof ProtocolError)) throw error
    throw damagedDatabase(error.message)
  }
}

function writeStream(path: string, source: Source): Manifested {
  const file = openSync(path, 'w', 0o600)
  try {
    let leftCount = MAX_SNAPSHOT_CHUNKS
    const writer = new SnapshotWriter((chunk) => {
      source.look()
      if (--leftCount === 0) throw new TaskRefusal('the state is larger than any snapshot')
      writeAll(file, chunk)
    })
    writeState(writer, source)
    writeRows(writer, source)
    writeKeys(writer, source)
    const { manifest, ...totals } = writer.end()
    const { index, term, hash: chainHash } = source.progress.applied
    const { byteCount, chunkCount, contentHash } = totals
    return { info: { index, term, chainHash, contentHash, byteCount, chunkCount }, manifest }
  } finally {
    closeSync(file)
  }
}

function writeState(writer: SnapshotWriter, { connection, progress, keep }: Source): void {
  const { applied, trust } = progress
  const { epoch, nextNodeId, nodes, invites, removed } = trust
  const { sessions, forgottenIndex } = readSessions(connection)
  const genesisHash = readHead(connection).genesisHash
  writer.add({ kind: 'head', genesisHash, applied, epoch, nextNodeId, forgottenIndex })
  const records: BodyRecord[] = [
    ...nodes.map((node) => ({ kind: 'node', node }) as const),
    ...removed.map((each) => ({ kind: 'removed', removed: each }) as const),
    ...invites.map((invite) => ({ kind: 'invite', invite }) as const),
    ...sessions.map((session) => ({ kind: 'session', session }) as const)
  ]
  for (const each of records.map(keep)) if (each !== null) writer.add(each)
}

function writeRows(writer: SnapshotWriter, source: Source): void {
  const { connection, progress, look, isForgotten } = source
  const forgotten = lastRowOf(progress.applied.compactedRevision)
  let rowCount = 0
  for (const row of wholeRows(connection, progress.applied)) {
    const { id, superseded, createRevision, version, key, value } = row
    if (++rowCount % ROWS_BETWEEN_LOOKS === 0) look()
    if (isForgotten(id)) continue
    const before = id <= forgotten ? 0 : superseded
    writer.add({
      kind: 'row',
      revision: revisionOf(id),
      ordinal: id % REVISION_STRIDE,
      supersededRevision: revisionOf(before),
      supersededOrdinal: before % REVISION_STRIDE,
      createRevision,
      version,
      key,
      value
    })
  }
}

function writeKeys(writer: SnapshotWriter, { connection }: Source): void {
  for (const row of wholeKeys(connection)) {
    const { key, rowId, modRevision: revision, createRevision, version, valueBytes, hash } = row
    const ordinal = rowId % REVISION_STRIDE
    writer.add({ kind: 'key', key, revision, ordinal, createRevision, version, valueBytes, hash })
  }
}
