// Writes the stream of a backup, in a thread: what a snapshot has, without secrets, as of the moment in which
// the reading begins. Nobody waits for it: rows that are forgotten and still there are left out.

import { existsSync, rmSync } from 'node:fs'
import { MAX_INDEX } from '../limits.ts'
import { writeWhole } from './snapshot-cut.ts'
import { withoutSecrets } from './snapshot-encoding.ts'
import { TaskRefusal } from './snapshot-task.ts'
import type { SnapshotTask, TaskAnswer } from './snapshot-task.ts'
import type { Connection } from './sqlite-connection.ts'
import { openForReadingAll } from './sqlite-connection.ts'
import { lastRowOf, readCompactedRow, readProgress } from './sqlite-schema.ts'

export type BackupTask = Extract<SnapshotTask, { kind: 'backup' }>

/** The file is not synced. @throws TaskRefusal, StorageError and what SQLite and the file system throw */
export function cutBackup(task: BackupTask, throwIfCancelled: () => void): TaskAnswer {
  const { database, target, maxReadMs } = task
  const connection = openForReadingAll(database)
  let isWhole = false
  try {
    connection.exec('BEGIN')
    const progress = readProgress(connection)
    const untilMs = performance.now() + maxReadMs
    const look = (): void => {
      throwIfCancelled()
      if (performance.now() > untilMs)
        throw new TaskRefusal(`reading took longer than ${maxReadMs} ms`)
    }
    const isForgotten = forgottenRows(connection, progress.applied.compactedRevision)
    const made = writeWhole(target, {
      connection,
      progress,
      look,
      keep: withoutSecrets,
      isForgotten
    })
    isWhole = true
    return { kind: 'backedUp', made, applied: progress.applied }
  } finally {
    connection.close()
    if (!isWhole && existsSync(target)) rmSync(target)
  }
}

/** What the compaction would delete if it went on to its end. */
function forgottenRows(
  connection: Connection,
  compactedRevision: number
): (row: number) => boolean {
  const end = lastRowOf(Math.min(compactedRevision, MAX_INDEX))
  const begin = readCompactedRow(connection)
  if (begin >= end) return () => false
  const rows = new Set<number>()
  for (const [id, superseded, isTombstone] of connection
    .prepare<[number, number], PendingRow>(PENDING)
    .raw()
    .iterate(begin, end)) {
    if (superseded > 0) rows.add(superseded)
    if (isTombstone === 1) rows.add(id)
  }
  return (row) => rows.has(row)
}

const PENDING =
  'SELECT id, superseded, value IS NULL FROM revisions WHERE id > ? AND id <= ? ORDER BY id'

type PendingRow = readonly [id: number, superseded: number, isTombstone: number]
