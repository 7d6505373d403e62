// A file that lmdb cannot be trusted with (lmdb-check.ts) is made anew before it is opened, from all that is
// whole in it (lmdb-salvage.ts). The new one takes its place in one step; until then nothing is changed.

import { existsSync, renameSync, rmSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { present } from '../assert.ts'
import { AspenError } from '../errors.ts'
import type { StorageError } from '../errors.ts'
import type { Index } from '../raft/entry.ts'
import { indexKey } from './encoding.ts'
import { structureFault } from './lmdb-check.ts'
import { commit, reasonOf } from './lmdb-commit.ts'
import type { Change } from './lmdb-commit.ts'
import {
  hasEntriesAfter,
  LOG_DATA_FILE,
  openEnvironment,
  storageErrorOf,
  syncDirectory
} from './lmdb-environment.ts'
import { LmdbFile } from './lmdb-file.ts'
import { salvage } from './lmdb-salvage.ts'
import type { Place, Salvaged } from './lmdb-salvage.ts'
import { corrupted, corruptedEntry } from './restore.ts'

export interface MendOptions {
  readonly directory: string
  /** whether the new file may lack entries, which the caller has others give back */
  readonly mayHaveHoles: boolean
}

/** What is wrong with the pages of a log that is not open; null: nothing. @throws StorageError */
export function pageFault(directory: string): string | null {
  return withFile(directory, structureFault)
}

/**
 * Makes the file of a log anew if lmdb cannot be trusted with it. @returns what was wrong; null: nothing
 * @throws StorageError CORRUPTED when its state is lost, and, with the index, when an entry is
 */
export async function mendPages({ directory, mayHaveHoles }: MendOptions): Promise<string | null> {
  rmSync(join(directory, MAKING), { recursive: true, force: true })
  const fault = pageFault(directory)
  if (fault === null) return null
  const salvaged = withFile(directory, salvage)
  if (salvaged === null) throw lost(fault)
  const [firstMissing] = salvaged.missing
  if (firstMissing !== undefined && !mayHaveHoles) {
    throw corruptedEntry(firstMissing, `cannot be found (in the file of the log, ${fault})`)
  }
  await replace(directory, salvaged)
  return fault
}

/**
 * The same for a file whose pages are right, and `missingCount` of whose entries are not: what lmdb does not find
 * may lie whole elsewhere in it, under another key or in a page that is free. @returns whether fewer are missing now
 */
export async function remake(directory: string, missingCount: number): Promise<boolean> {
  const salvaged = withFile(directory, salvage)
  if (salvaged === null || salvaged.missing.length >= missingCount) return false
  // an entry behind the last one that the state knows would be left out
  if (await hasMoreThan(directory, salvaged.state.last.index)) return false
  await replace(directory, salvaged)
  return true
}

/** The file where it is being made, beside the one that it replaces. */
const MAKING = 'making'
/** How much a transaction copies. */
const COPIED_BYTES = 4 * 1024 * 1024

function withFile<T>(directory: string, look: (file: LmdbFile) => T): T | null {
  const path = join(directory, LOG_DATA_FILE)
  if (!existsSync(path) || statSync(path).size === 0) return null
  try {
    const file = new LmdbFile(path)
    try {
      return look(file)
    } finally {
      file.close()
    }
  } catch (error) {
    throw error instanceof AspenError ? error : storageErrorOf(error)
  }
}

async function hasMoreThan(directory: string, last: Index): Promise<boolean> {
  const environment = openEnvironment(directory)
  try {
    return hasEntriesAfter(environment, last)
  } finally {
    await environment.root.close()
  }
}

/** In one step, by its name. */
async function replace(directory: string, salvaged: Salvaged): Promise<void> {
  const making = join(directory, MAKING)
  await copy(directory, making, salvaged)
  renameSync(join(making, LOG_DATA_FILE), join(directory, LOG_DATA_FILE))
  syncDirectory(directory)
  rmSync(making, { recursive: true, force: true })
}

/** All that is whole, in a new environment. */
async function copy(directory: string, making: string, salvaged: Salvaged): Promise<void> {
  const { state, configuration, entries } = salvaged
  const environment = openEnvironment(making)
  const file = new LmdbFile(join(directory, LOG_DATA_FILE))
  try {
    const hasNewBase = configuration !== undefined
    for (const places of slicesOf(entries)) {
      const changes = places.map(([index, place]) => changeOf(file, index, place))
      await commit(environment, { changes, state, hasNewBase })
    }
  } catch (error) {
    throw error instanceof AspenError ? error : await reasonOf(environment, error)
  } finally {
    file.close()
    await environment.root.close()
  }
}

function changeOf(file: LmdbFile, index: Index, { position, byteCount }: Place): Change {
  const record = present(file.bytesAt(position, byteCount), 'what has just been read')
  return { key: indexKey(index), record }
}

/** One at least: the state is written with each. */
function* slicesOf(entries: Salvaged['entries']): Generator<[Index, Place][]> {
  let slice: [Index, Place][] = []
  let byteCount = 0
  // ascending, so that pages are filled
  for (const [index, place] of [...entries].toReversed()) {
    slice.push([index, place])
    byteCount += place.byteCount
    if (byteCount < COPIED_BYTES) continue
    yield slice
    slice = []
    byteCount = 0
  }
  yield slice
}

function lost(fault: string): StorageError {
  return corrupted({
    message: `the log is damaged: in its file, ${fault}, and its newest state cannot be found`,
    fields: { variant: 'DeserializeFailed', data_type: 'state' }
  })
}
