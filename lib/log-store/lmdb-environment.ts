// lmdb with the options that the log needs, and nothing else of it. Everything here was measured:
// see README.md for what each option costs when it is different.
//
// Three databases: `entries` (index → record), and the two copies of the state and of the base's
// configuration, each in a database of its own so that they lie on different pages.
//
// Every write goes through `batch`, which makes one transaction of what its function puts and has
// exactly one promise. Event-turn batching would do the same without being asked, but it makes one
// more promise that nobody can reach, and when a commit fails that one ends the process.
//
// Never used: synchronous transactions while a commit is in progress (lmdb-js would split the commit
// in two to let them in), `flushed` (never settles after a failure), overlapping sync (acknowledges
// writes that a failed sync has lost).

import {
  closeSync,
  fsyncSync,
  mkdirSync,
  openSync,
  statfsSync,
  statSync,
  truncateSync
} from 'node:fs'
import { dirname, join } from 'node:path'
import type { Database, RootDatabase } from 'lmdb'
import { open } from 'lmdb'
import { AspenError, REJOIN_HINT, StorageError } from '../errors.ts'
import { MAX_INDEX, MAX_LOG_FILE_BYTES } from '../limits.ts'
import type { Index } from '../raft/entry.ts'
import { decodeBaseConfiguration, decodeState, indexKey, indexOfKey } from './encoding.ts'
import { LmdbFile } from './lmdb-file.ts'
import type { LogRecords } from './restore.ts'
import { foundRecord } from './restore.ts'

type Records = Database<Uint8Array, Uint8Array>

/** The open environment of one log. */
export interface LogEnvironment {
  readonly directory: string
  readonly root: RootDatabase<Uint8Array, Uint8Array>
  readonly entries: Records
  readonly states: readonly [Records, Records]
}

/** The file in a log's directory that lmdb keeps its data in. */
export const LOG_DATA_FILE = 'data.mdb'

/** The keys of the state databases. */
export const STATE_KEY: Uint8Array = Uint8Array.of(1)
export const BASE_CONFIGURATION_KEY: Uint8Array = Uint8Array.of(2)

/**
 * Opens or makes the environment in `directory`.
 * @throws StorageError CORRUPTED when the file is cut short, OPEN_DATABASE when lmdb refuses it
 */
export function openEnvironment(directory: string): LogEnvironment {
  try {
    mkdirSync(directory, { recursive: true, mode: 0o700 })
    padDataFile(join(directory, LOG_DATA_FILE))
    const options = {
      path: directory,
      noSubdir: false,
      overlappingSync: false,
      noSync: false,
      noMetaSync: false,
      useWritemap: false,
      noMemInit: false,
      remapChunks: false,
      mapSize: MAX_LOG_FILE_BYTES,
      maxDbs: 4,
      maxReaders: 64,
      permissionsMode: 0o600,
      eventTurnBatching: false,
      ...RECORDS
    }
    const root = open<Uint8Array, Uint8Array>(options)
    return {
      directory,
      root,
      entries: root.openDB({ name: 'entries', ...RECORDS }),
      states: [
        root.openDB({ name: 'state-a', ...RECORDS }),
        root.openDB({ name: 'state-b', ...RECORDS })
      ]
    }
  } catch (error) {
    throw error instanceof AspenError ? error : openFailed(error)
  }
}

/** What lies in the environment, for restore.ts. */
export function recordsOf(environment: LogEnvironment): LogRecords {
  const { entries, states } = environment
  const [a, b] = states
  return {
    states: [decodeState(readBytes(a, STATE_KEY)), decodeState(readBytes(b, STATE_KEY))],
    baseConfigurations: [
      decodeBaseConfiguration(readBytes(a, BASE_CONFIGURATION_KEY)),
      decodeBaseConfiguration(readBytes(b, BASE_CONFIGURATION_KEY))
    ],
    countAbove: (index: Index) => entryCountOf(entries, index + 1),
    entryAt: (index: Index) => foundRecord(readBytes(entries, indexKey(index)), index)
  }
}

/** Keys of entry records of [from, to), ascending, at most `limit`; copies. @throws StorageError */
export function entryKeys(
  { entries }: LogEnvironment,
  { from, to }: { readonly from: Index; readonly to: Index },
  limit: number
): readonly Uint8Array[] {
  try {
    const keys = entries.getKeys({ start: indexKey(from), end: indexKey(to), limit })
    return [...keys].map((key) => Uint8Array.from(key))
  } catch (error) {
    throw storageErrorOf(error)
  }
}

/** Whether a whole entry lies behind the last one: then the state is not the newest, and nothing is certain. @throws StorageError */
export function hasEntriesAfter(environment: LogEnvironment, last: Index): boolean {
  const range = { from: last + 1, to: MAX_INDEX + 1 }
  const { entryAt } = recordsOf(environment)
  return entryKeys(environment, range, MAX_STRAY_KEYS).some(
    (key) => entryAt(indexOfKey(key)).kind === 'good'
  )
}

