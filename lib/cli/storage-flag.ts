// `--storage <setting=value>`: how much a node keeps, by the names of node/storage-settings.ts.

import { ConfigError } from '../errors.ts'
import type { StorageSettings } from '../node/storage-settings.ts'
import {
  DEFAULT_STORAGE,
  STORAGE_SETTING_NAMES,
  STORAGE_SETTINGS,
  storageSettingOf
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
  return STORAGE_SETTING_NAMES.flatMap((setting) => {
    const { name, unit } = STORAGE_SETTINGS[setting]
    const value = settings?.[setting]
    return value === undefined ? [] : [`--storage=${name}=${value}${unit === 'ms' ? 'ms' : ''}`]
  })
}

export const STORAGE_FLAG: FlagSpec = {
  spec: '--storage <setting=value>',
  about: 'how much is kept; recorded; repeatable: see below',
  isRepeatable: true
}

export const STORAGE_BACKEND_FLAG: FlagSpec = {
  spec: '--storage-backend <backend>',
  about:
    'sqlite, or inmemory: for development and tests, all is gone when the node ends (default: sqlite)'
}

/** Under the help of the commands that take the flag. */
export const STORAGE_HELP = [
  'Settings of --storage (what a leader has counts for its cluster, so give all nodes the same):',
  ...STORAGE_SETTING_NAMES.map((setting) => {
    const { name, about } = STORAGE_SETTINGS[setting]
    return `  ${name.padEnd(18)}   ${about} (default: ${written(setting, DEFAULT_STORAGE[setting])})`
  })
].join('\n')

/** A value of that setting for people. */
function written(setting: keyof StorageSettings, value: number): string {
  const { unit } = STORAGE_SETTINGS[setting]
  if (unit === 'ms') return formatDuration(value)
  return unit === 'bytes' ? formatSize(value) : String(value)
}

function settingOf(text: string): readonly [keyof StorageSettings, number] {
  const equals = text.indexOf('=')
  const typed = equals === -1 ? text : text.slice(0, equals)
  const setting = storageSettingOf(typed)
  if (setting === null) {
    const known = STORAGE_SETTING_NAMES.map((name) => STORAGE_SETTINGS[name].name).join(', ')
    throw invalid(`--storage has no setting '${typed}'`, `it has ${known}`)
  }
  const { unit, min, max } = STORAGE_SETTINGS[setting]
  const given = equals === -1 ? '' : text.slice(equals + 1)
  const value = PARSERS[unit](given)
  if (value !== null && value >= min && value <= max) return [setting, value]
  if (value !== null) {
    const [least, most] = [written(setting, min), written(setting, max)]
    throw invalid(`--storage ${typed} is at least ${least} and at most ${most}, not '${given}'`)
  }
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

function invalid(message: string, hint?: string): ConfigError {
  const detail = { code: 'CONFIG_INVALID', message } as const
  return new ConfigError(hint === undefined ? detail : { ...detail, hint })
}
