// What a backup holds, as its header says it: for people and for programs.

import { hexOf } from '../encoding.ts'
import type { BackupHeader } from '../state-machine/backup-encoding.ts'
import { BACKUP_FORMAT } from '../state-machine/backup-encoding.ts'
import type { Style } from './style.ts'
import { formatSize, plural, printable } from './text.ts'

export function backupLines(header: BackupHeader, style: Style): string[] {
  const { index, liveCount, liveBytes, timeMs, clusterId, madeMs, version, contentHash } = header
  const rows: readonly (readonly [string, string])[] = [
    ['cluster', hexOf(clusterId)],
    ['holds', `${plural(liveCount, 'key')}, ${formatSize(liveBytes)}`],
    ['as of', `revision ${index}, ${instant(timeMs)}`],
    ['made', `${instant(madeMs)} by aspen ${printable(version)}`],
    ['content', hexOf(contentHash)]
  ]
  return rows.map(([title, text]) => `  ${style.dim(title.padEnd(9))}${text}`)
}

/** The documented fields. */
export function backupDocument(header: BackupHeader): object {
  return {
    format: BACKUP_FORMAT,
    cluster: { id: hexOf(header.clusterId) },
    revision: header.index,
    term: header.term,
    log_time: instant(header.timeMs),
    keys: header.liveCount,
    key_value_bytes: header.liveBytes,
    compacted_revision: header.compactedRevision,
    state_hash: hexOf(header.stateHash),
    content_hash: hexOf(header.contentHash),
    made_at: instant(header.madeMs),
    made_by: header.version
  }
}

function instant(ms: number): string {
  return new Date(ms).toISOString()
}
