// Where a node may keep its log and its state, by name.

import type { Status } from '../service/documents.ts'

/** `sqlite` is the log and the state on the disk; both words are the seed's. */
export type StorageBackend = Status['storage']['backend']

export const DEFAULT_STORAGE_BACKEND: StorageBackend = 'sqlite'

export const STORAGE_BACKENDS: readonly StorageBackend[] = ['sqlite', 'inmemory']
