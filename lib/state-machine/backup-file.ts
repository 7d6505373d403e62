// A backup in a file, read once from its beginning to its end.

import { open } from 'node:fs/promises'
import { SNAPSHOT_CHUNK_BYTES } from '../limits.ts'
import { BackupCheck } from './backup-check.ts'
import type { CheckedBackup } from './backup-check.ts'
import type { SnapshotRecord } from './snapshot-encoding.ts'

export interface BackupReading {
  /** Told after each piece; the whole is the file as it is at the beginning. */
  readonly onProgress?: (byteCount: number, total: number) => void
  /** The records of the stream, as far as it is whole. */
  readonly onRecord?: (each: SnapshotRecord) => void
}

/**
 * Verifies all of the file; damage is in the answer.
 * @throws ProtocolError when it is no backup; StorageError FORMAT_NEWER; what the file system throws
 */
export async function readBackup(
  path: string,
  { onProgress, onRecord }: BackupReading = {}
): Promise<CheckedBackup> {
  const check = new BackupCheck(onRecord)
  const file = await open(path, 'r')
  try {
    const { size: total } = await file.stat()
    const buffer = new Uint8Array(4 * SNAPSHOT_CHUNK_BYTES)
    for (let byteCount = 0; ;) {
      const { bytesRead } = await file.read(buffer, 0, buffer.byteLength, null)
      if (bytesRead === 0) return check.end()
      check.push(buffer.subarray(0, bytesRead))
      byteCount += bytesRead
      onProgress?.(byteCount, total)
    }
  } finally {
    await file.close()
  }
}
