// The one place where errors of SQLite become errors of Aspen.

import Database from 'better-sqlite3'
import { AspenError, diskCodeOf, StorageError } from '../errors.ts'
import type { ErrorCode, StorageVariant } from '../errors.ts'

/** Whether the storage failed, rather than the program. */
export function isStorageFailure(error: unknown): boolean {
  return (
    error instanceof StorageError || error instanceof Database.SqliteError || isSystemError(error)
  )
}

/**
 * `error` as a StorageError; `doing` says what could not be done: `cannot apply entries`. `asked` is what
 * SQLite was asked, and the error's variant where the code does not say more.
 * Result codes: https://sqlite.org/rescode.html
 */
export function storageErrorOf(
  error: unknown,
  doing: string,
  asked: 'Execute' | 'Query' | null = null
): StorageError {
  if (error instanceof StorageError) return error
  const text = error instanceof Error ? error.message : String(error)
  if (isMissingBinding(error)) return missingBinding(text, error)
  const code = error instanceof AspenError ? 'CORRUPTED' : codeOf(error)
  const { message, hint } = EXPLANATIONS[code] ?? {}
  const isOfStatement = error instanceof Database.SqliteError && code === 'IO_ERROR'
  const variant: StorageVariant | null = isOfStatement ? asked : null
  return new StorageError(
    {
      code,
      message: `${doing}: ${message === undefined ? text : `${message} (${text})`}`,
      ...(hint === undefined ? {} : { hint }),
      ...(variant === null ? {} : { fields: { variant } })
    },
    { cause: error }
  )
}

/** What is stored is not what was written. */
export function damagedDatabase(what: string): StorageError {
  const message = `the database of the state machine is damaged: ${what}`
  return new StorageError({ code: 'CORRUPTED', message, hint: DAMAGED_HINT })
}

const DAMAGED_HINT =
  'start the node again: it reads the whole database first, and makes it again from a snapshot and the log'

const EXPLANATIONS: {
  readonly [Code in ErrorCode]?: { readonly message: string; readonly hint: string }
} = {
  NO_SPACE: {
    message: 'the disk is full',
    hint: 'free some space on the disk of the data directory, then start the node again'
  },
  IO_ERROR: {
    message: 'the disk does not do what it is asked',
    hint: "look at the system's log for faults of the disk, then start the node again"
  },
  CORRUPTED: {
    message: 'the database of the state machine is damaged',
    hint: DAMAGED_HINT
  },
  OPEN_DATABASE: {
    message: 'the database of the state machine cannot be opened',
    hint: 'check that the data directory exists and belongs to the user that runs the node'
  }
}

function codeOf(error: unknown): ErrorCode {
  const code = error instanceof Database.SqliteError || isSystemError(error) ? error.code : ''
  if (diskCodeOf(error) === 'NO_SPACE' || code.startsWith('SQLITE_FULL')) return 'NO_SPACE'
  // the index of the write-ahead log could not grow
  if (code === 'SQLITE_IOERR_SHMSIZE') return 'NO_SPACE'
  if (DAMAGED.some((each) => code.startsWith(each))) return 'CORRUPTED'
  if (code.startsWith('SQLITE_CANTOPEN') || code.startsWith('SQLITE_PERM')) return 'OPEN_DATABASE'
  if (code === 'ENOENT' || code === 'EACCES' || code === 'EPERM') return 'OPEN_DATABASE'
  return 'IO_ERROR'
}

/** Statements never change: one that SQLite refuses, or a row, was met by tables that are not those it was made for. */
const DAMAGED = [
  'SQLITE_CORRUPT',
  'SQLITE_NOTADB',
  'SQLITE_ERROR',
  'SQLITE_SCHEMA',
  'SQLITE_CONSTRAINT',
  'SQLITE_MISMATCH'
] as const

function isSystemError(error: unknown): error is Error & { readonly code: string } {
  return (
    error instanceof Error &&
    'syscall' in error &&
    'code' in error &&
    typeof error.code === 'string'
  )
}

/** The native part was not built or not for this version of Node: npm did not run the install script. */
function isMissingBinding(error: unknown): boolean {
  if (!(error instanceof Error)) return false
  if (error.message.includes('Could not locate the bindings file')) return true
  return (
    'code' in error && (error.code === 'ERR_DLOPEN_FAILED' || error.code === 'MODULE_NOT_FOUND')
  )
}

function missingBinding(text: string, cause: unknown): StorageError {
  const firstLine = text.split('\n', 1)[0] ?? ''
  return new StorageError(
    {
      code: 'OPEN_DATABASE',
      message: `better-sqlite3 has no binary for this machine and this version of Node (${firstLine})`,
      hint: 'run: npm rebuild better-sqlite3'
    },
    { cause }
  )
}
