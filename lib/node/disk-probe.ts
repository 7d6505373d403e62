// The real disk: what the system says of the file system that a folder lies on.

import { statfs } from 'node:fs'
import type { DiskProbe } from '../cluster/disk-watch.ts'
import { StorageError } from '../errors.ts'

/** A folder that is gone takes its open files along, unseen: `onGone` is told, each time. */
export function diskProbe(folder: string, onGone: (error: StorageError) => void): DiskProbe {
  return (onStats) => {
    statfs(folder, (error, stats) => {
      if (error?.code === 'ENOENT' || error?.code === 'ENOTDIR') onGone(goneError(folder))
      onStats(error === null ? stats : null)
    })
  }
}

function goneError(folder: string): StorageError {
  return new StorageError({
    code: 'IO_ERROR',
    message: `the folder ${folder} is gone, and what is written now with it`,
    hint: 'put it back and start the node again; without its log the node must join as a new one'
  })
}
