// The lock of a data directory: a tiny SQLite database that is kept locked exclusively. Not a file
// with a process id in it: the kernel lets go of this one whenever the process ends, however it ends.

import Database from 'better-sqlite3'
import { StorageError } from '../errors.ts'
import { createFile } from './sqlite-connection.ts'
import { storageErrorOf } from './sqlite-errors.ts'

export interface Lock {
  /** May be called twice. */
  release(): void
}

/**
 * Locks the data directory whose lock file is at `path`. Nobody may open and close that file by other
 * means while it is locked: that would end the lock (POSIX locks belong to the process).
 * @param waitMs blocks at most so long for one who holds it
 * @throws StorageError LOCKED when another process, or this one, holds it
 */
export function acquireLock(path: string, waitMs = 0): Lock {
  const connection = open(path, waitMs)
  try {
    connection.pragma('locking_mode = EXCLUSIVE')
    // an exclusive connection keeps the locks of its first transaction
    connection.exec('BEGIN EXCLUSIVE')
    connection.exec('COMMIT')
  } catch (error) {
    connection.close()
    if (error instanceof Database.SqliteError && error.code.startsWith('SQLITE_BUSY'))
      throw locked(path, error)
    throw storageErrorOf(error, 'cannot lock the data directory')
  }
  return { release: () => void connection.close() }
}

function open(path: string, waitMs: number): Database.Database {
  try {
    createFile(path)
    return new Database(path, { fileMustExist: true, timeout: waitMs })
  } catch (error) {
    throw storageErrorOf(error, 'cannot lock the data directory')
  }
}

function locked(path: string, cause: unknown): StorageError {
  return new StorageError(
    {
      code: 'LOCKED',
      message: `another Aspen process is using this data directory (it holds ${path})`,
      hint: 'stop it with `aspen stop`, or choose another directory with --data-dir or --name'
    },
    { cause }
  )
}
