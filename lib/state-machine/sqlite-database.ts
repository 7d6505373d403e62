// One database file, opened: a connection that writes, one that reads, and what was found in it. Files are
// named after the snapshot from which they were built: `<index>.db`, `0.db` for one that began empty.

import { closeSync, existsSync, mkdirSync, openSync, readdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { StorageError } from '../errors.ts'
import type { EntryId, Index } from '../raft/entry.ts'
import type { StoredSessions } from './sessions.ts'
import type { Connection } from './sqlite-connection.ts'
import { openReader, openWriter } from './sqlite-connection.ts'
import { isStorageFailure, storageErrorOf } from './sqlite-errors.ts'
import { SqliteReader } from './sqlite-reader.ts'
import type { Progress } from './sqlite-schema.ts'
import { prepareFormat, readCompactedRow, readProgress, readSessions } from './sqlite-schema.ts'
import { SqliteWriter } from './sqlite-writer.ts'

export interface SqliteDatabase {
  readonly path: string
  readonly writer: SqliteWriter
  readonly reader: SqliteReader
  readonly progress: Progress
  readonly sessions: StoredSessions
  readonly compactedRow: number
}

/** The file of the state that was installed at `stateBase`. */
export function databasePath(stateDir: string, stateBase: Index): string {
  return join(stateDir, `${stateBase}.db`)
}

/**
 * Opens the file; one at index 0 is made when there is none.
 * @throws StorageError OPEN_DATABASE, CORRUPTED, FORMAT_NEWER, WRONG_CLUSTER, IO_ERROR, NO_SPACE
 */
export function openDatabase(stateDir: string, stateBase: Index, genesis: EntryId): SqliteDatabase {
  const path = databasePath(stateDir, stateBase)
  const opened: Connection[] = []
  try {
    if (stateBase > 0 && !existsSync(path)) throw missing(stateBase)
    const writer = openWriter(path)
    opened.unshift(writer)
    prepareFormat(writer, genesis)
    const reader = openReader(path)
    opened.unshift(reader)
    return {
      path,
      progress: readProgress(reader),
      sessions: readSessions(reader),
      compactedRow: readCompactedRow(reader),
      writer: new SqliteWriter(writer, genesis.hash),
      reader: new SqliteReader(reader)
    }
  } catch (error) {
    for (const connection of opened) connection.close()
    throw storageErrorOf(error, 'cannot open the state machine')
  }
}

/** Makes the folder if need be, and deletes what is not the file of `stateBase`. @throws StorageError */
export function tidyStateDir(stateDir: string, stateBase: Index): void {
  try {
    if (!existsSync(stateDir)) mkdirSync(stateDir, { mode: 0o700 })
    const own = filesOf(`${stateBase}.db`)
    for (const name of readdirSync(stateDir))
      if (!own.includes(name)) rmSync(join(stateDir, name), { force: true, recursive: true })
  } catch (error) {
    throw storageErrorOf(error, 'cannot open the state machine')
  }
}

/** A database has up to three files, and a mark. */
export function filesOf(database: string): readonly string[] {
  return [database, `${database}-wal`, `${database}-shm`, suspicionOf(database)]
}

/** The file that is there while the database is to be read whole before it is used. */
export function suspicionOf(database: string): string {
  return `${database}-suspect`
}

/** Damage was met in it. Where the disk does not take the mark, the damage will be met again. */
export function suspect(database: string): void {
  try {
    closeSync(openSync(suspicionOf(database), 'w', 0o600))
  } catch (error) {
    if (!isStorageFailure(error)) throw error
  }
}

function missing(stateBase: Index): StorageError {
  return new StorageError({
    code: 'CORRUPTED',
    message: `the database of the state that was installed at ${stateBase} is not there`
  })
}
