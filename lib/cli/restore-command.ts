// `aspen restore FILE`: what `create` does, from a backup. The state of the new cluster is made in this process;
// the node is started as by `create`.

import { existsSync, statSync } from 'node:fs'
import { resolve } from 'node:path'
import { present } from '../assert.ts'
import { asAspenError, AspenError, ConfigError, diskCodeOf, systemReason } from '../errors.ts'
import { DataDirectory } from '../node/data-directory.ts'
import type { Progress } from '../node/options.ts'
import { restore, verifiedBackup } from '../node/restoring.ts'
import { DEFAULT_STORAGE_BACKEND } from '../config/storage-backends.ts'
import type { BackupHeader } from '../state-machine/backup-encoding.ts'
import { backupDocument, backupLines } from './backup-lines.ts'
import type { Invocation } from './invocation.ts'
import { shortPath } from './invocation.ts'
import type { Launch } from './launch.ts'
import { launchOf } from './launch.ts'
import { ProgressDisplay } from './progress.ts'
import { runningStatus } from './running.ts'
import { launchNode } from './start-commands.ts'

export async function restoreFrom(invocation: Invocation): Promise<number> {
  const path = resolve(present(invocation.args['file'], 'file'))
  const launch = await launchOf(invocation, 'create')
  checkFile(path)
  refuseInMemory(launch)
  if ((await runningStatus(invocation, launch)) !== null) throw taken(launch)
  const header = await withProgress(invocation, (onProgress) =>
    prepare(launch, { path, onProgress })
  )
  const origin = {
    lines: (style: Parameters<typeof backupLines>[1]) => [
      `${style.symbol('ok')} restored from  ${shortPath(path)}`,
      ...backupLines(header, style)
    ],
    document: { restored: { file: path, ...backupDocument(header) } }
  }
  return launchNode(invocation, { launch, ticket: null, origin })
}

interface Preparation {
  readonly path: string
  readonly onProgress: (progress: Progress) => void
}

async function prepare(launch: Launch, { path, onProgress }: Preparation): Promise<BackupHeader> {
  try {
    const header = await verifiedBackup(path, onProgress)
    const directory = DataDirectory.open(launch.target.dataDir)
    const { bootstrap, timing, storage, target } = launch
    const settings = {
      name: target.name,
      bootstrap,
      timing,
      storage,
      settings: launch.settings
    }
    try {
      await restore(directory, { path, header, settings, onProgress })
    } finally {
      directory.close()
    }
    return header
  } catch (error) {
    throw asSystemFailure(error, 'the backup could not be restored')
  }
}

/** What takes longer than a moment is shown until it ends. */
export async function withProgress<T>(
  { output, host }: Invocation,
  work: (onProgress: (progress: Progress) => void) => Promise<T>
): Promise<T> {
  const options = { output, nowMs: host.nowMs, hasSteps: false, canRedraw: true }
  const display = new ProgressDisplay(options)
  try {
    const result = await work((progress) => display.update(progress))
    display.close('ok')
    return result
  } finally {
    display.close('failure')
  }
}

/** @throws ConfigError CONFIG_INVALID */
export function checkFile(path: string): void {
  if (!existsSync(path)) throw noFile(path, 'it does not exist')
  if (!statSync(path).isFile()) throw noFile(path, 'it is no file')
}

function noFile(path: string, why: string): ConfigError {
  const message = `${shortPath(path)} cannot be read: ${why}`
  return new ConfigError({ code: 'CONFIG_INVALID', message })
}

/** What the operating system refused, said with `what` it came to; anything else as it is. */
export function asSystemFailure(error: unknown, what: string): AspenError {
  if (!(error instanceof Error && 'syscall' in error)) return asAspenError(error)
  const message = `${what}: ${systemReason(error)}`
  return new AspenError({ code: diskCodeOf(error) ?? 'IO_ERROR', message }, { cause: error })
}

/** A cluster that is made from a backup, or from what a node has left, is on a disk. @throws ConfigError CONFIG_INVALID */
export function refuseInMemory({ storageBackend }: Launch): void {
  if (storageBackend === DEFAULT_STORAGE_BACKEND) return
  throw new ConfigError({
    code: 'CONFIG_INVALID',
    message: `storage_backend is ${storageBackend}: what is restored would be gone when the node ends`,
    hint: 'leave it out, in the file and in the environment'
  })
}

function taken({ target }: Launch): ConfigError {
  return new ConfigError({
    code: 'DATA_DIR_TAKEN',
    message: `a node runs already in ${shortPath(target.dataDir)}`,
    hint: 'a backup becomes a cluster in a folder of its own; name another one with --name or --data-dir'
  })
}