/** Keys that are looked at; damage leaves a few. */
const MAX_STRAY_KEYS = 1_000

/** A copy of the bytes under `key`. @throws StorageError */
export function readBytes(records: Records, key: Uint8Array): Uint8Array | undefined {
  try {
    const value = records.getBinary(key)
    // as a plain array: a Buffer's slice() would alias
    return value && new Uint8Array(value.buffer, value.byteOffset, value.length)
  } catch (error) {
    throw storageErrorOf(error)
  }
}

/** Makes names in `directory`, and its own name, survive a power loss. */
export function syncDirectory(directory: string): void {
  for (const path of [directory, dirname(directory)]) {
    const descriptor = openSync(path, 'r')
    try {
      fsyncSync(descriptor)
    } finally {
      closeSync(descriptor)
    }
  }
}

/** An error of lmdb or the operating system as one of ours. */
export function storageErrorOf(error: unknown): StorageError {
  const code = codeOf(error)
  const reason = error instanceof Error ? error.message : String(error)
  if (NO_SPACE_CODES.has(code)) return noSpace(error)
  if (CORRUPTED_CODES.has(code)) {
    return new StorageError(
      { code: 'CORRUPTED', message: `the log is damaged: ${reason}` },
      { cause: error }
    )
  }
  return new StorageError(
    {
      code: 'IO_ERROR',
      message: `the log could not be written or read: ${reason}`,
      hint: 'look for disk errors in the system log, then start the node again'
    },
    { cause: error }
  )
}

/** The same for what became of a write: lmdb calls one that came short, where the disk ends, an error of the disk. */
export function writeErrorOf({ directory }: LogEnvironment, error: unknown): StorageError {
  const known = storageErrorOf(error)
  return known.code === 'IO_ERROR' && isFull(directory) ? noSpace(error) : known
}

function isFull(directory: string): boolean {
  try {
    const { bavail, bsize } = statfsSync(directory)
    return bavail * bsize < SHORT_WRITE_BYTES
  } catch {
    return false
  }
}

/** Free bytes below which a write may have come short for want of them. */
const SHORT_WRITE_BYTES = 1024 * 1024

function noSpace(cause: unknown): StorageError {
  const reason = cause instanceof Error ? cause.message : String(cause)
  return new StorageError(
    {
      code: 'NO_SPACE',
      message: `the log could not be written: no space left (${reason})`,
      hint: 'free space on the disk of the data directory, then start the node again'
    },
    { cause }
  )
}

const RECORDS = {
  keyEncoding: 'binary',
  encoding: 'binary',
  cache: false,
  compression: false,
  useVersions: false
} as const

/** ENOSPC, EDQUOT, MDB_MAP_FULL */
const NO_SPACE_CODES: ReadonlySet<number | string> = new Set([28, 122, -30_792, 'ENOSPC', 'EDQUOT'])
/** MDB_PAGE_NOTFOUND, MDB_CORRUPTED, MDB_INVALID, MDB_BAD_TXN, MDB_CURSOR_FULL */
const CORRUPTED_CODES: ReadonlySet<number | string> = new Set([
  -30_797, -30_796, -30_793, -30_782, -30_787
])

function codeOf(error: unknown): number | string {
  if (typeof error !== 'object' || error === null || !('code' in error)) return 0
  return typeof error.code === 'number' || typeof error.code === 'string' ? error.code : 0
}

function openFailed(error: unknown): StorageError {
  const known = storageErrorOf(error)
  if (known.code !== 'IO_ERROR') return known
  const reason = error instanceof Error ? error.message : String(error)
  return new StorageError(
    { code: 'OPEN_DATABASE', message: `the log could not be opened: ${reason}` },
    { cause: error }
  )
}

function entryCountOf(entries: Records, from: Index): number {
  try {
    return entries.getKeysCount({ start: indexKey(from) })
  } catch (error) {
    throw storageErrorOf(error)
  }
}

/**
 * Reading a mapped page that lies beyond the end of the file kills the process (SIGBUS). lmdb's meta
 * pages name the highest page; a shorter file is extended with zeros to there before it is mapped.
 * That is harmless: lmdb may skip last pages that were freed in the transaction that made them, and where
 * any other is missing the file is made anew before it comes to this (lmdb-mend.ts).
 */
function padDataFile(path: string): void {
  const size = statSync(path, { throwIfNoEntry: false })?.size ?? 0
  if (size === 0) return
  const needed = neededBytes(path)
  if (needed === null) {
    throw new StorageError({
      code: 'CORRUPTED',
      message: `the log is damaged: ${size} bytes are not an lmdb file`,
      hint: REJOIN_HINT
    })
  }
  if (size < needed && needed <= MAX_LOG_FILE_BYTES) truncateSync(path, needed)
}

/** Bytes that the file has when all its pages are there; null when it is no lmdb file. */
function neededBytes(path: string): number | null {
  const file = new LmdbFile(path)
  const [first, second] = file.metas
  file.close()
  if (first === null || second === null) return null
  return (Math.max(first.lastPage, second.lastPage) + 1) * first.pageBytes
}
