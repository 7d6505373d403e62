// The file that a backup becomes: written beside its name, and given that name when all of it is on the disk.

import { closeSync, linkSync, openSync, renameSync, rmSync } from 'node:fs'
import type { FileHandle } from 'node:fs/promises'
import { open } from 'node:fs/promises'
import { dirname } from 'node:path'
import { AspenError, ConfigError, diskCodeOf, StorageError, systemReason } from '../errors.ts'
import { shortPath } from './invocation.ts'

/** Where the bytes of a backup go. */
export interface Sink {
  write(piece: Uint8Array): Promise<void>
  /** All of it is written and whole: keeps it. */
  finish(): Promise<void>
  /** Takes back what was written. */
  discard(): Promise<void>
}

/** @throws StorageError NO_SPACE, IO_ERROR; ConfigError, also when there is such a file and `isForced` is not set */
export async function fileSink(path: string, isForced: boolean): Promise<Sink> {
  const temporary = `${path}.${process.pid}.tmp`
  const file = await writing(path, () => open(temporary, 'wx', 0o600))
  return {
    write: (piece) => writing(path, () => writeAll(file, piece)),
    finish: () =>
      writing(path, async () => {
        await file.sync()
        await file.close()
        if (isForced) renameSync(temporary, path)
        else placeNew(temporary, path)
        await syncFolder(dirname(path))
      }),
    async discard() {
      await file.close().catch(() => {}) // what comes next says what is wrong
      rmSync(temporary, { force: true })
    }
  }
}

/** Gives a file a name that no other has: unlike a rename, it takes no other file's place. @throws EEXIST */
export function placeNew(temporary: string, path: string, link = linkSync): void {
  try {
    link(temporary, path)
    rmSync(temporary, { force: true })
    return
  } catch (error) {
    if (!hasNoLinks(error)) throw error
  }
  // as on a stick with FAT: an empty file takes the name, which is nobody's else then
  closeSync(openSync(path, 'wx', 0o600))
  try {
    renameSync(temporary, path)
  } catch (error) {
    rmSync(path, { force: true })
    throw error
  }
}

function hasNoLinks(error: unknown): boolean {
  const code = error instanceof Error && 'code' in error ? error.code : null
  return typeof code === 'string' && NO_LINKS.has(code)
}

/** What file systems without hard links answer. */
const NO_LINKS: ReadonlySet<string> = new Set(['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS'])

async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, 'r')
  try {
    await folder.sync()
  } finally {
    await folder.close()
  }
}

async function writeAll(file: FileHandle, piece: Uint8Array): Promise<void> {
  let at = 0
  while (at < piece.byteLength) {
    const { bytesWritten } = await file.write(piece, at, piece.byteLength - at, null)
    at += bytesWritten
  }
}

export function exists(path: string): ConfigError {
  return new ConfigError({
    code: 'CONFIG_INVALID',
    message: `${shortPath(path)} exists already`,
    hint: '--force replaces it'
  })
}

async function writing<T>(path: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    if (error instanceof AspenError) throw error
    if (error instanceof Error && 'code' in error && error.code === 'EEXIST') throw exists(path)
    const isNowhere = error instanceof Error && 'code' in error && error.code === 'ENOENT'
    const why = isNowhere ? 'its folder does not exist' : systemReason(error)
    const message = `cannot write ${shortPath(path)}: ${why}`
    const code = diskCodeOf(error)
    if (code === null) throw new ConfigError({ code: 'CONFIG_INVALID', message }, { cause: error })
    const hint =
      code === 'NO_SPACE'
        ? 'free some space on that disk, or name a file on another one'
        : 'name a file on another disk'
    throw new StorageError({ code, message, hint }, { cause: error })
  }
}
