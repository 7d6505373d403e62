// How full a disk is, and when that is too full: as `df` counts it, so that blocks which only the
// superuser may take are neither used nor available. Pure.

import { DISK_FREE_PERCENT, DISK_FULL_PERCENT } from '../limits.ts'

/** What `statfs` says of a file system; counts are of blocks. */
export interface FileSystemStats {
  /** bytes of a block */
  readonly bsize: number
  readonly blocks: number
  /** free, with those that only the superuser may take */
  readonly bfree: number
  /** free for everybody */
  readonly bavail: number
}

export interface DiskUsage {
  readonly usedBytes: number
  readonly totalBytes: number
  /** of what everybody may use: used / (used + available) × 100 */
  readonly percent: number
}

/** `extraBytes` are taken as used: they are on their way to the disk. */
export function diskUsageOf(stats: FileSystemStats, extraBytes = 0): DiskUsage {
  const { bsize, blocks, bfree, bavail } = stats
  const totalBytes = blocks * bsize
  const usedBytes = Math.min(Math.max(0, blocks - bfree) * bsize, totalBytes)
  // below zero on some systems, when the superuser has taken of the reserved blocks; or a huge number
  const available = bavail > 0 && bavail <= blocks ? bavail * bsize : 0
  const capacity = usedBytes + available
  // file systems without blocks have no limit that could be seen
  const percent = capacity === 0 ? 0 : ((usedBytes + extraBytes) / capacity) * 100
  return { usedBytes, totalBytes, percent: Math.min(percent, 100) }
}

/** Full above DISK_FULL_PERCENT, and then until below DISK_FREE_PERCENT. */
export function isFullAt(percent: number, wasFull: boolean): boolean {
  return wasFull ? percent >= DISK_FREE_PERCENT : percent > DISK_FULL_PERCENT
}
