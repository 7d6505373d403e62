// The flags that set something of a node, made from the table of settings, and what was typed with them as the
// highest layer of the configuration.

import { ConfigError } from '../errors.ts'
import { fieldsOf, readText } from '../config/layers.ts'
import type { Layer, LayerDraft, Origin } from '../config/layers.ts'
import { CONFIG_KEYS, SETTINGS, STORAGE_KEYS } from '../config/schema.ts'
import type { ConfigKey, Setting } from '../config/schema.ts'
import {
  STORAGE_SETTING_NAMES,
  STORAGE_SETTINGS,
  storageSettingOf
} from '../config/storage-settings.ts'
import type { Flags, FlagSpec } from './flags.ts'

/** Characters of a default in the help; longer ones are in the documentation. */
const MAX_DEFAULT_LENGTH = 40

const STORAGE_FLAG: FlagSpec = {
  spec: '--storage <setting=value>',
  about: 'how much is kept; recorded; repeatable: see below',
  isRepeatable: true
}

/** Settings whose flags stand elsewhere: on each command about a node of this machine, or on one of them alone. */
const ELSEWHERE: ReadonlySet<ConfigKey> = new Set(['data_dir', 'name', 'ticket_file', 'peers'])

/** On the commands that start a node. */
export const SETTING_FLAGS: readonly FlagSpec[] = [
  ...CONFIG_KEYS.filter((key) => !ELSEWHERE.has(key)).flatMap(flagsOfSetting),
  STORAGE_FLAG
]

export const LOG_LEVEL_FLAG: FlagSpec = flagOfSetting('log_level')
export const TIMING_FLAG: FlagSpec = flagOfSetting('timing')

export const TICKET_FILE_FLAG: FlagSpec = flagOfSetting('ticket_file')
export const PEERS_FLAG: FlagSpec = flagOfSetting('peers')

/** Under the help of the commands that take the flags. */
export const SETTINGS_HELP = [
  'Settings of --storage (what a leader has counts for its cluster, so give all nodes the same):',
  ...STORAGE_SETTING_NAMES.map((name) => {
    const key = STORAGE_KEYS[name]
    const { kind, fallback, about } = SETTINGS[key]
    const otherwise = fallback === null ? '' : ` (default: ${kind.toText(fallback)})`
    return `  ${STORAGE_SETTINGS[name].name.padEnd(18)}   ${about}${otherwise}`
  }),
  '',
  "Every flag that says something of the node can be given in a file and in the environment, too: 'aspen config show'",
  "tells what counts and why, 'aspen config template' prints a file to begin with."
].join('\n')

/** What was typed. @throws ConfigError CONFIG_INVALID */
export function flagLayer(flags: Flags): Layer {
  const layer: LayerDraft = {}
  for (const key of CONFIG_KEYS) {
    const setting: Setting<unknown> = SETTINGS[key]
    const text = setting.flag === null ? null : typed(flags, setting.flag)
    if (text !== null) readText(layer, key, { text, origin: typedAs(flagWord(setting.flag ?? '')) })
  }
  for (const text of flags.list('storage')) readStorage(layer, text)
  return layer
}

/** The same again, as arguments for another process. */
export function flagArguments(layer: Layer): readonly string[] {
  return CONFIG_KEYS.flatMap((key) => argumentsOfSetting(layer, key))
}

function argumentsOfSetting(layer: Layer, key: ConfigKey): readonly string[] {
  const given = layer[key]
  if (given === undefined) return []
  const { kind, flag }: Setting<unknown> = SETTINGS[key]
  const text = kind.toText(given.value)
  if (flag === null) return [`--storage=${storageWord(key)}=${text}`]
  const word = flagWord(flag)
  if (!flag.includes(' ')) return [text === 'true' ? word : word.replace('--', '--no-')]
  return isList(key) ? text.split(',').map((item) => `${word}=${item}`) : [`${word}=${text}`]
}

function typed(flags: Flags, flag: string): string | null {
  const name = camelCase(flagWord(flag))
  if (!flag.includes(' ')) return flags.switched(name)?.toString() ?? null
  const items = flags.list(name)
  return items.length > 0 ? items.join(',') : flags.text(name)
}

function typedAs(where: string): Origin {
  return { layer: 'flag', where, line: null }
}

/** `snapshot-entries=500` */
function readStorage(layer: LayerDraft, text: string): void {
  const equals = text.indexOf('=')
  const word = equals === -1 ? text : text.slice(0, equals)
  const name = storageSettingOf(word)
  const origin = typedAs(`--storage ${word}`)
  if (name !== null && layer[STORAGE_KEYS[name]] !== undefined) {
    const message = `--storage ${word} is given twice`
    throw new ConfigError({ code: 'CONFIG_INVALID', message, fields: fieldsOf('storage', origin) })
  }
  if (name !== null) {
    const value = equals === -1 ? '' : text.slice(equals + 1)
    readText(layer, STORAGE_KEYS[name], { text: value, origin })
    return
  }
  throw new ConfigError({
    code: 'CONFIG_INVALID',
    message: `--storage has no setting '${word}'`,
    hint: `it has ${STORAGE_SETTING_NAMES.map((each) => STORAGE_SETTINGS[each].name).join(', ')}`,
    fields: fieldsOf('storage', origin)
  })
}

function storageWord(key: ConfigKey): string {
  const name = STORAGE_SETTING_NAMES.find((each) => STORAGE_KEYS[each] === key)
  return name === undefined ? key : STORAGE_SETTINGS[name].name
}

function flagsOfSetting(key: ConfigKey): readonly FlagSpec[] {
  return SETTINGS[key].flag === null ? [] : [flagOfSetting(key)]
}

function flagOfSetting(key: ConfigKey): FlagSpec {
  const { kind, flag, about, fallback, otherwise = '' }: Setting<unknown> = SETTINGS[key]
  const text = fallback === null ? otherwise : kind.toText(fallback)
  const isTold = flag?.includes(' ') === true && text !== '' && text.length <= MAX_DEFAULT_LENGTH
  // what once was a value is refused with the reason
  const hasChoices = kind.choices !== undefined && key !== 'storage_backend'
  return {
    spec: flag ?? '',
    about: isTold ? `${about} (default: ${text})` : about,
    ...(hasChoices ? { choices: kind.choices } : {}),
    ...(isList(key) ? { isRepeatable: true } : {})
  }
}

function isList(key: ConfigKey): boolean {
  return key === 'bootstrap' || key === 'peers'
}

/** `--port <port>` to `--port` */
function flagWord(flag: string): string {
  return flag.split(' ')[0] ?? flag
}

/** `--http-port` to `httpPort` */
function camelCase(word: string): string {
  return word.slice(2).replaceAll(/-([a-z])/g, (_match, letter: string) => letter.toUpperCase())
}
