// From what SQLite and the system say to the codes of Aspen.

import Database from 'better-sqlite3'
import test from 'brittle'
import { HASH_BYTES } from '../../lib/crypto.ts'
import { boundedUint } from '../../lib/encoding.ts'
import { StorageError } from '../../lib/errors.ts'
import { sealed } from '../../lib/state-machine/seal.ts'
import { isStorageFailure, storageErrorOf } from '../../lib/state-machine/sqlite-errors.ts'

test('codes of SQLite and of the system have their code, and the cause is kept', (t) => {
  const table = {
    SQLITE_FULL: 'NO_SPACE',
    SQLITE_IOERR: 'IO_ERROR',
    SQLITE_IOERR_FSYNC: 'IO_ERROR',
    SQLITE_READONLY: 'IO_ERROR',
    SQLITE_READONLY_DBMOVED: 'IO_ERROR',
    SQLITE_BUSY: 'IO_ERROR',
    SQLITE_CANTOPEN: 'OPEN_DATABASE',
    SQLITE_CORRUPT: 'CORRUPTED',
    SQLITE_CORRUPT_INDEX: 'CORRUPTED',
    SQLITE_NOTADB: 'CORRUPTED',
    SQLITE_ERROR: 'CORRUPTED',
    SQLITE_SCHEMA: 'CORRUPTED',
    SQLITE_CONSTRAINT_PRIMARYKEY: 'CORRUPTED',
    SQLITE_CONSTRAINT_DATATYPE: 'CORRUPTED',
    SQLITE_MISMATCH: 'CORRUPTED'
  }
  for (const [code, expected] of Object.entries(table)) {
    const cause = new Database.SqliteError('what happened', code)
    t.ok(isStorageFailure(cause))
    const error = storageErrorOf(cause, 'cannot do it')
    t.is(error.code, expected, code)
    t.is(error.cause, cause)
    t.ok(error.message.startsWith('cannot do it: '))
  }
  const system = Object.assign(new Error('no room'), { code: 'ENOSPC', syscall: 'open' })
  t.is(storageErrorOf(system, 'cannot do it').code, 'NO_SPACE')
})

test('a storage error names what the storage was asked, by the names of the seed', (t) => {
  const failed = new Database.SqliteError('what happened', 'SQLITE_IOERR_WRITE')
  t.is(storageErrorOf(failed, 'cannot apply', 'Execute').variant, 'Execute')
  t.is(storageErrorOf(failed, 'cannot read', 'Query').variant, 'Query')
  t.is(storageErrorOf(failed, 'cannot do it').variant, 'IoError')
  const full = new Database.SqliteError('what happened', 'SQLITE_FULL')
  t.is(storageErrorOf(full, 'cannot apply', 'Execute').variant, 'DiskSpaceInsufficient')
  const damaged = new Database.SqliteError('what happened', 'SQLITE_CORRUPT')
  t.is(storageErrorOf(damaged, 'cannot read', 'Query').variant, 'Deserialize')
  const system = Object.assign(new Error('no'), { code: 'EIO', syscall: 'read' })
  t.is(storageErrorOf(system, 'cannot read', 'Query').variant, 'IoError')
  const closed = new Database.SqliteError('what happened', 'SQLITE_CANTOPEN')
  t.is(storageErrorOf(closed, 'cannot open').variant, 'OpenDatabase')
  t.is(new StorageError({ code: 'STATE_DIVERGED', message: 'another state' }).variant, null)
})

test('what has no form is not written, and the error says so', (t) => {
  const write = (): Uint8Array => sealed('counts', boundedUint(10), 11)
  t.is(variantOf(write), 'Serialize')
  t.is(sealed('counts', boundedUint(10), 10).byteLength, 1 + HASH_BYTES)
})

function variantOf(act: () => unknown): unknown {
  try {
    act()
  } catch (error) {
    return error instanceof StorageError ? error.variant : error
  }
  return 'nothing was thrown'
}

test('a StorageError stays what it is, and a fault of the program is none', (t) => {
  const error = new StorageError({ code: 'LOCKED', message: 'locked' })
  t.is(storageErrorOf(error, 'cannot do it'), error)
  t.absent(isStorageFailure(new TypeError('x is not a function')))
})

test('a binding that was not built says the command that builds it', (t) => {
  const missing = new Error(
    'Could not locate the bindings file. Tried:\n → /somewhere/build/better_sqlite3.node'
  )
  const wrong = Object.assign(new Error('was compiled against a different Node.js version'), {
    code: 'ERR_DLOPEN_FAILED'
  })
  for (const cause of [missing, wrong]) {
    const error = storageErrorOf(cause, 'cannot open')
    t.is(error.code, 'OPEN_DATABASE')
    t.ok(error.detail.hint?.includes('npm rebuild better-sqlite3'))
    t.absent(error.message.includes('/somewhere'))
  }
})
