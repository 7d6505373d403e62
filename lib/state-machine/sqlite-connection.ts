// How the connections to the database file are opened, and the checkpoint. It imports little, because
// the checkpoint thread loads it each time.
//
// In WAL mode with synchronous = NORMAL nothing is synced at a commit: after a loss of power the file
// is as of some earlier commit, and the log is applied again from there. SQLite takes FULL in the
// session that creates a file and NORMAL later, so it is set at every open.

import { closeSync, openSync } from 'node:fs'
import Database from 'better-sqlite3'
import { present } from '../assert.ts'
import { StorageError } from '../errors.ts'
import { MAX_SQLITE_CACHE_BYTES, MAX_WAL_BYTES, SNAPSHOT_CACHE_BYTES } from '../limits.ts'

export type Connection = Database.Database

export type Statement<Values extends unknown[]> = Database.Statement<Values>

/** How far the write-ahead log is. */
export interface WalState {
  readonly byteCount: number
  /** what of it is not in the database file yet */
  readonly pendingByteCount: number
}

/** What a checkpoint has done. */
export interface CheckpointReport {
  /** pages that it copied into the database file */
  readonly pageCount: number
  readonly before: WalState
  readonly after: WalState
}

/** Opens the file for writing, and makes it if need be, readable by its owner alone. */
export function openWriter(path: string): Connection {
  createFile(path)
  return opened(path, (connection) => {
    connection.pragma(`page_size = ${PAGE_BYTES}`)
    const mode = connection.pragma('journal_mode = WAL', { simple: true })
    // after a snapshot has held back the checkpoints, the file does not stay as long as it became
    connection.pragma(`journal_size_limit = ${MAX_WAL_BYTES}`)
    if (mode === 'wal') return
    throw new StorageError({ code: 'OPEN_DATABASE', message: 'SQLite refuses its WAL mode here' })
  })
}

/** A second connection: it sees whole transactions only, never one in progress. */
export function openReader(path: string): Connection {
  const connection = new Database(path, {
    readonly: true,
    fileMustExist: true,
    timeout: BUSY_TIMEOUT_MS
  })
  guard(connection)
  return connection
}

/** One that reads all of the file, in a worker thread. */
export function openForReadingAll(path: string): Connection {
  const connection = openReader(path)
  connection.pragma(`cache_size = -${SNAPSHOT_CACHE_BYTES / 1_024}`)
  return connection
}

/**
 * Fills a new file, which nobody uses before `finish` has made it one in WAL mode: no journal, nothing synced.
 * The file is not synced when `finish` returns, and the connection is closed.
 */
export function openForFilling(path: string): { connection: Connection; finish: () => void } {
  createFile(path)
  const connection = new Database(path, { fileMustExist: true, timeout: BUSY_TIMEOUT_MS })
  connection.pragma(`page_size = ${PAGE_BYTES}`)
  connection.pragma('journal_mode = OFF')
  connection.pragma('synchronous = OFF')
  connection.pragma('locking_mode = EXCLUSIVE')
  guard(connection)
  connection.pragma(`cache_size = -${SNAPSHOT_CACHE_BYTES / 1_024}`)
  return {
    connection,
    finish: () => {
      connection.pragma('locking_mode = NORMAL')
      connection.pragma('journal_mode = WAL')
      connection.close()
    }
  }
}

/** A third one, in a worker thread. */
export function openForCheckpoint(path: string): Connection {
  return opened(path, () => {})
}

/** The checkpoint of a mode, prepared. NOOP only looks; PASSIVE waits for nobody and makes nobody wait. */
export function prepareCheckpoint(
  connection: Connection,
  mode: 'NOOP' | 'PASSIVE'
): () => WalState {
  const rows = connection.prepare<[], CheckpointRow>(`PRAGMA wal_checkpoint(${mode})`)
  return () => {
    const { log, checkpointed } = present(rows.get(), 'the answer to wal_checkpoint')
    // both are -1 before the first frame
    const frameCount = Math.max(0, log)
    const pendingCount = frameCount - Math.max(0, checkpointed)
    return { byteCount: frameCount * FRAME_BYTES, pendingByteCount: pendingCount * FRAME_BYTES }
  }
}

/** Copies as much as no reader is in the way of. */
export function checkpoint(connection: Connection): CheckpointReport {
  const before = prepareCheckpoint(connection, 'NOOP')()
  const after = prepareCheckpoint(connection, 'PASSIVE')()
  // meanwhile the writer may have begun the log anew, behind a checkpoint of all of it
  const isAnew = copiedOf(after) < copiedOf(before)
  const byteCount = isAnew ? copiedOf(after) : copiedOf(after) - copiedOf(before)
  return { pageCount: byteCount / FRAME_BYTES, before, after }
}

function copiedOf({ byteCount, pendingByteCount }: WalState): number {
  return byteCount - pendingByteCount
}

/** Made exclusively: opening a file that SQLite has open, and closing it, would end SQLite's locks. */
export function createFile(path: string): void {
  try {
    closeSync(openSync(path, 'wx', 0o600))
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'EEXIST')) throw error
  }
}

const PAGE_BYTES = 4_096
/** A frame of the write-ahead log: header and page. */
const FRAME_BYTES = PAGE_BYTES + 24
/** Locks are held for moments only: by another connection that opens or closes. */
const BUSY_TIMEOUT_MS = 1_000

interface CheckpointRow {
  readonly log: number
  readonly checkpointed: number
}

function opened(path: string, prepare: (connection: Connection) => void): Connection {
  const connection = new Database(path, { fileMustExist: true, timeout: BUSY_TIMEOUT_MS })
  try {
    prepare(connection)
    connection.pragma('synchronous = NORMAL')
    connection.pragma('wal_autocheckpoint = 0')
    guard(connection)
    return connection
  } catch (error) {
    connection.close()
    throw error
  }
}

/** https://sqlite.org/security.html, and a page cache that an idle node can afford. */
function guard(connection: Connection): void {
  connection.pragma('trusted_schema = OFF')
  connection.pragma('cell_size_check = ON')
  connection.pragma('mmap_size = 0')
  connection.pragma(`cache_size = -${MAX_SQLITE_CACHE_BYTES / 1_024}`)
}
