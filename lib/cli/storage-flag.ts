// `--storage <setting=value>`: how much a node keeps, by the names of node/storage-settings.ts.

import { ConfigError } from '../errors.ts'
import type { StorageSettings } from '../node/storage-settings.ts'
import {
  DEFAULT_STORAGE,
  MAX_STORAGE_SETTING,
  STORAGE_SETTING_NAMES,
  STORAGE_SETTINGS,
  storageSettingOf,
  storageToJson
} from '../node/storage-settings.ts'
import type { FlagSpec } from './flags.ts'
import { formatDuration, formatSize, parseDuration, parseSize } from './text.ts'

/** @throws ConfigError CONFIG_INVALID */
export function storageOf(texts: readonly string[]): Partial<StorageSettings> | null {
  if (texts.length === 0) return null
  return Object.fromEntries(texts.map((text) => settingOf(text)))
}

/** For the process that runs the node. */
export function storageArguments(settings: Partial<StorageSettings> | null): readonly string[] {
  const units = new Map(STORAGE_SETTING_NAMES.map((name) => [STORAGE_SETTINGS[name].name, name]))
  return Object.entries(storageToJson(settings ?? {})).map(([typed, value]) => {
    const name = units.get(typed)
    const isTime = name !== undefined && STORAGE_SETTINGS[name].unit === 'ms'
    return `--storage=${typed}=${value}${isTime ? 'ms' : ''}`
  })
}

export const STORAGE_FLAG: FlagSpec = {
  spec: '--storage <setting=value>',
  about: `how much is kept; recorded; repeatable: ${STORAGE_SETTING_NAMES.map(described).join(', ')}`,
  isRepeatable: true
}

function described(setting: keyof StorageSettings): string {
  const { name, unit } = STORAGE_SETTINGS[setting]
  const value = DEFAULT_STORAGE[setting]
  if (unit === 'ms') return `${name} (${formatDuration(value)})`
  return `${name} (${unit === 'bytes' ? formatSize(value) : value})`
}

function settingOf(text: string): readonly [keyof StorageSettings, number] {
  const equals = text.indexOf('=')
  const typed = equals === -1 ? text : text.slice(0, equals)
  const setting = storageSettingOf(typed)
  if (setting === null) {
    const known = STORAGE_SETTING_NAMES.map((name) => STORAGE_SETTINGS[name].name).join(', ')
    throw invalid(`--storage has no setting '${typed}'`, `it has ${known}`)
  }
  const { unit, min } = STORAGE_SETTINGS[setting]
  const given = equals === -1 ? '' : text.slice(equals + 1)
  const value = PARSERS[unit](given)
  if (value !== null && value >= min && value <= MAX_STORAGE_SETTING) return [setting, value]
  const what = { count: 'a whole number', bytes: 'a size such as 64MiB', ms: 'a time such as 24h' }
  throw invalid(
    `--storage ${typed} takes ${what[unit]}, not '${given}'`,
    `for example --storage ${typed}=${EXAMPLES[unit]}`
  )
}

const PARSERS = {
  count: (text: string): number | null => (/^\d{1,15}$/.test(text) ? Number(text) : null),
  bytes: parseSize,
  ms: parseDuration
}

const EXAMPLES = { count: '10000', bytes: '64MiB', ms: '24h' }

function invalid(message: string, hint: string): ConfigError {
  return new ConfigError({ code: 'CONFIG_INVALID', message, hint })
}
