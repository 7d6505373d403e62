// What a node is told about how much to keep: one table of names that the command line, node.json and the
// documentation share. What is not said has its default; a leader's settings count for the cluster.

import { STORAGE_POLICY } from '../cluster/storage-policy.ts'
import type { StoragePolicy } from '../cluster/storage-policy.ts'
import {
  DEFAULT_MAX_STATE_BYTES,
  DEFAULT_MAX_STATE_ENTRIES,
  DEFAULT_SNAPSHOT_BYTES,
  DEFAULT_SNAPSHOT_ENTRIES
} from '../limits.ts'

/** All settings, with values. */
export interface StorageSettings extends StoragePolicy {
  /** live keys, and bytes of keys and values: at that many, writes that add to them are refused */
  readonly maxEntries: number
  readonly maxBytes: number
}

export type StorageSettingName = keyof StorageSettings

interface StorageSetting {
  /** as it is typed */
  readonly name: string
  readonly unit: 'count' | 'bytes' | 'ms'
  readonly min: number
  readonly max: number
  /** what it is for; one line for people */
  readonly about: string
}

/** Of settings that nothing else bounds. */
const ANY = 2 ** 42

export const STORAGE_SETTINGS: Readonly<Record<StorageSettingName, StorageSetting>> = {
  snapshotEntries: {
    name: 'snapshot-entries',
    unit: 'count',
    min: 1,
    max: ANY,
    about: 'entries in the log after which a snapshot is due'
  },
  snapshotBytes: {
    name: 'snapshot-bytes',
    unit: 'bytes',
    min: 1,
    max: ANY,
    about: 'bytes of entries after which one is due'
  },
  snapshotAgeMs: {
    name: 'snapshot-age',
    unit: 'ms',
    min: 1_000,
    max: ANY,
    about: 'time after which any change makes one due'
  },
  keepEntries: {
    name: 'keep-entries',
    unit: 'count',
    min: 0,
    max: ANY,
    about: 'entries that stay in the log behind a snapshot'
  },
  keepRevisions: {
    name: 'keep-revisions',
    unit: 'count',
    min: 0,
    max: ANY,
    about: 'revisions of which history is kept'
  },
  keepRevisionsMs: {
    name: 'keep-history',
    unit: 'ms',
    min: 0,
    max: ANY,
    about: 'time for which history is kept'
  },
  maxEntries: {
    name: 'max-keys',
    unit: 'count',
    min: 1,
    max: DEFAULT_SNAPSHOT_ENTRIES,
    about: 'keys that the cluster takes'
  },
  maxBytes: {
    name: 'max-bytes',
    unit: 'bytes',
    min: 1,
    // of what has more no snapshot is made, and the log would grow for ever
    max: DEFAULT_SNAPSHOT_BYTES,
    about: 'bytes of keys and values that the cluster takes'
  }
}

export const DEFAULT_STORAGE: StorageSettings = {
  ...STORAGE_POLICY,
  maxEntries: DEFAULT_MAX_STATE_ENTRIES,
  maxBytes: DEFAULT_MAX_STATE_BYTES
}

/** The setting of that typed name; null for none. */
export function storageSettingOf(name: string): StorageSettingName | null {
  return STORAGE_SETTING_NAMES.find((each) => STORAGE_SETTINGS[each].name === name) ?? null
}

export const STORAGE_SETTING_NAMES: readonly StorageSettingName[] = [
  'snapshotEntries',
  'snapshotBytes',
  'snapshotAgeMs',
  'keepEntries',
  'keepRevisions',
  'keepRevisionsMs',
  'maxEntries',
  'maxBytes'
]

/** By typed name, as node.json has them. */
export function storageToJson(settings: Partial<StorageSettings>): Record<string, number> {
  const json: Record<string, number> = {}
  for (const name of STORAGE_SETTING_NAMES) {
    const value = settings[name]
    if (value !== undefined) json[STORAGE_SETTINGS[name].name] = value
  }
  return json
}

/** What a later version has written besides is left out. */
export function storageFromJson(json: Readonly<Record<string, number>>): Partial<StorageSettings> {
  return Object.fromEntries(
    STORAGE_SETTING_NAMES.map((name) => [name, json[STORAGE_SETTINGS[name].name]] as const).filter(
      ([, value]) => value !== undefined
    )
  )
}
