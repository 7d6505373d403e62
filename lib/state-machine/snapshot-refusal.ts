// Why a machine makes no snapshot of its state. Pure.

import { DEFAULT_SNAPSHOT_BYTES, DEFAULT_SNAPSHOT_ENTRIES } from '../limits.ts'
import type { Content, SnapshotLimits } from './state-machine.ts'

export const DEFAULT_SNAPSHOT_LIMITS: SnapshotLimits = {
  maxEntries: DEFAULT_SNAPSHOT_ENTRIES,
  maxBytes: DEFAULT_SNAPSHOT_BYTES
}

/** Null when it is within the limits. */
export function refusalOf(content: Content, limits: SnapshotLimits): string | null {
  const { liveCount, liveBytes } = content
  const { maxEntries, maxBytes } = limits
  if (liveCount > maxEntries)
    return `there are ${liveCount} keys, and snapshots are limited to ${maxEntries}; raise that limit or delete keys`
  if (liveBytes > maxBytes)
    return `keys and values have ${liveBytes} bytes, and snapshots are limited to ${maxBytes}; raise that limit or delete keys`
  return null
}
