// Builds a database from the stream of a snapshot, in a thread. The stream has been checked chunk by chunk
// against its manifest; then every table is appended to in the order of its keys, without journal; then the
// database itself is read again and compared with the head. Only then it is synced and gets its name.

import { closeSync, existsSync, openSync, readSync, renameSync, rmSync } from 'node:fs'
import { dirname } from 'node:path'
import b4a from 'b4a'
import { unreachable } from '../assert.ts'
import { hash } from '../crypto.ts'
import { REVISION_STRIDE, SNAPSHOT_CHUNK_BYTES } from '../limits.ts'
import type { Applied, SnapshotInfo } from './state-machine.ts'
import {
  inviteEncoding,
  nodeRecordEncoding,
  removedNodeEncoding,
  sessionEncoding
} from './encoding.ts'
import { sealed } from './seal.ts'
import { checkRows, checkStructure } from './snapshot-check.ts'
import type { SnapshotHead, SnapshotRecord } from './snapshot-encoding.ts'
import { publish, syncFile } from './snapshot-files.ts'
import type { Manifested } from './snapshot-files.ts'
import { SnapshotReader, chunkBytesAt, hashAt } from './snapshot-stream.ts'
import { TaskRefusal } from './snapshot-task.ts'
import type { SnapshotTask, TaskAnswer, TaskWatch } from './snapshot-task.ts'
import { filesOf } from './sqlite-database.ts'
import { openForFilling } from './sqlite-connection.ts'
import type { Connection } from './sqlite-connection.ts'
import { isStorageFailure, storageErrorOf } from './sqlite-errors.ts'
import { createTables, writeMeta } from './sqlite-schema.ts'
import { insertKeyRow, insertRow, prepareRowStatements } from './sqlite-writer.ts'
import type { RowStatements } from './sqlite-writer.ts'

export type BuildTask = Extract<SnapshotTask, { kind: 'build' }>

/** @throws TaskRefusal, ProtocolError when the stream is of no use; StorageError and what SQLite throws */
export function buildDatabase(
  task: BuildTask,
  { throwIfCancelled, onBoundary }: TaskWatch
): TaskAnswer {
  const { stream, snapshot, target, publishIn } = task
  const verified = verifyStream(stream, snapshot, throwIfCancelled)
  if (verified.kind !== 'good') return verified
  const making = `${target}.making`
  try {
    removeDatabase(making)
    const { timeMs, configuration, configurationIndex } = fill(making, task, throwIfCancelled)
    onBoundary?.('database.written')
    syncFile(making)
    onBoundary?.('database.synced')
    removeDatabase(target)
    renameSync(making, target)
    onBoundary?.('database.renamed')
    syncFile(dirname(target))
    onBoundary?.('database.durable')
    if (publishIn !== null) publish({ folder: publishIn, stream, onBoundary }, snapshot)
    return { kind: 'built', timeMs, configuration, configurationIndex }
  } finally {
    removeDatabase(making)
  }
}

/** Whether each chunk is what the manifest says. */
export function verifyStream(
  path: string,
  { info, manifest }: Manifested,
  throwIfCancelled: () => void
): TaskAnswer {
  const positions: number[] = []
  let position = 0
  for (const chunk of chunksOf(path, info)) {
    if (!b4a.equals(hash(chunk), hashAt(manifest, position))) positions.push(position)
    position++
    throwIfCancelled()
  }
  return positions.length === 0 ? { kind: 'good' } : { kind: 'damaged', positions }
}

/** Where a chunk ends too early, it is as long as it is. */
export function* chunksOf(
  path: string,
  { byteCount, chunkCount }: SnapshotInfo
): Generator<Uint8Array> {
  const file = openSync(path, 'r')
  const buffer = new Uint8Array(SNAPSHOT_CHUNK_BYTES)
  try {
    for (let position = 0; position < chunkCount; position++) {
      const size = chunkBytesAt(position, byteCount)
      const read = readSync(file, buffer, 0, size, position * SNAPSHOT_CHUNK_BYTES)
      yield buffer.subarray(0, read)
    }
  } finally {
    closeSync(file)
  }
}

/** @returns what the head says @throws TaskRefusal when the rows are not what the head says */
function fill(path: string, task: BuildTask, throwIfCancelled: () => void): Applied {
  try {
    return filled(path, task, throwIfCancelled)
  } catch (error) {
    if (!isStorageFailure(error)) throw error
    const { code, message } = storageErrorOf(error, 'the snapshot does not make a database')
    if (code === 'CORRUPTED') throw new TaskRefusal(message, { cause: error })
    throw error
  }
}

function filled(path: string, task: BuildTask, throwIfCancelled: () => void): Applied {
  const { connection, finish } = openForFilling(path)
  try {
    connection.exec('BEGIN')
    createTables(connection)
    const tables = new Tables(connection, task)
    const reader = new SnapshotReader()
    for (const chunk of chunksOf(task.stream, task.snapshot.info)) {
      for (const each of reader.push(chunk)) tables.add(each)
      throwIfCancelled()
    }
    reader.end()
    connection.exec('COMMIT')
    checkRows(connection, throwIfCancelled)
    checkStructure(connection)
    finish()
    return tables.applied()
  } finally {
    connection.close()
  }
}

class Tables {
  readonly #connection: Connection
  readonly #task: BuildTask
  readonly #statements: RowStatements
  #applied: Applied | null = null

  constructor(connection: Connection, task: BuildTask) {
    this.#connection = connection
    this.#task = task
    this.#statements = prepareRowStatements(connection)
  }

  applied(): Applied {
    if (this.#applied === null) throw new TaskRefusal('the snapshot has no head')
    return this.#applied
  }

  add(each: SnapshotRecord): void {
    const { putNode, putRemoved, putInvite, putSession } = this.#statements
    switch (each.kind) {
      case 'head':
        this.#begin(each)
        break
      case 'node':
        putNode.run(each.node.id, sealed('nodes', nodeRecordEncoding, each.node))
        break
      case 'removed':
        putRemoved.run(each.removed.id, sealed('removed', removedNodeEncoding, each.removed))
        break
      case 'invite':
        putInvite.run(each.invite.createdIndex, sealed('invites', inviteEncoding, each.invite))
        break
      case 'session':
        putSession.run(each.session.bornIndex, sealed('sessions', sessionEncoding, each.session))
        break
      case 'row': {
        const { createRevision, version, key, value } = each
        const id = each.revision * REVISION_STRIDE + each.ordinal
        const superseded = each.supersededRevision * REVISION_STRIDE + each.supersededOrdinal
        insertRow(this.#statements, { id, superseded, createRevision, version, key, value })
        break
      }
      case 'key': {
        const rowId = each.revision * REVISION_STRIDE + each.ordinal
        insertKeyRow(this.#statements, { ...each, rowId })
        break
      }
      case 'end':
        break
      default:
        unreachable(each)
    }
  }

  #begin(head: SnapshotHead): void {
    const { applied, genesisHash } = head
    const { info } = this.#task.snapshot
    if (!b4a.equals(genesisHash, this.#task.genesisHash))
      throw new TaskRefusal('the snapshot is of another cluster')
    const isNamed =
      applied.index === info.index &&
      applied.term === info.term &&
      b4a.equals(applied.hash, info.chainHash)
    if (!isNamed) throw new TaskRefusal('the snapshot is another one than its name says')
    this.#applied = applied
    writeMeta(this.#connection, head)
  }
}

function removeDatabase(path: string): void {
  for (const file of filesOf(path)) if (existsSync(file)) rmSync(file)
}
