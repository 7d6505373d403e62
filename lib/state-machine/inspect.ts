// The database of a state machine and its snapshots, looked at and not opened: nothing is made, tidied or
// applied.

import { existsSync, readdirSync, statSync } from 'node:fs'
import { basename, join } from 'node:path'
import { ProtocolError } from '../errors.ts'
import type { StorageError } from '../errors.ts'
import { SNAPSHOT_CHUNK_BYTES } from '../limits.ts'
import type { Index } from '../raft/entry.ts'
import { chunksOf, verifyStream } from './snapshot-build.ts'
import { readManifest, SNAPSHOT_MANIFEST } from './snapshot-files.ts'
import type { Manifested } from './snapshot-files.ts'
import { checkDatabase } from './snapshot-check.ts'
import { chunkBytesAt, SnapshotReader } from './snapshot-stream.ts'
import { openForReadingAll } from './sqlite-connection.ts'
import { databasePath } from './sqlite-database.ts'
import { isStorageFailure, storageErrorOf } from './sqlite-errors.ts'
import { checkFormat, readProgress } from './sqlite-schema.ts'
import type { Progress } from './sqlite-schema.ts'
import type { Fault } from './backup-check.ts'
import { ContentCheck } from './stream-content.ts'
import type { StreamContent } from './stream-content.ts'

export interface InspectedState {
  /** null when it cannot be read */
  readonly progress: Progress | null
  readonly faults: readonly StorageError[]
}

/**
 * Reads all of the database that was installed at `stateBase`: its structure, every row against its seal, and
 * the live ones against the state hash. Null: there is none, and a start builds it from the log.
 */
export function inspectState(
  stateDir: string,
  stateBase: Index,
  genesisHash: Uint8Array
): InspectedState | null {
  const path = databasePath(stateDir, stateBase)
  if (!existsSync(path)) return null
  const faults: StorageError[] = []
  const progress = looking(faults, () => {
    const connection = openForReadingAll(path)
    try {
      checkFormat(connection, genesisHash)
      return readProgress(connection)
    } finally {
      connection.close()
    }
  })
  if (progress !== null) looking(faults, () => checkDatabase(path, () => {}))
  return { progress, faults }
}

export interface InspectedSnapshot {
  readonly name: string
  /** null when something is wrong */
  readonly content: StreamContent | null
  readonly faults: readonly Fault[]
}

/** Reads all snapshots in the folder, newest first. */
export function inspectSnapshots(folder: string): readonly InspectedSnapshot[] {
  if (!existsSync(folder)) return []
  const names = readdirSync(folder).filter((name) => SNAPSHOT_MANIFEST.test(name))
  const byIndex = (name: string): number => Number.parseInt(name, 10)
  return names
    .toSorted((a, b) => byIndex(b) - byIndex(a))
    .map((name) => inspectSnapshot(join(folder, name.replace(/\.manifest$/, '.snap'))))
}

/** Reads the snapshot whose stream is at `path`, with the manifest beside it. */
export function inspectSnapshot(path: string): InspectedSnapshot {
  const name = basename(path)
  const found = readManifest(path.replace(/\.snap$/, '.manifest'))
  if (typeof found === 'string') return bad(name, [{ what: found, where: 'its manifest' }])
  if (!existsSync(path)) return bad(name, [{ what: 'the stream is not there', where: name }])
  const { size } = statSync(path)
  const { byteCount } = found.info
  if (size > byteCount)
    return bad(name, [
      { what: 'more follows than was written', where: `from byte ${byteCount} on` }
    ])
  const verified = verifyStream(path, found, () => {})
  if (verified.kind === 'damaged') {
    const faults = verified.positions.map((position) => {
      const from = position * SNAPSHOT_CHUNK_BYTES
      const where = `bytes ${from} to ${from + chunkBytesAt(position, byteCount) - 1}`
      return { what: 'these bytes are not what was written', where }
    })
    return bad(name, faults)
  }
  try {
    return { name, content: contentOf(path, found), faults: [] }
  } catch (error) {
    if (!(error instanceof ProtocolError)) throw error
    return bad(name, [{ what: error.message, where: 'its records' }])
  }
}

/** @throws ProtocolError */
function contentOf(path: string, { info }: Manifested): StreamContent {
  const reader = new SnapshotReader()
  const check = new ContentCheck()
  for (const chunk of chunksOf(path, info)) {
    for (const each of reader.push(chunk)) check.take(each)
  }
  reader.end()
  return check.end()
}

function bad(name: string, faults: readonly Fault[]): InspectedSnapshot {
  return { name, content: null, faults }
}

/** Null when it fails, and then `faults` has one more. */
function looking<T>(faults: StorageError[], look: () => T): T | null {
  try {
    return look()
  } catch (error) {
    const isFault = isStorageFailure(error) || error instanceof ProtocolError
    if (!isFault) throw error
    faults.push(storageErrorOf(error, 'it cannot be read'))
    return null
  }
}
