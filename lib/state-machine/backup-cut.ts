// Writes the stream of a backup, in a thread: what a snapshot has, without secrets, as of the moment in which
// the reading begins. Nobody waits for it: rows that are forgotten and still there are left out.

import { existsSync, rmSync } from 'node:fs'
import { ROWS_BETWEEN_LOOKS } from './snapshot-check.ts'
import { writeWhole } from './snapshot-cut.ts'
import { withoutSecrets } from './snapshot-encoding.ts'
import { deadlineOf } from './snapshot-task.ts'
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
    const look = deadlineOf(maxReadMs, throwIfCancelled)
    const isForgotten = forgottenRows(connection, progress.applied.compactedRevision, look)
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

/** What the compaction would delete if it went on to its end: kept in a table of SQLite's, since it may be long. */
function forgottenRows(
  connection: Connection,
  compactedRevision: number,
  look: () => void
): (row: number) => boolean {
  const end = lastRowOf(compactedRevision)
  let begin = readCompactedRow(connection)
  if (begin >= end) return () => false
  connection.exec('CREATE TEMP TABLE forgotten (id INTEGER PRIMARY KEY)')
  const insert = connection.prepare<[number]>('INSERT OR IGNORE INTO forgotten VALUES (?)')
  const pending = connection.prepare<[number, number], PendingRow>(PENDING).raw()
  for (;;) {
    const rows = pending.all(begin, end)
    for (const [id, superseded, isTombstone] of rows) {
      if (superseded > 0) insert.run(superseded)
      if (isTombstone === 1) insert.run(id)
      begin = id
    }
    if (rows.length < ROWS_BETWEEN_LOOKS) break
    look()
  }
  const find = connection.prepare<[number], number>('SELECT id FROM forgotten WHERE id = ?').pluck()
  return (row) => find.get(row) !== undefined
}

/** Whether they are what was written is seen when all rows are read. */
const PENDING = `
  SELECT id, superseded, value IS NULL FROM revisions WHERE id > ? AND id <= ?
  ORDER BY id LIMIT ${ROWS_BETWEEN_LOOKS}`

type PendingRow = readonly [id: number, superseded: number, isTombstone: number]
