// Storage settings with which a short test sees many snapshots, cut logs and forgotten history.

import type { StorageSettings } from '../../lib/config/storage-settings.ts'
import { storageToJson } from '../../lib/config/storage-settings.ts'

export const SMALL_STORAGE: Partial<StorageSettings> = {
  snapshotEntries: 20,
  keepEntries: 5,
  keepRevisions: 20,
  keepRevisionsMs: 0
}

/** The same as flags of a command. */
export const SMALL_STORAGE_FLAGS: readonly string[] = Object.entries(
  storageToJson(SMALL_STORAGE)
).map(([name, value]) => `--storage=${name}=${value}${name === 'keep-history' ? 'ms' : ''}`)
