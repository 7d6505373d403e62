// Where a node keeps its log and its state: on the disk (the log in lmdb, the state in SQLite), or, for
// development and tests, in memory, where both are gone when the process ends.
//
// A node that forgets must not come back as if it had promised nothing: others counted its votes and what it
// acknowledged. So whoever keeps its log in memory keeps its key there too (ephemeral-directory.ts). It is a
// new node at each start, made by `create` or let in by a ticket, and there is nothing that could be started
// again; to its cluster the one that ended is a member that is lost for good.

import { DEFAULT_STORAGE_BACKEND } from '../config/storage-backends.ts'
import { ConfigError } from '../errors.ts'
import type { EventLog } from './assembly-parts.ts'
import type { Intent, NodeOptions } from './options.ts'

/** Whether nothing of a node outlives its process. */
export function isEphemeral({ storageBackend }: Pick<NodeOptions, 'storageBackend'>): boolean {
  return (storageBackend ?? DEFAULT_STORAGE_BACKEND) === 'inmemory'
}

/** @throws ConfigError CONFIG_INVALID for what a node that forgets cannot do */
export function checkInMemoryIntent(intent: Intent): void {
  if (intent.kind !== 'start') return
  throw new ConfigError({
    code: 'CONFIG_INVALID',
    message: 'a node that keeps everything in memory has nothing to start with',
    hint: "'aspen create --storage-backend inmemory' makes a cluster, 'aspen join' joins one; each time it is a new node"
  })
}

/** Said at each start, so that nobody learns it from an empty store. */
export function warnOfForgetting(events: Pick<EventLog, 'warn'>): void {
  const what = 'log and state are in memory only (for development and tests)'
  events.warn({ event: 'storage.inmemory' }, `${what}: all of it is gone when this process ends`)
}
